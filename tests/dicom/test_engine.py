"""What the engine promises beyond single cases: identity across files, scopes, memory, refusals, real scanners' files."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR

from safelight.dicom import DeidEngine, verify_file
from safelight.dicom.clean import TextCleaner
from safelight.dicom.codes import UNTOLD, Code, clean_code, verhoeff
from safelight.dicom.explain import explain
from safelight.errors import ConfigurationError, StudyRejected
from safelight.model import KnownIdentifiers, Reason
from safelight.profile import DeidProfile, load_profile
from safelight.pseudonym import ProjectKey, Pseudonymizer
from tests.dicom.conftest import PROFILES
from tests.dicom.encoding import Item, number, text
from tests.dicom.hard import MARK, Maker, put

REAL = (
    "CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm", "examples_overlay.dcm",
    "liver_1frame.dcm", "liver_expb_1frame.dcm", "rtdose.dcm", "rtdose_rle.dcm", "rtplan.dcm", "rtstruct.dcm",
    "693_J2KI.dcm",
)  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_files_of_real_scanners_come_out_with_equal_pixels(name: str, research: DeidEngine, tmp_path: Path) -> None:
    source = Path(str(get_testdata_file(name)))
    result = research.deidentify(source, tmp_path)
    assert result.outcome == "written", result.reason
    assert verify_file(Path(result.path)) == []
    before, after = pydicom.dcmread(source, force=True), pydicom.dcmread(result.path)
    for word in ("Rows", "Columns", "PixelSpacing", "KVP", "SliceThickness", "ImagePositionPatient", "Modality", "EchoTime"):
        assert after.get(word) == before.get(word), word
    assert after.PatientID != before.PatientID
    if "PixelData" in before and before.file_meta.get("TransferSyntaxUID") not in {"1.2.840.10008.1.2.2"}:
        native = not before.file_meta.TransferSyntaxUID.is_compressed
        if native:
            length = len(after.PixelData)
            assert after.PixelData == before.PixelData[:length]
        else:
            assert list(pydicom.encaps.generate_frames(after.PixelData, number_of_frames=1))


def test_one_patient_in_every_padding_and_project(
    pseudonymizer: Pseudonymizer, profile: Callable[[str], DeidProfile], tmp_path: Path
) -> None:
    other = Pseudonymizer(ProjectKey(bytes(range(1, 65)), bytes(range(16))))
    ids = set()
    for engine in (DeidEngine(profile("research").dicom, one) for one in (pseudonymizer, other)):
        for place, shown in enumerate((" A1", "A1 ", "A1")):
            maker = Maker(random.Random(place))
            (tmp_path / "in").write_bytes(maker.ct(**put(text(0x00100020, "LO", shown))))
            ids.add(pydicom.dcmread(engine.deidentify(tmp_path / "in", tmp_path / "out").path).PatientID)
    assert ids == {pseudonymizer.secure_hash("A1", "patient"), other.secure_hash("A1", "patient")}


@pytest.mark.parametrize("scope", ["patient", "study"])
def test_the_scope_decides_what_shares_a_shift(
    scope: str, pseudonymizer: Pseudonymizer, profile: Callable[[str], DeidProfile], tmp_path: Path
) -> None:
    engine = DeidEngine(profile("research").dicom, pseudonymizer, shift_scope=scope)
    dates = set()
    for seed in range(2):
        maker = Maker(random.Random(seed))
        (tmp_path / "in").write_bytes(maker.ct(**put(text(0x00100020, "LO", "SAME"))))
        dates.add(pydicom.dcmread(engine.deidentify(tmp_path / "in", tmp_path / "out").path).StudyDate)
    assert len(dates) == (1 if scope == "patient" else 2)


def test_a_scope_that_is_neither_is_refused(pseudonymizer: Pseudonymizer, profile: Callable[[str], DeidProfile]) -> None:
    with pytest.raises(ConfigurationError):
        DeidEngine(profile("research").dicom, pseudonymizer, shift_scope="series")


def test_a_decoy_before_the_patient_does_not_decide_the_shift(
    research: DeidEngine, pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    from datetime import date

    from tests.dicom.encoding import sequence

    maker = Maker(random.Random("decoy"))
    decoy = sequence(0x00081140, [text(0x00100020, "LO", "DECOY"), text(0x00081155, "UI", maker.uid())])
    (tmp_path / "in").write_bytes(maker.ct(**put(decoy)))
    after = pydicom.dcmread(research.deidentify(tmp_path / "in", tmp_path / "out").path)
    days = date.fromisoformat(after.StudyDate) - date(1971, 5, 19)
    assert days.days == pseudonymizer.date_shift(maker.mrn)


def test_memory_stays_flat_whatever_the_instance_holds(tmp_path: Path) -> None:
    """Twice as many pixels as the process may have memory, in a sparse file."""
    maker = Maker(random.Random("large"))
    from tests.dicom.encoding import encode, part10

    elements = maker.elements(
        **put(text(0x00280008, "IS", "600"), number(0x00280010, "US", 512), number(0x00280011, "US", 512))
    )
    size = 600 * 512 * 512 * 2
    head = encode([one for one in elements if one.tag < 0x7FE00010])
    pixels = encode([Item(0x7FE00010, "OW", b"")])[:8] + size.to_bytes(4, "little")
    source = tmp_path / "large.dcm"
    source.write_bytes(part10(head + pixels))
    os.truncate(source, source.stat().st_size + size)
    script = f"""
