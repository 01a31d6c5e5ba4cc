"""Identifiers that have a form are found in it, and measures that look alike are not."""

from __future__ import annotations

import pytest

from safelight.text.document import Document
from safelight.text.formats import find_formats
from safelight.text.identity import is_nhs_number
from safelight.text.lexicon import standard_lexicon

FOUND = [
    ("mail jane.o'neil@nhs.net now", "EMAIL", "jane.o'neil@nhs.net"),
    ("see https://pacs.local/x?id=9", "URL", "https://pacs.local/x?id=9"),
    (r"on \\server\share\a.dcm", "URL", r"\\server\share\a.dcm"),
    (r"on C:\temp\a.dcm", "URL", r"C:\temp\a.dcm"),
    ("in /mnt/data/long_c/1.dcm", "URL", "/mnt/data/long_c/1.dcm"),
    ("UID 1.2.826.0.1.3680043.9.5771", "OTHER_ID", "1.2.826.0.1.3680043.9.5771"),
    ("host 10.20.30.40", "OTHER_ID", "10.20.30.40"),
    ("NHS 943 476 5919", "NHS_NO", "943 476 5919"),
    ("NHS No: 943-476-5919", "NHS_NO", "943-476-5919"),
    ("943.476.5919", "NHS_NO", "943.476.5919"),
    ("NHS number 943 476 591", "NHS_NO", "943 476 591"),
    ("NI AB 12 34 56 C", "OTHER_ID", "AB 12 34 56 C"),
    ("GMC No: 4581070", "GMC", "4581070"),
    ("HCPC RA93902", "GMC", "RA93902"),
    ("NMC 12E1876E", "GMC", "12E1876E"),
    ("on 07700 900 363", "PHONE", "07700 900 363"),
    ("on +44 (0)20 7946 0123", "PHONE", "+44 (0)20 7946 0123"),
    ("on (0113) 496-0971", "PHONE", "(0113) 496-0971"),
    ("on 01632960285", "PHONE", "01632960285"),
    ("on +353 1 496 0123", "PHONE", "+353 1 496 0123"),
    ("Tel: 496 0123", "PHONE", "496 0123"),
    ("ext 03279", "PHONE", "03279"),
    ("x5678", "PHONE", "5678"),
    ("bleep 3369", "BLEEP", "3369"),
    ("bleeped to #3283", "BLEEP", "3283"),
    ("at SO7 1SA", "POSTCODE", "SO7 1SA"),
    ("at ky8 8nu", "POSTCODE", "ky8 8nu"),
    ("at EX4 1TH", "POSTCODE", "EX4 1TH"),
    ("at S1 2ND", "POSTCODE", "S1 2ND"),
    ("at cf63rw", "POSTCODE", "cf63rw"),
    ("at EC1A  1BB", "POSTCODE", "EC1A  1BB"),
    ("Pt ID K12-345", "MRN", "K12-345"),
    ("MRN 12345", "MRN", "12345"),
    ("Accession no A1234", "ACCESSION", "A1234"),
    ("Path no H24/11298", "OTHER_ID", "H24/11298"),
    ("Device serial SN8075843", "OTHER_ID", "SN8075843"),
    ("his car, reg AB12 CDE", "OTHER_ID", "AB12 CDE"),
    ("filed under 230915-1428", "MRN", "230915-1428"),
    ("a 93 year old", "AGE90", "93"),
    ("98-year-old", "AGE90", "98"),
    ("aged 101", "AGE90", "101"),
    ("97yo lady", "AGE90", "97"),
    ("91M", "AGE90", "91"),
]


@pytest.mark.parametrize(("text", "label", "value"), FOUND, ids=[f[0] for f in FOUND])
def test_it_is_found(text: str, label: str, value: str) -> None:
    spans = find_formats(Document(text, standard_lexicon()))
    assert (label, value) in [(span.label, text[span.start : span.end]) for span in spans]


@pytest.mark.parametrize(
    "text",
    [
        "42 x 18 x 11 mm",
        "10x20x30mm",
        "2.1 x 1.4 cm",
        "T1 and T2",
        "L4/5",
        "L1 2nd",
        "b1400",
        "DLP 912 mGycm",
        "GCS 14/15",
        "1.5T",
        "100 ml",
        "Omnipaque 300 batch 14882",
        "5 mg BD",
        "14G",
        "HR 92",
        "sats 96%",
        "89 year old",
        "95 mm",
        "3.0 x 10",
        "WBC 12000",
        "T2a N1 M0",
        "vitamin B12 5ng",
        "series 3 image 42",
        "16:47",
        "INR 2.5",
        "CA 19-9",
        "a 45M",
        "2019",
        "1:1000",
        "0.48",
        "RECIST 1.1",
        "SUVmax 12.4",
    ],
)
def test_measures_are_left(text: str) -> None:
    assert list(find_formats(Document(text, standard_lexicon()))) == []


@pytest.mark.parametrize(
    ("digits", "valid"),
    [("9434765919", True), ("4010232137", True), ("9434765918", False), ("943476591", False), ("", False)],
)
def test_the_check_digit_of_an_nhs_number(digits: str, valid: bool) -> None:
    assert is_nhs_number(digits) is valid
