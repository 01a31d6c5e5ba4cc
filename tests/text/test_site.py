"""The hospital's own files: read strictly, and every example in them holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safelight.errors import ConfigurationError
from safelight.model import KnownIdentifiers
from safelight.text.deidentifier import TextDeidentifier
from safelight.text.site import load_site

SITE = Path(__file__).resolve().parents[2] / "profiles" / "site"
KNOWN = KnownIdentifiers(mrn="NGH123456", given="Anna", surname="Kowalska")


@pytest.fixture(scope="module")
def packaged() -> TextDeidentifier:
    """A de-identifier with the repository's site folder."""
    return TextDeidentifier(load_site(SITE), ner=())


EXAMPLES = [(one, example) for one in load_site(SITE).identifiers for example in one.examples]


@pytest.mark.parametrize(("one", "example"), EXAMPLES, ids=[example for _, example in EXAMPLES])
def test_every_example_of_an_identifier_is_removed(one: object, example: str, packaged: TextDeidentifier) -> None:
    result = packaged.deidentify(f"Sample {example} was sent.", KNOWN, dates="shift", shift_days=9)
    assert example.lower() not in result.text.lower()
    assert one.label in result.counts  # type: ignore[attr-defined]


def test_every_word_and_phrase_of_the_site_is_kept(packaged: TextDeidentifier) -> None:
    site = load_site(SITE)
    words = site.values("words")
    assert words
    for word in words:
        text = f"Images in {word.capitalize()} were seen."
        assert packaged.deidentify(text, KNOWN, dates="shift", shift_days=9).text == text


def test_every_ward_of_the_site_is_removed(packaged: TextDeidentifier) -> None:
    wards = load_site(SITE).values("wards")
    assert wards
    for ward in wards:
        assert packaged.deidentify(f"From {ward} today.", KNOWN, dates="shift", shift_days=9).text == "From [WARD] today."


def test_staff_and_hospitals_are_read_from_the_directory(tmp_path: Path) -> None:
    data = {
        "home_hospital": "Fairmead Hospital",
        "home_aliases": ["The Mead"],
        "hospitals": ["Oldfield Cottage Unit"],
        "staff": [{"title": "Dr", "given": "Ann", "surname": "Frost"}],
    }
    path = tmp_path / "site.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    for place in (path, tmp_path):
        deidentifier = TextDeidentifier(load_site(place), ner=())
        text = "Ann Frost of The Mead wrote to Oldfield Cottage Unit about frost."
        assert (
            deidentifier.deidentify(text, KNOWN, dates="shift", shift_days=9).text
            == "[CLINICIAN_1] of [HOSPITAL_1] wrote to [HOSPITAL_2] about frost."
        )


WRONG = {
    "an unknown label": ("identifiers:\n  - {label: SHOE, pattern: 'a', examples: [a]}\n", "x.yaml:2"),
    "no expression": ("identifiers:\n  - {label: MRN, pattern: '(', examples: [a]}\n", "x.yaml:2"),
    "an example that does not match": ("identifiers:\n  - {label: MRN, pattern: 'a', examples: [b]}\n", "x.yaml:2"),
    "a counter-example that matches": (
        "identifiers:\n  - {label: MRN, pattern: 'a', examples: [a], not_examples: [A]}\n",
        "x.yaml:2",
    ),
    "no example": ("identifiers:\n  - {label: MRN, pattern: 'a', examples: []}\n", "x.yaml:2"),
    "a phrase that is none": ("phrases:\n  - '('\n", "x.yaml:2"),
    "an unknown section": ("shoes: []\n", "x.yaml:1"),
}


@pytest.mark.parametrize(("text", "where"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_with_its_line(text: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_site(tmp_path)
    assert str(caught.value).startswith(where)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"staff": [{"surname": 7}]}', '{"hospitals": "SECRET"}'])
def test_a_wrong_directory_is_refused_without_its_values(text: str, tmp_path: Path) -> None:
    (tmp_path / "site.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_site(tmp_path / "site.json")
    assert "SECRET" not in str(caught.value)
    assert "site.json" in str(caught.value)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        load_site(tmp_path / "site.json")
