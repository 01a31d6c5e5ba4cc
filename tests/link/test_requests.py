"""Requests are entered once, with their pseudonyms, whatever is delivered again."""

from __future__ import annotations

import base64
import hashlib
from datetime import date

import pytest

from safelight.errors import IntegrityError
from safelight.link import Added, SetAsideRow
from safelight.model import Reason, RequestState
from tests.link.conftest import CANARY, PROJECT, REASONS, Ledger, a_request

NO = Reason.NOT_ON_OPT_OUT_LIST


def outcomes(ledger: Ledger) -> dict[str, int]:
    return dict(ledger.database.summary(PROJECT).outcomes)


def test_an_extract_is_registered_once(ledger: Ledger) -> None:
    assert ledger.register() == ledger.extract
    assert ledger.register(sha256="b" * 64) != ledger.extract
    assert ledger.register(project="other") != ledger.extract


def test_entering_twice_changes_nothing(ledger: Ledger) -> None:
    requests = [a_request("M1"), a_request("M2")]
    assert ledger.add(*requests) == Added(new=2)
    before = list(ledger.database.find(PROJECT, list(RequestState)))
    assert ledger.add(*requests) == Added(known=2)
    assert list(ledger.database.find(PROJECT, list(RequestState))) == before


def test_a_request_comes_back_as_it_went_in(ledger: Ledger) -> None:
    given = a_request("007", participant_id="P1", series_uids=("1.2.9", "1.2.8"), procedure_occurrence_id=2**40, part="p")
    ledger.add(given)
    (found,) = ledger.database.find(PROJECT, [RequestState.REQUESTED])
    assert (found.project, found.state, found.reason, found.attempts) == (PROJECT, RequestState.REQUESTED, None, 0)
    assert (found.mrn, found.accession_number, found.study_uid) == ("007", "A-007", given.study_uid)
    assert (found.study_date, found.procedure_occurrence_id) == (date(2020, 2, 29), 2**40)
    assert (found.person_id, found.participant_id, found.nhs_number) == ("7", "P1", "")
    assert (found.series_uids, found.part) == (("1.2.8", "1.2.9"), "p")
    assert (found.archive, found.located_study_uid, found.announced, found.received) == ("", "", 0, 0)
    assert found.pseudo_study_uid == ledger.pseudonyms.uid(given.study_uid)
    digest = hashlib.blake2b(b"007", digest_size=48, key=bytes(range(64)), salt=bytes(range(16)), person=b"patient")
    assert found.pseudo_patient_id == base64.b64encode(digest.digest()).decode()


def test_a_request_without_date_or_study_uid_is_one_too(ledger: Ledger) -> None:
    ledger.add(a_request("M1", study_uid="", study_date=None, person_id=""))
    (found,) = ledger.database.find(PROJECT, [RequestState.REQUESTED])
    assert (found.study_uid, found.pseudo_study_uid, found.study_date) == ("", "", None)


@pytest.mark.parametrize(
    "change",
    [
        {"mrn": "M2"},
        {"accession_number": ""},
        {"study_uid": "1.2.4"},
        {"series_uids": ("1.2.5",)},
        {"part": "second"},
    ],
)
def test_what_makes_a_request_another_one(ledger: Ledger, change: dict[str, object]) -> None:
    one = {"mrn": "M1", "accession_number": "A", "study_uid": "1.2.3"}
    assert ledger.add(a_request(**one), a_request(**(one | change))) == Added(new=2)


@pytest.mark.parametrize(
    "change",
    [
        {"mrn": " M1 "},
        {"study_date": None},
        {"procedure_occurrence_id": 9},
        {"person_id": "8"},
        {"line": 12},
    ],
)
def test_what_leaves_it_the_same(ledger: Ledger, change: dict[str, object]) -> None:
    one = {"mrn": "M1", "accession_number": "A", "study_uid": "1.2.3"}
    assert ledger.add(a_request(**one), a_request(**(one | change))) == Added(new=1, known=1)


def test_series_in_another_order_are_the_same_request(ledger: Ledger) -> None:
    assert ledger.add(a_request(series_uids=("1.1", "1.2"))) == Added(new=1)
    assert ledger.add(a_request(series_uids=("1.2", "1.1"))) == Added(known=1)


