"""Texts as systems mangle them: the patient's name is found in each, or the text goes to a person."""

from __future__ import annotations

import base64
import unicodedata

import pytest

from safelight.model import KnownIdentifiers, Reason
from safelight.text.deidentifier import TextDeidentifier

KNOWN = KnownIdentifiers(
    mrn="NGH123456", nhs_number="9434765919", given="Siobhán", surname="Kowalczyk", title="Mrs", phone="07700 900123"
)
NAME = "Siobhán Kowalczyk"
FULL_WIDTH = "".join(chr(ord(c) + 0xFEE0) for c in "Kowalczyk")
#: U+1D400: "mathematical bold capital A"; the small letters begin 26 behind it.
BOLD = "".join(chr(0x1D400 + 26 * c.islower() + ord(c.lower()) - ord("a")) for c in "Kowalczyk")

CLEANED = {
    "zero width": ("Seen " + "\u200b".join(NAME) + " today.", "Seen [PATIENT] today."),
    "soft hyphen": ("Seen Kowal\u00adczyk.", "Seen [PATIENT]."),
    "decomposed": (unicodedata.normalize("NFD", f"Seen {NAME}."), "Seen [PATIENT]."),
    "full width": (f"Seen Mrs {FULL_WIDTH}.", "Seen Mrs [PATIENT]."),
    "mathematical letters": (f"Seen {BOLD}.", "Seen [PATIENT]."),
    "Cyrillic letters": ("Seen Mrs K\u043ewalczyk.", "Seen Mrs [PATIENT]."),
    "control characters": ("Seen K\x07owal\x00czyk, MRN NGH\x1b123456.", "Seen [PATIENT], MRN [MRN]."),
    "read as Windows-1252": (f"Seen {NAME}.".encode().decode("cp1252"), "Seen [PATIENT]."),
    "broken at a line's end": ("Seen Mrs Kowal-\nczyk, MRN NGH123-\n456.", "Seen Mrs [PATIENT], MRN [MRN]."),
    "spaced": ("Seen K o w a l c z y k.", "Seen [PATIENT]."),
    "read from print": ("Seen Mrs K0wa1czyk.", "Seen Mrs [PATIENT]."),
    "grown together": ("Seen mrsKowalczyk.", "Seen mrs[PATIENT]."),
    "HL7": ("Seen \\H\\Kowal\\N\\czyk\\.br\\MRN NGH\\X31\\23456", "Seen \\H\\[PATIENT]\\.br\\MRN [MRN]"),
    "HL7, all in hexadecimal": ("Seen \\X4B6F77616C637A796B\\ today", "Seen [PATIENT] today"),
    "JSON": ('{"patient": "Siobh\\u00e1n Kowalczyk"}', '{"patient": "[PATIENT]"}'),
    "RTF": (
        r"{\rtf1{\info{\author Kowalczyk}}Seen Siobh\'e1n \b Kowal\b0 czyk, NHS 943\~476\~5919.}",
        "Seen [PATIENT], NHS [NHS_NUMBER].",
    ),
    "HTML": ("<p title='Kowalczyk'>Seen Kowal<b>czyk</b><!-- Kowalczyk --></p>", "\nSeen [PATIENT] \n"),
    "HTML, escaped twice": ("Seen &amp;#75;owalczyk.", "Seen [PATIENT]."),
    "XML": ("<report patient='Siobhan Kowalczyk'/>", "<report patient='[PATIENT]'/>"),
    "an attachment": ("See " + base64.b64encode(b"Patient Siobhan Kowalczyk, 12 Mill Lane").decode(), "See [ID]"),
    "addresses": ("s.kowalczyk50@example.org C:\\kowalczyk\\s.pdf", "[EMAIL] [URL]"),
}
HELD = {
    "backwards": ("Seen \u202ekyzclawoK\u202c.", Reason.TEXT_UNREADABLE),
    "not decoded": ("\ufffd" * 60, Reason.TEXT_UNREADABLE),
    "binary": ("".join(chr(i % 32) for i in range(400)), Reason.TEXT_UNREADABLE),
    "endless": ("word " * 30_000, Reason.TEXT_TOO_LONG),
    "another's number": ("NHS No: 401 023 2137\nNormal.", Reason.PATIENT_MISMATCH),
    "another's header": ("Patient: Jones, Alan\nMRN: ZZ999111\nNormal.", Reason.PATIENT_MISMATCH),
}


@pytest.mark.parametrize("how", CLEANED)
def test_a_name_is_found_however_it_was_mangled(how: str, deidentifier: TextDeidentifier) -> None:
    text, expected = CLEANED[how]
    clean = deidentifier.deidentify(text, KNOWN, dates="shift", shift_days=5)
    assert (clean.text, clean.problems) == (expected, ())


@pytest.mark.parametrize("why", HELD)
def test_what_can_not_be_trusted_goes_to_a_person(why: str, deidentifier: TextDeidentifier) -> None:
    text, reason = HELD[why]
    assert reason in deidentifier.deidentify(text, KNOWN, dates="shift", shift_days=5).problems


@pytest.mark.parametrize("how", CLEANED)
def test_without_a_record_every_text_goes_to_a_person(how: str, deidentifier: TextDeidentifier) -> None:
    clean = deidentifier.deidentify(CLEANED[how][0], None, dates="shift", shift_days=5)
    assert Reason.NO_PATIENT_RECORD in clean.problems
