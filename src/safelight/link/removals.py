"""What has still to be taken back: data of patients who do not take part any more, by opt-out or withdrawal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from safelight.link import audit, extracts, schema
from safelight.link import requests as request_rows
from safelight.link.batches import in_batches
from safelight.link.connection import transaction
from safelight.link.extracts import insert as insert_unless_known
from safelight.model import RequestState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from sqlalchemy.engine import Connection, Engine

    from safelight.link.rows import Request

_REACHED: Final = (RequestState.VERIFIED.value, RequestState.EXPORTED.value)


@dataclass(frozen=True)
class Removal:
    """One request whose data has to be taken back.

    ``opt_out`` is the move that it answers: a patient who comes back and opts out again is another case.
    ``may_have_left``: it was verified once, so some of it may be at a destination.
    """

    request: Request
    opt_out: int
    may_have_left: bool


class Removals:
    """The removals of a link database: its ``removals()``."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def due(self, project: str) -> list[Removal]:
        """Return the opted-out requests of a project that nobody has taken back yet, by id."""
        with transaction(self._engine, read_only=True) as connection:
            found = extracts.project_id(connection, project)
            return [] if found is None else _due(connection, found)

    def record(
        self, project: str, removals: Collection[Removal], left: Mapping[int, Collection[str]], *, actor: str
    ) -> None:
        """Write down, and audit, that these were taken back. Safe to repeat.

        Args:
            project: slug.
            removals: from ``due``.
            left: request id -> names of destinations that still have some of it.
            actor: who did it.
        """
        table = schema.removal
        with transaction(self._engine) as connection:
            now = self._clock()
            for batch in in_batches(removals):
                connection.execute(
                    insert_unless_known(connection, table).on_conflict_do_nothing(index_elements=[table.c.transition_id]),
                    [
                        {
                            "transition_id": item.opt_out,
                            "left_at": ",".join(sorted(left.get(item.request.id, ()))),
                            "removed_at": now,
                        }
                        for item in batch
                    ],
                )
            names = sorted({name for places in left.values() for name in places})
            details: dict[str, str | int] = {"project": project, "requests": len(removals)}
            details |= {f"left_at_{name}": sum(name in places for places in left.values()) for name in names}
            audit.add(connection, "remove", actor, details, now=now)


def _due(connection: Connection, project: int) -> list[Removal]:
    request, move, removal = schema.request, schema.transition, schema.removal
    last = (
        select(move.c.request_id, func.max(move.c.id).label("id"))
        .where(move.c.to_state == RequestState.OPTED_OUT.value)
        .group_by(move.c.request_id)
        .subquery()
    )
    rows = connection.execute(
        select(request.c.id, last.c.id.label("opt_out"))
        .join(last, last.c.request_id == request.c.id)
        .outerjoin(removal, removal.c.transition_id == last.c.id)
        .where(
            request.c.project_id == project,
            request.c.state == RequestState.OPTED_OUT.value,
            removal.c.transition_id.is_(None),
        )
        .order_by(request.c.id)
    ).all()
    opt_outs = {row.id: row.opt_out for row in rows}
    left: set[int] = set()
    for batch in in_batches(opt_outs):
        left.update(
            connection.scalars(select(move.c.request_id).where(move.c.request_id.in_(batch), move.c.to_state.in_(_REACHED)))
        )
    return [Removal(found, opt_outs[found.id], found.id in left) for found in request_rows.by_id(connection, list(opt_outs))]
