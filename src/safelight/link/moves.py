"""The state machine: leases, moves and their history. Each function runs inside the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, insert, or_, select, update

from safelight.errors import IntegrityError, LeaseLost
from safelight.link import schema
from safelight.link.batches import in_batches
from safelight.model import TRANSITIONS, Reason, RequestState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import ColumnElement

_T: Final = schema.request
#: Columns that a move may fill in.
FACTS: Final = frozenset({"archive", "located_study_uid", "announced", "received", "pseudo_study_uid", "pseudo_patient_id"})
#: In the middle of a stage: who works on the request goes on with it. Every other move gives it back.
_KEEPS_LEASE: Final = frozenset({RequestState.LOCATED, RequestState.DEIDENTIFIED})
#: Nobody may end a request without saying why.
_NEEDS_REASON: Final = frozenset(
    {
        RequestState.OPTED_OUT,
        RequestState.NOT_FOUND,
        RequestState.REJECTED,
        RequestState.QUARANTINED,
        RequestState.FAILED,
    }
)
#: Where ``requeue`` may take from. Opted-out requests come back only through an opt-out answer.
REQUEUEABLE: Final = frozenset(
    {RequestState.FAILED, RequestState.NOT_FOUND, RequestState.REJECTED, RequestState.QUARANTINED}
)
_NO_LEASE: Final[dict[str, Any]] = {"worker": None, "lease_until": None}


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(_T.c.lease_until.is_(None), _T.c.lease_until <= now)


def claim(
    connection: Connection,
    project: int,
    states: Sequence[RequestState],
    *,
    worker: str,
    limit: int,
    now: datetime,
    until: datetime,
    only: Sequence[int] | None = None,
) -> list[int]:
    """Lease free requests, in the order of ``states`` and then of their ids; other workers' locked rows are passed by.

    Whoever let a lease run out has made an attempt and died, so the request counts one more.
    """
    taken: list[tuple[int, bool]] = []
    for state in states:
        if len(taken) >= limit:
            break
        rows = connection.execute(
            select(_T.c.id, _T.c.worker)
            .where(
                _T.c.state == state.value,
                _T.c.project_id == project,
                _free(now),
                or_(_T.c.not_before.is_(None), _T.c.not_before <= now),
                *([] if only is None else [_T.c.id.in_(only)]),
            )
            .order_by(_T.c.id)
            .limit(limit - len(taken))
            .with_for_update(skip_locked=True)
        )
        taken += [(row.id, row.worker is not None) for row in rows]
    for died in (False, True):
        for batch in in_batches([id_ for id_, was_held in taken if was_held is died]):
            connection.execute(
                update(_T)
                .where(_T.c.id.in_(batch))
                .values(worker=worker, lease_until=until, updated_at=now, attempts=_T.c.attempts + int(died))
            )
    return [id_ for id_, _ in taken]


def leased(connection: Connection, project: int, states: Iterable[RequestState], now: datetime) -> int:
    """Return how many requests in these states somebody holds now."""
    wanted = [state.value for state in states]
    count = select(func.count()).where(_T.c.state.in_(wanted), _T.c.project_id == project, _T.c.lease_until > now)
    return connection.execute(count).scalar_one()


def _held(connection: Connection, request_id: int, worker: str) -> Any:  # noqa: ANN401  a row
    """Return a request's row, locked, if the worker holds it. An expired lease that nobody took is still its own."""
    row = connection.execute(
        select(_T.c.id, _T.c.state, _T.c.attempts, _T.c.worker).where(_T.c.id == request_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise IntegrityError(f"There is no request {request_id}.")
    if row.worker != worker:
        raise LeaseLost(
            f"Request {request_id} is not leased to this worker.", remedy="Let whoever holds it finish; claim it again."
        )
    return row


def move(
    connection: Connection,
    request_id: int,
    to: RequestState,
    *,
    worker: str,
    reason: Reason | None,
    facts: Mapping[str, object],
    now: datetime,
) -> None:
    """Move a leased request and write the move down."""
    if unknown := set(facts) - FACTS:
        message = f"a move can't set {', '.join(sorted(unknown))}; it may set {', '.join(sorted(FACTS))}"
        raise TypeError(message)
    row = _held(connection, request_id, worker)
    _write(connection, [(row.id, row.state, row.attempts)], to, worker=worker, reason=reason, facts=facts, now=now)


def _write(
    connection: Connection,
    rows: Sequence[tuple[int, str, int]],
    to: RequestState,
    *,
    worker: str,
    reason: Reason | None,
    facts: Mapping[str, object],
    now: datetime,
) -> None:
    """Move locked rows (id, state, attempts), all or none."""
    if to in _NEEDS_REASON and reason is None:
        raise IntegrityError(f"A move to '{to}' needs a reason.")
    for id_, state, _ in rows:
        if to not in TRANSITIONS[RequestState(state)]:
            raise IntegrityError(f"Request {id_} is '{state}' and can't become '{to}'.")
    values: dict[str, Any] = {
        "state": to.value,
        "reason": reason.value if reason else None,
        "attempts": 0,
        "not_before": None,
        "updated_at": now,
        **facts,
        **({} if to in _KEEPS_LEASE else _NO_LEASE),
    }
    for batch in in_batches(rows):
        connection.execute(update(_T).where(_T.c.id.in_([id_ for id_, _, _ in batch])).values(values))
        connection.execute(
            insert(schema.transition),
            [
                {
                    "request_id": id_,
                    "from_state": state,
                    "to_state": to.value,
                    "reason": values["reason"],
                    "attempt": attempts + 1,
                    "worker": worker,
                    "at": now,
                }
                for id_, state, attempts in batch
            ],
        )


def retry_later(
    connection: Connection,
    request_id: int,
    *,
    worker: str,
    reason: Reason,
    not_before: datetime,
    now: datetime,
    counts: bool = True,
) -> None:
    """Give a request back in its state, not to be taken before a time; one attempt later, if it ``counts``."""
    row = _held(connection, request_id, worker)
    attempts = row.attempts + int(counts)
    connection.execute(
        update(_T)
        .where(_T.c.id == row.id)
        .values(attempts=attempts, reason=reason.value, not_before=not_before, updated_at=now, **_NO_LEASE)
    )
    connection.execute(
        insert(schema.transition).values(
            request_id=row.id,
            from_state=row.state,
            to_state=row.state,
            reason=reason.value,
            attempt=attempts,
            worker=worker,
            at=now,
        )
    )


def renew(connection: Connection, ids: Sequence[int], *, worker: str, until: datetime) -> list[int]:
    """Prolong the leases that the worker holds, and return those."""
    held: list[int] = []
    for batch in in_batches(ids):
        held += connection.scalars(
            update(_T).where(_T.c.id.in_(batch), _T.c.worker == worker).values(lease_until=until).returning(_T.c.id)
        )
    return sorted(held)


def give_back(connection: Connection, ids: Sequence[int], *, worker: str, now: datetime) -> None:
    """End leases early, without an attempt; what others hold is left alone."""
    for batch in in_batches(ids):
        connection.execute(update(_T).where(_T.c.id.in_(batch), _T.c.worker == worker).values(updated_at=now, **_NO_LEASE))


def requeue(
    connection: Connection,
    project: int,
    *,
    states: Sequence[RequestState],
    reasons: Sequence[Reason],
    batch: int,
    now: datetime,
) -> int:
    """Ask again for up to ``batch`` requests that were set aside. Returns how many."""
    if wrong := set(states) - REQUEUEABLE:
        raise IntegrityError(
            f"Requests that are {', '.join(sorted(wrong))} can't be asked for again.",
            remedy=f"Choose among: {', '.join(sorted(REQUEUEABLE))}.",
        )
    query = select(_T.c.id, _T.c.state, _T.c.attempts).where(
        _T.c.project_id == project, _T.c.state.in_([state.value for state in states])
    )
    if reasons:
        query = query.where(_T.c.reason.in_([reason.value for reason in reasons]))
    rows = connection.execute(query.order_by(_T.c.id).limit(batch).with_for_update()).all()
    _write(
        connection,
        [(row.id, row.state, row.attempts) for row in rows],
        RequestState.REQUESTED,
        worker="requeue",
        reason=None,
        facts={"announced": 0, "received": 0, "archive": "", "located_study_uid": ""},
        now=now,
    )
    return len(rows)


def opt_out(connection: Connection, project: int, mrns: Mapping[str, Reason], *, worker: str, now: datetime) -> int:
    """Move every request of these patients to opted_out, wherever it is and whoever holds it. Returns how many.

    A request that is withdrawn keeps that reason: it is the stronger one.
    """
    moved = 0
    for batch in in_batches(mrns):
        rows = connection.execute(
            select(_T.c.id, _T.c.state, _T.c.attempts, _T.c.mrn)
            .where(_T.c.project_id == project, _T.c.mrn.in_(batch), _T.c.state != RequestState.OPTED_OUT.value)
            .order_by(_T.c.id)
            .with_for_update()
        ).all()
        for reason in sorted({mrns[row.mrn] for row in rows}):
            group = [(row.id, row.state, row.attempts) for row in rows if mrns[row.mrn] is reason]
            _write(connection, group, RequestState.OPTED_OUT, worker=worker, reason=reason, facts={}, now=now)
            moved += len(group)
    return moved


def reopen(connection: Connection, project: int, mrns: Iterable[str], *, worker: str, now: datetime) -> int:
    """Ask again for requests of patients who had opted out and may be used now. Withdrawn ones stay out."""
    moved = 0
    for batch in in_batches(mrns):
        rows = connection.execute(
            select(_T.c.id, _T.c.state, _T.c.attempts)
            .where(
                _T.c.project_id == project,
                _T.c.mrn.in_(batch),
                _T.c.state == RequestState.OPTED_OUT.value,
                _T.c.reason != Reason.WITHDRAWN.value,
            )
            .order_by(_T.c.id)
            .with_for_update()
        ).all()
        group = [(row.id, row.state, row.attempts) for row in rows]
        _write(connection, group, RequestState.REQUESTED, worker=worker, reason=None, facts={}, now=now)
        moved += len(group)
    return moved
