"""The lake: Delta tables under ``<lake>/<project>/<table>``, written so that writing twice changes nothing.

Reader version 1 and writer version 2, asserted after each commit; Snappy in every file; a checkpoint each ten commits
(Synapse serverless SQL, Spark 3.4 and 3.5, Fabric, DuckDB and Polars read that). A write compares keys and row digests
with what is stored, appends what is new, replaces what has changed, and commits nothing where nothing changed. Each
commit carries a transaction number of the table, so two writers at once can't both insert a row: the second one sees
its commit fail, reads again and repeats.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from safelight.errors import DestinationUnavailable, IntegrityError
from safelight.release.conform import Rows, in_chunks, with_row_hash
from safelight.release.faults import lake_faults
from safelight.release.schemas import AS_OF, ROW_HASH, TABLES, TableSchema, comment_of

SNAPPY: Final = WriterProperties(compression="SNAPPY")
CHUNK_ROWS: Final = 100_000
_SCAN_ROWS: Final = 65_536
#: Rows that one commit replaces: their keys stand in its entry in the log.
_REPLACED_ROWS: Final = 5_000
READER, WRITER = 1, 2
_ATTEMPTS: Final = 15
_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_REMOTE: Final = re.compile(r"[a-z][a-z0-9+.-]*://")


@dataclass(frozen=True)
class WriteResult:
    """What a write did with its rows: ``inserted + updated + unchanged + duplicates`` is what was given."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    version: int = -1

    def __add__(self, other: WriteResult) -> WriteResult:
        """Add up counts; the version is the later one."""
        return WriteResult(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.duplicates + other.duplicates,
            max(self.version, other.version),
        )

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return bool(self.inserted or self.updated)


