"""Upkeep of the lake's tables: fewer, larger files; and a person's rows gone from every byte of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from deltalake import DeltaTable

from safelight.errors import IntegrityError
from safelight.release.audit import audit_table
from safelight.release.faults import lake_faults
from safelight.release.lake import SNAPPY, Lake, assert_protocol

#: Readers may be in the middle of a query on older files for so long.
KEEP_HOURS: Final = 168
_PSEUDONYM: Final = re.compile(r"[A-Za-z0-9+/=]{16,64}")


@dataclass(frozen=True)
class Upkeep:
    """What upkeep of one table did: files put together, files they became, and unused files, which are gone now."""

    gathered: int
    made: int
    deleted: int


def maintain(lake: Lake, project: str, table: str, *, keep_hours: int = KEEP_HOURS) -> Upkeep:
    """Put small files together, and delete files that no version of the last ``keep_hours`` uses.

    Content stays the same. Safe beside readers, and beside a writer: whoever commits second tries again. Run it weekly;
    the cost is one reading and writing of the files that are small. At the end the table is audited as it lies there.

    Raises:
        IntegrityError: no such table, or one that some reader can't read. And what writing to the lake may raise.
    """
    delta = _existing(lake, project, table)
    with lake_faults(table):
        # Without the argument delta-rs compacts to ZSTD, which Synapse serverless SQL does not document.
        told = delta.optimize.compact(writer_properties=SNAPPY)
        delta.update_incremental()
        assert_protocol(delta, table)
        if told["numFilesRemoved"]:
            delta.create_checkpoint()
        gone = delta.vacuum(retention_hours=keep_hours, dry_run=False, enforce_retention_duration=keep_hours >= KEEP_HOURS)
    audit_table(lake, project, table)
    return Upkeep(told["numFilesRemoved"], told["numFilesAdded"], len(gone))


def remove_person(lake: Lake, project: str, table: str, person_id: str, *, column: str = "person_id") -> int:
    """Delete a person's rows from a table, from its files and from its log; returns how many there were.

    Earlier versions of the table are gone afterwards, and a query that reads one fails: do it in a quiet hour. Again,
    it finds nothing and clears what an interrupted first time left.

    Args:
        lake: the lake.
        project: slug.
        table: a table with that column.
        person_id: the person's pseudonym in this project, or another one that only this person's rows have.
        column: where it stands.

    Raises:
        IntegrityError: no such table, or not a pseudonym. And what writing to the lake may raise.
    """
    if not _PSEUDONYM.fullmatch(person_id):
        raise IntegrityError("A person's rows are removed by pseudonym, and this is not one.")
    delta = _existing(lake, project, table)
    with lake_faults(table):
        count = int(delta.delete(f"{column} = '{person_id}'", writer_properties=SNAPPY)["num_deleted_rows"])
        delta.update_incremental()
        delta.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
        # The log still holds the pseudonym: in the statistics of old files, and in the deletion's own predicate.
        before = delta.metadata().configuration.get("delta.logRetentionDuration")
        delta.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 seconds"})
        delta.update_incremental()
        delta.create_checkpoint()
        delta.cleanup_metadata()
        delta.alter.set_table_properties({"delta.logRetentionDuration": before or "interval 30 days"})
        delta.update_incremental()
        assert_protocol(delta, table)
    return count


def _existing(lake: Lake, project: str, table: str) -> DeltaTable:
    delta = lake.open(project, table)
    if delta is None:
        raise IntegrityError(f"There is no table '{table}' in the lake of project '{project}'.")
    return delta