def test_two_projects_keep_their_requests_apart(ledger: Ledger) -> None:
    other = ledger.register(project="other")
    ledger.add(a_request("M1"))
    assert ledger.add(a_request("M1"), extract=other) == Added(new=1)
    assert ledger.database.summary("other").requested == 1
    assert ledger.claim(project="other") != ledger.claim()


def test_hundreds_of_series_fit_in_one_request(ledger: Ledger) -> None:
    series = tuple(f"1.2.826.0.1.3680043.8.498.{number:040}" for number in range(400))
    assert ledger.add(a_request(series_uids=series)) == Added(new=1)
    assert next(ledger.database.find(PROJECT, [RequestState.REQUESTED])).series_uids == series


def test_more_requests_than_a_batch_are_streamed(ledger: Ledger) -> None:
    taken = 0

    def deliver(count: int) -> object:
        nonlocal taken
        for taken in range(1, count + 1):
            yield a_request(f"M{taken}")

    assert ledger.database.add_requests(
        ledger.extract, deliver(4500), pseudonymizer=ledger.pseudonyms, opted_out={}
    ) == Added(new=4500)
    assert taken == 4500
    assert sum(1 for _ in ledger.database.find(PROJECT, [RequestState.REQUESTED])) == 4500


def test_a_delivery_that_breaks_off_keeps_its_batches_and_is_finished_later(ledger: Ledger) -> None:
    def broken() -> object:
        yield from (a_request(f"M{number}") for number in range(3000))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        ledger.database.add_requests(ledger.extract, broken(), pseudonymizer=ledger.pseudonyms, opted_out={})
    assert ledger.add(*(a_request(f"M{number}") for number in range(3001))) == Added(new=1001, known=2000)


def test_who_opted_out_is_never_claimable(ledger: Ledger) -> None:
    assert ledger.add(a_request("M1"), a_request("M2"), M1=NO) == Added(new=2, opted_out=1)
    assert outcomes(ledger) == {"requested": 1, "opted_out": 1}
    assert len(ledger.claim()) == 1
    assert ledger.database.summary(PROJECT).reasons == {"opted_out": {NO.value: 1}}


@pytest.mark.parametrize("state", [state for state in RequestState if state != RequestState.OPTED_OUT])
def test_an_opt_out_reaches_a_request_in_every_state(ledger: Ledger, state: RequestState) -> None:
    ledger.add(a_request("M1"))
    (request_id,) = ledger.claim()
    ledger.database.release([request_id], worker="w1")
    ledger.bring_to(request_id, state)
    assert ledger.state(request_id) is state
    for _ in range(2):
        assert ledger.add(a_request("M1"), M1=NO) == Added(known=1, opted_out=1)
        assert outcomes(ledger) == {"opted_out": 1}


def test_an_opt_out_takes_a_request_out_of_a_workers_hands(ledger: Ledger) -> None:
    ledger.add(a_request("M1"))
    (request_id,) = ledger.claim()
    ledger.add(a_request("M1"), M1=NO)
    with pytest.raises(IntegrityError, match="not leased"):
        ledger.database.move(request_id, RequestState.LOCATED, worker="w1")
    assert outcomes(ledger) == {"opted_out": 1}


def test_an_opt_out_reaches_requests_of_earlier_extracts(ledger: Ledger) -> None:
    ledger.add(a_request("M1", study_uid="1.2.3"))
    later = ledger.register(sha256="b" * 64)
    ledger.add(a_request("M1", study_uid="1.2.4"), extract=later, M1=NO)
    assert outcomes(ledger) == {"opted_out": 2}


def test_an_opt_out_reaches_patients_who_are_not_in_this_extract(ledger: Ledger) -> None:
    ledger.add(a_request("M1"))
    ledger.add(a_request("M2"), M1=NO)
    assert outcomes(ledger) == {"requested": 1, "opted_out": 1}


def test_who_may_be_used_again_comes_back(ledger: Ledger) -> None:
    ledger.add(a_request("M1"), M1=NO)
    assert ledger.add(a_request("M1")) == Added(known=1, reopened=1)
    assert outcomes(ledger) == {"requested": 1}
    assert ledger.add(a_request("M1")) == Added(known=1)


