"""Language models: pinned, local, and believed only where the rules leave room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import spacy

from safelight.errors import ModelUnavailable
from safelight.model import KnownIdentifiers
from safelight.text import ner
from safelight.text.deidentifier import TextDeidentifier
from safelight.text.document import Document
from safelight.text.lexicon import standard_lexicon
from safelight.text.ner import SpacyModel, load_models
from safelight.text.recognisers import ModelRecognizer
from safelight.text.site import Site
from safelight.text.span import Span

if TYPE_CHECKING:
    from collections.abc import Sequence


class Suggesting:
    """A model that takes every word for a person, and counts how often it is asked."""

    fingerprint = "suggesting"

    def __init__(self) -> None:
        self.asked = 0

    def find(self, text: str, near: Sequence[int]) -> list[tuple[int, int, str]]:
        self.asked += 1
        return [(0, len(text), "CLINICIAN_NAME")]


def test_the_packaged_model_finds_a_name() -> None:
    (model,) = load_models(["spacy"])
    text = "The scan was reviewed by Margaret Thatcher in London yesterday."
    assert (text.index("Margaret"), text.index(" in London"), "CLINICIAN_NAME") in model.find(text, [0])


def test_a_model_that_is_not_the_measured_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ner, "PINNED", tuple((package, "0" * 64) for package, _ in ner.PINNED))
    with pytest.raises(ModelUnavailable, match="not the one that was measured"):
        SpacyModel()


def test_a_missing_model_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ner, "PINNED", (("no_such_package_of_ours", "0"),))
    with pytest.raises(ModelUnavailable, match="No language model is installed"):
        SpacyModel()


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ModelUnavailable):
        load_models(["oracle"])


def test_a_model_in_a_folder_of_the_hospital_is_used(tmp_path: Path) -> None:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "PATIENT", "pattern": "Hazel"}])
    pipeline.to_disk(tmp_path / "model")
    (model,) = load_models([f"folder:{tmp_path / 'model'}"])
    assert model.find("then Hazel left", [5]) == [(5, 10, "CLINICIAN_NAME")]
    known, text = KnownIdentifiers(mrn="NGH123456"), "In the afternoon Hazel left the ward."
    for ner_, expected in (((), text), ((f"folder:{tmp_path / 'model'}",), text.replace("Hazel", "[CLINICIAN_1]"))):
        clean = TextDeidentifier(Site(), ner=ner_).deidentify(text, known, dates="shift", shift_days=5)
        assert clean.text == expected
    pipeline.get_pipe("entity_ruler").add_patterns([{"label": "PATIENT", "pattern": "x"}])
    pipeline.to_disk(tmp_path / "other")
    assert load_models([f"folder:{tmp_path / 'other'}"])[0].fingerprint != model.fingerprint


@pytest.mark.parametrize("files", [{}, {"meta.json": "{}"}, {"meta.json": "nonsense"}])
def test_a_folder_without_a_model_is_a_clear_error(files: dict[str, str], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ModelUnavailable, match=tmp_path.name):
        load_models([f"folder:{tmp_path}"])


def test_a_model_eats_no_findings() -> None:
    text = "Heart size is normal. Gastrografin and barium: no Zenker diverticulum. COPD on FBC and LFTs."
    assert ModelRecognizer([Suggesting()]).suggest(Document(text, standard_lexicon()), []) == []


def test_a_model_is_not_asked_when_nothing_is_open() -> None:
    model = Suggesting()
    document = Document("Reviewed by Wojciechowska today.", standard_lexicon())
    recognizer = ModelRecognizer([model])
    assert recognizer.suggest(document, [Span(12, 25, "CLINICIAN_NAME", "rule")]) == []
    assert model.asked == 0
    assert recognizer.suggest(document, []) == [Span(12, 25, "CLINICIAN_NAME", "model", 0.5)]
    assert model.asked == 1


def test_the_pinned_packages_are_those_of_the_project() -> None:
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
    for package, digest in ner.PINNED:
        assert package.replace("_", "-") in text
        assert len(digest) == 64
