"""Patients, instances, archives' health, releases and opt-out evidence."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from sqlalchemy import create_engine, text

from safelight.errors import IntegrityError, KeyUnavailable
from safelight.link import ArchiveHealth, LinkDatabase, StageCounts
from safelight.model import Address, InstanceOutcome, InstanceResult, KnownIdentifiers, Reason, RequestState
from safelight.pseudonym import ProjectKey, Pseudonymizer
from tests.link.conftest import CANARY, PROJECT, Ledger, a_request

SMITH = KnownIdentifiers(
    mrn="M1",
    nhs_number="943 476 5919",
    surname="Çelik",
    other_names=("A", "B"),
    dob=date(1950, 2, 1),
    address=Address(line1="1 Road", postcode="AB1 2CD"),
)


def test_a_patient_comes_back_as_it_went_in(ledger: Ledger) -> None:
    for _ in range(2):
        assert ledger.database.put_patients(PROJECT, [SMITH]) == 1
        assert ledger.database.patient(PROJECT, "M1") == SMITH
    assert ledger.database.patient(PROJECT, " M1 ") == SMITH
    assert ledger.database.patient(PROJECT, "M2") is None
    assert ledger.database.patient("other", "M1") is None
    assert list(ledger.database.patients(PROJECT)) == [SMITH]
    assert list(ledger.database.patients("other")) == []


def test_a_newer_record_replaces_an_older_one(ledger: Ledger) -> None:
    married = SMITH.model_copy(update={"surname": "Okafor", "previous_surname": "Çelik"})
    ledger.database.put_patients(PROJECT, [SMITH, married])
    assert ledger.database.patient(PROJECT, "M1") == married
    ledger.database.put_patients(PROJECT, [SMITH])
    assert ledger.database.patient(PROJECT, "M1") == SMITH


def test_many_patients_are_streamed_in_and_out(ledger: Ledger) -> None:
    assert ledger.database.put_patients(PROJECT, (KnownIdentifiers(mrn=f"M{n}") for n in range(1201))) == 1201
    assert [known.mrn for known in ledger.database.patients(PROJECT)] == [f"M{n}" for n in range(1201)]


def test_a_patient_without_a_number_is_nobodys(ledger: Ledger) -> None:
    assert ledger.database.put_patients(PROJECT, [KnownIdentifiers(mrn=" ")]) == 0


def test_a_request_knows_the_nhs_number_of_its_patient(ledger: Ledger) -> None:
    ledger.add(a_request("M1"))
    ledger.database.put_patients(PROJECT, [SMITH])
    assert next(ledger.database.find(PROJECT, [RequestState.REQUESTED])).nhs_number == "9434765919"


def test_the_record_of_who_may_not_be_used_is_not_kept(ledger: Ledger) -> None:
    ledger.add(a_request("M1"))
    ledger.database.put_patients(PROJECT, [SMITH])
    ledger.add(a_request("M1"), M1=Reason.NOT_ON_OPT_OUT_LIST)
    assert ledger.database.patient(PROJECT, "M1") is None
    ledger.database.put_patients(PROJECT, [SMITH])
    ledger.database.withdraw_patient(PROJECT, "M1", actor="governance")
    assert ledger.database.patient(PROJECT, "M1") is None
    assert ledger.database.put_patients(PROJECT, [SMITH]) == 0


def test_instances_come_back_as_they_went_in(ledger: Ledger) -> None:
    (request_id,) = ledger.add_some(1)
    results = [
        InstanceResult(InstanceOutcome.WRITTEN, None, "2.25.1", "2.25.2", "2.25.3", "a/b.dcm", 1, 2, 3, 4, 5, "s", "r", "i"),
        InstanceResult(InstanceOutcome.SET_ASIDE, Reason.BURNED_IN, bytes_in=2**40),
    ]
    for _ in range(2):
        ledger.database.record_instances(request_id, iter(results))
        assert ledger.database.instances(request_id) == results
    assert ledger.database.summary(PROJECT).instances == {"set_aside/burned_in": 1, "written": 1}
    ledger.database.record_instances(request_id, results[:1])
    assert ledger.database.instances(request_id) == results[:1]
    ledger.database.record_instances(request_id, [])
    assert ledger.database.instances(request_id) == []


def test_instances_belong_to_a_request(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError):
        ledger.database.record_instances(999, [InstanceResult(InstanceOutcome.WRITTEN)])


def test_an_archives_health_is_shared(ledger: Ledger) -> None:
    assert ledger.database.archive_health("pacs") == ArchiveHealth()
    bad = ArchiveHealth("open", 5, ledger.clock(), "no association")
    for health in (bad, bad, ArchiveHealth("stopped", cause="its manager")):
        ledger.database.set_archive_health("pacs", health)
        assert ledger.database.archive_health("pacs") == health
    assert ledger.database.archive_health("vna") == ArchiveHealth()


def test_of_workers_that_change_the_same_health_one_does(ledger: Ledger, another: Callable[[], LinkDatabase]) -> None:
    database = another()
    resting = [ArchiveHealth("open", number, ledger.clock(), "away") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        changed = list(pool.map(lambda to: database.change_archive_health("pacs", before=ArchiveHealth(), to=to), resting))
    assert changed.count(True) == 1
    now = resting[changed.index(True)]
    assert database.archive_health("pacs") == now
    assert database.change_archive_health("pacs", before=now, to=ArchiveHealth())
    assert not database.change_archive_health("pacs", before=now, to=ArchiveHealth("stopped"))


def test_studies_of_an_archive_are_counted_in_a_window_and_anew_after_each_change(ledger: Ledger) -> None:
    database, window = ledger.database, timedelta(minutes=5)
    assert database.note_study("pacs", failed=True, window=window) == (1, 1)
    assert database.note_study("pacs", failed=False, window=window) == (1, 2)
    assert database.note_study("vna", failed=True, window=window) == (1, 1)
    ledger.clock.forward(minutes=4)
    assert database.note_study("pacs", failed=True, window=window) == (2, 3)
    ledger.clock.forward(minutes=4)
    assert database.note_study("pacs", failed=True, window=window) == (2, 2)
    database.set_archive_health("pacs", ArchiveHealth("open", 2, ledger.clock(), "away"))
    assert database.note_study("pacs", failed=True, window=window) == (1, 1)
    assert database.note_study("vna", failed=False, window=window) == (0, 1), "eight minutes later"


def test_workers_that_count_at_once_lose_nothing(ledger: Ledger, another: Callable[[], LinkDatabase]) -> None:
    database, window = another(), timedelta(minutes=5)
    for _ in range(30):
        database.note_study("pacs", failed=True, window=window)
    ledger.clock.forward(minutes=6)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: database.note_study("pacs", failed=number % 2 == 0, window=window), range(40)))
    assert database.note_study("pacs", failed=True, window=window) == (21, 41)


def test_a_health_that_nobody_understands_is_refused() -> None:
    with pytest.raises(ValueError, match="closed, open, half_open, stopped"):
        ArchiveHealth("poorly")


def test_a_release_is_recorded_once_and_never_changes(ledger: Ledger) -> None:
    ids = ledger.add_some(3)
    for _ in range(2):
        ledger.database.record_release(PROJECT, "r1", "a" * 64, ids[:2])
        (release,) = ledger.database.releases(PROJECT)
        assert (release.release_id, release.manifest_sha256, release.requests) == ("r1", "a" * 64, 2)
    with pytest.raises(IntegrityError, match="another manifest"):
        ledger.database.record_release(PROJECT, "r1", "b" * 64, ids)
    assert ledger.database.released_requests(PROJECT, "r1") == ids[:2]
    ledger.database.record_release(PROJECT, "r2", "b" * 64, ids)
    assert [release.release_id for release in ledger.database.releases(PROJECT)] == ["r1", "r2"]
    assert ledger.database.releases("nobody") == []


def test_a_release_needs_its_project_and_requests(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError, match="knows no project"):
        ledger.database.record_release("nobody", "r1", "a" * 64, [])
    with pytest.raises(IntegrityError):
        ledger.database.record_release(PROJECT, "r1", "a" * 64, [999])
    assert ledger.database.releases(PROJECT) == []


def test_an_opt_out_check_leaves_evidence(ledger: Ledger) -> None:
    ledger.database.record_opt_out_check(
        ledger.extract, answer_sha256="c" * 64, answered_at=ledger.clock(), allowed=3, excluded=2
    )
    engine = create_engine(ledger.url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT answer_sha256, allowed, excluded FROM opt_out_check")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("c" * 64, 3, 2)]
    with pytest.raises(IntegrityError, match="no extract"):
        ledger.database.record_opt_out_check(999, answer_sha256="c" * 64, answered_at=ledger.clock(), allowed=3, excluded=2)


def test_what_a_stage_took_is_accounted_for() -> None:
    counts = StageCounts(taken=5, moved={"retrieved": 3, "failed": 1}, reasons={"incomplete": 2})
    assert counts.waiting == 1
    assert counts.taken == sum(counts.moved.values()) + counts.waiting


def test_patients_show_nothing(ledger: Ledger) -> None:
    ledger.database.put_patients(PROJECT, [KnownIdentifiers(mrn=CANARY, surname=CANARY)])
    assert CANARY not in repr(list(ledger.database.patients(PROJECT)))


def test_another_key_than_the_one_that_pseudonyms_were_issued_with_is_refused(ledger: Ledger) -> None:
    other = Pseudonymizer(ProjectKey(bytes(range(1, 65)), bytes(range(16))))
    ledger.database.check_key(PROJECT, other)  # nothing was issued yet
    ledger.add_some(2)
    for _ in range(2):
        ledger.database.check_key(PROJECT, ledger.pseudonyms)
        with pytest.raises(KeyUnavailable, match="not the one"):
            ledger.database.check_key(PROJECT, other)


def test_what_has_to_be_taken_back_is_due_until_it_is_recorded(ledger: Ledger) -> None:
    ledger.bring_to(ledger.add_some(2)[1], RequestState.EXPORTED)
    assert ledger.database.removals().due(PROJECT) == []
    ledger.add(M0=Reason.NOT_ON_OPT_OUT_LIST, M1=Reason.NOT_ON_OPT_OUT_LIST)
    due = ledger.database.removals().due(PROJECT)
    assert [(item.request.state, item.may_have_left) for item in due] == [
        (RequestState.OPTED_OUT, False),
        (RequestState.OPTED_OUT, True),
    ]
    for _ in range(2):
        ledger.database.removals().record(PROJECT, due, {due[1].request.id: ["haven"]}, actor="flow run")
        assert ledger.database.removals().due(PROJECT) == []
    last = list(ledger.database.audit_events())[-1]
    assert (last.event, last.actor) == ("remove", "flow run")
    assert CANARY not in str(last)