def test_who_was_withdrawn_never_comes_back(ledger: Ledger) -> None:
    ledger.add(a_request("M1"), a_request("M2"))
    assert ledger.database.withdraw_patient(PROJECT, "M1", actor="governance") == 1
    assert ledger.database.withdraw_patient(PROJECT, "M1", actor="governance") == 0
    later = ledger.register(sha256="b" * 64)
    assert ledger.add(a_request("M1"), a_request("M1", study_uid="1.9"), extract=later) == Added(1, 1, 2)
    assert outcomes(ledger) == {"requested": 1, "opted_out": 2}
    assert ledger.database.summary(PROJECT).reasons["opted_out"] == {"withdrawn": 2}
    assert ledger.database.verify_audit() == 2


def test_an_opted_out_patient_who_is_withdrawn_stays_out(ledger: Ledger) -> None:
    ledger.add(a_request("M1"), M1=NO)
    ledger.database.withdraw_patient(PROJECT, "M1", actor="governance")
    assert ledger.add(a_request("M1")) == Added(known=1, opted_out=1)
    assert outcomes(ledger) == {"opted_out": 1}


def test_requests_need_an_extract(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError, match="no extract 999"):
        ledger.add(a_request(), extract=999)


def test_rows_set_aside_are_counted_once(ledger: Ledger) -> None:
    rows = [SetAsideRow(3, "a.parquet", Reason.BAD_VALUE), SetAsideRow(4, "a.parquet", Reason.BAD_VALUE)]
    rows.append(SetAsideRow(3, "b.parquet", Reason.DUPLICATE_ROW))
    for _ in range(2):
        ledger.database.record_set_asides(ledger.extract, rows)
        assert ledger.database.summary(PROJECT).rows_set_aside == {"bad_value": 2, "duplicate_row": 1}


def test_requests_come_in_the_order_asked_for(ledger: Ledger) -> None:
    ids = ledger.add_some(3)
    assert [request.id for request in ledger.database.requests(ids[::-1])] == ids[::-1]
    with pytest.raises(IntegrityError, match="no request"):
        ledger.database.requests([ids[0], 10_000])


def test_find_takes_only_the_states_asked_for(ledger: Ledger) -> None:
    first, second = ledger.add_some(2)
    ledger.bring_to(second, RequestState.NOT_FOUND)
    assert [request.id for request in ledger.database.find(PROJECT, [RequestState.NOT_FOUND])] == [second]
    assert [request.id for request in ledger.database.find(PROJECT, [RequestState.REQUESTED])] == [first]
    assert list(ledger.database.find("nobody", list(RequestState))) == []


def test_the_summary_balances(ledger: Ledger) -> None:
    ids = ledger.add_some(len(RequestState))
    for request_id, state in zip(ids, RequestState, strict=True):
        ledger.bring_to(request_id, state)
    summary = ledger.database.summary(PROJECT)
    assert summary.requested == sum(summary.outcomes.values()) == len(RequestState)
    assert list(summary.outcomes) == [state.value for state in RequestState]
    assert summary.reasons == {state.value: {reason.value: 1} for state, reason in REASONS.items()}
    assert summary.passed["requested"] == len(RequestState)
    assert [summary.passed[name] for name in ("located", "retrieved", "deidentified", "verified", "exported")] == [
        5,
        4,
        3,
        2,
        1,
    ]


def test_a_project_never_heard_of_has_an_empty_summary(ledger: Ledger) -> None:
    summary = ledger.database.summary("nobody")
    assert (summary.requested, dict(summary.outcomes), dict(summary.passed)) == (0, {}, {})
    assert ledger.claim(project="nobody") == []
    assert ledger.database.requeue("nobody") == 0


def test_nothing_that_is_shown_holds_an_identifier(ledger: Ledger) -> None:
    ledger.add(
        a_request(
            CANARY,
            accession_number=CANARY,
            study_uid=CANARY,
            person_id=CANARY,
            participant_id=CANARY,
            series_uids=(CANARY,),
        )
    )
    found = list(ledger.database.find(PROJECT, list(RequestState)))
    assert found[0].mrn == CANARY
    assert CANARY not in f"{found!r} {ledger.database.summary(PROJECT)!r}"
