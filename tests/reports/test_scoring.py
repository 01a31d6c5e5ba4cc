"""The measure itself: it sees a leak, a lost term, and no leak where a word merely occurs elsewhere."""

from __future__ import annotations

import pytest

from safelight.reports.scoring import Rate, score, wilson

TEXT = "Mr Baker has a Baker's cyst, 12/3/2024, MRN 123456."


def document(**more: object) -> dict[str, object]:
    spans = [(3, 8, "PATIENT_NAME"), (29, 38, "DATE"), (44, 50, "MRN")]
    return {
        "id": "a",
        "text": TEXT,
        "spans": [{"start": s, "end": e, "label": label} for s, e, label in spans],
        "keep": [{"start": 15, "end": 27, "kind": "eponym"}],
        **more,
    }


def outcome(text: str, status: str = "released") -> dict[str, object]:
    return score({"a": {"text": text, "status": status}}, [document()]).as_json()


def test_all_removed_and_all_kept() -> None:
    found = outcome("Mr [PATIENT] has a Baker's cyst, 1/2/2023, MRN [MRN].")
    assert [found[k]["percent"] for k in ("recall_direct", "recall_all", "terms_kept", "words_kept")] == [100, 100, 100, 100]
    assert found["missed"] == []


def test_a_leak_is_seen_and_named_by_label_only() -> None:
    found = outcome("Mr Baker has a Baker's cyst, 1/2/2023, MRN [MRN].")
    assert found["labels"]["PATIENT_NAME"]["hits"] == 0
    assert found["missed"] == [{"id": "a", "labels": {"PATIENT_NAME": 1}}]
    assert "Baker" not in str(found)


def test_a_date_that_stayed_is_a_leak() -> None:
    assert outcome("Mr [PATIENT] has a Baker's cyst, 12/3/2024, MRN [MRN].")["labels"]["DATE"]["hits"] == 0


def test_an_eaten_term_is_seen() -> None:
    found = outcome("Mr [PATIENT] has a [PATIENT] cyst, 1/2/2023, MRN [MRN].")
    assert found["terms_kept"]["hits"] == 0
    assert found["words_kept"]["percent"] < 100


@pytest.mark.parametrize("outputs", [{}, {"a": {"text": TEXT, "status": "quarantined"}}])
def test_what_is_held_leaks_nothing(outputs: dict[str, dict[str, object]]) -> None:
    found = score(outputs, [document()]).as_json()
    assert found["quarantined"] == 1
    assert found["recall_all"]["percent"] == 100
    assert found["words_kept"]["total"] == 0


def test_wilsons_interval() -> None:
    low, high = wilson(0.9, 10)  # Wilson 1927; values of R's binom::binom.wilson(9, 10)
    assert (round(low, 4), round(high, 4)) == (0.5958, 0.9821)
    assert wilson(0.0, 0) == (0.0, 1.0)
    assert Rate().as_json()["percent"] is None
