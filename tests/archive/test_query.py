"""Asking archives: real ones, and what is never sent to any."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from safelight.archive import identifier as ids
from safelight.archive.identifier import Part
from safelight.archive.intake import Intake
from safelight.archive.web import WebService
from safelight.errors import ArchiveBusy, ArchiveMisconfigured, ArchiveUnreachable, StudyRejected
from safelight.model import Reason
from tests.archive.conftest import a_request, an_archive
from tests.archive.hostile import VERIFICATION, HostileArchive
from tests.archive.studies import Study
from tests.services.orthanc import Orthanc, Peer
from tests.services.process import free_port

STUDY = Study(1)
OTHER = Study(2, series=(1,), patient=2)


@pytest.fixture
def real_archive(real_archive: Any, tmp_path: Path) -> Any:
    """Each make of archive in each way, holding two studies."""
    files = []
    for index, content in enumerate([*STUDY.files(), *OTHER.files()]):
        path = tmp_path / f"{index}.dcm"
        path.write_bytes(content)
        files.append(path)
    real_archive.upload(files)
    return real_archive


@pytest.fixture
def hostile(receiver_peer: Peer) -> Iterator[HostileArchive]:
    archive = HostileArchive([STUDY, OTHER], receiver_peer).start()
    yield archive
    archive.stop()


def test_echo(real_archive: Any) -> None:
    an_archive(real_archive).echo()


def test_a_study_is_found_by_its_uid(real_archive: Any) -> None:
    (answer,) = an_archive(real_archive).find_study(a_request(STUDY, accession_number=""))
    assert answer.study_uid == STUDY.uid
    assert answer.patient_id == STUDY.mrn
    assert answer.study_date == STUDY.when


def test_a_study_is_found_by_accession_number_and_patient(real_archive: Any) -> None:
    for uid in ("", "1.2.3.999"):
        (answer,) = an_archive(real_archive).find_study(a_request(STUDY, study_uid=uid))
        assert answer.study_uid == STUDY.uid


def test_accession_number_alone_only_where_the_project_allows_it(real_archive: Any) -> None:
    request = a_request(STUDY, study_uid="", mrn="SOMEONE-ELSE")
    assert an_archive(real_archive).find_study(request) == []
    (answer,) = an_archive(real_archive, accession_alone=True).find_study(request)
    assert answer.study_uid == STUDY.uid


def test_series_and_instances_are_announced(real_archive: Any) -> None:
    archive = an_archive(real_archive)
    assert {one.series_uid for one in archive.find_series(STUDY.uid)} == {STUDY.series_uid(0), STUDY.series_uid(1)}
    assert sorted(one.sop_uid for one in archive.find_instances(STUDY.uid)) == sorted(STUDY.sop_uids)
    of_one = archive.find_instances(STUDY.uid, series_uids=[STUDY.series_uid(1)])
    assert {one.series_uid for one in of_one} == {STUDY.series_uid(1)}
    assert len(of_one) == STUDY.series[1]


def test_nothing_is_found_of_an_unknown_study(real_archive: Any) -> None:
    archive = an_archive(real_archive)
    assert archive.find_study(a_request(STUDY, study_uid="1.2.3.999", accession_number="NONE")) == []
    assert archive.find_instances("1.2.3.999") == []


def test_instances_by_study_alone_where_the_archive_can(orthanc: Orthanc) -> None:
    orthanc.upload(STUDY.files())
    found = an_archive(orthanc, image_query_needs_series=False).find_instances(STUDY.uid)
    assert sorted(one.sop_uid for one in found) == sorted(STUDY.sop_uids)
    assert {one.series_uid for one in found} == {STUDY.series_uid(0), STUDY.series_uid(1)}


def test_patient_root(orthanc: Orthanc) -> None:
    orthanc.upload(STUDY.files())
    archive = an_archive(orthanc, information_model="patient")
    for known in ({"study_uid": ""}, {"accession_number": ""}):
        (answer,) = archive.find_study(a_request(STUDY, **known))
        assert answer.study_uid == STUDY.uid
    assert archive.find_study(a_request(STUDY, accession_number="", mrn="SOMEONE-ELSE")) == []
    assert len(archive.find_instances(STUDY.uid, patient_id=STUDY.mrn)) == len(STUDY.sop_uids)


DIMSE = pytest.mark.parametrize("real_archive", ["orthanc c-move", "dcmqrscp c-move"], indirect=True)


@DIMSE
def test_a_wrong_ae_title_of_the_archive_is_a_matter_of_settings(real_archive: Any) -> None:
    wrong = Peer("NOT-ITS-NAME", real_archive.port)
    with pytest.raises(ArchiveMisconfigured) as caught:
        an_archive(wrong).find_study(a_request(STUDY))
    assert "AE title" in str(caught.value)
    assert "CANARY" not in str(caught.value)


@DIMSE
def test_an_archive_that_does_not_know_us_is_a_matter_of_settings(real_archive: Any) -> None:
    with pytest.raises(ArchiveMisconfigured) as caught:
        an_archive(real_archive, calling="STRANGER").find_study(a_request(STUDY))
    assert "AE title" in str(caught.value)


def test_an_archive_that_is_not_there_can_be_tried_again() -> None:
    waits: list[float] = []
    archive = an_archive(Peer("GONE", free_port()), attempts=4)
    archive.sleep = waits.append
    archive.jitter = lambda: 1.0
    with pytest.raises(ArchiveUnreachable):
        archive.echo()
    assert waits == [0.5, 1.0, 2.0]


def test_passing_refusals_are_tried_again(hostile: HostileArchive) -> None:
    hostile.refusals = 2
    assert an_archive(hostile, attempts=3).find_study(a_request(STUDY))
    hostile.refusals = 2
    with pytest.raises(ArchiveBusy):
        an_archive(hostile, attempts=2).find_study(a_request(STUDY))


@pytest.mark.parametrize(
    ("status", "error"), [(0xA700, ArchiveBusy), (0xC001, ArchiveUnreachable), (0x0122, ArchiveMisconfigured)]
)
def test_failed_queries_say_what_to_do(hostile: HostileArchive, status: int, error: type[Exception]) -> None:
    hostile.on_find = lambda: status
    with pytest.raises(error):
        an_archive(hostile, attempts=2).find_study(a_request(STUDY))
    assert hostile.operations["find"] == (1 if error is ArchiveMisconfigured else 2)


def test_answers_that_are_not_what_was_asked_are_dropped(hostile: HostileArchive) -> None:
    hostile.answer_all = True
    (answer,) = an_archive(hostile).find_study(a_request(STUDY))
    assert answer.study_uid == STUDY.uid
    assert sorted(one.sop_uid for one in an_archive(hostile).find_instances(STUDY.uid)) == sorted(STUDY.sop_uids)


def test_no_query_is_sent_without_a_value_to_match(hostile: HostileArchive) -> None:
    archive = an_archive(hostile, accession_alone=True)
    for blank in ("", "  "):
        assert archive.find_study(a_request(STUDY, study_uid=blank, accession_number=blank)) == []
        assert archive.find_study(a_request(STUDY, study_uid=blank, accession_number=blank, mrn=blank)) == []
    assert hostile.operations["association"] == 0
    archive.find_study(a_request(STUDY, study_uid="1.2.3.999", accession_number="", mrn=""))
    archive.find_study(a_request(STUDY, study_uid="", mrn=""))
    keys = [
        {one.keyword for one in identifier if one.value} - {"QueryRetrieveLevel", "SpecificCharacterSet"}
        for identifier in hostile.identifiers
    ]
    assert keys == [{"StudyInstanceUID"}, {"AccessionNumber"}]


@pytest.mark.parametrize("bad", ["00*", "A?C", "A\\B", "A\nB", "*", '""'])
@pytest.mark.parametrize("where", ["mrn", "accession_number", "study_uid"])
def test_wildcards_are_never_sent(hostile: HostileArchive, where: str, bad: str) -> None:
    with pytest.raises(StudyRejected) as caught:
        an_archive(hostile).find_study(a_request(STUDY, **{"study_uid": "", where: bad}))
    assert caught.value.reason is Reason.BAD_VALUE
    assert bad not in str(caught.value)
    assert hostile.operations["association"] == 0


def test_an_identifier_without_a_value_is_a_mistake_of_ours() -> None:
    for match in ({}, {ids.STUDY_UID: ""}, {ids.STUDY_UID: []}, {ids.SOP_INSTANCE_UID: ["1.2", ""]}):
        with pytest.raises(ValueError, match="key"):
            ids.encode("STUDY", match)  # type: ignore[arg-type]  on purpose


def test_no_address_is_asked_for_everything() -> None:
    """DICOMweb says what it wants in the address: one that lacks a part would be that of all studies."""
    archive = an_archive(WebService("http://localhost:1/dicom-web"), retrieve="dicomweb")
    intake = cast("Intake", None)
    with archive.conversation() as conversation:
        for ask in (
            lambda: conversation.find_series(""),
            lambda: conversation.find_instances("", series_uids=["1.2"]),
            lambda: conversation.retrieve(Part(""), intake),
            lambda: conversation.retrieve(Part("1.2", "1.2.3", ("",)), intake),
        ):
            with pytest.raises(ValueError, match="matches everything"):
                ask()


def test_an_archive_with_a_character_set_of_its_own(receiver_peer: Peer) -> None:
    """It writes Cyrillic in one byte a letter, and its answers do not say so."""
    study = Study(
        7, overrides={"SpecificCharacterSet": "ISO_IR 144", "PatientID": "CANARYЖ1", "AccessionNumber": "CANARYЮ7"}
    )
    archive = HostileArchive([study], receiver_peer).start()
    seen: list[bytes] = []
    archive.on_find = lambda: seen.append(archive.identifiers[-1].get_item(ids.PATIENT_ID).value)
    for instance in archive.instances:
        # pynetdicom writes what it is given: bytes stay as they are.
        for keyword in ("PatientID", "AccessionNumber"):
            instance[keyword] = DataElement(keyword, "UN", str(instance[keyword].value).encode("iso8859-5"))
    archive.answer_all = True
    request = a_request(study, study_uid="", mrn="CANARYЖ1", accession_number="CANARYЮ7")
    try:
        (answer,) = an_archive(archive, character_set="ISO_IR 144").find_study(request)
        assert (answer.patient_id, answer.accession_number) == ("CANARYЖ1", "CANARYЮ7")
        assert seen == ["CANARYЖ1".encode("iso8859-5")]
        # Not told, nothing matches; and what ASCII can't write is refused rather than sent as something else.
        assert an_archive(archive).find_study(request) == []
        with pytest.raises(StudyRejected):
            an_archive(archive, character_set="ISO_IR 100").find_study(request)
    finally:
        archive.stop()


def test_an_archive_that_offers_no_query_is_a_matter_of_settings(receiver_peer: Peer) -> None:
    """It takes the association and refuses the abstract syntax."""
    archive = HostileArchive([STUDY], receiver_peer)
    for offered in ((), (VERIFICATION,)):
        archive.offers = offered
        archive.start()
        try:
            with pytest.raises(ArchiveMisconfigured, match="does not offer"):
                an_archive(archive).find_study(a_request(STUDY))
            assert archive.operations["association"] == 1, "not tried again"
        finally:
            archive.stop()
        archive.operations.clear()


def test_image_queries_name_the_series_unless_the_project_knows_better(hostile: HostileArchive) -> None:
    for needed, levels in ((True, ["SERIES", "IMAGE", "IMAGE"]), (False, ["IMAGE"])):
        hostile.identifiers.clear()
        found = an_archive(hostile, image_query_needs_series=needed).find_instances(STUDY.uid)
        assert sorted(one.sop_uid for one in found) == sorted(STUDY.sop_uids)
        assert [one.QueryRetrieveLevel for one in hostile.identifiers] == levels
        assert all(bool(one.SeriesInstanceUID) is needed for one in hostile.identifiers if one.QueryRetrieveLevel == "IMAGE")


def test_identifiers_with_other_letters(orthanc: Orthanc) -> None:
    study = Study(7, overrides={"PatientID": "CANARYÅ1", "AccessionNumber": "CANARYÖ7"})
    orthanc.upload(study.files())
    request = a_request(study, study_uid="", mrn="CANARYÅ1", accession_number="CANARYÖ7")
    (answer,) = an_archive(orthanc).find_study(request)
    assert (answer.patient_id, answer.accession_number) == ("CANARYÅ1", "CANARYÖ7")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("20240305", date(2024, 3, 5)), ("2024.03.05", date(2024, 3, 5)), ("20241399", None), ("CANARY", None), ("", None)],
)
def test_dates_in_answers(text: str, expected: date | None) -> None:
    answer = Dataset()
    answer.add(DataElement(ids.STUDY_DATE, "DA", text, validation_mode=config.IGNORE))
    assert ids.DatasetAnswer(answer, "").date(ids.STUDY_DATE) == expected


# -- an archive that gives only so many answers


@pytest.fixture
def capped(receiver_peer: Peer) -> Iterator[HostileArchive]:
    """20 studies of one accession number, over three years; ten answers to a query at most."""
    days = [date(2021, 1, 1) + timedelta(days=55 * number) for number in range(20)]
    shared = {"AccessionNumber": "CANARYSHARED"}
    studies = [Study(400 + number, series=(1,), when=day, overrides=shared) for number, day in enumerate(days)]
    archive = HostileArchive(studies, receiver_peer)
    archive.cap = 10
    archive.start()
    yield archive
    archive.stop()


def test_a_search_is_split_by_date_until_no_answer_is_cut(capped: HostileArchive) -> None:
    request = a_request(Study(400), study_uid="", accession_number="CANARYSHARED")
    assert len(an_archive(capped).find_study(request)) == 10
    capped.identifiers.clear()
    found = an_archive(capped, result_cap=10).find_study(request)
    assert len({one.study_uid for one in found}) == len(found) == 20
    assert all(one.AccessionNumber == "CANARYSHARED" for one in capped.identifiers)
    assert len(capped.identifiers) < 40

    capped.identifiers.clear()
    assert len(an_archive(capped, result_cap=10).find_study(a_request(Study(400)))) == 1
    assert len(capped.identifiers) == 1


def test_more_on_one_day_than_an_archive_tells_is_ambiguous(capped: HostileArchive) -> None:
    for instance in capped.instances:
        instance.StudyDate = "20240229"
    with pytest.raises(StudyRejected) as caught:
        an_archive(capped, result_cap=10).find_study(a_request(Study(400), study_uid="", accession_number="CANARYSHARED"))
    assert caught.value.reason is Reason.AMBIGUOUS_STUDY


@pytest.mark.parametrize("by_series", [True, False])
def test_a_list_of_instances_that_may_be_cut_is_not_believed(hostile: HostileArchive, by_series: bool) -> None:
    hostile.cap = 4
    archive = an_archive(hostile, result_cap=4, image_query_needs_series=by_series)
    assert len(archive.find_instances(STUDY.uid)) == len(STUDY.sop_uids) == 5
    hostile.cap = 2
    archive = an_archive(hostile, result_cap=2, image_query_needs_series=by_series)
    with pytest.raises(StudyRejected) as caught:
        archive.find_instances(STUDY.uid)
    assert caught.value.reason is Reason.INCOMPLETE
