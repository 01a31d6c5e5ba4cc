"""The matcher finds what is known in every written form and encoding, and takes no everyday word for a name."""

from __future__ import annotations

import random
from datetime import date

import pytest

from safelight.model import KnownIdentifiers
from safelight.text.matcher import IdentifierMatcher

PATIENT = KnownIdentifiers(
    mrn="RFH207240",
    nhs_number="9992588969",
    accession="RF1-21-1174551",
    study_uid="1.2.826.0.1.3680043.9.5771.92412111.467337",
    person_id="4",
    title="Miss",
    given="Mairéad",
    surname="Ó Tiernaigh-Łuczak",
    previous_surname="Strachan",
    dob=date(1938, 10, 8),
    phone="07700 900520",
    address={"line1": "7 Jubilee Way", "town": "Taunton", "postcode": "CM13 3UY"},
    gp={"name": "Dr Zubair Grey", "practice": "Dr Ashworth and Partners"},
)
WRITTEN = {
    "MRN": ["RFH207240", "rfh 207240", "RFH-207240", "0207240", "207240"],
    "NHS_NO": ["9992588969", "999 258 8969", "999-258-8969", "999.258.8969", "999 258\n8969"],
    "ACCESSION": ["RF1-21-1174551", "rf1211174551", "1174551"],
    "OTHER_ID": ["1.2.826.0.1.3680043.9.5771.92412111.467337"],
    "PATIENT_NAME": [
        "Mairéad",
        "MAIREAD",
        "Maire\u0301ad",
        "STRACHAN^MAIREAD",
        "Strachan, Mairéad",
        "strachan",
        "O'Tiernaigh Luczak",
        "Ó TIERNAIGH\u2013ŁUCZAK",
        "Tiernaigh",
    ],
    "DOB": ["08/10/1938", "8.10.38", "19381008", "1938-10-08", "8th of October, 1938", "8 Oct 38", "October 8, 1938"],
    "PHONE": ["07700 900520", "07700900520", "+44 7700 900520", "+44 (0)7700-900-520"],
    "POSTCODE": ["CM13 3UY", "cm133uy", "CM13  3UY", "CM13\n3UY"],
    "ADDRESS": ["7 Jubilee Way", "7, JUBILEE WAY", "7\nJubilee Way"],
    "CLINICIAN_NAME": ["Zubair Grey", "GREY^ZUBAIR"],
}
MATCHER = IdentifierMatcher([PATIENT])
CASES = [(label, written) for label, forms in WRITTEN.items() for written in forms]


@pytest.mark.parametrize(("label", "written"), CASES)
def test_each_written_form_is_found_where_it_stands(label: str, written: str) -> None:
    text = f"Reviewed \u2013 {written}, thank you"
    spans = MATCHER.find(text)
    assert [(span.label, text[span.start : span.end]) for span in spans] == [(label, written)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("label", "written"), CASES)
def test_each_written_form_is_found_in_bytes(label: str, written: str, encoding: str) -> None:
    data = b"\x10\x00\x10\x00\x08\x00" + written.encode(encoding) + b"\x20\x00\x30\x00" + bytes(40)
    assert MATCHER.find_bytes(data) == [label]


def test_latin_1_bytes_are_found() -> None:
    assert MATCHER.find_bytes("LO\x08\x00MAIRÉAD ".encode("latin-1")) == ["PATIENT_NAME"]


def test_everyday_words_are_names_only_in_full_or_behind_a_title() -> None:
    matcher = IdentifierMatcher([KnownIdentifiers(given="Grace", surname="Long", mrn="123", previous_surname="Xu")])
    assert matcher.find("The long axis; 123 days of grace; grey-white xu matter; mr long ago") != []
    assert matcher.find("The long axis; 123 days of grace; xu matter") == []
    for text in ("Grace Long", "LONG^GRACE", "Long, Grace", "Mrs Long", "Grace A. Long", "Xu, Grace"):
        assert [span.label for span in matcher.find(text)] == ["PATIENT_NAME"], text


def test_a_title_is_no_part_of_the_name() -> None:
    text = "Seen by Dr Grey and Miss Strachan"
    spans = MATCHER.find(text)
    assert [(span.label, text[span.start : span.end]) for span in spans] == [
        ("CLINICIAN_NAME", "Grey"),
        ("PATIENT_NAME", "Strachan"),
    ]


def test_nothing_known_finds_nothing() -> None:
    matcher = IdentifierMatcher([KnownIdentifiers()])
    assert matcher.find("Anything at all 12345678") == []
    assert matcher.find_bytes(b"Anything") == []


def test_random_bytes_give_no_hit() -> None:
    data = random.Random(20260101).randbytes(2_000_000)
    assert MATCHER.find_bytes(data) == []
    assert MATCHER.find_bytes(data + "9992588969".encode("utf-16-le")) == ["NHS_NO"]


@pytest.mark.parametrize("offset", [*range(7150, 7190), 8190, 8191, 8192])
def test_a_name_across_a_window_of_bytes_is_found_once_and_whole(offset: int) -> None:
    filler = "the strachans went. " * 500
    text = filler[:offset] + " STRACHAN " + filler[:3000]
    assert MATCHER.find_bytes(text.encode()) == ["PATIENT_NAME"]
    assert MATCHER.find_bytes(filler.encode()) == []


def test_no_value_is_shown() -> None:
    assert "Strachan" not in repr(MATCHER) + repr(PATIENT)
