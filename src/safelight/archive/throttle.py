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


class Unlimited:
    """No budget: for tests and for an archive of one's own."""

    def operation(self) -> None:
        """Let it through."""

    @contextmanager
    def association(self) -> Iterator[None]:
        """Let it through."""
        yield
