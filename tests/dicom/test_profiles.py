"""Profiles: what is refused, with file, line and remedy; what is merged; what is warned of."""

from __future__ import annotations

import random
from pathlib import Path

import pydicom
import pytest

from safelight.dicom import DeidEngine, verify_file
from safelight.dicom.address import Address, parse_address
from safelight.dicom.lint import warnings
from safelight.dicom.standard import OPTIONS, confidentiality
from safelight.errors import ConfigurationError
from safelight.profile import load_profile, profile_names
from safelight.pseudonym import Pseudonymizer
from tests.dicom.conftest import PROFILES
from tests.dicom.encoding import text
from tests.dicom.hard import Maker, put

HEAD = 'name: mine\nstandard: "PS3.15 2026d"\ndicom:\n'


def load(folder: Path, text: str, **more: object) -> object:
    (folder / "mine.yaml").write_text(text)
    return load_profile(folder, "mine", shared=PROFILES, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("PatientId: keep", "'PatientId' is not an element"),
        ('"(0019,1023)": keep', "is not an element"),
        ('"(0019,ACME,23)": keep', "VR of this private element is not known"),
        ("PatientID: scramble", "no operation 'scramble'"),
        ("PatientID: hash", "can be rebuilt from a list"),
        ("SelectorUNValue: keep", "nobody knows what a value of VR UN holds"),
        ("StudyTime: date-shift", "does not fit the VR TM"),
        ("PatientSex: secure-hash", "does not fit the VR CS"),
        ("StationAETitle: secure-hash", "does not fit the VR AE"),
        ("StudyDate: secure-hash", "does not fit the VR DA"),
        ("PatientName: uid", "does not fit the VR PN"),
        ("PatientName: {op: num-range, min: 1}", "does not fit the VR PN"),
        ("PatientAge: {op: num-range, min: 9, max: 1}", "min above max"),
        ("PatientAge: {op: num-range}", "needs min, max or both"),
        ('PatientSex: {op: fixed, value: "much too long a value"}', "the fixed value is not legal there"),
        ('PatientBirthDate: {op: fixed, value: "born"}', "the fixed value is not legal there"),
        ('PatientName: {op: fixed, value: "Zoë"}', "the fixed value is not ASCII"),
        ("Rows: {op: fixed, value: -1}", "the fixed value is not a number of its size"),
        ('BodyPartExamined: {op: map, values: ["A VALUE OF MORE THAN 16"]}', "longer than 16"),
        ("ReferencedImageSequence: secure-hash", "does not fit the VR SQ"),
        ("PatientIdentityRemoved: {op: fixed, value: 'NO'}", "writes this element itself"),
        ('"(60xx,3000)": {op: fixed, value: 1}', "can only be kept or removed"),
        ("Rows: remove", "Rows can't be taken away"),
        ("Modality: empty", "Modality can't be taken away"),
        ("SOPInstanceUID: remove", "SOPInstanceUID can't be taken away"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_its_line(tmp_path: Path, rules: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mine\.yaml:") as caught:
        load(tmp_path, HEAD + f"  sop_classes: [ct-image]\n  elements:\n    KVP: keep\n    {rules}\n")
    assert said in str(caught.value)
    assert caught.value.line == 7
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  elements:\n    KVP: keep\n    KVP: remove\n", "given twice"),
        ("  element: {}\n", "no setting 'element'"),
        ("  sop_classes: [xray]\n", "no storage class 'xray'"),
        ("  pixels: {burned_in: maybe}\n", "burned_in"),
        ("  pixels: {rules: [nobody]}\n", "no burned-in rule file"),
        ("  options: [retain_everything]\n", "no option 'retain_everything'"),
        ("  options: [clean_graphics]\n", "is not available"),
        ("  options: [retain_longitudinal_full_dates, retain_longitudinal_modified_dates]\n", "choose one"),
        ("  codes: some\n", "neither 'standard' nor 'keep'"),
        ("  elements: {}\nreports: {dates: keep}\n", "Dates in reports"),
        ("  elements: {}\nsecrets: {}\n", "no section 'secrets'"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mine\.yaml") as caught:
        load(tmp_path, HEAD + text)
    assert said in str(caught.value)


def test_extends_is_flat_and_later_wins(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("name: one\ndicom:\n  elements: {KVP: keep, PatientID: empty}\n")
    (tmp_path / "two.yaml").write_text("name: two\nextends: [one]\ndicom:\n  elements: {PatientID: secure-hash}\n")
    (tmp_path / "three.yaml").write_text("name: three\nextends: [two]\n")
    text = "name: mine\nextends: [two]\ndicom:\n  elements: {PatientSex: keep}\n"
    profile = load_profile(tmp_path, "two", overrides={"dicom": {"elements": {"KVP": "remove"}}})
    elements = {str(address): rule.operation.op for address, rule in profile.dicom.elements.items()}
    assert (elements["KVP"], elements["PatientID"]) == ("remove", "secure-hash")
    load(tmp_path, text)
    with pytest.raises(ConfigurationError, match="extends"):
        load(tmp_path, "name: mine\nextends: [three]\n")


def test_the_fingerprint_covers_what_extends_and_overrides_say(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("name: one\ndicom:\n  elements: {KVP: keep}\n")
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: [one]\n")
    before = load_profile(tmp_path, "mine").fingerprint()
    overridden = load_profile(tmp_path, "mine", overrides={"dicom": {"elements": {"KVP": "empty"}}}).fingerprint()
    (tmp_path / "one.yaml").write_text("name: one\ndicom:\n  elements: {KVP: empty}\n")
    assert load_profile(tmp_path, "mine").fingerprint() not in {before}
    assert overridden == load_profile(tmp_path, "mine").fingerprint()
    assert len(before) == 64


def test_the_lint_warns_of_what_the_standard_would_remove(tmp_path: Path) -> None:
    elements = "{StationName: keep, PatientComments: {op: keep, reason: x}}"
    load(tmp_path, f"{HEAD}  sop_classes: [ct-image]\n  elements: {elements}\n")
    found = {one.element: one for one in warnings(load_profile(tmp_path, "mine", shared=PROFILES).dicom)}
    assert "would be removed" in found["StationName"].message
    assert "PatientComments" not in found
    assert "is not listed" in found["Rows"].message


@pytest.mark.parametrize("name", profile_names(PROFILES))
def test_a_shipped_profile_keeps_nothing_risky_without_a_reason(name: str) -> None:
    found = [one.element for one in warnings(load_profile(PROFILES, name).dicom) if "is not listed" not in one.message]
    assert found == []


@pytest.mark.parametrize("name", [name for name in profile_names(PROFILES) if name not in {"base", "basic"}])
def test_a_shipped_profile_lists_what_its_classes_must_have(name: str) -> None:
    missing = {one.element for one in warnings(load_profile(PROFILES, name).dicom) if "is not listed" in one.message}
    assert missing <= {"ICCProfile"} if name == "chest-xray" else missing == set()


WITHOUT_ELEMENTS = {"clean_pixel_data", "clean_recognizable_visual_features", "clean_graphics"}


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - WITHOUT_ELEMENTS))
def test_every_option_of_the_basic_profile_can_be_selected(tmp_path: Path, name: str) -> None:
    profile = load(tmp_path, HEAD + f"  options: [{name}]\n")
    assert len(profile.dicom.elements) > 3000  # type: ignore[attr-defined]


def test_the_basic_profile_does_what_its_table_says(tmp_path: Path) -> None:
    profile = load(tmp_path, HEAD + "  options: []\n")
    rules = profile.dicom.elements  # type: ignore[attr-defined]
    wrong = []
    for tag, row in confidentiality().items():
        rule = rules.get(Address(tag))
        if rule is not None and row.action == "X" and rule.operation.op != "remove":
            wrong.append(row.name)
    assert wrong == []
    assert len(confidentiality()) > 650


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("PatientID", 0x00100020),
        ("(0010,0020)", 0x00100020),
        ("0010,0020", 0x00100020),
        ("(60xx,3000)", 0x60003000),
        ("(0019,SIEMENS MR HEADER,0C)", 0x0019000C),
        ("NameToUse", 0x00100012),
    ],
)
def test_elements_are_named_in_four_ways(text: str, tag: int) -> None:
    address = parse_address(text)
    assert address is not None
    assert address.tag == tag
    assert parse_address(str(address)) == address


def test_describe_reads_as_yaml() -> None:
    assert "PatientID: secure-hash" in load_profile(PROFILES, "research").describe()


#: Option -> (an element, whether it comes out with the option): what each one is taken for.
TAKEN_UP = {
    "clean_descriptors": "StudyDescription",
    "retain_longitudinal_full_dates": "StudyDate",
    "retain_longitudinal_modified_dates": "StudyDate",
    "retain_patient_characteristics": "PatientSex",
    "retain_device_identity": "StationName",
    "retain_uids": "SOPInstanceUID",
    "retain_safe_private": "SIEMENS",
    "retain_institution_identity": "InstitutionName",
}


@pytest.mark.parametrize("option", ["", *TAKEN_UP])
def test_the_stamps_name_the_options_that_were_taken_up(option: str, tmp_path: Path, pseudonymizer: Pseudonymizer) -> None:
    profile = load(tmp_path, f"{HEAD}  options: [{option}]\n  words: [chest]\n")
    private = [text(0x00190010, "LO", "SIEMENS MR HEADER"), text(0x0019100C, "IS", "1000")]
    maker = Maker(random.Random("options"))
    (tmp_path / "in").write_bytes(maker.ct(**put(*private)))
    result = DeidEngine(profile.dicom, pseudonymizer).deidentify(tmp_path / "in", tmp_path / "out")  # type: ignore[attr-defined]
    after, before = pydicom.dcmread(result.path), pydicom.dcmread(tmp_path / "in")
    codes = [item.CodeValue for item in after.DeidentificationMethodCodeSequence]
    assert codes == ["113100", *([OPTIONS[option][0]] if option else [])]
    stands = {
        "StudyDescription": bool(after.get("StudyDescription")),
        "StudyDate": bool(after.get("StudyDate")),
        "PatientSex": bool(after.get("PatientSex")),
        "StationName": after.get("StationName") == before.StationName,
        "SOPInstanceUID": after.SOPInstanceUID == before.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID,
        "SIEMENS": (0x0019, 0x100C) in after,
        "InstitutionName": after.get("InstitutionName") == before.InstitutionName,
    }
    assert [word for word, there in stands.items() if there] == ([TAKEN_UP[option]] if option else [])
    wanted = {"retain_longitudinal_full_dates": "UNMODIFIED", "retain_longitudinal_modified_dates": "MODIFIED"}
    assert after.LongitudinalTemporalInformationModified == wanted.get(option, "REMOVED")
    assert verify_file(Path(result.path)) == []


@pytest.mark.parametrize("uid", ["../../etc/zqx", "1.2.zqx", "1.02.3"])
def test_a_retained_uid_that_is_none_names_no_file(tmp_path: Path, pseudonymizer: Pseudonymizer, uid: str) -> None:
    profile = load(tmp_path, f"{HEAD}  options: [retain_uids]\n")
    (tmp_path / "in").write_bytes(Maker(random.Random(1)).ct(**put(text(0x00080018, "UI", uid))))
    result = DeidEngine(profile.dicom, pseudonymizer).deidentify(tmp_path / "in", tmp_path / "out")  # type: ignore[attr-defined]
    assert result.outcome == "set_aside"
    assert not list(tmp_path.rglob("*.dcm"))
