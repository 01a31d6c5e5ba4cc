"""Many rows, a batch at a time: memory stays flat, and a statement stays below the databases' parameter limits."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")
#: Rows a statement. SQLite takes 32766 parameters, PostgreSQL 65535.
BATCH: Final = 1000


def in_batches(rows: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Return the rows in lists of at most ``size``, without reading ahead."""
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch
