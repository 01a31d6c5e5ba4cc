"""Markup hides nothing from the rules and nothing leaks through it."""

from __future__ import annotations

import pytest

from safelight.model import KnownIdentifiers
from safelight.text.deidentifier import TextDeidentifier
from safelight.text.markup import view

CASES = {
    "hl7 line break in a name": (r"Seen Mr Christopher\.br\Long today.\.br\Fine.", r"Seen Mr [PATIENT] today.\.br\Fine."),
    "hl7 highlighting in a number": (r"NHS\H\ 943 476\N\ 5919 known", r"NHS\H\ [NHS_NUMBER] known"),
    "hl7 hexadecimal": (r"Christopher\X20\Long \T\ wife", r"[PATIENT] \T\ wife"),
    "soft hyphen": ("Christo\u00adpher Lo\u200bng was seen", "[PATIENT] was seen"),
    "combining accent": ("Mr Tierne\u0301y was seen", "Mr [PATIENT] was seen"),
    "full width": ("\uff2d\uff32\uff2e: \uff2e\uff27\uff28\uff11\uff12\uff13\uff14\uff15\uff16", None),
    "rtf": (r"{\rtf1\ansi{\fonttbl{\f0 Arial;}}{\info{\author Bob Tierney}}Patient \b Christopher\b0  Long"
            r"\par R\'e9sum\'e9 fine\par}",
            "Patient [PATIENT]\nRésumé fine\n"),
    "rtf unicode": (r"{\rtf1 Mr O\u8217?Hara and Ti\u233?rney\par}", None),
    "html": ("<html><head><title>Christopher Long</title></head><body><p>Seen by Dr <b>Petra Ion</b>escu"
             "<!-- NGH123456 --></p>"
             "<a href='/x/NGH123456'>normal</a> &lt; 5 mm</body></html>", "Seen by Dr [CLINICIAN_1] \nnormal < 5 mm"),
    "html entity": ("<p>Mr Tierne&#121; is well</p>", "Mr [PATIENT] is well"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_names_in_markup_are_found(
    text: str, expected: str | None, deidentifier: TextDeidentifier, a_patient: KnownIdentifiers
) -> None:
    clean = deidentifier.deidentify(text, a_patient, dates="shift", shift_days=-50)
    assert clean.problems == ()
    for planted in ("Christopher", "Long", "Tierney", "Tiérney", "Hara", "escu", "NGH123456", "5919", "123456"):
        assert planted not in clean.text
    if expected is not None:
        assert clean.text.strip(" \n") == expected.strip(" \n")


def test_plain_text_is_left_as_it_is() -> None:
    text = "L4/5 < 5 mm & \\ a <c> | ~ ^ {x}"
    assert view(text).text == text


def test_the_way_back_leads_to_the_raw_text() -> None:
    shown = view("a\\.br\\b\\T\\c\u200bd")
    assert shown.text == "a\nb&cd"
    assert shown.starts is not None
    assert [shown.raw[s:e] for s, e in zip(shown.starts, shown.ends or (), strict=True)] == [
        "a",
        "\\.br\\",
        "b",
        "\\T\\",
        "c\u200b",
        "d",
    ]
