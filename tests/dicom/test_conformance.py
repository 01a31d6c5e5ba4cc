"""What a storage class must have (PS3.3 types 1 and 2) and the input had, the output has; dciodvfy is the judge of it."""

from __future__ import annotations

import re
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from safelight.dicom import DeidEngine
from safelight.dicom.address import keyword_of
from safelight.dicom.standard import attribute_types, nested_types, storage_classes
from safelight.dicom.storage import expand_classes
from safelight.model import InstanceOutcome
from safelight.profile import load_profile, profile_names
from safelight.pseudonym import Pseudonymizer
from tests.dicom.conftest import PROFILES, Run
from tests.dicom.every_class import instance
from tests.dicom.test_engine import REAL

#: Lost on purpose: a stamp that nothing was done for, and the trial that a patient was in.
GIVEN_UP = {"BurnedInAnnotation", "ClinicalTrialTimePointID", "ClinicalTrialSiteID", "ClinicalTrialSiteName",
            "ClinicalTrialProtocolName", "ClinicalTrialSubjectID", "ClinicalTrialCoordinatingCenterName"}  # fmt: skip


def gaps(before: Dataset, after: Dataset, types: dict[int, str], where: str = "") -> Iterator[str]:
    """Yield what the class must have, the input had, and the output lost."""
    for tag, kind in types.items():
        had = before.get(tag)
        if had is None or keyword_of(tag) in GIVEN_UP or tag >> 16 == 0x7FE0 or kind == "1C":
            continue
        has = after.get(tag)
        if has is None or (kind == "1" and not had.is_empty and has.is_empty):
            yield f"{where}{keyword_of(tag)} ({kind})"
    for element in after:
        if element.VR == "SQ" and element.tag in before and element.tag in nested_types():
            for old, new in zip(before[element.tag].value, element.value, strict=False):
                yield from gaps(old, new, nested_types()[int(element.tag)], f"{where}{element.keyword}.")


def lost(source: Path, output: str) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, after = pydicom.dcmread(source, force=True), pydicom.dcmread(output)
        return list(gaps(before, after, attribute_types(str(after.SOPClassUID))))


@pytest.mark.parametrize("name", REAL)
def test_real_files_lose_nothing_that_their_class_must_have(name: str, research: DeidEngine, tmp_path: Path) -> None:
    source = Path(str(get_testdata_file(name)))
    assert lost(source, research.deidentify(source, tmp_path).path) == []


def test_hard_files_lose_nothing_that_their_class_must_have(runs: list[Run]) -> None:
    # These cases have illegal values or VRs in such attributes: what can't be checked goes, class or no class.
    illegal = {
        "over_long",
        "wrong_vr",
        "contradicting_bytes",
        "codes",
        "character_sets",
        "malformed",
        "bad_vr",
        "odd_dates",
        "numbers",
    }
    written = [run for run in runs if run.result.outcome is InstanceOutcome.WRITTEN and run.case.name not in illegal]
    assert {run.case.name: gone for run in written if (gone := lost(run.source, run.result.path))} == {}
    assert len(written) > 80


#: PS3.15 table E.1-1 takes these away (X), whatever type PS3.3 gives them.
TABLE_REMOVES = {"basic": {"ResponsiblePerson", "ResponsibleOrganization"}}
ALL = ("images", "rt", "segmentations", "presentation-states", "structured-reports", "secondary-captures")
#: Instances are of any modality here, and no header says what their pixels show.
ANYTHING = {"dicom": {"modalities": ["OT"], "pixels": {"burned_in": "accept"}}}


def errors(path: Path | str) -> set[str]:
    """What dciodvfy holds against a file, without values and counts."""
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, errors="replace")
    said = (line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error"))
    return {re.sub(r"<[^>]*>$", "", re.sub(r"\[\d+\]", "", line)).strip() for line in said}


@pytest.fixture(scope="module")
def every_class(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, set[str]]]:
    """An instance of each storage class that any profile lets out, and what dciodvfy says of it."""
    folder = tmp_path_factory.mktemp("classes")
    made = {}
    for sop_class in sorted(expand_classes(ALL) & set(storage_classes())):
        path = folder / sop_class
        instance(sop_class).save_as(path, enforce_file_format=True)
        made[sop_class] = path, errors(path)
    return made


@pytest.mark.parametrize("name", [name for name in profile_names(PROFILES) if name != "base"])
def test_no_storage_class_gets_an_error_that_it_did_not_have(
    name: str, every_class: dict[str, tuple[Path, set[str]]], pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    rules = load_profile(PROFILES, name, overrides=ANYTHING).dicom
    engine = DeidEngine(rules, pseudonymizer)
    expected = sorted(rules.sop_classes & set(every_class))
    assert expected
    wrong = {}
    for sop_class in expected:
        source, before = every_class[sop_class]
        result = engine.deidentify(source, tmp_path)
        assert result.outcome is InstanceOutcome.WRITTEN, (storage_classes()[sop_class], result.reason)
        new = {
            error
            for error in errors(result.path) - before
            if not any(f"/{keyword}(" in error for keyword in TABLE_REMOVES.get(name, ()))
        }
        if new:
            wrong[storage_classes()[sop_class]] = sorted(new)
    assert wrong == {}


def test_no_real_file_gets_an_error_that_it_did_not_have(pseudonymizer: Pseudonymizer, tmp_path: Path) -> None:
    overrides = {"dicom": {"pixels": {"burned_in": "accept"}}}
    engine = DeidEngine(load_profile(PROFILES, "research", overrides=overrides).dicom, pseudonymizer)
    wrong, seen = {}, 0
    for source in sorted(Path(str(get_testdata_file("CT_small.dcm"))).parent.glob("*.dcm")):
        result = engine.deidentify(source, tmp_path)
        if result.outcome is InstanceOutcome.WRITTEN:
            seen += 1
            if new := errors(result.path) - errors(source):
                wrong[source.name] = sorted(new)
    assert wrong == {}
    assert seen > 40
