"""The archive's budget: two of the orchestrator's global concurrency limits, so that its manager can change it any time.

``archive-<block>-operations`` is a token bucket (``slot_decay_per_second``), scaled by 100 slots to an operation: with one
slot an operation the limiter under-delivers by up to 40 %, with a hundred it is exact, and rates may be fractional.
``archive-<block>-associations`` counts associations in flight. The orchestrator lets callers run free of a limit that
does not exist or is inactive; here both mean that nothing may be sent.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency, rate_limit
from prefect.exceptions import ObjectNotFound

from safelight.errors import ArchiveClosed, ConfigurationError
from tasks.policies import associations_limit, operations_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Slots of the operations limit that one operation takes.
SLOTS_AN_OPERATION: Final = 100
#: Operations that may be sent at once after a pause: with less than two the limiter under-delivers.
BURST: Final = 3
#: A waiting call does not see a change of the limit, so it waits in short turns.
TURN_SECONDS: Final = 2.0


class OrchestratorThrottle:
    """Waits for the orchestrator's leave before each operation and association.

    Cost: about 10 ms an operation, plus 5 ms every two seconds to look whether the limit is still there and active.

    Args:
        archive_block: name of the archive's block.
        patience_seconds: how long to wait for leave. Waiting is not fair: with many workers 30 s are normal.
    """

    def __init__(self, archive_block: str, *, patience_seconds: float = 600.0) -> None:
        self._operations = operations_limit(archive_block)
        self._associations = associations_limit(archive_block)
        self._patience = patience_seconds
        self._looked: dict[str, float] = {}

    def operation(self) -> None:
        """Wait until one operation may be sent. Raises ArchiveClosed, ConfigurationError."""

        def take() -> None:
            rate_limit(self._operations, occupy=SLOTS_AN_OPERATION, timeout_seconds=TURN_SECONDS, strict=True)

        self._wait(self._operations, take)

    @contextmanager
    def association(self) -> Iterator[None]:
        """Hold one association's place. Raises ArchiveClosed, ConfigurationError."""
        held = None

        def take() -> None:
            nonlocal held
            candidate = concurrency(self._associations, occupy=1, timeout_seconds=TURN_SECONDS, strict=True)
            candidate.__enter__()
            held = candidate

        self._wait(self._associations, take)
        assert held is not None  # noqa: S101  _wait returns only after take() did
        try:
            yield
        finally:
            held.__exit__(None, None, None)

    def _wait(self, name: str, take: object) -> None:
        end = time.monotonic() + self._patience
        while True:
            self._check(name)
            try:
                take()  # type: ignore[operator]
            except TimeoutError:
                if time.monotonic() > end:
                    raise ArchiveClosed(
                        f"The limit '{name}' gave no leave for {self._patience:.0f} s.",
                        remedy="Raise it, or lower the number of workers.",
                    ) from None
            else:
                return

    def _check(self, name: str) -> None:
        """Look whether the limit exists and is active; without it the orchestrator would let us run free."""
        now = time.monotonic()
        if now - self._looked.get(name, -TURN_SECONDS) < TURN_SECONDS:
            return
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
        self._looked[name] = now
