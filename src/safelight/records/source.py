"""Where the rows of record tables come from: an OMOP-ES extract, a folder of files, or a warehouse.

All give batches of the columns that are asked for, so that what comes after does not know the difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from safelight.errors import ExtractInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from safelight.warehouse import Warehouse

BATCH_ROWS: Final = 65_536
_CSV_BYTES: Final = 4 << 20


class TableRows(Protocol):
    """The rows of one table."""

    def batches(self, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield batches of those of the wanted columns that are there, named in lower case; other columns stay unread.

        Raises:
            SafelightError: the rows can't be read.
        """


@dataclass(frozen=True)
class ParquetRows:
    """Rows of Parquet files, one after the other."""

    table: str
    paths: tuple[Path, ...]

    def batches(self, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield batches. Raises ExtractInvalid when a file is no Parquet, or damaged."""
        for path in self.paths:
            try:
                with pq.ParquetFile(path) as file:
                    names = _spelled(file.schema_arrow.names, wanted)
                    for batch in file.iter_batches(BATCH_ROWS, columns=list(names.values())):
                        yield _named(batch, names)
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(self.table, error) from None


@dataclass(frozen=True)
class CsvRows:
    """Rows of a CSV file in UTF-8 with a header. Every cell is text, an empty one is missing."""

    table: str
    path: Path

    def batches(self, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield batches. Raises ExtractInvalid when the file is no CSV."""
        try:
            with pcsv.open_csv(self.path, parse_options=pcsv.ParseOptions(newlines_in_values=True)) as head:
                given = head.schema.names
            names = _spelled(given, wanted)
            cells = pcsv.ConvertOptions(
                column_types=dict.fromkeys(given, pa.string()),
                include_columns=list(names.values()),
                null_values=[""],
                strings_can_be_null=True,
            )
            reading = pcsv.ReadOptions(block_size=_CSV_BYTES, use_threads=False)
            parsing = pcsv.ParseOptions(newlines_in_values=True)
            with pcsv.open_csv(self.path, reading, parsing, cells) as reader:
                for batch in reader:
                    yield _named(batch, names)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.table, error) from None


@dataclass(frozen=True)
class WarehouseRows:
    """Rows of a table, view or reviewed query of a warehouse, of these people only."""

    warehouse: Warehouse
    relation: str
    people: tuple[str, ...] = field(repr=False)

    def batches(self, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield batches. Raises ConfigurationError and DatabaseUnavailable."""
        names = _spelled(self.warehouse.columns(self.relation), wanted)
        key = names.get("person_id", "person_id")
        for batch in self.warehouse.read(self.relation, list(names.values()), people=self.people, key=key):
            yield _named(batch, names)


def delivery_tables(extract: Path) -> dict[str, TableRows]:
    """Return the public tables of an OMOP-ES extract by name. Raises ExtractInvalid."""
    return {name: ParquetRows(name, tuple(paths)) for name, paths in record_files(extract).items()}


def file_tables(folder: Path) -> dict[str, TableRows]:
    """Return the tables of a folder with ``measurement.csv``, ``note.parquet`` and so on, by name in lower case.

    Raises:
        ExtractInvalid: a table is there twice.
    """
    tables: dict[str, TableRows] = {}
    for path in sorted(folder.iterdir()):
        name, kind = path.stem.lower(), path.suffix.lower()
        if kind not in (".csv", ".parquet"):
            continue
        if name in tables:
            raise ExtractInvalid(f"The folder has table '{name}' twice.", remedy="Remove the older one.")
        tables[name] = CsvRows(name, path) if kind == ".csv" else ParquetRows(name, (path,))
    return tables


def warehouse_tables(warehouse: Warehouse, tables: Mapping[str, str], people: Sequence[str]) -> dict[str, TableRows]:
    """Return the tables of a warehouse by name.

    Args:
        warehouse: where they are.
        tables: name in the CDM -> table, view or reviewed query.
        people: ids of the persons of the cohort; nobody else's rows are asked for.
    """
    return {name: WarehouseRows(warehouse, relation, tuple(people)) for name, relation in sorted(tables.items())}


def record_files(extract: Path) -> dict[str, list[Path]]:
    """Return the parquet files of each public table, by its name in lower case.

    ``public/omop/MEASUREMENT.parquet`` in a delivery of single files, ``public/omop/measurement/part-*.parquet`` in a
    batched one.

    Raises:
        ExtractInvalid: there is no ``public/omop``, or a table is there in both layouts.
    """
    folder = extract / "public" / "omop"
    if not folder.is_dir():
        raise ExtractInvalid("The delivery has no folder public/omop.", remedy="Ask for the delivery again.")
    tables: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        parts = sorted(path.glob("*.parquet")) if path.is_dir() else [path] if path.suffix == ".parquet" else []
        if not parts:
            continue
        name = (path.name if path.is_dir() else path.stem).lower()
        if name in tables:
            raise ExtractInvalid(
                f"The delivery has table '{name}' twice, as a file and as a folder of parts.", remedy="Remove the older one."
            )
        tables[name] = parts
    return tables


def _spelled(given: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Return wanted name -> how the source spells it."""
    lower = {name.lower(): name for name in given}
    return {name: lower[name] for name in wanted if name in lower}


def _named(batch: pa.RecordBatch, names: Mapping[str, str]) -> Any:  # noqa: ANN401
    return pa.record_batch([batch.column(given) for given in names.values()], names=list(names))


def _unreadable(table: str, error: Exception) -> ExtractInvalid:
    # Arrow's own text may quote a value.
    return ExtractInvalid(
        f"A file of table '{table}' can't be read ({type(error).__name__}).", remedy="Ask for the delivery again."
    )