from pathlib import Path
from safelight.dicom import DeidEngine
from safelight.profile import load_profile
from safelight.pseudonym import ProjectKey, Pseudonymizer
key = ProjectKey(bytes(range(64)), bytes(range(16)))
engine = DeidEngine(load_profile(Path({str(PROFILES)!r}), "research").dicom, Pseudonymizer(key))
result = engine.deidentify(Path({str(source)!r}), Path({str(tmp_path / "out")!r}))
assert result.outcome == "written", result.reason
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150 * 1024, "kilobytes"


def test_explain_names_rules_and_never_a_value(tmp_path: Path, profile: Callable[[str], DeidProfile]) -> None:
    (tmp_path / "in").write_bytes(Maker(random.Random(1)).ct())
    rows = list(explain(tmp_path / "in", profile("research").dicom))
    shown = {row.where: row for row in rows}
    assert (shown["PatientID"].operation, shown["PatientID"].change) == ("secure-hash", "changed")
    assert shown["InstitutionName"].change == "removed"
    assert shown["Rows"].change == "kept"
    assert shown["Rows"].rule.startswith("base.yaml:")
    assert MARK not in repr(rows)


def test_explain_refuses_what_is_not_dicom(tmp_path: Path, profile: Callable[[str], DeidProfile]) -> None:
    (tmp_path / "in").write_bytes(b"x" * 500)
    with pytest.raises(StudyRejected) as caught:
        list(explain(tmp_path / "in", profile("research").dicom))
    assert caught.value.reason is Reason.NOT_DICOM


@pytest.mark.parametrize(
    ("shown", "kept"),
    [
        ("CT Chest with contrast", "CT Chest with contrast"),
        ("CT CHEST for Zqx", "CT CHEST"),
        ("T2W_tse ax 3mm", "T2W_tse ax 3mm"),
        ("lung 123 456 7890", "lung"),
        ("knee 12/05/1967 left", "knee left"),
        ("Zqx-chest-Zqx", "chest"),
        ("RX12C345", ""),
        ("B1C2", ""),
        ("ax1c2d3", ""),
        ("ep2d_diff tfl3d1", "ep2d_diff tfl3d1"),
        ("ep2zqx", ""),
        ("", ""),
        ("Dr White chest", "chest"),
        ("ABDOMEN^LIVER", "ABDOMEN LIVER"),
        ("chest<Zqx>lung", "chest lung"),
    ],
)
def test_labels_keep_words_of_the_vocabulary(shown: str, kept: str) -> None:
    words = load_profile(PROFILES, "research").dicom.words | {"white"}
    cleaner = TextCleaner(words, None)
    cleaner.known = KnownIdentifiers(surname="White", given="Jo")
    assert " ".join(cleaner.label(shown).split()) == kept


