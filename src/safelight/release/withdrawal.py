"""Takes back what left of patients who do not take part any more: withdrawn by a person, or opted out after the export.

Done again it finds nothing left to do; killed at any moment it is done again, since a request counts as taken back only
when everything else is. What a destination can't delete is told, by pseudonym, so that its keeper can.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from safelight.errors import DestinationUnavailable
from safelight.link import LinkDatabase, Removal, Request
from safelight.model import InstanceResult, RequestState
from safelight.pseudonym import Pseudonymizer
from safelight.release.destination import Destination
from safelight.release.faults import folder_fault, lake_faults
from safelight.release.files import write_durably
from safelight.release.lake import Lake
from safelight.release.parquet import ParquetDelivery
from safelight.release.upkeep import remove_person
from safelight.staging import read_staged, write_staged

_WHERE: Final = "the work folder"
_OUTCOMES: Final = "request_outcome"
_MARKER: Final = "withdrawals/.removing.json"


@dataclass(frozen=True)
class Withdrawal:
    """What taking back needs to know and to call.

    Args:
        project: slug.
        database: the link database.
        pseudonymizer: of the project.
        lake: where tables went.
        tables: names of all tables of the lake that may hold rows of persons.
        destinations: where DICOM went.
        parquet: where tables went as files.
        outcome: makes the row of a request's outcome.
        work: the project's work folder.
        studies: folder of de-identified studies in it, one folder each, named by pseudonym.
        staged: staged tables in it, with rows of persons.
        prepared: folders in it with tables that are to be sent; one that holds any of the people is removed, and made anew
            by the next export.
        forget_raw: removes studies from the raw cache, but those that another project needs; returns how many.
        clock: the time, aware.
        actor: who does it, for the audit trail.
    """

    project: str
    database: LinkDatabase
    pseudonymizer: Pseudonymizer
    lake: Lake
    tables: Sequence[str]
    destinations: Sequence[Destination]
    parquet: Sequence[ParquetDelivery]
    outcome: Callable[[Request, Sequence[InstanceResult]], Mapping[str, Any]]
    work: Path
    studies: Path
    staged: Sequence[Path]
    prepared: Sequence[Path]
    forget_raw: Callable[[Collection[str]], int]
    clock: Callable[[], datetime]
    actor: str


@dataclass
class TakenBack:
    """What was taken back, and what was not: destination -> studies by pseudonym, or names of table files."""

    requests: int = 0
    studies: int = 0
    rows: int = 0
    raw_studies: int = 0
    left: dict[str, list[str]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return the counts by name, for the orchestrator."""
        return {
            "requests taken back": self.requests,
            "studies removed from destinations": self.studies,
            "rows removed from the lake": self.rows,
            "studies removed from the raw cache": self.raw_studies,
            **{f"left at {name}": len(items) for name, items in self.left.items()},
        }


def take_back(withdrawal: Withdrawal) -> TakenBack:
    """Take back everything that is due, and write down what could not be.

    Raises:
        TransientError, PermanentError: of the lake, a destination or the database; done again, it goes on.
    """
    due = withdrawal.database.removals().due(withdrawal.project)
    if not due:
        return TakenBack()
    if withdrawal.database.leased(withdrawal.project, [RequestState.VERIFIED]):
        # It could deliver what is being taken back.
        raise DestinationUnavailable("An export of this project is running.", remedy="Run this again when it has ended.")
    result = TakenBack(requests=len(due))
    studies = {item.request.id: _studies(withdrawal, item) for item in due}
    left = _from_destinations(withdrawal, sorted(set().union(*studies.values())), result)
    people = _people(withdrawal.pseudonymizer, due)
    _from_lake(withdrawal, people, due, result)
    _from_files(withdrawal, people, {uid for item in due for uid in studies[item.request.id]}, result)
    _from_work(withdrawal, due, people, studies)
    result.raw_studies = withdrawal.forget_raw({_raw_study(item.request) for item in due} - {""})
    _write_record(withdrawal, result)
    # Nobody can say whose rows are in a file that can't be read.
    unread = set(result.left) - set(left)
    where = {id_: unread | {name for name, uids in left.items() if uids & members} for id_, members in studies.items()}
    withdrawal.database.removals().record(withdrawal.project, due, where, actor=withdrawal.actor)
    return result


def _people(pseudonymizer: Pseudonymizer, due: Sequence[Removal]) -> list[str]:
    """Return the pseudonyms of the persons; one without a person id is known by the patient's."""
    people = {item.request.pseudo_patient_id for item in due}
    people |= {pseudonymizer.secure_hash(item.request.person_id, "person") for item in due if item.request.person_id}
    return sorted(people - {""})


def _raw_study(request: Request) -> str:
    return request.located_study_uid or request.study_uid


def _studies(withdrawal: Withdrawal, item: Removal) -> set[str]:
    """Return the pseudonyms of a request's studies that may be somewhere outside."""
    if not item.may_have_left:
        return set()
    instances = withdrawal.database.instances(item.request.id)
    return {item.request.pseudo_study_uid, *(instance.pseudo_study_instance_uid for instance in instances)} - {""}


