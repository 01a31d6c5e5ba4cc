"""Tables of an OMOP-ES extract, streamed: one file, or a folder of ``part-*.parquet``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from safelight.errors import ExtractInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_ROWS: Final = 16_384
#: Stands for a cell that has no value in Python; every reader of cells refuses it.
UNREADABLE: Final = object()


@dataclass(frozen=True)
class Row:
    """One row: the values of the columns asked for, and where it stands (``line`` counts from 1 in its file)."""

    file: str
    line: int
    values: tuple[Any, ...]


def _values(column: pa.Array) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):
        # A date beyond year 9999, or text that is no UTF-8: one bad cell must cost one row, not the table.
        return [_value(cell) for cell in column]


def _value(cell: pa.Scalar) -> Any:  # noqa: ANN401
    try:
        return cell.as_py()
    except (ValueError, OverflowError, pa.ArrowException):
        return UNREADABLE


@dataclass(frozen=True)
class ParquetTable:
    """One table, in one or more files. ``name`` is how messages call it."""

    name: str
    root: Path
    files: tuple[Path, ...]

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Return the rows, a row group's slice at a time; other columns are not read.

        Raises:
            ExtractInvalid: a file is not Parquet, is damaged, or lacks a column.
        """
        for path in self.files:
            name = path.relative_to(self.root).as_posix()
            line = 0
            for batch in self._batches(path, name, columns):
                for values in zip(*(_values(batch.column(column)) for column in columns), strict=True):
                    line += 1
                    yield Row(name, line, values)

    def _batches(self, path: Path, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(path) as file:
                self._check(file.schema_arrow.names, name, columns)
                yield from file.iter_batches(batch_size=_ROWS, columns=list(columns))
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            # Arrow's own text may quote what it read.
            raise ExtractInvalid(
                f"'{name}' can't be read as Parquet ({type(error).__name__}).", remedy="Ask for the extract again."
            ) from None

    @staticmethod
    def _check(found: Sequence[str], name: str, columns: Sequence[str]) -> None:
        missing = [column for column in columns if column not in found]
        if missing:
            raise ExtractInvalid(f"'{name}' has no column {', '.join(missing)}.", remedy=f"It needs: {', '.join(columns)}.")
        if twice := [column for column in columns if list(found).count(column) > 1]:
            raise ExtractInvalid(f"'{name}' has the column {', '.join(twice)} more than once.")
