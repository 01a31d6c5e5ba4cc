"""The released tables as Parquet files, as a data safe haven takes them in.

``<project>/<extract datetime>/parquet/omop/public/omop/<TABLE>.parquet`` and ``…/radiology/IMAGE_LINKER.parquet``, which
says which study belongs to which procedure. They hold exactly the rows of the lake. The folder is that of the newest
extract: a later release of the same extract replaces its files, one of a newer extract goes into a folder of its own.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from safelight.release.faults import folder_fault
from safelight.release.file_store import StoreDestination
from safelight.release.lake import Lake
from safelight.release.schemas import ROW_HASH

_TABLE: Final = "omop/public/omop/{}.parquet"
_LINKER: Final = "radiology/IMAGE_LINKER.parquet"
_LINKER_SCHEMA: Final = pa.schema([("procedure_occurrence_id", pa.string()), ("pseudo_study_uid", pa.string())])
#: In a file's metadata: what it was made from, so that the same rows are the same file however the lake keeps them.
_MADE_FROM: Final = b"rows_sha256"
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class TableFile:
    """One table in the work folder: ``name`` is its place below ``<extract datetime>/parquet``."""

    path: Path
    name: str
    rows: int
    size: int
    sha256: str


class ParquetDelivery(StoreDestination):
    """A store that tables go to."""

    def send(self, project: str, extract: datetime, files: Sequence[TableFile]) -> list[str]:
        """Put the files there that are not, or were otherwise; return the names of these. Again, it returns none.

        Raises:
            DestinationUnavailable, StorageFull: sending again later may work; what was sent stays.
            DestinationRefused, StorageUnwritable: nothing more can be sent before somebody changes something.
        """
        sent = []
        with self.store.open() as store:
            for file in files:
                name = f"{project}/{table_path(extract, file.name)}"
                if not store.compare(name, file.path):
                    store.put(name, file.path)
                    sent.append(file.name)
        return sent

    def withdraw(self, project: str, people: Collection[str], studies: Collection[str], scratch: Path) -> list[str]:
        """Take people and studies out of every table that was ever put there, older extracts' too.

        Args:
            project: slug.
            people: pseudonyms of persons.
            studies: pseudonymous Study Instance UIDs.
            scratch: folder for files in the making, and for nothing else; gone afterwards.

        Returns:
            names of files that could not be read or replaced, so that their keeper has to do it.
        """
        left = []
        with _scratch(scratch) as folder, self.store.open() as store:
            for name in store.names(project):
                if not name.endswith(".parquet"):
                    continue
                old, new = folder / "old.parquet", folder / "new.parquet"
                if not store.fetch(name, old) or (removed := _without(old, new, set(people), set(studies))) is None:
                    left.append(name)
                elif removed:
                    store.put(name, new)
        return left


def deliver_tables(
    lake: Lake, project: str, tables: Sequence[str], places: Sequence[ParquetDelivery], *, extract: datetime, staging: Path
) -> list[dict[str, Any]]:
    """Send the lake's tables to all places, and return what the manifest says of them.

    Args:
        lake: the lake, with all rows of the release.
        project: slug.
        tables: as for ``stage_tables``.
        places: where to.
        extract: when the project's newest extract was generated, aware.
        staging: folder for the files; kept, so that what has not changed need not be made again.

    Raises:
        The same as ``ParquetDelivery.send`` and ``stage_tables``.
    """
    files = stage_tables(lake, project, tables, staging) if places else []
    for place in places:
        place.send(project, extract, files)
    return [
        {
            "destination": place.name,
            "path": table_path(extract, file.name),
            "rows": file.rows,
            "size": file.size,
            "sha256": file.sha256,
        }
        for place in places
        for file in files
    ]


def table_path(extract: datetime, name: str) -> str:
    """Return where a table's file stands below the project's folder. ``extract`` is aware."""
    return f"{extract.astimezone(UTC):%Y-%m-%dt%H-%M-%S}/parquet/{name}"


def stage_tables(lake: Lake, project: str, tables: Sequence[str], folder: Path) -> list[TableFile]:
    """Write the lake's tables to Parquet files; one whose rows have not changed stays as it is.

    Args:
        lake: the lake.
        project: slug.
        tables: names of tables of notes and record; those that the lake does not have are left out.
        folder: where to; nothing else may be in it.

    Returns:
        the files, by name. Memory is flat but for the linker, which takes about 200 bytes a study.

    Raises:
        StorageFull, StorageUnwritable: the folder can't be written. And what reading the lake may raise.
    """
    found = {_TABLE.format(name.upper()): name for name in tables if lake.open(project, name)}
    try:
        for stray in sorted(folder.rglob("*.parquet")):
            if str(stray.relative_to(folder)) not in {*found, _LINKER}:
                stray.unlink()
        for place, name in found.items():
            _stage(lake, project, name, folder / place)
        _stage_linker(lake, project, folder / _LINKER)
        return [_file(folder, place) for place in sorted({*found, _LINKER})]
    except OSError as error:
        raise folder_fault(error, "the work folder") from None


def _stage(lake: Lake, project: str, table: str, path: Path) -> None:
    _, digest = lake.digest(project, table)
    if _made_from(path) == digest:
        return
    delta = lake.open(project, table)
    assert delta is not None  # noqa: S101  its digest was just taken
    schema = pa.schema([field for field in pa.schema(delta.schema().to_arrow()) if field.name != ROW_HASH.name])
    scanner = delta.to_pyarrow_dataset().scanner(columns=schema.names, batch_readahead=2, fragment_readahead=1)
    _write(path, schema.with_metadata({_MADE_FROM: digest}), scanner.to_batches())


def _stage_linker(lake: Lake, project: str, path: Path) -> None:
    rows = lake.read(project, "image_occurrence", ["procedure_occurrence_id", "image_study_uid"]).to_pylist()
    pairs = sorted({(row["procedure_occurrence_id"], row["image_study_uid"]) for row in rows})
    digest = hashlib.sha256(repr(pairs).encode()).hexdigest()
    if _made_from(path) == digest:
        return
    columns = [pa.array([pair[place] for pair in pairs], pa.string()) for place in (0, 1)]
    schema = _LINKER_SCHEMA.with_metadata({_MADE_FROM: digest})
    _write(path, schema, pa.table(columns, schema=schema).to_batches())


def _write(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch] | Sequence[pa.RecordBatch]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with pq.ParquetWriter(part, schema, compression="snappy") as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema))
    part.replace(path)


def _made_from(path: Path) -> str:
    try:
        return str((pq.read_schema(path).metadata or {}).get(_MADE_FROM, b"").decode())
    except (FileNotFoundError, pa.ArrowException):
        return ""


def _file(folder: Path, place: str) -> TableFile:
    path = folder / place
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return TableFile(path, place, pq.read_metadata(path).num_rows, path.stat().st_size, digest.hexdigest())


def _without(old: Path, new: Path, people: set[str], studies: set[str]) -> int | None:
    """Write a table without some people's rows; return how many went, or None where the file is none of ours."""
    gone = 0
    values = {"person_id": people, "pseudo_study_uid": studies}
    try:
        with pq.ParquetFile(old) as file:
            schema = file.schema_arrow
            columns = [name for name in values if name in schema.names]
            with pq.ParquetWriter(new, schema, compression="snappy") as writer:
                for batch in file.iter_batches():
                    kept = batch
                    for name in columns:
                        wanted = pa.array(sorted(values[name]), pa.string())
                        kept = kept.filter(pc.invert(pc.is_in(kept.column(name), value_set=wanted)))
                    gone += batch.num_rows - kept.num_rows
                    writer.write_batch(kept)
    except pa.ArrowException:
        return None
    return gone if columns else None


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    try:
        if folder.exists():
            shutil.rmtree(folder)  # what a killed withdrawal left
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise folder_fault(error, "the work folder") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
