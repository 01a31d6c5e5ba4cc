"""Each planted fault is really in the files: a demo whose faults are missing would prove nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import FileDataset, dcmread

from deployments.demo_hospital import Hospital
from deployments.demo_hospital.casebook import Case, Study
from deployments.demo_hospital.index import Held, Index
from deployments.demo_hospital.instances import truncate
from safelight.model import Reason, RequestState


@pytest.fixture(scope="module")
def indexes(hospital: Hospital) -> dict[str, Index]:
    return {name: Index.of_folder(hospital.folder / "archives" / name) for name in ("primary", "secondary")}


@pytest.fixture(scope="module")
def everything(indexes: dict[str, Index]) -> dict[str, list[Held]]:
    """All instances by study, whichever archive has them."""
    held: dict[str, list[Held]] = {}
    for index in indexes.values():
        for one in index.instances():
            held.setdefault(one.values["StudyInstanceUID"], []).append(one)
    return held


def of_case(hospital: Hospital, case: Case) -> list[Study]:
    found = [study for study in hospital._all_studies if study.case is case]
    assert found, f"nobody has {case}"
    return found


def read(held: list[Held]) -> list[FileDataset]:
    return [dcmread(one.path) for one in held]


def test_every_case_occurs(hospital: Hospital) -> None:
    assert {study.case for study in hospital._all_studies} == set(Case)


def test_ordinary_studies_are_in_the_primary_archive_only(hospital: Hospital, indexes: dict[str, Index]) -> None:
    for study in of_case(hospital, Case.ORDINARY):
        assert study.uid in indexes["primary"].studies
        assert study.uid not in indexes["secondary"].studies
        assert study.asked_uid == study.uid


def test_missing_studies_are_nowhere_but_their_patients_have_others(
    hospital: Hospital, everything: dict[str, list[Held]]
) -> None:
    for study in of_case(hospital, Case.NOT_IN_ANY_ARCHIVE):
        assert study.uid not in everything
        accessions = {held.values["AccessionNumber"] for instances in everything.values() for held in instances}
        assert study.accession not in accessions
    mrns = {held.values["PatientID"] for instances in everything.values() for held in instances}
    assert {study.patient.mrn for study in of_case(hospital, Case.NOT_IN_ANY_ARCHIVE)} & mrns, (
        "or a broad query finds nothing"
    )


def test_some_are_found_by_accession_number_only(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    assert [study.asked_uid for study in of_case(hospital, Case.ACCESSION_ONLY)] == [""]
    for study in of_case(hospital, Case.OTHER_UID):
        assert study.asked_uid not in everything
        assert study.uid in everything


def test_secondary_studies_are_in_the_second_archive_only(hospital: Hospital, indexes: dict[str, Index]) -> None:
    for study in of_case(hospital, Case.SECONDARY):
        assert study.uid not in indexes["primary"].studies
        assert study.uid in indexes["secondary"].studies


def test_foreign_modalities(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    modalities = {everything[study.uid][0].values["Modality"] for study in of_case(hospital, Case.FOREIGN_MODALITY)}
    assert modalities == {"MG", "NM"}


def test_localisers_have_another_series_beside_them(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    for study in of_case(hospital, Case.LOCALISER):
        descriptions = [held.values["SeriesDescription"].lower() for held in everything[study.uid]]
        filtered = [text for text in descriptions if any(word in text for word in ("localiser", "scout", "positioning"))]
        assert 0 < len(filtered) < len(descriptions)
        assert hospital.expected[study.procedures[0]].set_aside == {Reason.SERIES_FILTERED: len(filtered)}


def test_no_other_series_is_filtered(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    for study in hospital.studies:
        if study.case is not Case.LOCALISER:
            descriptions = {held.values["SeriesDescription"].lower() for held in everything.get(study.uid, [])}
            assert not [text for text in descriptions for word in ("locali", "scout", "positioning") if word in text]


def test_burned_in_text_is_visible(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    for study in of_case(hospital, Case.BURNED_IN):
        (dataset,) = read(everything[study.uid])
        assert dataset.BurnedInAnnotation == "YES"
        assert (dataset.pixel_array == 4095).sum() > 100, "drawn text, brighter than any anatomy"


def test_a_screen_capture_shows_text_and_does_not_say_so(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    for study in of_case(hospital, Case.SECONDARY_CAPTURE):
        (dataset,) = read(everything[study.uid])
        assert dataset.SOPClassUID.name == "Secondary Capture Image Storage"
        assert dataset.Modality == "US"
        assert "BurnedInAnnotation" not in dataset
        assert (dataset.pixel_array == 255).sum() > 100


def test_overlays_and_private_elements(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    for study in of_case(hospital, Case.OVERLAY):
        for dataset in read(everything[study.uid]):
            plane = dataset.overlay_array(0x6000)
            assert plane.shape == (dataset.Rows, dataset.Columns)
            assert 100 < plane.sum() < plane.size / 4, "drawn text, not noise"
            csa = dataset.private_block(0x0029, "SIEMENS CSA HEADER")
            assert study.patient.surname.encode() in csa[0x10].value


def cut(dataset: FileDataset) -> bool:
    whole = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
    return (
        "NumberOfFrames" not in dataset
        and not dataset.file_meta.TransferSyntaxUID.is_compressed
        and (len(dataset.PixelData) < whole)
    )


def test_truncated_files_are_truncated_and_no_others(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    for study in hospital.studies:
        instances = read(everything.get(study.uid, []))
        expected = {Case.TRUNCATED: 1, Case.ONE_TRUNCATED: 1}.get(study.case, 0)
        assert sum(map(cut, instances)) == expected, study.case
        if study.case is Case.ONE_TRUNCATED:
            assert len(instances) > 1


def test_a_truncated_data_set_is_still_well_formed(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    """Its length field tells the truth, so that it can be read, indexed and transferred like any other."""
    dataset = read(everything[of_case(hospital, Case.ONE_TRUNCATED)[0].uid])[0]
    before = len(dataset.PixelData)

    truncate(dataset)

    assert before // 2 < len(dataset.PixelData) < before
    assert len(dataset.PixelData) % 2 == 0


def test_an_accession_number_that_reads_na_is_shared_with_a_stranger(
    hospital: Hospital, everything: dict[str, list[Held]]
) -> None:
    (study,) = of_case(hospital, Case.NA_ACCESSION)
    assert everything[study.uid][0].values["AccessionNumber"] == "NA"
    assert {uid for uid, held in everything.items() if held[0].values["AccessionNumber"] == "NA"} > {study.uid}


def test_bystanders_are_in_no_extract(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    for study in (*of_case(hospital, Case.BYSTANDER), *of_case(hospital, Case.NA_BYSTANDER)):
        assert study.uid in everything
        assert study not in hospital.studies
        assert study.patient.mrn in {asked.patient.mrn for asked in hospital.studies}


def test_opted_out_patients_are_not_on_the_answer(hospital: Hospital) -> None:
    reasons = {}
    for study in hospital.studies:
        expected = hospital.expected[study.procedures[0]]
        if expected.state is RequestState.OPTED_OUT:
            reasons[study.patient.mrn] = expected.reason
    assert sorted(reason or "" for reason in reasons.values()) == [
        "no_nhs_number",
        "no_nhs_number",
        "not_on_opt_out_list",
        "not_on_opt_out_list",
    ]


def test_ultrasound_comes_in_all_its_encodings(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    kinds = set()
    for study in hospital.studies:
        if study.modality == "US" and study.case is Case.ORDINARY:
            (dataset,) = read(everything[study.uid])
            kinds.add((dataset.file_meta.TransferSyntaxUID.is_compressed, str(dataset.PhotometricInterpretation)))
    assert {photometric for _, photometric in kinds} >= {"RGB", "PALETTE COLOR", "YBR_FULL_422"}
    assert {compressed for compressed, _ in kinds} == {True, False}


def test_ct_comes_in_implicit_and_explicit_vr(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    syntaxes = {everything[s.uid][0].transfer_syntax for s in hospital.studies if s.modality == "CT" and s.uid in everything}
    assert syntaxes == {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}


def test_every_file_says_who_and_where(hospital: Hospital, everything: dict[str, list[Held]]) -> None:
    """Header, nested items, private elements, preamble and file meta information: all identify."""
    patients = {patient.mrn: patient for patient in hospital.population.patients}
    for instances in everything.values():
        dataset = dcmread(instances[0].path)
        patient = patients[dataset.PatientID]
        assert str(dataset.PatientName) == patient.person_name
        assert dataset.PatientBirthDate == patient.dob.strftime("%Y%m%d")
        assert dataset.InstitutionName == "Saltmarsh General Hospital"
        assert dataset.DeviceSerialNumber.startswith("DSN-")
        assert patient.street in dataset.PatientAddress
        assert dataset.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientID == patient.other_id
        assert dataset[0x0033, 0x0010].value == "SALTMARSH PACS 2.1"
        encoding = {"ISO_IR 100": "latin-1", "ISO_IR 192": "utf-8"}[patient.character_set]
        raw = instances[0].path.read_bytes()
        assert raw.count(patient.person_name.encode(encoding)) >= 3, "at the top, in an item, in a private element"
        assert patient.mrn.encode() in raw[:128]
        assert f"MRN {patient.mrn}".encode() in raw[132:700]
        assert dataset.file_meta.SourceApplicationEntityTitle == "SGHMODALITY7"


def test_scanner_images_are_not_flat(everything: dict[str, list[Held]]) -> None:
    for instances in everything.values():
        dataset = dcmread(instances[-1].path)
        if not dataset.file_meta.TransferSyntaxUID.is_compressed and not cut(dataset):
            assert np.ptp(dataset.pixel_array) > 40


def test_all_files_are_opaquely_named(hospital: Hospital) -> None:
    names = [path.stem for path in Path(hospital.folder / "archives").rglob("*.dcm")]
    assert all(len(name) == 6 and name.isdigit() for name in names)
    assert len(set(names)) == len(names)
