"""The archive's budget: two of the orchestrator's global concurrency limits, so that its manager can change it any time.

``archive-<block>-operations`` is a token bucket (``slot_decay_per_second``), scaled by 100 slots to an operation: with one
slot an operation the limiter under-delivers by up to 40 %, with a hundred it is exact, and rates may be fractional.
``archive-<block>-associations`` counts associations in flight. The orchestrator lets callers run free of a limit that
does not exist or is inactive; here both mean that nothing may be sent.

The limits' plain API is called, not ``prefect.concurrency``: there one blocked caller holds up all others of the process,
and sleeps out what the server said at first, so that a change of the limit goes unseen for up to a minute.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from safelight.errors import ArchiveClosed, ConfigurationError, TransientError
from tasks.policies import associations_limit, operations_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse

#: Slots of the operations limit that one operation takes.
SLOTS_AN_OPERATION: Final = 100
#: Seconds' worth of operations that are taken from the limit in one call: at high rates the calls are what costs.
BUNDLE_SECONDS: Final = 0.1
#: Operations that were taken and not sent are forfeited, and a place is given back, after so many seconds: what the
#: manager changes holds that soon.
GOOD_FOR_SECONDS: Final = 1.0
#: A worker that was killed gives its places back after so many seconds (the orchestrator's shortest lease).
LEASE_SECONDS: Final = 60.0
#: The first and the longest pause between two askings.
FIRST_PAUSE_SECONDS: Final = 0.05
TURN_SECONDS: Final = 1.0
_LOCKED: Final = 423
_BUSY: Final = 503
_ATTEMPTS: Final = 10
T = TypeVar("T")


def burst(operations_per_second: float) -> int:
    """Return how many operations may be sent at once after a pause: a quarter second's, and three at least.

    With less than three the limiter under-delivers.
    """
    return max(3, math.ceil(operations_per_second / 4))


class OrchestratorThrottle:
    """Waits for the orchestrator's leave before each operation and association. A context manager.

    Cost: about 5 ms a call. A call takes a tenth of a second's operations at once: one call an operation up to 10 a
    second, ten calls a second above. Places are reused for a second. Every two seconds another call looks whether the
    limit is there and active.

    Args:
        archive_block: name of the archive's block.
        patience_seconds: how long to wait for leave. Waiting is not fair: with many workers 30 s are normal.
    """

    def __init__(self, archive_block: str, *, patience_seconds: float = 600.0) -> None:
        self._operations = operations_limit(archive_block)
        self._associations = associations_limit(archive_block)
        self._patience = patience_seconds
        self._client = _Client()
        self._seen: dict[str, tuple[float, GlobalConcurrencyLimitResponse]] = {}
        self._taking = threading.Lock()
        self._left, self._taken_at = 0, 0.0
        self._places = _Places(self._client)

    def __enter__(self) -> Self:
        self._client.open()
        self._places.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._places.stop()
        self._client.close()

    def operation(self) -> None:
        """Wait until one operation may be sent. Raises ArchiveClosed, ConfigurationError, TransientError."""
        with self._taking:
            if not self._left or time.monotonic() - self._taken_at > GOOD_FOR_SECONDS:

                def take(limit: GlobalConcurrencyLimitResponse) -> int:
                    bundle = self._bundle(limit)
                    slots = bundle * SLOTS_AN_OPERATION
                    self._client.call("increment_concurrency_slots", [self._operations], slots, "rate_limit")
                    return bundle

                self._left = self._wait(self._operations, take)
                self._taken_at = time.monotonic()
            self._left -= 1

    @contextmanager
    def association(self) -> Iterator[None]:
        """Hold one association's place. Raises ArchiveClosed, ConfigurationError, TransientError."""

        def take(limit: GlobalConcurrencyLimitResponse) -> UUID:  # noqa: ARG001
            answer = self._client.call(
                "increment_concurrency_slots_with_lease", [self._associations], 1, "concurrency", LEASE_SECONDS
            )
            return self._places.lease(answer.json())

        self._look(self._associations)
        place = self._places.idle() or self._places.hold(self._wait(self._associations, take))
        try:
            yield
        finally:
            self._places.give(place)

    @staticmethod
    def _bundle(limit: GlobalConcurrencyLimitResponse) -> int:
        """Return how many operations to take in one call: never more than half of what the bucket holds."""
        rate = limit.slot_decay_per_second / SLOTS_AN_OPERATION
        return max(1, min(int(rate * BUNDLE_SECONDS), limit.limit // SLOTS_AN_OPERATION // 2))

    def _wait(self, name: str, take: Callable[[GlobalConcurrencyLimitResponse], T]) -> T:
        end = time.monotonic() + self._patience
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return take(self._look(name))
            except httpx.HTTPStatusError as error:
                if error.response.status_code != _LOCKED:
                    raise _refused(name, error) from None
            except httpx.TransportError as error:
                raise _refused(name, error) from None
            if time.monotonic() > end:
                raise ArchiveClosed(
                    f"The limit '{name}' gave no leave for {self._patience:.0f} s.",
                    remedy="Raise it, or lower the number of workers.",
                )
            # The server proposes pauses of seconds for a bucket that is full again in a tenth.
            time.sleep(pause)
            pause = min(pause * 1.5, TURN_SECONDS)

    def _look(self, name: str) -> GlobalConcurrencyLimitResponse:
        """Return the limit, seen in the last two seconds; without one the orchestrator would let us run free."""
        now = time.monotonic()
        if name in self._seen and now - self._seen[name][0] < 2 * TURN_SECONDS:
            return self._seen[name][1]
        try:
            limit: GlobalConcurrencyLimitResponse = self._client.call("read_global_concurrency_limit_by_name", name)
        except ObjectNotFound:
            raise ConfigurationError(
                f"There is no global concurrency limit '{name}', so nothing may be sent to the archive.",
                remedy="Register the projects' limits with 'python -m deployments.bootstrap'.",
            ) from None
        except httpx.HTTPError as error:
            raise _refused(name, error) from None
        if not limit.active or limit.limit < 1:
            raise ArchiveClosed(
                f"The limit '{name}' is {'zero' if limit.active else 'inactive'}: the archive is stopped.",
                remedy="Its manager activates it again in the Prefect UI under Concurrency.",
            )
        self._seen[name] = (now, limit)
        return limit


class _Client:
    """Prefect's client, one call at a time.

    A server on SQLite answers 503 to some of the calls that come together, and the client's own retry then waits for
    2, 4, 8 ... seconds; we ask again at once, ten times in about three seconds.
    """

    _calling = threading.Lock()

    def __init__(self) -> None:
        self._client = get_client(sync_client=True)

    def open(self) -> None:
        self._client.__enter__()

    def close(self) -> None:
        self._client.__exit__(None, None, None)

    def call(self, method: str, *arguments: Any) -> Any:  # noqa: ANN401  as the method says
        for attempt in range(_ATTEMPTS):
            try:
                with self._calling, temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                    return getattr(self._client, method)(*arguments)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != _BUSY or attempt == _ATTEMPTS - 1:
                    raise
            time.sleep(FIRST_PAUSE_SECONDS * (attempt + 1))
        raise AssertionError


class _Places:
    """Leases of associations' places: renewed while they are held, reused while they are fresh, given back."""

    def __init__(self, client: _Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._held: dict[UUID, float] = {}
        self._idle: list[UUID] = []
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="places", daemon=True)

    def start(self) -> None:
        self._renewer.start()

    def stop(self) -> None:
        self._ended.set()
        self._renewer.join()
        for lease in list(self._held):
            self._release(lease)

    @staticmethod
    def lease(answer: dict[str, Any]) -> UUID:
        return UUID(str(answer["lease_id"]))

    def hold(self, lease: UUID) -> UUID:
        with self._lock:
            self._held[lease] = time.monotonic()
        return lease

    def idle(self) -> UUID | None:
        """Return a place that was given back just now."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def give(self, lease: UUID) -> None:
        """Keep a fresh place for the next association, give an old one back."""
        with self._lock:
            fresh = time.monotonic() - self._held[lease] < GOOD_FOR_SECONDS
            if fresh:
                self._idle.append(lease)
        if not fresh:
            self._release(lease)

    def _release(self, lease: UUID) -> None:
        with self._lock:
            self._held.pop(lease, None)
        try:
            self._client.call("release_concurrency_slots_with_lease", lease)
        except httpx.HTTPError:
            return  # it runs out by itself

    def _renew(self) -> None:
        """Renew what is held; give back what lies idle."""
        renewed = time.monotonic()
        while not self._ended.wait(GOOD_FOR_SECONDS):
            with self._lock:
                idle, self._idle = self._idle, []
            for lease in idle:
                self._release(lease)
            if time.monotonic() - renewed > LEASE_SECONDS / 3:
                renewed = time.monotonic()
                for lease in list(self._held):
                    try:
                        self._client.call("renew_concurrency_lease", lease, LEASE_SECONDS)
                    except httpx.HTTPError:
                        continue  # tried again in a third of the lease


def _refused(name: str, error: httpx.HTTPError) -> TransientError:
    return TransientError(
        f"The orchestrator did not answer about the limit '{name}' ({type(error).__name__}).",
        remedy="Nothing was sent to the archive; it is asked again.",
    )
