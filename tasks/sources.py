"""Where a project's cohort, records and notes come from, as its file and blocks say."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blocks import Warehouse as WarehouseBlock
from safelight.cohort.delivery import OMOP_ES, delivery_names
from safelight.cohort.omop import SUMMARY, read_summary
from safelight.records.source import delivery_tables, file_tables, warehouse_tables
from safelight.reports.omop import COLUMNS, notes_of, read_notes
from safelight.warehouse import Warehouse
from tasks.parameters import profiles_folder
from tasks.wiring import load_block, now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from safelight.records.source import TableRows
    from safelight.reports.omop import Note
    from tasks.wiring import ProjectRun


@dataclass(frozen=True)
class Source:
    """One source, open: its tables by name, its notes, and as of when its rows are."""

    tables: Mapping[str, TableRows]
    notes: Iterable[Note]
    generated: datetime


@contextmanager
def open_warehouse(block: str) -> Iterator[Warehouse]:
    """Open a warehouse for reading; nothing is connected before it is asked."""
    found = load_block(WarehouseBlock, block)
    queries = profiles_folder() / "sql"
    warehouse = Warehouse(found.url.get_secret_value(), queries=queries, timeout_seconds=found.timeout_seconds)
    try:
        yield warehouse
    finally:
        warehouse.close()


def source_names(run: ProjectRun) -> list[str]:
    """Return a name for each source of records: of each delivery that brings them, and of each other place."""
    names: list[str] = []
    for number, source in enumerate(run.project.records, start=1):
        if source.kind != "delivery":
            names.append(f"{number}-{source.block}")
        elif run.project.cohort.kind == OMOP_ES:  # no other delivery brings a record
            names += delivery_names(run.cohort_folder, OMOP_ES)
    return names


@contextmanager
def open_source(run: ProjectRun, name: str) -> Iterator[Source]:
    """Open the source of that name, for the people of the cohort."""
    others = {f"{number}-{source.block}": source for number, source in enumerate(run.project.records, start=1)}
    found = others.get(name)
    if found is None:
        folder = run.cohort_folder / name
        yield Source(delivery_tables(folder), read_notes(folder), read_summary(folder / SUMMARY)[0])
    elif found.kind == "files":
        folder = run.folder(found.block)
        newest = max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)
        yield _source(file_tables(folder), datetime.fromtimestamp(newest, UTC))
    else:
        with open_warehouse(found.block) as warehouse:
            yield _source(warehouse_tables(warehouse, found.tables, sorted(set(run.people()) - {""})), now())


def check_sources(run: ProjectRun) -> None:
    """Find every block, table, view and query that the project names. Raises SafelightError before an archive is asked."""
    cohort = run.project.cohort
    asked = [(cohort.warehouse, cohort.requests)] if cohort.kind == "sql" else []
    for source in run.project.records:
        asked += [(source.block, relation) for relation in source.tables.values()]
        if source.kind == "files":
            run.folder(source.block)
    for block, relation in asked:
        with open_warehouse(block) as warehouse:
            warehouse.columns(relation)


def _source(tables: Mapping[str, TableRows], generated: datetime) -> Source:
    note = tables.get("note")
    return Source(tables, notes_of(note.batches(COLUMNS)) if note else (), generated)
