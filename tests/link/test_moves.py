"""The state machine: every pair of states, who may move what, and what is written down."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from safelight.errors import IntegrityError
from safelight.model import TRANSITIONS, Reason, RequestState
from tests.link.conftest import PROJECT, REASONS, Ledger

S = RequestState
#: In the middle of their stage: the worker goes on with the request.
KEEPS_LEASE = {S.LOCATED, S.DEIDENTIFIED}


def transitions(ledger: Ledger, request_id: int) -> list[tuple[Any, ...]]:
    engine = create_engine(ledger.url)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT from_state, to_state, reason, attempt, worker FROM transition WHERE request_id = :id ORDER BY id"),
            {"id": request_id},
        ).all()
    engine.dispose()
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("start", S)
def test_every_pair_of_states_is_allowed_or_refused(ledger: Ledger, start: RequestState) -> None:
    """All 121 pairs; what the model allows moves and is written down, what it does not changes nothing."""
    ids = ledger.add_some(len(S))
    for request_id, to in zip(ids, S, strict=True):
        ledger.bring_to(request_id, start)
        ledger.take(request_id)
        before = transitions(ledger, request_id)
        if to in TRANSITIONS[start]:
            ledger.database.move(request_id, to, worker="w1", reason=REASONS.get(to))
            assert ledger.state(request_id) is to
            assert transitions(ledger, request_id)[len(before) :] == [
                (start.value, to.value, REASONS[to].value if to in REASONS else None, 1, "w1")
            ]
            still_held = ledger.database.renew([request_id], worker="w1", lease=ledger.clock.now - ledger.clock.now)
            assert bool(still_held) == (to in KEEPS_LEASE)
        else:
            with pytest.raises(IntegrityError, match="can't become"):
                ledger.database.move(request_id, to, worker="w1", reason=REASONS.get(to))
            assert ledger.state(request_id) is start
            assert transitions(ledger, request_id) == before


@pytest.mark.parametrize("to", REASONS)
def test_nothing_is_set_aside_without_a_reason(ledger: Ledger, to: RequestState) -> None:
    (request_id,) = ledger.add_some(1)
    ledger.claim()
    with pytest.raises(IntegrityError, match="needs a reason"):
        ledger.database.move(request_id, to, worker="w1")
    assert ledger.state(request_id) is S.REQUESTED


def test_only_who_holds_the_lease_moves(ledger: Ledger) -> None:
    free, held = ledger.add_some(2)
    assert ledger.claim(limit=1) == [free]
    ledger.database.release([free], worker="w1")
    assert ledger.claim(worker="other", limit=2) == [free, held]
    ledger.database.release([free], worker="other")
    for request_id in (free, held):
        with pytest.raises(IntegrityError, match="not leased to this worker"):
            ledger.database.move(request_id, S.LOCATED, worker="w1")
        with pytest.raises(IntegrityError, match="not leased to this worker"):
            ledger.database.retry_later(request_id, worker="w1", reason=Reason.INCOMPLETE, not_before=ledger.clock())
    with pytest.raises(IntegrityError, match="no request"):
        ledger.database.move(10_000, S.LOCATED, worker="w1")


def test_an_expired_lease_still_serves_until_somebody_takes_it(ledger: Ledger) -> None:
    first, second = ledger.add_some(2)
    ledger.claim()
    ledger.clock.forward(minutes=6)
    ledger.database.move(first, S.LOCATED, worker="w1")
    assert ledger.claim(worker="w2") == [second]
    with pytest.raises(IntegrityError, match="not leased"):
        ledger.database.move(second, S.LOCATED, worker="w1")


def test_facts_are_kept(ledger: Ledger) -> None:
    (request_id,) = ledger.add_some(1)
    ledger.claim()
    ledger.database.move(request_id, S.LOCATED, worker="w1", archive="pacs", located_study_uid="1.2.99", announced=12)
    ledger.database.move(request_id, S.RETRIEVED, worker="w1", received=11)
    (found,) = ledger.database.requests([request_id])
    assert (found.archive, found.located_study_uid, found.announced, found.received) == ("pacs", "1.2.99", 12, 11)
    assert (found.state, found.reason) == (S.RETRIEVED, None)


def test_a_move_sets_nothing_else(ledger: Ledger) -> None:
    (request_id,) = ledger.add_some(1)
    ledger.claim()
    with pytest.raises(TypeError, match="mrn"):
        ledger.database.move(request_id, S.LOCATED, worker="w1", mrn="other")
    assert ledger.state(request_id) is S.REQUESTED


def test_attempts_are_counted_and_begin_anew_in_the_next_state(ledger: Ledger) -> None:
    (request_id,) = ledger.add_some(1)
    for attempt in (1, 2):
        ledger.claim()
        ledger.database.retry_later(request_id, worker="w1", reason=Reason.ARCHIVE_UNREACHABLE, not_before=ledger.clock())
        assert ledger.database.requests([request_id])[0].attempts == attempt
    ledger.claim()
    ledger.database.move(request_id, S.LOCATED, worker="w1")
    (found,) = ledger.database.requests([request_id])
    assert (found.attempts, found.reason) == (0, None)
    assert transitions(ledger, request_id) == [
        (None, "requested", None, 1, ""),
        ("requested", "requested", "archive_unreachable", 1, "w1"),
        ("requested", "requested", "archive_unreachable", 2, "w1"),
        ("requested", "located", None, 3, "w1"),
    ]


def test_a_request_put_off_waits_for_its_time(ledger: Ledger) -> None:
    (request_id,) = ledger.add_some(1)
    ledger.claim()
    later = ledger.clock.now.replace(hour=11)
    ledger.database.retry_later(request_id, worker="w1", reason=Reason.STORAGE_FULL, not_before=later)
    assert ledger.claim() == []
    assert ledger.database.leased(PROJECT, [S.REQUESTED]) == 0
    ledger.clock.now = later
    assert ledger.claim() == [request_id]


def test_requeue_asks_again_for_what_may_pass(ledger: Ledger) -> None:
    ids = ledger.add_some(len(S))
    for request_id, state in zip(ids, S, strict=True):
        ledger.bring_to(request_id, state)
    assert ledger.database.requeue(PROJECT) == 2
    assert ledger.database.requeue(PROJECT) == 0
    assert ledger.database.summary(PROJECT).outcomes["requested"] == 3
    assert ledger.database.requeue(PROJECT, states=[S.REJECTED], reasons=[Reason.VIDEO]) == 0
    assert ledger.database.requeue(PROJECT, states=[S.REJECTED], reasons=[Reason.VIDEO, REASONS[S.REJECTED]]) == 1
    assert ledger.database.requeue(PROJECT, states=[S.QUARANTINED]) == 1


def test_requeue_forgets_where_the_study_was(ledger: Ledger) -> None:
    (request_id,) = ledger.add_some(1)
    ledger.claim()
    ledger.database.move(request_id, S.LOCATED, worker="w1", archive="pacs", located_study_uid="1.2", announced=3)
    ledger.database.move(request_id, S.FAILED, worker="w1", reason=Reason.INCOMPLETE, received=2)
    assert ledger.database.requeue(PROJECT) == 1
    (found,) = ledger.database.requests([request_id])
    assert (found.archive, found.located_study_uid, found.announced, found.received) == ("", "", 0, 0)
    assert (found.state, found.reason, found.attempts) == (S.REQUESTED, None, 0)


@pytest.mark.parametrize("state", [S.OPTED_OUT, S.EXPORTED, S.REQUESTED, S.VERIFIED])
def test_requeue_never_brings_back_who_opted_out_nor_what_left(ledger: Ledger, state: RequestState) -> None:
    (request_id,) = ledger.add_some(1)
    ledger.bring_to(request_id, state)
    with pytest.raises(IntegrityError, match="can't be asked for again"):
        ledger.database.requeue(PROJECT, states=[S.FAILED, state])
    assert ledger.state(request_id) is state


def test_more_requests_than_a_batch_are_requeued(ledger: Ledger) -> None:
    ids = ledger.add_some(2100)
    # By hand: 2100 moves one by one would prove nothing more.
    engine = create_engine(ledger.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE request SET state = 'failed', worker = NULL, lease_until = NULL"))
    engine.dispose()
    assert ledger.database.requeue(PROJECT) == 2100
    assert ledger.state(ids[-1]) is S.REQUESTED


def test_the_table_of_moves_is_covered() -> None:
    allowed = sum(to in TRANSITIONS[start] for start, to in itertools.product(S, S))
    assert allowed == sum(map(len, TRANSITIONS.values()))
    assert 0 < allowed < len(S) ** 2