@pytest.mark.parametrize(
    ("code", "value", "meaning"),
    [
        (Code("51185008", "SCT", "", "Chest"), "51185008", None),
        (Code("51185008", "SCT", "", "Zqx"), "51185008", None),
        (Code("T-D3000", "SRT", "", "Zqx"), "T-D3000", None),
        (Code("CXR", "99LOCAL", "", "Chest X-ray"), "REMOVED", "Removed"),
        (Code("Zqx", "SCT", "", "Zqx"), "REMOVED", "Removed"),
        (Code("123456789", "SCT", "", "Zqx"), "REMOVED", "Removed"),
        (Code("mm/s2", "UCUM", "", "Zqx"), "mm/s2", "mm/s2"),
        (Code("{Zqx}", "UCUM", "", "Zqx"), "REMOVED", "Removed"),
        (Code("RID9999", "RADLEX", "", "chest Zqx"), "RID9999", "chest"),
    ],
)
def test_codes_of_standard_terminologies_stay_and_typed_meanings_do_not(code: Code, value: str, meaning: str | None) -> None:
    cleaner = TextCleaner(load_profile(PROFILES, "research").dicom.words, None)
    clean = clean_code(code, cleaner.label)
    assert clean.value == value
    assert "Zqx" not in clean.meaning
    assert clean.meaning
    if meaning is not None:
        assert clean.meaning == meaning


def test_a_profile_may_blank_the_patient_and_the_engine_still_knows_whose_dates_to_shift(
    tmp_path: Path, pseudonymizer: Pseudonymizer
) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nextends: [base]\ndicom:\n  elements: {PatientID: empty, AccessionNumber: empty}\n"
    )
    engine = DeidEngine(load_profile(tmp_path, "mine", shared=PROFILES).dicom, pseudonymizer)
    maker = Maker(random.Random("blank"))
    (tmp_path / "in").write_bytes(maker.ct())
    result = engine.deidentify(tmp_path / "in", tmp_path / "out")
    assert result.outcome == "written", result.reason
    after = pydicom.dcmread(result.path)
    assert (after.PatientID, after.AccessionNumber) == ("", "")
    assert after.StudyDate not in {"", "19710519"}


@pytest.mark.parametrize("name", ["basic", "ct", "rt", "pet"])
def test_other_shipped_profiles_let_a_ct_through_without_a_canary(
    name: str, tmp_path: Path, pseudonymizer: Pseudonymizer
) -> None:
    engine = DeidEngine(load_profile(PROFILES, name).dicom, pseudonymizer)
    (tmp_path / "in").write_bytes(Maker(random.Random(name)).ct())
    result = engine.deidentify(tmp_path / "in", tmp_path / "out")
    assert result.outcome == "written", result.reason
    assert verify_file(Path(result.path)) == []
    assert MARK.encode() not in Path(result.path).read_bytes()


