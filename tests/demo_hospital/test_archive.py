"""The archives, asked by dcmtk's and pynetdicom's clients over real associations."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    UltrasoundMultiFrameImageStorage,
    Verification,
)

from deployments.demo_hospital import ArchiveAddress, Hospital
from deployments.demo_hospital.casebook import Case, Study
from deployments.demo_hospital.index import Held, Index
from tests.demo_hospital.conftest import Receiver
from tests.services.process import free_port, program

OK, PENDING, ALL_FAILED, UNKNOWN_DESTINATION = 0x0000, 0xFF00, 0xA702, 0xA801


@pytest.fixture(scope="module")
def index(hospital: Hospital) -> Index:
    """What the primary archive must know, read from its files."""
    return Index.of_folder(hospital.folder / "archives" / "primary")


def held(index: Index, study: Study) -> list[Held]:
    return [one for series in index.studies[study.uid].values() for one in series]


def one_of(hospital: Hospital, modality: str, case: Case = Case.ORDINARY) -> Study:
    return next(study for study in hospital.studies if study.modality == modality and study.case is case)


def dcmtk(tool: str, archive: ArchiveAddress, *arguments: str, calling: str = "SAFELIGHT", called: str = "") -> str:
    """Run a client of dcmtk; returns what it printed, raises when it failed."""
    command = [program(tool), "-v", "-aet", calling, "-aec", called or archive.ae_title, *arguments]
    done = subprocess.run(
        [*command, archive.host, str(archive.port)],
        env={**os.environ, "TCP_NODELAY": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise ConnectionError(done.stdout)
    return done.stdout


def query(level: str, **keys: object) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def find(
    archive: ArchiveAddress, identifier: Dataset, model: str = StudyRootQueryRetrieveInformationModelFind
) -> list[Dataset]:
    entity = AE("SAFELIGHT")
    entity.add_requested_context(model)
    association = entity.associate(archive.host, archive.port, ae_title=archive.ae_title)
    assert association.is_established
    answers, last = [], None
    for status, answer in association.send_c_find(identifier, model):
        last = status.Status
        if last == PENDING:
            answers.append(answer)
    association.release()
    assert last == OK, f"{last:04x}"
    return answers


def move(archive: ArchiveAddress, identifier: Dataset, destination: str = "SAFELIGHT") -> list[Dataset]:
    entity = AE("SAFELIGHT")
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
    association = entity.associate(archive.host, archive.port, ae_title=archive.ae_title)
    responses = association.send_c_move(identifier, destination, StudyRootQueryRetrieveInformationModelMove)
    statuses = [status for status, _ in responses]
    association.release()
    return statuses


def drop(association: Association) -> None:
    """Abort, and close what pynetdicom leaves open where the peer was faster."""
    association.abort()
    association.join(5)
    if association.dul.socket and association.dul.socket.socket:
        association.dul.socket.socket.close()


def get(archive: ArchiveAddress, identifier: Dataset, sop_class: str, syntaxes: list[str]) -> tuple[Dataset, list[Dataset]]:
    """Return the last C-GET status and the data sets that came."""
    entity = AE("SAFELIGHT")
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    entity.add_requested_context(sop_class, syntaxes)
    came: list[Dataset] = []

    def store(event: evt.Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        came.append(dataset)
        return OK

    association = entity.associate(
        archive.host,
        archive.port,
        ae_title=archive.ae_title,
        ext_neg=[build_role(sop_class, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, store)],
    )
    statuses = [status for status, _ in association.send_c_get(identifier, StudyRootQueryRetrieveInformationModelGet)]
    association.release()
    return statuses[-1], came


def dataset_bytes(content: bytes) -> bytes:
    """What follows the file meta information (PS3.10 section 7.1): the part that a C-STORE carries."""
    assert content[132:140] == b"\2\0\0\0UL\4\0"
    return content[144 + int.from_bytes(content[140:144], "little") :]


def test_both_archives_answer_an_echo(served: Hospital) -> None:
    for archive in (served.primary, served.secondary):
        assert "Received Echo Response (Success)" in dcmtk("echoscu", archive)


def test_a_stranger_is_rejected(served: Hospital) -> None:
    with pytest.raises(ConnectionError, match="Calling AE Title Not Recognized"):
        dcmtk("echoscu", served.primary, calling="STRANGER")


def test_a_wrong_called_ae_title_is_rejected(served: Hospital) -> None:
    with pytest.raises(ConnectionError, match="Called AE Title Not Recognized"):
        dcmtk("echoscu", served.primary, called=served.secondary.ae_title)


def test_dcmtk_finds_a_study_by_accession_number_and_patient(served: Hospital, index: Index) -> None:
    study = one_of(served, "CT", Case.LOCALISER)
    said = dcmtk(
        "findscu",
        served.primary,
        "-S",
        *("-k", "QueryRetrieveLevel=STUDY"),
        *("-k", f"AccessionNumber={study.accession}"),
        *("-k", f"PatientID={study.patient.mrn}"),
        *("-k", "StudyInstanceUID", "-k", "NumberOfStudyRelatedInstances", "-k", "ModalitiesInStudy"),
    )
    assert said.count("Find Response:") - said.count("Find Response: 2") == 1
    assert f"[{study.uid}" in said
    assert f"[{len(held(index, study))} " in said or f"[{len(held(index, study))}]" in said
    assert "[CT]" in said


def test_study_answers_carry_only_what_was_asked(served: Hospital, index: Index) -> None:
    study = one_of(served, "MR")
    (answer,) = find(served.primary, query("STUDY", StudyInstanceUID=study.uid, PatientID="", NumberOfStudyRelatedSeries=""))

    assert answer.PatientID == study.patient.mrn
    assert answer.NumberOfStudyRelatedSeries == len(index.studies[study.uid])
    assert answer.RetrieveAETitle == served.primary.ae_title
    assert "PatientName" not in answer


def test_series_and_instances_are_listed_completely(served: Hospital, index: Index) -> None:
    study = one_of(served, "CT", Case.LOCALISER)
    series = find(served.primary, query("SERIES", StudyInstanceUID=study.uid, NumberOfSeriesRelatedInstances=""))
    instances = find(served.primary, query("IMAGE", StudyInstanceUID=study.uid, SOPInstanceUID="", SOPClassUID=""))

    assert {answer.SeriesInstanceUID for answer in series} == set(index.studies[study.uid])
    assert {int(answer.NumberOfSeriesRelatedInstances) for answer in series} == {
        len(some) for some in index.studies[study.uid].values()
    }
    assert {answer.SOPInstanceUID for answer in instances} == {one.values["SOPInstanceUID"] for one in held(index, study)}
    assert {answer.SOPClassUID for answer in instances} == {CTImageStorage}


def test_one_series_can_be_asked_for_at_image_level(served: Hospital, index: Index) -> None:
    study = one_of(served, "CT", Case.LOCALISER)
    uid, expected = next(iter(index.studies[study.uid].items()))
    answers = find(served.primary, query("IMAGE", StudyInstanceUID=study.uid, SeriesInstanceUID=uid, SOPInstanceUID=""))
    assert len(answers) == len(expected) < len(held(index, study))


def test_keys_match_as_the_standard_says(served: Hospital, index: Index) -> None:
    """Universal, list of UID, range, wild card and single value (PS3.4 C.2.2.2)."""
    first, second = one_of(served, "CT"), one_of(served, "MR")
    every = find(served.primary, query("STUDY", StudyInstanceUID=""))
    assert {answer.StudyInstanceUID for answer in every} == set(index.studies)
    both = find(served.primary, query("STUDY", StudyInstanceUID=[first.uid, second.uid]))
    assert {answer.StudyInstanceUID for answer in both} == {first.uid, second.uid}
    day = first.day.strftime("%Y%m%d")
    for pattern in (f"{day}-{day}", day):
        answers = find(served.primary, query("STUDY", StudyDate=pattern, StudyInstanceUID=""))
        assert first.uid in {answer.StudyInstanceUID for answer in answers}
        assert {answer.StudyDate for answer in answers} == {day}
    later = find(served.primary, query("STUDY", StudyDate=f"{day}-", StudyInstanceUID=""))
    assert all(answer.StudyDate >= day for answer in later)
    assert 1 < len(later) < len(every)
    name = f"{first.patient.surname[:4].lower()}*"
    assert first.uid in {
        a.StudyInstanceUID for a in find(served.primary, query("STUDY", PatientName=name, StudyInstanceUID=""))
    }
    ultrasound = find(served.primary, query("STUDY", ModalitiesInStudy="US", StudyInstanceUID=""))
    assert len(ultrasound) == sum(1 for study in served.studies if study.modality == "US")
    assert find(served.primary, query("STUDY", PatientID="nobody", StudyInstanceUID="")) == []


def test_names_beyond_ascii_are_answered_in_utf_8(served: Hospital) -> None:
    patient = next(p for p in served.population.patients if p.character_set == "ISO_IR 192" and p.recorded)
    study = next(study for study in served.studies if study.patient == patient and study.archive == "primary")
    (answer,) = find(served.primary, query("STUDY", StudyInstanceUID=study.uid, PatientName=""))
    assert str(answer.PatientName) == patient.person_name


def test_the_patient_root_is_answered_too(served: Hospital) -> None:
    patient = served.population.patients[0]
    (answer,) = find(
        served.primary, query("PATIENT", PatientID=patient.mrn, PatientName=""), PatientRootQueryRetrieveInformationModelFind
    )
    assert str(answer.PatientName) == patient.person_name


def test_an_unknown_level_is_refused(served: Hospital) -> None:
    with pytest.raises(AssertionError, match="a900"):
        find(served.primary, query("FRAME", StudyInstanceUID="1.2"))


@pytest.mark.parametrize("modality", ["CR", "DX", "CT", "MR", "US", "NM", "MG"])
def test_moved_files_arrive_bit_by_bit(served: Hospital, index: Index, receiver: Receiver, modality: str) -> None:
    for study in served.studies:
        if study.modality == modality and study.uid in index.studies:
            dcmtk(
                "movescu",
                served.primary,
                *("-S", "-aem", receiver.ae_title, "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study.uid}"),
            )
    expected = {
        dataset_bytes(one.path.read_bytes())
        for one in index.instances()
        if one.values["StudyInstanceUID"] in {s.uid for s in served.studies if s.modality == modality}
    }
    assert {dataset_bytes(content) for content in receiver.received().values()} == expected


def test_a_truncated_file_survives_the_transfer(served: Hospital, receiver: Receiver) -> None:
    study = one_of(served, "CR", Case.TRUNCATED)
    assert [status.Status for status in move(served.primary, query("STUDY", StudyInstanceUID=study.uid))][-1] == OK
    (name,) = receiver.received()
    dataset = dcmread(receiver.folder / name)
    assert len(dataset.PixelData) < dataset.Rows * dataset.Columns * 2


def test_move_reports_its_progress(served: Hospital, index: Index, receiver: Receiver) -> None:
    study = one_of(served, "CT")
    statuses = move(served.primary, query("STUDY", StudyInstanceUID=study.uid))
    assert [status.Status for status in statuses[:-1]] == [PENDING] * len(held(index, study))
    assert statuses[-1].NumberOfCompletedSuboperations == len(held(index, study)) == len(receiver.received())
    assert statuses[-1].NumberOfFailedSuboperations == 0


def test_a_series_or_an_instance_can_be_moved_alone(served: Hospital, index: Index, receiver: Receiver) -> None:
    study = one_of(served, "CT", Case.LOCALISER)
    uid, some = next(iter(index.studies[study.uid].items()))
    move(served.primary, query("SERIES", StudyInstanceUID=study.uid, SeriesInstanceUID=uid))
    assert len(receiver.received()) == len(some)

    wanted = [one.values["SOPInstanceUID"] for one in held(index, study)][-2:]
    for path in receiver.folder.iterdir():
        path.unlink()
    move(
        served.primary,
        query(
            "IMAGE", StudyInstanceUID=study.uid, SeriesInstanceUID=list(index.studies[study.uid])[-1], SOPInstanceUID=wanted
        ),
    )
    assert {dcmread(receiver.folder / name).SOPInstanceUID for name in receiver.received()} == set(wanted)


def test_an_unknown_destination_is_refused(served: Hospital, receiver: Receiver) -> None:
    statuses = move(served.primary, query("STUDY", StudyInstanceUID=one_of(served, "MR").uid), "NOWHERE")
    assert [status.Status for status in statuses] == [UNKNOWN_DESTINATION]
    assert receiver.received() == {}


def test_an_unreachable_destination_is_an_error(hospital: Hospital) -> None:
    with hospital.start(receiver_ae_title="SAFELIGHT", receiver_port=free_port()) as running:
        statuses = move(running.primary, query("STUDY", StudyInstanceUID=one_of(hospital, "MR").uid))
    assert [status.Status for status in statuses] == [UNKNOWN_DESTINATION]


def test_an_unknown_study_moves_nothing(served: Hospital, receiver: Receiver) -> None:
    (status,) = move(served.primary, query("STUDY", StudyInstanceUID="1.2.3"))
    assert status.Status == OK
    assert status.NumberOfCompletedSuboperations == 0
    assert receiver.received() == {}


def test_a_retrieval_without_a_unique_key_gets_nothing(served: Hospital, receiver: Receiver) -> None:
    """The standard forbids it (PS3.4 C.4.2.2.1), and an archive that sent everything would be no help."""
    move(served.primary, query("STUDY", StudyInstanceUID="", PatientID=served.population.patients[0].mrn))
    assert receiver.received() == {}


def test_the_second_archive_has_what_the_first_has_not(served: Hospital, receiver: Receiver) -> None:
    study = one_of(served, "CT", Case.SECONDARY)
    assert find(served.primary, query("STUDY", StudyInstanceUID=study.uid)) == []
    assert len(find(served.secondary, query("STUDY", StudyInstanceUID=study.uid))) == 1
    assert move(served.secondary, query("STUDY", StudyInstanceUID=study.uid))[-1].Status == OK
    assert len(receiver.received()) > 1


@pytest.mark.parametrize("option", ["+x=", "+B"])
def test_dcmtk_gets_a_study(served: Hospital, index: Index, tmp_path: Path, option: str) -> None:
    study = one_of(served, "CT")
    level = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study.uid}")
    dcmtk("getscu", served.primary, "-S", option, "-od", str(tmp_path), *level)
    assert {str(dcmread(path).SOPInstanceUID) for path in tmp_path.iterdir()} == {
        one.values["SOPInstanceUID"] for one in held(index, study)
    }


def test_get_converts_native_files_for_a_peer_that_takes_one_syntax_only(served: Hospital, index: Index) -> None:
    for wanted in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        study = next(
            study
            for study in served.studies
            if study.modality == "CT" and study.uid in index.studies and held(index, study)[0].transfer_syntax != wanted
        )
        status, came = get(served.primary, query("STUDY", StudyInstanceUID=study.uid), CTImageStorage, [wanted])
        assert status.Status == OK
        assert {dataset.file_meta.TransferSyntaxUID for dataset in came} == {wanted}
        source = {one.values["SOPInstanceUID"]: one.path for one in held(index, study)}
        assert len(came) == len(source)
        assert all(dataset.PixelData == dcmread(source[dataset.SOPInstanceUID]).PixelData for dataset in came)


def test_get_fails_openly_where_nothing_can_be_converted(served: Hospital, index: Index) -> None:
    study = next(
        study
        for study in served.studies
        if study.modality == "US" and held(index, study)[0].transfer_syntax == JPEGBaseline8Bit
    )
    identifier = query("STUDY", StudyInstanceUID=study.uid)
    status, came = get(served.primary, identifier, UltrasoundMultiFrameImageStorage, [ImplicitVRLittleEndian])
    assert (status.Status, status.NumberOfFailedSuboperations, came) == (ALL_FAILED, 1, [])
    status, came = get(served.primary, identifier, UltrasoundMultiFrameImageStorage, [JPEGBaseline8Bit])
    assert (status.Status, len(came)) == (OK, 1)


def test_several_clients_at_once(served: Hospital, index: Index, receiver: Receiver) -> None:
    studies = [study for study in served.studies if study.modality in {"CT", "MR"} and study.uid in index.studies][:8]
    with ThreadPoolExecutor(4) as pool:
        ends = pool.map(lambda study: move(served.primary, query("STUDY", StudyInstanceUID=study.uid))[-1].Status, studies)
    assert set(ends) == {OK}
    assert len(receiver.received()) == sum(len(held(index, study)) for study in studies)


def test_a_client_that_went_away_does_no_harm(served: Hospital) -> None:
    entity = AE("SAFELIGHT")
    entity.add_requested_context(Verification)
    association = entity.associate(served.primary.host, served.primary.port, ae_title=served.primary.ae_title)
    drop(association)
    assert "Success" in dcmtk("echoscu", served.primary)