def _from_destinations(withdrawal: Withdrawal, studies: Sequence[str], result: TakenBack) -> dict[str, set[str]]:
    left: dict[str, set[str]] = {}
    removed: set[str] = set()
    for destination in withdrawal.destinations if studies else ():
        told = destination.withdraw(withdrawal.project, studies)
        removed |= told.removed
        if told.left:
            left[destination.name] = set(told.left)
            result.left[destination.name] = sorted(told.left)
    result.studies = len(removed)
    return left


def _from_lake(withdrawal: Withdrawal, people: Sequence[str], due: Sequence[Removal], result: TakenBack) -> None:
    """Delete rows, and every trace of them in the tables' history.

    What is to be deleted is written down first: a kill may come when the rows are gone and their history is not.
    """
    lake, project, marker = withdrawal.lake, withdrawal.project, withdrawal.work / _MARKER
    outcomes = [withdrawal.outcome(item.request, ()) for item in due]
    try:
        todo = {tuple(item) for item in json.loads(marker.read_text())} if marker.exists() else set()
        for table in withdrawal.tables:
            todo |= {(table, "person_id", person) for person in _present(lake, project, table, people)}
        todo |= {(_OUTCOMES, "request_key", key) for key in _named(lake, project, outcomes)}
        write_durably(marker, json.dumps(sorted(todo)).encode())
        for table, column, value in sorted(todo):
            removed = remove_person(lake, project, table, value, column=column)
            result.rows += removed if column == "person_id" else 0
        if lake.open(project, _OUTCOMES) is not None:
            lake.write(project, _OUTCOMES, [outcomes])
        marker.unlink()
    except OSError as error:
        raise folder_fault(error, _WHERE) from None


def _named(lake: Lake, project: str, outcomes: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the keys of those outcomes that name their study in the lake."""
    if lake.open(project, _OUTCOMES) is None:
        return set()
    rows = lake.read(project, _OUTCOMES, ["request_key", "image_study_uid"]).to_pylist()
    return {row["request_key"] for row in rows if row["image_study_uid"]} & {str(row["request_key"]) for row in outcomes}


def _from_files(withdrawal: Withdrawal, people: Sequence[str], studies: Collection[str], result: TakenBack) -> None:
    for delivery in withdrawal.parquet:
        files = delivery.withdraw(withdrawal.project, people, studies, withdrawal.work / "outbox")
        if files:
            result.left.setdefault(delivery.name, []).extend(files)


def _present(lake: Lake, project: str, table: str, people: Sequence[str]) -> set[str]:
    """Return who of the people has rows in the table: taking somebody out rewrites files, looking does not."""
    delta = lake.open(project, table)
    if delta is None or "person_id" not in {field.name for field in delta.schema().fields}:
        return set()
    with lake_faults(table):
        scanner = delta.to_pyarrow_dataset().scanner(columns=["person_id"], batch_readahead=2, fragment_readahead=1)
        return _found(scanner.to_batches(), people)


def _found(batches: Iterable[pa.RecordBatch], people: Sequence[str]) -> set[str]:
    values, found = pa.array(people, pa.string()), set[str]()
    for batch in batches:
        column = batch.column("person_id")
        found.update(column.filter(pc.is_in(column, value_set=values)).to_pylist())
    return found


def _from_work(
    withdrawal: Withdrawal, due: Sequence[Removal], people: Sequence[str], studies: Mapping[int, set[str]]
) -> None:
    uids = {uid for members in studies.values() for uid in members} | {item.request.pseudo_study_uid for item in due}
    for uid in sorted(uids - {""}):
        _remove(withdrawal.studies / uid)
    for folder in withdrawal.prepared:
        if any(_holds(path, people) for path in sorted(folder.rglob("*.parquet"))):
            _remove(folder)
    for path in withdrawal.staged:
        if _holds(path, people):
            schema, batches = read_staged(path)
            write_staged(path, schema, _others(batches, people))


def _remove(folder: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise folder_fault(error, _WHERE) from None


def _holds(path: Path, people: Sequence[str]) -> bool:
    schema, batches = read_staged(path)
    return "person_id" in schema.names and bool(_found(batches, people))


def _others(batches: Iterable[pa.RecordBatch], people: Sequence[str]) -> Iterator[pa.RecordBatch]:
    values = pa.array(people, pa.string())
    for batch in batches:
        yield batch.filter(pc.invert(pc.is_in(batch.column("person_id"), value_set=values)))


def _write_record(withdrawal: Withdrawal, result: TakenBack) -> None:
    """Write what is left where, by pseudonym, for the keepers of destinations: it is too long for the audit trail."""
    if not result.left:
        return
    now = withdrawal.clock().astimezone(UTC)
    path = withdrawal.work / "withdrawals" / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"project": withdrawal.project, "left": result.left}, indent=1, sort_keys=True)
        path.write_text(text + "\n")
    except OSError as error:
        raise folder_fault(error, _WHERE) from None