@pytest.mark.parametrize(
    ("charset", "manufacturer", "stays"),
    [
        ("ISO_IR 100", "é" * 64, True),
        ("ISO_IR 100", "é" * 66, False),
        ("ISO_IR 192", "é" * 64, True),
        ("ISO_IR 192", "é" * 66, False),
        ("ISO_IR 192", "é" * 40 + "\\" + "é" * 40, True),
    ],
)
def test_a_kept_text_has_no_more_characters_than_its_vr_allows_whatever_bytes_they_take(
    charset: str, manufacturer: str, stays: bool, pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    kept = {"dicom": {"elements": {"Manufacturer": "keep"}}}
    research = DeidEngine(load_profile(PROFILES, "research", overrides=kept).dicom, pseudonymizer)
    codec = "utf-8" if charset == "ISO_IR 192" else "latin-1"
    maker = Maker(random.Random("characters"))
    data = maker.ct(**put(text(0x00080005, "CS", charset), text(0x00080070, "LO", manufacturer, codec)))
    (tmp_path / "in").write_bytes(data)
    result = research.deidentify(tmp_path / "in", tmp_path / "out")
    assert ("é".encode(codec) * 40 in Path(result.path).read_bytes()) is stays


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize("block", [0x10, 0x55, 0xFF])
def test_safe_private_elements_stay_in_any_block_and_at_any_depth(
    research: DeidEngine, tmp_path: Path, syntax: str, block: int
) -> None:
    from tests.dicom.encoding import sequence

    creator = text(0x00190000 | block, "LO", "SIEMENS MR HEADER")
    values = [creator, text(0x0019000C | block << 8, "IS", "1000"), text(0x00190008 | block << 8, "CS", MARK)]
    inner = sequence(0x00081140, [text(0x00081155, "UI", "1.2.3"), *values])
    maker = Maker(random.Random(block))
    elements = maker.elements(**put(inner, *values, Item(0x00190000 | block << 8 | 0x99, "UN", MARK.encode())))
    (tmp_path / "in").write_bytes(maker.file(elements, syntax=syntax))
    after = pydicom.dcmread(research.deidentify(tmp_path / "in", tmp_path / "out").path)
    for level in (after, after.ReferencedImageSequence[0]):
        private = [(int(element.tag), str(element.value)) for element in level if element.tag.is_private]
        assert private == [(creator.tag, "SIEMENS MR HEADER"), (0x0019000C | block << 8, "1000")]


def test_values_of_a_text_are_cleaned_one_by_one_and_device_texts_in_any_vr(research: DeidEngine, tmp_path: Path) -> None:
    maker = Maker(random.Random("values"))
    typed = [
        text(0x00281055, "LO", f"LUNG\\{MARK}\\BONE window"),
        Item(0x00080070, "UN", b"SIEMENS " + MARK.encode() + b" "),
        text(0x00081090, "LT", f"Prisma_fit {MARK}"),
        text(0x00181312, "CS", "COL"),
    ]
    (tmp_path / "in").write_bytes(maker.ct(**put(*typed)))
    result = research.deidentify(tmp_path / "in", tmp_path / "out")
    after = pydicom.dcmread(result.path)
    assert list(after.WindowCenterWidthExplanation) == ["LUNG", "", "BONE window"]
    assert (after.Manufacturer, after.ManufacturerModelName) == ("SIEMENS", "Prisma_fit")
    assert after.InPlanePhaseEncodingDirection == "COL"
    assert MARK.encode() not in Path(result.path).read_bytes()


def test_a_code_s_meaning_is_looked_at_for_each_patient(research: DeidEngine, tmp_path: Path) -> None:
    """A word of the vocabulary stays for everybody but whom it names, however often the code was met before."""
    value = next(one for one in map(str, range(998_877_001, 998_877_099)) if verhoeff(one))
    said = []
    for place, surname in enumerate(("Zqxwv", "Chest", "Zqxwv")):
        source = tmp_path / f"{place}.dcm"
        source.write_bytes(Maker(random.Random("codes")).ct())
        dataset = pydicom.dcmread(source)
        item = pydicom.Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", "Chest"
        dataset.AnatomicRegionSequence = [item]
        dataset.save_as(source)
        result = research.deidentify(source, tmp_path / f"out{place}", known=KnownIdentifiers(mrn="1", surname=surname))
        assert result.outcome == "written", result.reason
        (clean,) = pydicom.dcmread(result.path).AnatomicRegionSequence
        said.append(clean.CodeMeaning)
    assert said == ["Chest", UNTOLD, "Chest"]


def test_what_uptake_and_reconstruction_are_studied_by_stays(research: DeidEngine, tmp_path: Path) -> None:
    kept = {
        "PatientSize": text(0x00101020, "DS", "1.72"),
        "PatientWeight": text(0x00101030, "DS", "68.5"),
        "FilterType": text(0x00181160, "SH", "WEDGE_3"),
        "AttenuationCorrectionMethod": text(0x00541101, "LO", "measured,AC_CT"),
        "ReconstructionMethod": text(0x00541103, "LO", "PSF+TOF 2i21s"),
        "ScatterCorrectionMethod": text(0x00541105, "LO", "Model-based"),
    }
    (tmp_path / "in").write_bytes(Maker(random.Random("uptake")).ct(**put(*kept.values())))
    before = pydicom.dcmread(tmp_path / "in")
    after = pydicom.dcmread(research.deidentify(tmp_path / "in", tmp_path / "out").path)
    assert {word: after.get(word) for word in kept} == {word: before.get(word) for word in kept}


@pytest.mark.parametrize(
    ("keyword", "item", "stays"),
    [
        ("Modality", text(0x00080060, "LO", "CT"), "CT"),
        ("Modality", text(0x00080060, "CS", "ct"), "CT"),
        ("PatientSex", text(0x00100040, "CS", "f"), "F"),
        ("PatientAge", text(0x00101010, "AS", "31Y"), "031Y"),
        ("PatientAge", text(0x00101010, "AS", "7M"), "007M"),
        ("PatientAge", text(0x00101010, "AS", "98Y"), "090Y"),
        ("SliceThickness", text(0x00180050, "LO", "1.25"), 1.25),
        ("SliceThickness", text(0x00180050, "LO", f"1.25{MARK}"), None),
        ("Rows", number(0x00280010, "SS", 16), 16),
        ("SeriesDescription", text(0x0008103E, "UT", "lung"), "lung"),
        ("HighBit", number(0x00280102, "US", 11), 11),
    ],
)
def test_what_can_be_told_in_spite_of_its_form_stays(
    keyword: str, item: Item, stays: object, research: DeidEngine, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(Maker(random.Random(keyword)).ct(**put(item)))
    result = research.deidentify(tmp_path / "in", tmp_path / "out")
    assert result.outcome == "written", result.reason
    after = pydicom.dcmread(result.path)
    assert after.get(keyword) == stays
    assert keyword not in after or dictionary_VR(keyword) == after[keyword].VR
    assert MARK.encode() not in Path(result.path).read_bytes()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
def test_text_in_the_place_of_numbers_goes_whether_or_not_the_file_says_what_they_are(
    syntax: str, research: DeidEngine, tmp_path: Path
) -> None:
    typed = f"{MARK}^Joan of 12 Elm St ".encode()
    gradient, factor = (MARK + "Joan").ljust(8).encode(), struct.pack("<d", 0.976543)
    private = [text(0x00190010, "LO", "SIEMENS MR HEADER"), Item(0x0019100E, "FD", typed[:24])]
    more = [Item(0x00189087, "UN", gradient), Item(0x00189311, "UN", factor), Item(0x00280009, "AT", b"qZxqqZxqoJna")]
    more += [Item(0x00189305, "FD", gradient), Item(0x00189306, "FD", struct.pack("<d", 0.625))]
    maker = Maker(random.Random("numbers"))
    (tmp_path / "in").write_bytes(maker.file(maker.elements(**put(*private, *more)), syntax=syntax))
    result = research.deidentify(tmp_path / "in", tmp_path / "out")
    after = pydicom.dcmread(result.path)
    assert (after.get("DiffusionBValue"), after.SpiralPitchFactor) == (None, 0.976543)
    assert (after.get("RevolutionTime"), after.SingleCollimationWidth) == (None, 0.625)
    assert (0x0019, 0x100E) not in after
    assert "FrameIncrementPointer" not in after
    assert MARK.encode() not in Path(result.path).read_bytes()
