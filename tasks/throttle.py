"""The archive's budget: two of the orchestrator's global concurrency limits, so that its manager can change it any time.

``archive-<block>-operations`` is a token bucket (``slot_decay_per_second``), scaled by 100 slots to an operation: with one
slot an operation the limiter under-delivers by up to 40 %, with a hundred it is exact, and rates may be fractional.
``archive-<block>-associations`` counts associations in flight. The orchestrator lets callers run free of a limit that
does not exist or is inactive; here both mean that nothing may be sent.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency, rate_limit
from prefect.exceptions import ObjectNotFound

from safelight.errors import ArchiveClosed, ConfigurationError
from tasks.policies import associations_limit, operations_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse

#: Slots of the operations limit that one operation takes.
SLOTS_AN_OPERATION: Final = 100
#: Seconds' worth of operations that are taken from the limit in one call: at high rates the calls are what costs.
BUNDLE_SECONDS: Final = 0.1
#: Seconds after which operations that were taken and not sent are forfeited, so that a stop bites at once.
FORFEIT_SECONDS: Final = 1.0
#: A worker that was killed gives its associations back after so many seconds (the orchestrator's shortest lease).
LEASE_SECONDS: Final = 60.0
#: A waiting call does not see a change of the limit, so it waits in short turns.
TURN_SECONDS: Final = 2.0


def burst(operations_per_second: float) -> int:
    """Return how many operations may be sent at once after a pause: a quarter second's, and three at least.

    With less than three the limiter under-delivers.
    """
    return max(3, math.ceil(operations_per_second / 4))


class OrchestratorThrottle:
    """Waits for the orchestrator's leave before each operation and association.

    Cost: about 10 ms a call. A call takes a tenth of a second's operations at once: one call an operation up to 10 a
    second, ten calls a second above. Every two seconds another call looks whether the limit is there and active.

    Args:
        archive_block: name of the archive's block.
        patience_seconds: how long to wait for leave. Waiting is not fair: with many workers 30 s are normal.
    """

    def __init__(self, archive_block: str, *, patience_seconds: float = 600.0) -> None:
        self._operations = operations_limit(archive_block)
        self._associations = associations_limit(archive_block)
        self._patience = patience_seconds
        self._looked: dict[str, tuple[float, GlobalConcurrencyLimitResponse]] = {}
        self._lock = threading.Lock()
        self._left = 0
        self._taken_at = 0.0

    def operation(self) -> None:
        """Wait until one operation may be sent. Raises ArchiveClosed, ConfigurationError."""
        with self._lock:
            if self._left and time.monotonic() - self._taken_at < FORFEIT_SECONDS:
                self._left -= 1
                return

            def take(limit: GlobalConcurrencyLimitResponse) -> None:
                bundle = self._bundle(limit)
                rate_limit(self._operations, occupy=bundle * SLOTS_AN_OPERATION, timeout_seconds=TURN_SECONDS, strict=True)
                self._left = bundle - 1
                self._taken_at = time.monotonic()

            self._wait(self._operations, take)

    @contextmanager
    def association(self) -> Iterator[None]:
        """Hold one association's place. Raises ArchiveClosed, ConfigurationError."""
        held = None

        def take(limit: GlobalConcurrencyLimitResponse) -> None:  # noqa: ARG001
            nonlocal held
            place = concurrency(
                self._associations,
                occupy=1,
                timeout_seconds=TURN_SECONDS,
                lease_duration=LEASE_SECONDS,
                strict=True,
            )
            place.__enter__()
            held = place

        self._wait(self._associations, take)
        assert held is not None  # noqa: S101  _wait returns only after take() did
        try:
            yield
        finally:
            held.__exit__(None, None, None)

    @staticmethod
    def _bundle(limit: GlobalConcurrencyLimitResponse) -> int:
        """Return how many operations to take in one call: never more than half of what the bucket holds."""
        rate = limit.slot_decay_per_second / SLOTS_AN_OPERATION
        return max(1, min(int(rate * BUNDLE_SECONDS), limit.limit // SLOTS_AN_OPERATION // 2))

    def _wait(self, name: str, take: Callable[[GlobalConcurrencyLimitResponse], None]) -> None:
        end = time.monotonic() + self._patience
        while True:
            try:
                take(self._look(name))
            except TimeoutError:
                if time.monotonic() > end:
                    raise ArchiveClosed(
                        f"The limit '{name}' gave no leave for {self._patience:.0f} s.",
                        remedy="Raise it, or lower the number of workers.",
                    ) from None
            else:
                return

    def _look(self, name: str) -> GlobalConcurrencyLimitResponse:
        """Return the limit, seen in the last two seconds; without one the orchestrator would let us run free."""
        now = time.monotonic()
        seen_at, limit = self._looked.get(name, (now - TURN_SECONDS, None))
        if limit is not None and now - seen_at < TURN_SECONDS:
            return limit
        with get_client(sync_client=True) as client:
            try:
                limit = client.read_global_concurrency_limit_by_name(name)
            except ObjectNotFound:
                raise ConfigurationError(
                    f"There is no global concurrency limit '{name}', so nothing may be sent to the archive.",
                    remedy="Register the projects' limits with 'python -m deployments.bootstrap'.",
                ) from None
        if not limit.active or limit.limit < 1:
            raise ArchiveClosed(
                f"The limit '{name}' is {'zero' if limit.active else 'inactive'}: the archive is stopped.",
                remedy="Its manager activates it again in the Prefect UI under Concurrency.",
            )
        self._looked[name] = (now, limit)
        return limit
