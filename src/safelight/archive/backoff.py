"""When to try again: exponential backoff with full jitter, so that workers that failed together do not return together."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base

from safelight.errors import ArchiveClosed, StorageFull, TransientError

#: Returns a number in [0, 1).
Jitter = Callable[[], float]
_BASE: Final = 0.5
_CEILING: Final = 30.0


def system_jitter() -> float:
    """Return a number in [0, 1) from the system; it decides when something is tried again and nothing else."""
    return secrets.randbelow(1 << 30) / (1 << 30)


class FullJitter(wait_base):
    """Wait between 0 and ``min(ceiling, base * 2**n)`` seconds before attempt ``n + 2``."""

    def __init__(self, jitter: Jitter, *, base: float = _BASE, ceiling: float = _CEILING) -> None:
        self._jitter = jitter
        self._base = base
        self._ceiling = ceiling

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the seconds to wait."""
        return self.seconds(retry_state.attempt_number)

    def seconds(self, failed: int) -> float:
        """Return the seconds to wait after so many failed attempts, from 1."""
        return self._jitter() * min(self._ceiling, self._base * 2.0 ** (failed - 1))


class _Passing(retry_if_exception_type):
    """Errors that a few seconds may heal: those of the archive, and no others."""

    def __init__(self) -> None:
        super().__init__(TransientError)

    def __call__(self, retry_state: RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        return super().__call__(retry_state) and not isinstance(error, ArchiveClosed | StorageFull)


def retrying(attempts: int, *, jitter: Jitter, sleep: Callable[[float], None]) -> Retrying:
    """Return tenacity's controller for one operation on an archive; the last error comes out as it is."""
    return Retrying(stop=stop_after_attempt(attempts), wait=FullJitter(jitter), retry=_Passing(), sleep=sleep, reraise=True)


def next_attempt(attempts: int, *, jitter: Jitter) -> timedelta:
    """Return how long a request waits after so many failed attempts: half to all of 1, 2, 4 ... 64 minutes."""
    minutes = min(64.0, 2.0**attempts)
    return timedelta(minutes=minutes * (0.5 + jitter() / 2))
