"""Whatever the text: nothing breaks, and what is known of the patient never comes out of a released text."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight.model import KnownIdentifiers
from safelight.text.deidentifier import TextDeidentifier
from safelight.text.markup import view

PLANTED = (
    "NGH123456",
    "NGH-123 456",
    "Christopher Long",
    "LONG^CHRISTOPHER",
    "Tierney",
    "943 476 5919",
    "12 Mill Lane",
    "RG1 4ND",
)
PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            *PLANTED,
            "\\.br\\",
            "\\T\\",
            "\\X0D\\",
            "\n",
            " ",
            ", ",
            "Dr ",
            "Mr ",
            "|",
            "^",
            "<p>",
            "</p>",
            "{\\rtf1 ",
            "}",
            "\\par ",
        ]
    ),
    st.sampled_from(
        [
            "on 12/3/24 ",
            "March 2024",
            "T1 and T2",
            "Baker's cyst",
            "Seen by ",
            "DOB 4/3/50",
            "ward",
            "\u00ad",
            "e\u0301",
            "ß",
            "ﬁ",
        ]
    ),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=14))
def test_no_text_breaks_it_and_no_planted_identifier_comes_out(
    pieces: list[str], deidentifier: TextDeidentifier, a_patient: KnownIdentifiers
) -> None:
    result = deidentifier.deidentify(" ".join(pieces), a_patient, dates="shift", shift_days=-40)
    if not result.problems:
        shown = view(result.text).text
        for planted in PLANTED:
            if planted in pieces:
                assert planted not in shown


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1",
        " ",
        "\n",
        "(",
        "^",
        "a b ",
        "a-",
        "a.",
        "a^",
        "1-",
        "1 ",
        "a, ",
        "\\",
        "/a",
        "Ward ",
        "Dr ",
        "<p ",
        "{",
        "<!--",
        "12 a Road ",
        "A. ",
    ],
)
def test_a_text_of_one_thing_takes_no_more_than_linear_time(
    unit: str, deidentifier: TextDeidentifier, a_patient: KnownIdentifiers
) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        began = time.process_time()
        deidentifier.deidentify(text, a_patient, dates="shift", shift_days=-40)
        return time.process_time() - began

    # A quadratic rule needs a hundred times as long for ten times the text.
    assert seconds(20_000) < 40 * max(seconds(2_000), 0.02)


@settings(max_examples=200)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_the_way_back_covers_the_raw_text_in_order(text: str) -> None:
    shown = view(text)
    if shown.starts is not None and shown.ends is not None:
        assert len(shown.starts) == len(shown.ends) == len(shown.text)
        assert all(start < end for start, end in zip(shown.starts, shown.ends, strict=True))
        assert list(shown.starts) == sorted(shown.starts)
