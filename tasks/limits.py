"""The orchestrator's global concurrency limits, read and used through their plain API.

Not through ``prefect.concurrency``: there one blocked caller holds up all others of the process, and sleeps out what the
server said at first, so that a change of the limit goes unseen for up to a minute. And it lets callers run free of a limit
that does not exist or is inactive; here both mean that nothing may be sent.
"""

from __future__ import annotations

import threading
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from safelight.archive.backoff import system_jitter
from safelight.errors import ArchiveClosed, ConfigurationError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse

#: The first and the longest pause between two askings.
FIRST_PAUSE_SECONDS: Final = 0.05
TURN_SECONDS: Final = 1.0
_LOCKED: Final = 423
_BUSY: Final = 503
_ATTEMPTS: Final = 10
T = TypeVar("T")


class LimitsClient:
    """Prefect's client, one call at a time.

    A server on SQLite answers 503 to some of the calls that come together. The client would wait for 2 s and more after
    each, even after its last attempt; we ask again at once, ten times in about three seconds.
    """

    _calling = threading.Lock()

    def __init__(self) -> None:
        self._client = get_client(sync_client=True, httpx_settings={"event_hooks": {"response": [_raise_when_busy]}})
        # Prefect reads all its settings anew for a change of one, which takes longer than the call itself.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            self._at_once = copy_context()

    def open(self) -> None:
        """Open the connection."""
        self._client.__enter__()

    def close(self) -> None:
        """Close the connection."""
        self._client.__exit__(None, None, None)

    def call(self, method: str, *arguments: Any) -> Any:  # noqa: ANN401  as the method says
        """Call one of the client's methods."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._calling:
                    return self._at_once.run(getattr(self._client, method), *arguments)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != _BUSY or attempt == _ATTEMPTS - 1:
                    raise
            time.sleep(_about(FIRST_PAUSE_SECONDS * (attempt + 1)))
        raise AssertionError


def _about(seconds: float) -> float:
    """Return a pause of about this length, so that those who were refused together do not come back together."""
    return seconds * (0.5 + system_jitter())


def _raise_when_busy(response: httpx.Response) -> None:
    """Raise here, below the place where the client begins to wait."""
    if response.status_code == _BUSY:
        response.raise_for_status()


class Limits:
    """Limits by name: are they there, and is there room. Every two seconds a call looks whether one is active."""

    def __init__(self, client: LimitsClient) -> None:
        self._client = client
        self._looking = threading.Lock()
        self._seen: dict[str, tuple[float, GlobalConcurrencyLimitResponse]] = {}
        self._waits: dict[str, float] = {}

    def look(self, name: str) -> GlobalConcurrencyLimitResponse:
        """Return the limit, seen in the last two seconds; without one the orchestrator would let us run free.

        Raises:
            ConfigurationError: there is none.
            ArchiveClosed: it is inactive or zero.
            TransientError: the orchestrator did not answer.
        """
        with self._looking:
            now = time.monotonic()
            if name in self._seen and now - self._seen[name][0] < 2 * TURN_SECONDS:
                return self._seen[name][1]
            try:
                limit: GlobalConcurrencyLimitResponse = self._client.call("read_global_concurrency_limit_by_name", name)
            except ObjectNotFound:
                raise _missing(name) from None
            except httpx.HTTPError as error:
                raise _refused(name, error) from None
            if not limit.active or limit.limit < 1:
                raise ArchiveClosed(
                    f"The limit '{name}' is {'zero' if limit.active else 'inactive'}: the archive is stopped.",
                    remedy="Its manager activates it again in the Prefect UI under Concurrency.",
                )
            self._seen[name] = (now, limit)
            return limit

    def look_at_rate(self, name: str) -> GlobalConcurrencyLimitResponse:
        """Return a limit that must be a rate. Raises as ``look``, and ArchiveClosed where its slots never come back."""
        limit = self.look(name)
        if limit.slot_decay_per_second <= 0:
            raise ArchiveClosed(
                f"The limit '{name}' has no slot decay: its rate is zero.",
                remedy="Its manager sets the decay in the Prefect UI under Concurrency.",
            )
        return limit

    def use_up(self, name: str, slots: int) -> None:
        """Take slots that come back by decay. Raises httpx.HTTPStatusError when there is no room now."""
        if not self._client.call("increment_concurrency_slots", [name], slots, "rate_limit").json():
            raise _missing(name)

    def lease(self, name: str, slots: int, seconds: float) -> str:
        """Take slots under a lease, and return the lease's id. Raises httpx.HTTPStatusError when there is no room."""
        answer = self._client.call("increment_concurrency_slots_with_lease", [name], slots, "concurrency", seconds).json()
        if not answer["limits"]:
            raise _missing(name)
        return str(answer["lease_id"])

    def wait(self, name: str, take: Callable[[], T], *, patience: float) -> T:
        """Call ``take`` until it finds room.

        Askings that find none are what costs the orchestrator, so a wait has about four of them, however long waits are.

        Raises:
            ArchiveClosed: it did not for ``patience`` seconds.
            TransientError: the orchestrator did not answer.
            SafelightError: whatever else ``take`` raises.
        """
        began = time.monotonic()
        pause = max(FIRST_PAUSE_SECONDS, self._waits.get(name, 0.0) / 4)
        while True:
            try:
                taken = take()
            except httpx.HTTPStatusError as error:
                if error.response.status_code != _LOCKED:
                    self._seen.pop(name, None)
                    raise _refused(name, error) from None
            except httpx.TransportError as error:
                raise _refused(name, error) from None
            else:
                self._waits[name] = (3 * self._waits.get(name, 0.0) + time.monotonic() - began) / 4
                return taken
            if time.monotonic() - began > patience:
                raise ArchiveClosed(
                    f"The limit '{name}' gave no leave for {patience:.0f} s.",
                    remedy="Raise it, or lower the number of workers.",
                )
            # The server proposes pauses of seconds for a bucket that is full again in a tenth.
            time.sleep(_about(min(pause, TURN_SECONDS)))
            pause *= 1.5


def _missing(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"There is no global concurrency limit '{name}', so nothing may be sent to the archive.",
        remedy="Register the projects' limits with 'python -m deployments.bootstrap'.",
    )


def _refused(name: str, error: httpx.HTTPError) -> TransientError:
    return TransientError(
        f"The orchestrator did not answer about the limit '{name}' ({type(error).__name__}).",
        remedy="Nothing was sent to the archive; it is asked again.",
    )
