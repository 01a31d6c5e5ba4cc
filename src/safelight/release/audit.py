"""Reads a table's Delta log as it lies in storage, and refuses what Synapse serverless SQL can't read.

Shares nothing with the writer: the log's JSON and the Parquet footers are read by themselves, so a writer that changes its
habits with a new version is found out. Sources: Delta transaction log protocol; Microsoft Learn, "Query Delta Lake files
using serverless SQL pool" (reader version 1; no column mapping, deletion vectors or v2 checkpoints; Snappy or Gzip).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from safelight.errors import IntegrityError
from safelight.release.faults import lake_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.release.lake import Lake

_LOG: Final = "_delta_log"
_COMMIT: Final = re.compile(r"\d{20}\.json")
_CHECKPOINT: Final = re.compile(r"\d{20}\.checkpoint\.parquet")
_TYPES: Final = frozenset({"string", "long", "integer", "double", "boolean", "date", "timestamp"})
_CODECS: Final = frozenset({"SNAPPY", "GZIP", "UNCOMPRESSED"})
#: Properties with which a table needs more than reader version 1.
_PROPERTIES: Final = re.compile(
    r"delta\.(columnMapping\.mode|enableDeletionVectors|enableTypeWidening|enableRowTracking|enableInCommitTimestamps"
    r"|checkpointPolicy|feature\..*|universalFormat\..*)"
)
#: Serverless SQL once failed on a longer one.
_POINTER_BYTES: Final = 200


def audit_table(lake: Lake, project: str, table: str) -> None:
    """Read the whole log and the footer of each file in use. Time: a few milliseconds a file.

    Raises:
        IntegrityError: no such table, or one that some reader of the lake can't read; it says in which way.
        DestinationUnavailable: the lake does not answer.
    """
    with lake_faults(table):
        found = _findings(lake, project, table)
    if found:
        raise IntegrityError(
            f"Table '{table}' can't be read by Synapse serverless SQL: {'; '.join(sorted(set(found)))}.",
            remedy="Move its folder away and export again.",
        )


def _findings(lake: Lake, project: str, table: str) -> list[str]:
    address, options = lake.location(project, table), dict(lake.storage_options)
    try:
        storage = pa_fs.PyFileSystem(DeltaStorageHandler(address, options))
        found = list(_of_log(storage))
        if found:
            return found
        used = DeltaTable(address, storage_options=options).get_add_actions(flatten=False).column("path").to_pylist()
    except TableNotFoundError:
        raise IntegrityError(f"There is no table '{table}' in the lake of project '{project}'.") from None
    return [finding for path in sorted(used) for finding in _of_file(storage, path)]


def _of_log(storage: Any) -> Iterator[str]:  # noqa: ANN401  pyarrow has no types
    for entry in storage.get_file_info(pa_fs.FileSelector(_LOG, recursive=True, allow_not_found=True)):
        name = entry.base_name
        if entry.type == pa_fs.FileType.Directory:
            continue
        if _COMMIT.fullmatch(name):
            with storage.open_input_stream(entry.path) as stream:
                for line in stream.read().splitlines():
                    yield from _of_action(json.loads(line))
        elif name == "_last_checkpoint":
            if entry.size > _POINTER_BYTES:
                yield f"its pointer to the last checkpoint is {entry.size} bytes long"
        elif name.endswith(".parquet") and not _CHECKPOINT.fullmatch(name):
            yield "a checkpoint is not one classic file"


def _of_action(action: dict[str, Any]) -> Iterator[str]:
    if protocol := action.get("protocol"):
        reader, writer = protocol["minReaderVersion"], protocol["minWriterVersion"]
        if reader != 1 or writer > 4 or protocol.get("readerFeatures"):
            yield f"protocol {reader}/{writer}"
    if metadata := action.get("metaData"):
        yield from (f"property {name}" for name in metadata.get("configuration", {}) if _PROPERTIES.fullmatch(name))
        for field in json.loads(metadata["schemaString"])["fields"]:
            kind = field["type"] if isinstance(field["type"], str) else field["type"]["type"]
            if kind not in _TYPES:
                yield f"column '{field['name']}' of type {kind}"
            if any(key.startswith("delta.columnMapping") for key in field.get("metadata", {})):
                yield f"column '{field['name']}' is mapped"
    if add := action.get("add"):
        if add.get("deletionVector"):
            yield "deletion vectors"
        if None in (add.get("partitionValues") or {}).values():
            yield "an empty partition value"


def _of_file(storage: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    with storage.open_input_file(path) as stream:
        footer = pq.read_metadata(stream)
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    codecs = {group.column(number).compression for group in groups for number in range(group.num_columns)}
    yield from (f"files compressed by {codec}" for codec in codecs - _CODECS)
    for number in range(footer.num_columns):
        column = footer.schema.column(number)
        kind = json.loads(column.logical_type.to_json())
        if kind.get("Type") == "Timestamp" and not kind.get("isAdjustedToUTC"):
            yield f"times without a zone in column '{column.name}'"
