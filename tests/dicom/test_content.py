"""Structured content: what comes out of a report's items depends on their concepts, and is cleaned as reports are."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from safelight.dicom import DeidEngine
from safelight.dicom.standard import content_concepts
from safelight.errors import StudyRejected
from safelight.model import KnownIdentifiers, Reason
from safelight.profile import DeidProfile, load_profile
from safelight.pseudonym import Pseudonymizer
from safelight.text.deidentifier import TextDeidentifier
from safelight.text.elements import ElementCleaner
from safelight.text.site import Directory, Site
from tests.dicom.conftest import PROFILES
from tests.dicom.encoding import Elements, Item, sequence, text
from tests.dicom.hard import Maker, put
from tests.dicom.hard.structure import SR, code

BORN, RECORDED, STUDY_DAY = "19200313", "121125", text(0x00080020, "DA", "20190513")
COMMENT, FINDING, ACCESSION, COMPONENT = "121106", "121071", "121022", "112347"
AGE, SEX, LENGTH = "121033", "121032", "121207"


def item(kind: str, concept: str, *values: Item) -> Elements:
    return [text(0x0040A010, "CS", "CONTAINS"), text(0x0040A040, "CS", kind), code(0x0040A043, concept, "DCM", "x"), *values]


def dated(concept: str, value: str, scheme: str = "DCM", kind: str = "DATE") -> Elements:
    named = code(0x0040A043, concept, scheme, "x")
    one = text(0x0040A121, "DA", value) if kind == "DATE" else text(0x0040A120, "DT", value)
    return [text(0x0040A010, "CS", "CONTAINS"), text(0x0040A040, "CS", kind), named, one]


def typed(concept: str, value: str, codec: str = "latin-1") -> Elements:
    return item("TEXT", concept, text(0x0040A160, "UT", value, codec))


def measured(concept: str, value: str, unit: str | None, scheme: str = "DCM") -> Elements:
    units = [code(0x004008EA, unit, "UCUM", unit)] if unit else []
    twice = Item(0x0040A161, "FD", struct.pack("<d", float(value)))
    values = sequence(0x0040A300, [*units, twice, text(0x0040A30A, "DS", value)])
    return [
        text(0x0040A010, "CS", "CONTAINS"),
        text(0x0040A040, "CS", "NUM"),
        code(0x0040A043, concept, scheme, "x"),
        values,
    ]


def report(folder: Path, *items: Elements, maker: Maker | None = None, more: tuple[Item, ...] = ()) -> Path:
    maker = maker or Maker(random.Random("report"))
    content = put(text(0x0040A040, "CS", "CONTAINER"), sequence(0x0040A730, *items), *more)
    elements = [one for one in maker.elements(SR, "SR", t7fe00010=None, **content) if one.tag >> 16 != 0x28]
    (folder / "in.dcm").write_bytes(maker.file(elements))
    return folder / "in.dcm"


def items_of(dataset: Dataset) -> dict[str, Dataset]:
    return {one.ConceptNameCodeSequence[0].CodeValue: one for one in dataset.get("ContentSequence") or []}


def options_of(dataset: Dataset) -> set[str]:
    return {one.CodeValue for one in dataset.DeidentificationMethodCodeSequence}


def test_the_table_has_every_action_and_names_its_concepts() -> None:
    rows = content_concepts()
    assert len(rows) == 214
    assert {row.action for row in rows} == {"X", "D", "X/D"}
    assert all(scheme and value for scheme, value in (row.concept for row in rows))


def test_texts_that_identify_by_their_concept_go_and_others_are_cleaned(research: DeidEngine, tmp_path: Path) -> None:
    source = report(tmp_path, typed(COMMENT, "lung Zqx 12 mm"), typed(ACCESSION, "4711"), typed(COMPONENT, "4711"))
    items = items_of(pydicom.dcmread(research.deidentify(source, tmp_path).path))
    assert {concept: one.TextValue for concept, one in items.items()} == {COMMENT: "lung 12 mm", COMPONENT: "Removed"}


def test_content_of_which_nothing_is_left_is_no_empty_sequence(research: DeidEngine, tmp_path: Path) -> None:
    after = pydicom.dcmread(research.deidentify(report(tmp_path, typed(ACCESSION, "4711")), tmp_path).path)
    assert "ContentSequence" not in after
    assert "113104" not in options_of(after)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [("45", "a", "45"), ("97", "a", "90"), ("1164", "mo", "1080"), ("40000", "d", "32850"), ("97", None, None)],
)
def test_an_age_among_the_content_has_the_same_ceiling(
    research: DeidEngine, tmp_path: Path, value: str, unit: str | None, shown: str | None
) -> None:
    source = report(tmp_path, measured(AGE, value, unit), measured(LENGTH, "97", "mm"))
    items = items_of(pydicom.dcmread(research.deidentify(source, tmp_path).path))
    assert items[LENGTH].MeasuredValueSequence[0].NumericValue == 97
    assert items[LENGTH].MeasuredValueSequence[0].FloatingPointValue == 97
    age = items[AGE].MeasuredValueSequence[0]
    assert (None if "NumericValue" not in age else str(age.NumericValue)) == shown
    assert "FloatingPointValue" not in age


@pytest.mark.parametrize(
    ("concept", "scheme"), [("424144002", "SCT"), ("397669002", "SCT"), ("30525-0", "LN"), ("M-54", "99ZQX")]
)
def test_an_age_has_the_ceiling_under_any_of_its_names(
    research: DeidEngine, tmp_path: Path, concept: str, scheme: str
) -> None:
    source = report(tmp_path, measured(concept, "99", "a", scheme))
    for folder in ("once", "twice"):
        (one,) = pydicom.dcmread(research.deidentify(source, tmp_path / folder).path).ContentSequence
        assert one.MeasuredValueSequence[0].NumericValue == 90
        assert "FloatingPointValue" not in one.MeasuredValueSequence[0]


@pytest.mark.parametrize("name", ["research", "basic"])
@pytest.mark.parametrize(
    ("concept", "scheme"), [("121031", "DCM"), ("184099003", "SCT"), ("21112-8", "LN"), ("C0", "99ZQX"), (RECORDED, "DCM")]
)
def test_no_date_among_the_content_tells_an_age_above_89(
    name: str,
    concept: str,
    scheme: str,
    profile: Callable[[str], DeidProfile],
    pseudonymizer: Pseudonymizer,
    tmp_path: Path,
) -> None:
    engine = DeidEngine(profile(name).dicom, pseudonymizer)
    items = [dated(concept, BORN, scheme), dated(concept, BORN + "0930", scheme, "DATETIME"), typed(FINDING, "lung")]
    source = report(tmp_path, *items, more=(STUDY_DAY,))
    for folder in ("once", "twice"):
        path = Path(engine.deidentify(source, tmp_path / folder).path)
        after = pydicom.dcmread(path)
        shown = [one.get("Date") or one.get("DateTime") for one in after.ContentSequence if one.ValueType != "TEXT"]
        # The Basic Profile has no option under which the birth date comes out.
        assert shown == ([] if (name, concept) == ("basic", "121031") else ["19290101", "192901010000"])
        # Another shift of the same day would be an age of 99 beside the study date, too.
        days = pseudonymizer.date_shift(str(pydicom.dcmread(source).PatientID))
        moved = (date(1920, 3, 13) + timedelta(days)).strftime("%Y%m%d")
        assert not any(day.encode() in path.read_bytes() for day in (BORN, moved, "1920"))


def test_a_birth_date_is_a_year_at_any_age_and_other_dates_move(
    profile: Callable[[str], DeidProfile], pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    engine = DeidEngine(profile("basic").dicom, pseudonymizer)
    items = [dated("184099003", "19710519", "SCT"), dated(RECORDED, "19710519"), dated("21112-8", "20210101", "LN")]
    source = report(tmp_path, *items, more=(STUDY_DAY,))
    days = pseudonymizer.date_shift(str(pydicom.dcmread(source).PatientID))
    for folder in ("once", "twice"):
        after = pydicom.dcmread(engine.deidentify(source, tmp_path / folder).path)
        moved = (date(1971, 5, 19) + timedelta(days)).strftime("%Y%m%d")
        # Nobody is born after the study: what that date says is not known.
        assert [one.Date for one in after.ContentSequence] == ["19710101", moved, ""]


def test_without_a_study_date_no_birth_date_comes_out(research: DeidEngine, tmp_path: Path) -> None:
    source = report(tmp_path, dated("121031", BORN), more=(text(0x00080020, "DA", ""),))
    for folder in ("once", "twice"):
        (one,) = pydicom.dcmread(research.deidentify(source, tmp_path / folder).path).ContentSequence
        assert one.Date == ""


@pytest.mark.parametrize(("options", "stays"), [([], False), (["clean_structured_content"], True)])
def test_content_comes_out_where_the_option_is_chosen_and_only_then_the_stamp_says_so(
    options: list[str], stays: bool, pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    overrides = {"dicom": {"sop_classes": ["comprehensive-sr"]}}
    (tmp_path / "mine.yaml").write_text(
        f"name: mine\nextends: [parts/words]\ndicom:\n  codes: standard\n  options: [{', '.join(options)}]\n"
    )
    rules = load_profile(tmp_path, "mine", overrides=overrides, shared=PROFILES).dicom
    source = report(tmp_path, typed(COMMENT, "lung"), measured(AGE, "45", "a"), item("CODE", SEX))
    result = DeidEngine(rules, pseudonymizer).deidentify(source, tmp_path)
    after = pydicom.dcmread(result.path)
    # Without the option on patient characteristics neither age nor sex is told.
    assert set(items_of(after)) == ({COMMENT} if stays else set())
    assert ("113104" in options_of(after)) is stays


@pytest.mark.parametrize("name", ["research", "basic"])
def test_the_stamp_is_there_only_for_instances_with_content(
    name: str, profile: Callable[[str], DeidProfile], pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    engine = DeidEngine(profile(name).dicom, pseudonymizer)
    assert "113104" in options_of(
        pydicom.dcmread(engine.deidentify(report(tmp_path, typed(FINDING, "lung")), tmp_path).path)
    )
    (tmp_path / "ct.dcm").write_bytes(Maker(random.Random("image")).ct())
    assert "113104" not in options_of(pydicom.dcmread(engine.deidentify(tmp_path / "ct.dcm", tmp_path).path))


def test_a_date_that_is_floored_is_not_stamped_as_kept_in_full(research: DeidEngine, tmp_path: Path) -> None:
    source = report(tmp_path, item("DATE", "121125", text(0x0040A121, "DA", "19710519")))
    after = pydicom.dcmread(research.deidentify(source, tmp_path).path)
    assert items_of(after)["121125"].Date == "19710101"
    assert "113106" not in options_of(after)
    assert "113107" in options_of(after)
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"


def test_a_short_finding_is_cleaned_as_a_report_in_its_character_set(
    profile: Callable[[str], DeidProfile], pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    cleaner = ElementCleaner(TextDeidentifier(Site(Directory()), ner=()))
    engine = DeidEngine(profile("research").dicom, pseudonymizer, clean_text=cleaner)
    maker = Maker(random.Random("finding"))
    source = report(tmp_path, typed(FINDING, "Mr Zqxwv: 5 µm focus, whorled, unchanged. MRN 8822441"), maker=maker)
    known = KnownIdentifiers(mrn="8822441", surname="Zqxwv", given="Ferd")
    result = engine.deidentify(source, tmp_path, known=known)
    said = items_of(pydicom.dcmread(result.path))[FINDING].TextValue
    assert "5 µm focus, whorled, unchanged" in said
    assert "Zqxwv" not in said
    assert "8822441" not in said
    # Nothing is known of this patient: the report de-identifier refuses, and the words of the vocabulary are left.
    result = engine.deidentify(source, tmp_path)
    assert "whorled" not in items_of(pydicom.dcmread(result.path))[FINDING].TextValue


def test_what_the_report_de_identifier_refuses_leaves_words_of_the_vocabulary(
    profile: Callable[[str], DeidProfile], pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    def refuse(_text: str, _known: KnownIdentifiers | None, _days: int) -> str:
        raise StudyRejected(Reason.RESIDUAL_IDENTIFIER, "")

    engine = DeidEngine(profile("research").dicom, pseudonymizer, clean_text=refuse)
    source = report(tmp_path, typed(FINDING, "lung whorled"), typed(COMMENT, "lung " * 40))
    items = items_of(pydicom.dcmread(engine.deidentify(source, tmp_path).path))
    assert items[FINDING].TextValue == "lung"
    assert items[COMMENT].get("TextValue", "Removed") == "Removed"
