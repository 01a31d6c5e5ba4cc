"""What the lake tells of releases: the last one, the state of its tables, what became of each request, its dictionary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from safelight.errors import IntegrityError
from safelight.model import RequestState
from safelight.release.export import Export, Row
from safelight.release.lake import Lake
from safelight.release.manifest import TableState, newest
from safelight.release.schemas import TABLES, describe

#: Tables that tell of releases; not part of them.
_ACCOUNTS: Final = frozenset({"request_outcome", "release", "data_dictionary"})
_BATCH: Final = 1_000


def last_release(export: Export) -> dict[str, Any] | None:
    """Return the manifest of the last release, without its files, or None."""
    if export.lake.open(export.project, "release") is None:
        return None
    rows = export.lake.read(export.project, "release", ["manifest"]).column("manifest").to_pylist()
    if not rows:
        return None
    return dict(newest([json.loads(row) for row in rows]))


def tables_of(lake: Lake, project: str, record_tables: Iterable[str]) -> list[str]:
    """Return the names of a project's tables in the lake."""
    return [name for name in dict.fromkeys((*TABLES, *record_tables)) if lake.open(project, name)]


def table_states(export: Export) -> list[TableState]:
    """Return the state of every table of the lake that holds released data."""
    found = [name for name in tables_of(export.lake, export.project, export.record_tables) if name not in _ACCOUNTS]
    return [TableState(name, *export.lake.digest(export.project, name)) for name in found]


def news(export: Export, states: Sequence[TableState]) -> bool:
    """Tell whether tables with rows are not as the last release left them."""
    last = (last_release(export) or {}).get("tables", ())
    return any(state.rows and state.as_data() not in last for state in states)


def write_accounts(export: Export) -> None:
    """Merge what became of every request, and the meaning of every column."""
    _outcomes(export)
    names = dict.fromkeys((*TABLES, *export.record_tables))
    described = [table for name in names if (table := export.lake.described(export.project, name))]
    export.lake.write(export.project, "data_dictionary", [describe(table) for table in described])


def _outcomes(export: Export) -> None:
    count = 0

    def rows() -> Iterator[list[Row]]:
        nonlocal count
        batch: list[Row] = []
        for request in export.database.find(export.project, list(RequestState)):
            batch.append(export.outcome(request, export.database.instances(request.id)))
            count += 1
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    result = export.lake.write(export.project, "request_outcome", rows())
    if result.inserted + result.updated + result.unchanged != count:
        raise IntegrityError("The outcomes in the lake and the requests are not the same number.")
