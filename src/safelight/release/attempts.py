"""Attempts at a destination that does not answer, or asks to be left alone for a while."""

from __future__ import annotations

import tenacity

from safelight.errors import DestinationUnavailable


class TryAgain(DestinationUnavailable):
    """Another attempt may succeed.

    Args:
        message: what happened.
        after: seconds that the destination asked us to wait.
    """

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message, remedy="Check that it runs and can be reached; then export again.")
        self.after = after


def retrying(attempts: int, wait: tuple[float, float]) -> tenacity.Retrying:
    """Return what calls a function again while it raises `TryAgain`, and in the end lets that error through.

    A destination that asks for a longer rest than we wait is left alone at once: asking it sooner would be rude, and
    waiting would outlast our leases.

    Args:
        attempts: the most calls.
        wait: first and longest wait in seconds; doubled each time.
    """
    first, longest = wait
    backoff = tenacity.wait_exponential(multiplier=first, max=longest)

    def asked(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return error.after if isinstance(error, TryAgain) else 0.0

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TryAgain),
        stop=lambda state: state.attempt_number >= attempts or asked(state) > longest,
        wait=lambda state: max(backoff(state), asked(state)),
        reraise=True,
    )
