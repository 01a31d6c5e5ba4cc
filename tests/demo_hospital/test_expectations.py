"""The expected outcomes are those that the pipeline's own stages reach, from the extracts to verified files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployments.demo_hospital import Hospital, build_hospital
from deployments.demo_hospital.hospital import PROJECT
from safelight.archive import Archive, RawCache, StorageReceiver, locate_and_retrieve
from safelight.archive.throttle import Unlimited
from safelight.cohort.csv_file import read_csv
from safelight.cohort.ingest import ingest
from safelight.cohort.omop import read_omop_es
from safelight.cohort.opt_out import read_opt_out_answer
from safelight.cohort.patient_record import read_patient_record
from safelight.dicom.batch import deidentify_requests
from safelight.dicom.engine import DeidEngine
from safelight.link import LinkDatabase, Request
from safelight.model import KnownIdentifiers, RequestState
from safelight.profile import load_profile
from safelight.project import Project, load_project
from safelight.pseudonym import ProjectKey, Pseudonymizer
from tests.demo_hospital.conftest import DAY, SCALE
from tests.services.process import free_port

PROFILES = Path(__file__).resolve().parents[2] / "profiles"
LEASE = timedelta(minutes=5)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def clock() -> datetime:
    return NOW


@dataclass(frozen=True)
class Run:
    """A run of the stages over a hospital of its own."""

    hospital: Hospital
    project: Project
    database: LinkDatabase
    work: Path

    def study_of(self, request: Request) -> str:
        (study,) = (one for one in self.hospital.studies if one.procedures[0] == request.procedure_occurrence_id)
        return f"{study.modality} {study.case}"

    def requests(self) -> list[Request]:
        return list(self.database.find(PROJECT, list(RequestState)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    hospital = build_hospital(tmp_path_factory.mktemp("run-hospital"), seed=11, today=DAY, scale=SCALE)
    hospital.refresh_opt_out(NOW)
    folder = tmp_path_factory.mktemp("run")
    project = load_project(PROFILES / "projects", PROJECT)
    pseudonymizer = Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))
    database = LinkDatabase(f"sqlite:///{folder / 'link.sqlite'}", clock=clock)
    database.migrate()
    for name in ("extract-1", "extract-2"):
        ingest(
            read_omop_es(hospital.deliveries / name, project=PROJECT),
            database=database,
            pseudonymizer=pseudonymizer,
            patients=read_patient_record(hospital.record),
            opt_out=read_opt_out_answer(hospital.opt_out, max_age_days=7, now=NOW),
        )
    port = free_port()
    with hospital.start(receiver_ae_title="SAFELIGHT", receiver_port=port):
        peers = (hospital.primary, hospital.secondary)
        archives = [
            Archive(use.block, peer, calling_ae_title="SAFELIGHT", use=use, throttle=Unlimited())
            for use, peer in zip(project.archives, peers, strict=True)
        ]
        cache = RawCache(folder / "cache", database, None)
        claimed = database.claim(PROJECT, [RequestState.REQUESTED], worker="test", limit=100, lease=LEASE)
        with StorageReceiver("SAFELIGHT", "127.0.0.1", port, spool=cache.spool, peers=peers) as receiver:
            locate_and_retrieve(
                claimed,
                database=database,
                archives=archives,
                receiver=receiver,
                cache=cache,
                worker="test",
                lease=LEASE,
                clock=clock,
                modalities=project.filters.modalities,
            )
    deidentify_requests(
        database.claim(PROJECT, [RequestState.RETRIEVED], worker="test", limit=100, lease=LEASE),
        database=database,
        engine=DeidEngine(load_profile(PROFILES / "deid", project.deid.profile).dicom, pseudonymizer),
        filters=project.filters,
        cache_paths=cache.paths,
        work=folder / "work",
        worker="test",
        lease=LEASE,
        known=lambda request: database.patient(PROJECT, request.mrn) or KnownIdentifiers(mrn=request.mrn),
    )
    yield Run(hospital, project, database, folder / "work")
    database.close()


def test_every_request_ends_as_expected(run: Run) -> None:
    found, expected = {}, {}
    for request in run.requests():
        # Export is the next stage; what is verified will go.
        state = RequestState.EXPORTED if request.state is RequestState.VERIFIED else request.state
        aside = Counter(result.reason for result in run.database.instances(request.id) if result.reason)
        found[request.procedure_occurrence_id] = (run.study_of(request), state, request.reason, dict(aside))
        wanted = run.hospital.expected[request.procedure_occurrence_id]
        expected[request.procedure_occurrence_id] = (run.study_of(request), wanted.state, wanted.reason, wanted.set_aside)
    assert found == expected
    assert set(found) == set(run.hospital.expected)


def test_rows_are_set_aside_as_expected(run: Run) -> None:
    summary = run.database.summary(PROJECT)
    assert summary.rows_set_aside == {reason.value: count for reason, count in run.hospital.expected_rows.items()}
    assert summary.requested == len(run.hospital.studies)


def test_who_is_in_both_extracts_has_one_pseudonym(run: Run) -> None:
    pseudonyms: dict[str, set[str]] = {}
    extracts: dict[str, set[int]] = {}
    for request in run.requests():
        if request.state is RequestState.VERIFIED:
            pseudonyms.setdefault(request.mrn, set()).add(request.pseudo_patient_id)
            extracts.setdefault(request.mrn, set()).add(request.extract_id)
    assert any(len(several) == 2 for several in extracts.values())
    assert all(len(several) == 1 and "" not in several for several in pseudonyms.values())


def test_no_planted_identifier_is_in_a_verified_file(run: Run) -> None:
    files = list(run.work.rglob("*.dcm"))
    assert len(files) > 60
    assert run.hospital.leaks(run.work) == {}


def test_no_bystander_was_fetched(run: Run) -> None:
    """Studies of the same patients that nobody asked for: a query that is too broad would bring them."""
    bystanders = {study.uid for study in run.hospital._all_studies if not study.extract}
    assert len(bystanders) == 4
    assert not bystanders & {study.study_uid for study in run.database.cache_studies()}


def test_the_csv_cohort_can_be_read(run: Run) -> None:
    delivery = read_csv(run.hospital.csv_file, project=PROJECT)
    requests = list(delivery.requests)
    assert len(requests) == 4
    assert sum(bool(request.series_uids) for request in requests) == 2
    assert Counter(row.reason.value for row in delivery.set_aside) == {"bad_value": 2, "missing_identifier": 1}
    assert delivery.other_projects == 1
