"""What stands between us and an archive: its manager's budget."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Throttle(Protocol):
    """Lets operations and associations through at the pace that an archive's manager allows.

    Both methods block until it is allowed, and raise ArchiveClosed when it will not be for long.
    """

    def operation(self) -> None:
        """Wait until one more C-ECHO, C-FIND, C-MOVE or C-GET may be sent."""

    def association(self) -> AbstractContextManager[None]:
        """Wait until one more association may be open, and hold it while the block runs."""

    def received(self, size: int) -> None:
        """Note bytes that the archive has sent; waits, for seconds at most, while they are too many. Never raises."""

    def answered(self, operation: str, seconds: float, *, size: int = 1) -> None:
        """Note how long an operation took, or one instance; ``size``: its answers, or the instance's bytes."""


class Unlimited:
    """No budget: for tests and for an archive of one's own."""

    def operation(self) -> None:
        """Let it through."""

    @contextmanager
    def association(self) -> Iterator[None]:
        """Let it through."""
        yield

    def received(self, size: int) -> None:
        """Let them through."""

    def answered(self, operation: str, seconds: float, *, size: int = 1) -> None:
        """Draw no conclusion."""
