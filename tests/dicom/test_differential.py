"""The engine against a plain pydicom implementation of the same profile, on generated data sets of every VR."""

from __future__ import annotations

import itertools
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
import yaml

from safelight.dicom import DeidEngine
from safelight.dicom.stamps import REPLACED
from safelight.model import KnownIdentifiers
from safelight.profile import load_profile
from safelight.pseudonym import Pseudonymizer
from tests.dicom.drawn import COMPREHENSIVE_SR, Drawing, converted, elements_of, operations_on, profile
from tests.dicom.encoding import BIG, DEFLATED, EXPLICIT, IMPLICIT, LONG, encode, part10
from tests.dicom.plain import Found, PlainDeidentifier

#: After so many profiles each element has met each operation that it takes.
TURNS = 9
DATA_SETS = 25
#: PS3.5 section 6.2.
VRS = {
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL", "OV", "OW", "PN", "SH",
    "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "UV",
}  # fmt: skip


def longer(text: str, _known: KnownIdentifiers | None, days: int) -> str:
    """Stands for the report de-identifier, with all that it is told."""
    return f"{len(text)} characters, shifted by {days}"


def test_every_operation_meets_every_vr_that_takes_it() -> None:
    possible = {(known.vr, rule["op"]) for known in elements_of() for rule in operations_on(known)}
    turns = [profile(turn)["dicom"]["elements"] for turn in range(TURNS)]
    met = {(known.vr, rules[str(known.address)]["op"]) for known in elements_of() for rules in turns}
    assert met == possible
    assert {part for vr, _ in met for part in vr.split(" or ")} == VRS


@pytest.mark.parametrize("turn", range(TURNS))
def test_engine_and_plain_pydicom_agree(turn: int, tmp_path: Path, pseudonymizer: Pseudonymizer) -> None:
    (tmp_path / "every.yaml").write_text(yaml.safe_dump(profile(turn)))
    rules = load_profile(tmp_path, "every").dicom
    engine = DeidEngine(rules, pseudonymizer, clean_text=longer)
    plain = PlainDeidentifier(rules, pseudonymizer, longer)
    compared = 0
    for number in range(DATA_SETS):
        drawn = Drawing(f"{turn}-{number}").dataset()
        unknown = converted(drawn, f"{turn}-{number}")
        for elements, syntax in ((drawn, EXPLICIT), (drawn, IMPLICIT), (drawn, BIG), (drawn, DEFLATED), (unknown, EXPLICIT)):
            source = tmp_path / "in.dcm"
            source.write_bytes(_file(encode(elements, implicit=syntax == IMPLICIT, big=syntax == BIG), syntax))
            result = engine.deidentify(source, tmp_path / "out")
            assert result.outcome == "written", (result.reason, number, syntax)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = plain.run(pydicom.dcmread(source))
            found = [one for one in _elements(_data_set(Path(result.path).read_bytes())) if one[0] not in REPLACED]
            differing = [(one, other) for one, other in itertools.zip_longest(found, expected) if one != other]
            assert differing == [], (number, syntax)
            compared += len(found)
    assert compared > 500


def _file(body: bytes, syntax: str) -> bytes:
    if syntax == DEFLATED:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = deflater.compress(body) + deflater.flush()
    return part10(body, syntax=syntax, sop_class=COMPREHENSIVE_SR)


def _data_set(file: bytes) -> bytes:
    return file[144 + struct.unpack_from("<I", file, 140)[0] :]


def _elements(data: bytes) -> Found:
    """Give tag, VR and bytes or items of every element, in order; a reader of its own."""
    found: Found = []
    pos = 0
    while pos < len(data):
        group, number, vr, length = struct.unpack_from("<HH2sH", data, pos)
        pos += 8
        if vr.decode() in LONG:
            length, pos = struct.unpack_from("<I", data, pos)[0], pos + 4
        value, pos = data[pos : pos + length], pos + length
        found.append((group << 16 | number, vr.decode(), [*map(_elements, _items(value))] if vr == b"SQ" else value))
    return found


def _items(data: bytes) -> Iterator[bytes]:
    pos = 0
    while pos < len(data):
        group, number, length = struct.unpack_from("<HHI", data, pos)
        assert (group, number) == (0xFFFE, 0xE000)
        yield data[pos + 8 : pos + 8 + length]
        pos += 8 + length
