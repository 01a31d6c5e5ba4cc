"""What an engine remembers of earlier instances changes nothing in what comes of the next."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from safelight.dicom import DeidEngine
from safelight.dicom.passages import Passages
from safelight.dicom.rules import DicomRules
from safelight.model import InstanceOutcome, InstanceResult
from safelight.profile import load_profile
from safelight.pseudonym import Pseudonymizer
from tests.dicom.drawn import COMPREHENSIVE_SR, PRIVATE, Drawing, profile
from tests.dicom.encoding import EXPLICIT, IMPLICIT, Elements, Item, encode, part10, text

SERIES, INSTANCES = 6, 60
PATIENT, CHARSET = 0x00100020, 0x00080005
#: First letters of the private creators' names, by the second and third.
OWNERS = {creator[1:3].encode(): creator[:1].encode() for _, creator, _ in (*PRIVATE, (0x0009, "NOBODY KNOWS", ()))}


def another(elements: Elements, draw: random.Random) -> Elements:
    """The next instance of a series: mostly the same, and now and then otherwise in any way that a file can be."""
    found = {one.tag: one for one in elements}
    other = {one.tag: one for one in Drawing(str(draw.random())).dataset()}
    found[0x00080018] = other[0x00080018]
    for _ in range(draw.choice((0, 0, 1, 1, 2, 5))):
        tag = draw.choice([tag for tag in found if tag not in (0x00080016, 0x00080060, 0x0020000D, 0x0020000E)])
        kind = draw.choice(("value", "gone", "new", "charset", "creator", "patient"))
        if kind == "value" and tag in other:
            found[tag] = other[tag]
        elif kind == "gone" and tag not in (PATIENT, 0x00080018):
            del found[tag]
        elif kind == "new":
            new = draw.choice(list(other.values()))
            found[new.tag] = new
        elif kind == "charset":
            found[CHARSET] = text(CHARSET, "CS", draw.choice(("ISO_IR 100", "ISO_IR 144", "ISO_IR 192")))
        elif kind == "patient" and draw.random() < 0.1:
            found[PATIENT] = other[PATIENT]
        elif kind == "creator":
            creators = [one for one in found.values() if one.tag >> 16 & 1 and 0x10 <= one.tag & 0xFFFF <= 0xFF]
            if creators:
                one = draw.choice(creators)
                assert isinstance(one.value, bytes)
                # As long as before, and somebody else's, or again the one that rules know.
                first = OWNERS[one.value[1:3]] if one.value.startswith(b"Z") else b"Z"
                found[one.tag] = Item(one.tag, one.vr, first + one.value[1:])
    return [found[tag] for tag in sorted(found)]


def told(result: InstanceResult) -> tuple[Any, ...]:
    data = Path(result.path).read_bytes() if result.path else b""
    return (result.outcome, result.reason, result.kept, result.changed, result.removed, result.bytes_out, data)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("seed", range(SERIES))
def test_an_engine_that_has_seen_much_does_what_a_new_one_does(
    seed: int, syntax: str, tmp_path: Path, pseudonymizer: Pseudonymizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = met = 0
    get, part = Passages.get, Passages.part

    def counted(self: Passages, before: int) -> Any:
        nonlocal met
        found = get(self, before)
        met += found is not None
        return found

    def parted(self: Passages, *arguments: Any) -> None:
        nonlocal met
        met -= 1
        part(self, *arguments)

    monkeypatch.setattr(Passages, "get", counted)
    monkeypatch.setattr(Passages, "part", parted)
    (tmp_path / "every.yaml").write_text(yaml.safe_dump(profile(seed)))
    rules = load_profile(tmp_path, "every").dicom
    engine = new_engine(rules, pseudonymizer)
    draw = random.Random(f"{seed} {syntax}")
    # Something long among them, of which the window holds one and a half.
    long = [text(0x00090010, "LO", "NOBODY KNOWS"), *(Item(tag, "LT", bytes(20_000)) for tag in (0x00091001, 0x00091002))]
    elements = [*Drawing(f"series {seed}").dataset(), *long]
    source = tmp_path / "in.dcm"
    for number in range(INSTANCES):
        elements = another(elements, draw)
        source.write_bytes(part10(encode(elements, implicit=syntax == IMPLICIT), syntax=syntax, sop_class=COMPREHENSIVE_SR))
        result = engine.deidentify(source, tmp_path / "out")
        taken += met
        met = 0
        assert told(result) == told(new_engine(rules, pseudonymizer).deidentify(source, tmp_path / "new")), number
        assert result.outcome is InstanceOutcome.WRITTEN
        met = 0
    assert taken > INSTANCES, "passages were taken again"


def test_a_stamp_keeps_its_place_where_an_element_before_it_is_missing(tmp_path: Path, pseudonymizer: Pseudonymizer) -> None:
    own = {"PatientID": {"op": "secure-hash"}, "SeriesInstanceUID": {"op": "uid"}}
    kept = {
        keyword: {"op": "keep"} for keyword in ("SeriesNumber", "AcquisitionNumber", "InstanceNumber", "ContrastBolusRoute")
    }
    rules = {"name": "few", "dicom": {"sop_classes": ["comprehensive-sr"], "elements": own | kept}}
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(rules))
    dicom = load_profile(tmp_path, "few").dicom
    engine = new_engine(dicom, pseudonymizer)
    source = tmp_path / "in.dcm"
    for number, first in enumerate((True, True, True, True, False)):
        elements = [one for one in Drawing("few").dataset() if one.tag in (0x00080016, 0x00080018, PATIENT, 0x0020000D)]
        elements += [
            text(0x0020000E, "UI", "1.2.3"),
            *(text(tag, "IS", "7") for tag in (0x00200011, 0x00200012, 0x00200013)),
        ]
        # The first to stand after the stamps' place, and one that goes and never is the same.
        elements += [text(0x00181040, "LO", "ORAL")] * first + [text(0x00181050, "DS", f"{number}.5")]
        elements.append(Item(0x00280103, "US", b"\0\0"))
        elements.sort(key=lambda one: one.tag)
        source.write_bytes(part10(encode(elements), syntax=EXPLICIT, sop_class=COMPREHENSIVE_SR))
        result = engine.deidentify(source, tmp_path / "out")
        assert told(result) == told(new_engine(dicom, pseudonymizer).deidentify(source, tmp_path / "new")), number
        assert result.outcome is InstanceOutcome.WRITTEN


def new_engine(rules: DicomRules, pseudonymizer: Pseudonymizer) -> DeidEngine:
    return DeidEngine(rules, pseudonymizer, clean_text=lambda text, _known, days: f"{len(text)} {days}")