@dataclass(frozen=True)
class Lake:
    """A lake at a folder or an ``abfss://`` address.

    Args:
        uri: folder, or address of the object store; ``{project}`` in it stands for the project's slug.
        storage_options: options of the object store, with its secrets; never shown.
        sleep: waits between attempts, in seconds.
        jitter: seed of the waits between attempts; it touches no data.
    """

    uri: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    jitter: int = 0

    def location(self, project: str, table: str) -> str:
        """Return the address of a table."""
        if not _SLUG.fullmatch(project):
            raise IntegrityError("A project's folder in the lake must be its slug.")
        return f"{self.uri.replace('{project}', project).rstrip('/')}/{project}/{table}"

    def open(self, project: str, table: str) -> DeltaTable | None:
        """Open a table, or return None where there is none."""
        with lake_faults(table):
            try:
                return DeltaTable(self.location(project, table), storage_options=dict(self.storage_options))
            except TableNotFoundError:
                return None

    def described(self, project: str, table: str) -> TableSchema | None:
        """Return the schema of a stored table as the table itself describes it, or None where there is none."""
        delta = self.open(project, table)
        if delta is None:
            return None
        stored = pa.schema(delta.schema().to_arrow())
        key = TABLES[table].key if table in TABLES else stored.names[0]
        columns = pa.schema([field for field in stored if field.name != ROW_HASH.name])
        return TableSchema(table, str(delta.metadata().description), key, columns)

    def read(self, project: str, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a table (all in memory). Raises IntegrityError when there is no such table."""
        found = self.open(project, table)
        if found is None:
            raise IntegrityError(f"There is no table '{table}' in the lake of project '{project}'.")
        with lake_faults(table):
            return found.to_pyarrow_dataset().to_table(columns=list(columns) if columns else None)

    def write(self, project: str, table: str | TableSchema, batches: Iterable[Rows]) -> WriteResult:
        """Merge rows into a table by its key; create the table where it is missing.

        Memory is bounded by the batches given and by ``CHUNK_ROWS``, whatever the size of the table. Of rows with the
        same key the first counts; the others are counted as duplicates.

        Args:
            project: slug of the project.
            table: name of a table of `TABLES`; or a schema; or a name, when the batches describe themselves in the
                metadata of a ``schema`` attribute.
            batches: rows, as Arrow batches or sequences of mappings.

        Raises:
            IntegrityError: rows that do not fit, or a stored table of another shape.
            StorageFull, StorageUnwritable, DestinationRefused, DestinationUnavailable: the lake can't be written. What
                was committed stays; writing again completes it.
        """
        schema = _schema_of(table, batches)
        delta = self._prepare(project, schema)
        total = WriteResult(version=delta.version())
        seen = np.empty(0, np.uint64)
        for chunk in in_chunks(batches, schema, CHUNK_ROWS):
            chunk, seen, duplicates = _first_of_each(chunk, schema.key, seen)
            total += WriteResult(duplicates=duplicates)
            if chunk.num_rows:
                total += self._write_chunk(project, schema, with_row_hash(chunk))
        return total

    def digest(self, project: str, table: str) -> tuple[int, str]:
        """Return number of rows and SHA-256 over the sorted row digests: the same however the rows are stored.

        Memory: 16 bytes a row. Raises IntegrityError when there is no such table.
        """
        delta = self.open(project, table)
        if delta is None:
            raise IntegrityError(f"There is no table '{table}' in the lake of project '{project}'.")
        found = bytearray()
        with lake_faults(table):
            for batch in _scan(delta, ["row_hash"]):
                found += bytes.fromhex("".join(batch.column("row_hash").to_pylist()))
        digests = np.frombuffer(found, "S16")
        digests.sort()
        return len(digests), hashlib.sha256(found).hexdigest()

    def _prepare(self, project: str, schema: TableSchema) -> DeltaTable:
        found = self.open(project, schema.name)
        with lake_faults(schema.name):
            if found is None:
                if not _REMOTE.match(self.uri):
                    Path(self.location(project, schema.name)).mkdir(parents=True, exist_ok=True)
                DeltaTable.create(
                    self.location(project, schema.name),
                    schema.stored,
                    mode="ignore",
                    name=schema.name,
                    description=schema.comment,
                    configuration={"delta.checkpointInterval": "10"},
                    storage_options=dict(self.storage_options),
                )
                found = DeltaTable(self.location(project, schema.name), storage_options=dict(self.storage_options))
            added = _new_columns(found, schema)
            if added:
                # Columns only ever come, empty in the rows that are there; the next write fills them.
                found.alter.add_columns(DeltaSchema.from_arrow(pa.schema(added)).fields)
                found.update_incremental()
        assert_protocol(found, schema.name)
        _assert_shape(found, schema)
        return found

    def _write_chunk(self, project: str, schema: TableSchema, chunk: pa.Table) -> WriteResult:
        waits = random.Random(self.jitter)  # noqa: S311  only how long to wait
        for attempt in range(_ATTEMPTS):
            delta = self.open(project, schema.name)
            if delta is None:
                raise IntegrityError(f"Table '{schema.name}' went away while it was written.")
            try:
                with lake_faults(schema.name):
                    return _merge(delta, schema, chunk)
            except CommitFailedError:
                self.sleep(min(5.0, 0.05 * 2**attempt) * (0.5 + waits.random()))
        raise DestinationUnavailable(
            f"Table '{schema.name}' was written by others all the time.", remedy="Run one export of a project at a time."
        )


def _schema_of(table: str | TableSchema, batches: Iterable[Rows]) -> TableSchema:
    if isinstance(table, TableSchema):
        return table
    if table in TABLES:
        return TABLES[table]
    described = getattr(batches, "schema", None)
    if described is None:
        raise IntegrityError(f"The lake has no table '{table}', and its rows do not describe it.")
    return TableSchema.from_arrow(table, described)


def _first_of_each(chunk: pa.Table, key: str, seen: Any) -> tuple[pa.Table, Any, int]:  # noqa: ANN401  numpy arrays
    # Eight bytes a key instead of the key: 80 MB at ten million rows.
    hashes = pd.util.hash_array(chunk.column(key).to_pandas().to_numpy(dtype=object), categorize=False)
    first = np.zeros(len(hashes), bool)
    first[np.unique(hashes, return_index=True)[1]] = True
    if len(seen):
        at = np.minimum(np.searchsorted(seen, hashes), len(seen) - 1)
        first &= seen[at] != hashes
    merged = np.sort(np.concatenate([seen, hashes[first]]))
    return chunk.filter(pa.array(first)), merged, int((~first).sum())


def _merge(delta: DeltaTable, schema: TableSchema, chunk: pa.Table) -> WriteResult:
    new, changed = _compare(delta, schema, chunk.select(pa.schema(delta.schema().to_arrow()).names))
    unchanged = chunk.num_rows - new.num_rows - changed.num_rows
    if not new.num_rows and not changed.num_rows:
        return WriteResult(unchanged=unchanged, version=delta.version())
    if new.num_rows:
        _commit(delta, schema, new, mode="append")
    for start in range(0, changed.num_rows, _REPLACED_ROWS):
        part = changed.slice(start, _REPLACED_ROWS)
        # Old rows out and new ones in, in one commit. A MERGE does the same in five times the memory: it reads all columns.
        keys = ", ".join("'" + key.replace("'", "''") + "'" for key in part.column(schema.key).to_pylist())
        _commit(delta, schema, part, mode="overwrite", predicate=f'"{schema.key}" IN ({keys})')
    return WriteResult(new.num_rows, changed.num_rows, unchanged, 0, delta.version())


def _commit(delta: DeltaTable, schema: TableSchema, rows: pa.Table, **how: Any) -> None:  # noqa: ANN401
    app = f"safelight:{schema.name}"
    number = (delta.transaction_version(app) or 0) + 1
    commit = CommitProperties(app_transactions=[Transaction(app, number)], max_commit_retries=0)
    write_deltalake(delta, rows, writer_properties=SNAPPY, commit_properties=commit, **how)
    delta.update_incremental()
    assert_protocol(delta, schema.name)


def _scan(delta: DeltaTable, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    # By default the reader runs ahead by gigabytes.
    scanner = delta.to_pyarrow_dataset().scanner(
        columns=list(columns), batch_size=_SCAN_ROWS, batch_readahead=2, fragment_readahead=1
    )
    yield from scanner.to_batches()


def _compare(delta: DeltaTable, schema: TableSchema, chunk: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the rows that are new and those that differ from what is stored. Reads three columns, streamed."""
    keys = chunk.column(schema.key).combine_chunks()
    hashes = chunk.column("row_hash")
    dated = AS_OF in schema.columns.names
    known = np.zeros(chunk.num_rows, bool)
    differs = np.zeros(chunk.num_rows, bool)
    columns = [schema.key, "row_hash", *([AS_OF] if dated else [])]
    for batch in _scan(delta, columns):
        at = pc.index_in(batch.column(schema.key), value_set=keys)
        found = pc.is_valid(at)
        where = at.filter(found)
        if not len(where):
            continue
        index = where.to_numpy(zero_copy_only=False)
        other = pc.not_equal(batch.column("row_hash").filter(found), hashes.take(where))
        if dated:
            other = pc.and_(other, pc.greater_equal(chunk.column(AS_OF).take(where), batch.column(AS_OF).filter(found)))
        known[index] = True
        differs[index] = other.to_numpy(zero_copy_only=False) if isinstance(other, pa.Array) else other.to_numpy()
    return chunk.filter(pa.array(~known)), chunk.filter(pa.array(known & differs))


def assert_protocol(delta: DeltaTable, name: str) -> None:
    """Raise IntegrityError unless the table is one that every reader of the lake reads."""
    protocol = delta.protocol()
    if (protocol.min_reader_version, protocol.min_writer_version) != (READER, WRITER):
        raise IntegrityError(
            f"Table '{name}' has protocol {protocol.min_reader_version}/{protocol.min_writer_version}, "
            f"not {READER}/{WRITER}: Synapse serverless SQL could not read it.",
            remedy="Move its folder away and export again.",
        )


def _new_columns(delta: DeltaTable, schema: TableSchema) -> list[Any]:
    stored = set(pa.schema(delta.schema().to_arrow()).names)
    return [field for field in schema.columns if field.name not in stored and field.nullable]


def _assert_shape(delta: DeltaTable, schema: TableSchema) -> None:
    stored = {field.name: field for field in pa.schema(delta.schema().to_arrow())}
    wanted = {field.name: field for field in schema.stored}
    odd = set(stored) ^ set(wanted)
    odd |= {
        name
        for name in set(stored) & set(wanted)
        if (stored[name].type, stored[name].nullable) != (wanted[name].type, wanted[name].nullable)
    }
    if odd:
        raise IntegrityError(
            f"Table '{schema.name}' in the lake has other columns than now asked for: {', '.join(sorted(odd))}.",
            remedy="The rules changed since it was written: move the table's folder away, then export again.",
        )
    missing = [name for name, field in stored.items() if not comment_of(field)]
    if missing or not delta.metadata().description:
        raise IntegrityError(f"Table '{schema.name}' in the lake lost its comments: {', '.join(missing)}.")
