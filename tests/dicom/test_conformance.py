"""What a storage class must have (PS3.3 types 1 and 2) and the input had, the output has."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from safelight.dicom import DeidEngine
from safelight.dicom.address import keyword_of
from safelight.dicom.standard import attribute_types, nested_types
from safelight.model import InstanceOutcome
from tests.dicom.conftest import Run
from tests.dicom.test_engine import REAL

#: Lost on purpose: free text in a colour profile, a stamp that nothing was done for, and the trial that a patient was in.
GIVEN_UP = {"ICCProfile", "BurnedInAnnotation", "ClinicalTrialTimePointID", "ClinicalTrialSiteID", "ClinicalTrialSiteName",
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
        "odd_dates",
        "numbers",
    }
    written = [run for run in runs if run.result.outcome is InstanceOutcome.WRITTEN and run.case.name not in illegal]
    assert {run.case.name: gone for run in written if (gone := lost(run.source, run.result.path))} == {}
    assert len(written) > 80
