"""A site's own rules on which instances may show text, on top of the standard ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from safelight.dicom import DeidEngine
from safelight.errors import ConfigurationError
from safelight.model import Reason
from safelight.profile import load_profile
from safelight.pseudonym import Pseudonymizer
from tests.dicom.conftest import PROFILES
from tests.dicom.encoding import Item, text
from tests.dicom.hard import Maker, put

PROFILE = "name: mine\nextends: [base]\ndicom:\n  sop_classes: [ct-image]\n  pixels: {rules: [hospital]}\n"


def engine(folder: Path, rules: str, pseudonymizer: Pseudonymizer) -> DeidEngine:
    (folder / "burned-in").mkdir()
    (folder / "burned-in" / "hospital.yaml").write_text(rules)
    (folder / "mine.yaml").write_text(PROFILE)
    return DeidEngine(load_profile(folder, "mine", shared=PROFILES).dicom, pseudonymizer)


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ([], None),
        ([text(0x00081090, "LO", "Console 4"), text(0x0008103E, "LO", "Key Image 7")], Reason.BURNED_IN),
        ([text(0x00081090, "LO", "CONSOLE 4")], None),
        ([text(0x00080008, "CS", "DERIVED\\SECONDARY\\SCREEN SAVE")], Reason.BURNED_IN),
        ([text(0x00200011, "IS", "998"), text(0x00080070, "LO", "GE MEDICAL SYSTEMS")], None),
    ],
)
def test_a_site_extends_the_rules_and_a_header_that_says_no_is_no_evidence(
    elements: list[Item], reason: Reason | None, tmp_path: Path, pseudonymizer: Pseudonymizer
) -> None:
    rules = """
rules:
  - name: room-4-console
    why: its key images carry the patient banner
    equals: {Modality: [CT], ManufacturerModelName: [Console 4]}
    matches: {SeriesDescription: 'key ?image'}
  - name: ge-dose-series
    why: this site's scanner writes its dose page elsewhere
    equals: {SeriesNumber: ["4711"]}
"""
    made = engine(tmp_path, rules, pseudonymizer)
    maker = Maker(random.Random("site"))
    (tmp_path / "in").write_bytes(maker.ct(**put(text(0x00280301, "CS", "NO"), *elements)))
    assert made.deidentify(tmp_path / "in", tmp_path / "out").reason is reason


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("rules: [{name: all}]", "withhold everything"),
        ("rules: [{name: x, equals: {PatientName: [a]}}]", "can't look at 'PatientName'"),
        ("rules: [{name: x, matches: {Modality: '('}}]", "not a regular expression"),
        ("rules: [{equals: {Modality: [CT]}}]", "has a name"),
        ("rules: {}", "holds a list 'rules'"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_its_file(
    rules: str, said: str, tmp_path: Path, pseudonymizer: Pseudonymizer
) -> None:
    with pytest.raises(ConfigurationError, match=r"hospital\.yaml") as caught:
        engine(tmp_path, rules, pseudonymizer)
    assert said in str(caught.value)
