"""The catalogue of hard cases: nothing leaks, nothing is lost that must come out, nothing comes out that must not."""

from __future__ import annotations

import itertools
import struct
import subprocess
import warnings
from pathlib import Path

import pydicom
import pytest

from safelight.dicom import DeidEngine, verify_file
from safelight.dicom.container import IMPLEMENTATION_UID
from safelight.model import InstanceOutcome
from safelight.profile import load_profile
from safelight.pseudonym import Pseudonymizer, is_valid_uid
from tests.dicom.conftest import PROFILES, Run, run_all
from tests.dicom.hard import BIRTH_DATE, MARK, SECRET_ROOT, STUDY_DATE

WRITTEN = InstanceOutcome.WRITTEN


def named(run: Run) -> str:
    return f"{run.case.name}/{run.source.name}: {run.result.outcome} {run.result.reason}"


def read(path: Path | str) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=True)


def written(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run.result.outcome is WRITTEN]


def test_the_generator_has_every_case_of_the_catalogue(runs: list[Run]) -> None:
    numbers = set(itertools.chain.from_iterable(run.case.numbers for run in runs))
    assert numbers == set(range(1, 90))
    assert len(runs) >= 212


def test_every_file_comes_out_or_is_kept_back_for_the_right_reason(runs: list[Run]) -> None:
    lost = [named(run) for run in runs if run.hard.expect is None and run.result.outcome is not WRITTEN]
    wrong = [named(run) for run in runs if run.hard.expect is not None and run.result.reason not in run.hard.expect]
    assert (lost, wrong) == ([], [])


def test_no_canary_in_any_byte_of_any_output_or_path(runs: list[Run], hard_folder: Path) -> None:
    needles = [MARK, MARK.upper(), MARK.lower(), SECRET_ROOT, BIRTH_DATE, STUDY_DATE]
    needles += ["19710520", "13.03.1947", "13/03/1947", "1947-03-13", "1947.03.13"]
    encoded = {needle.encode(codec) for needle in needles for codec in ("latin-1", "utf-16-le", "utf-16-be")}
    leaks = []
    for path in (hard_folder / "out").rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        leaks += [(path.parts[-3], needle) for needle in encoded if needle in data or needle in str(path.name).encode()]
    assert leaks == []
    assert written(runs)


def test_the_search_for_canaries_finds_them_in_the_inputs(hard_folder: Path, runs: list[Run]) -> None:
    with_canary = [run for run in runs if MARK.encode() in run.hard.data or SECRET_ROOT.encode() in run.hard.data]
    assert len(with_canary) > 0.9 * len(runs)


def test_the_independent_look_finds_nothing(runs: list[Run]) -> None:
    assert [(named(run), found) for run in written(runs) if (found := verify_file(Path(run.result.path)))] == []


def test_nothing_but_finished_outputs_is_left(runs: list[Run], hard_folder: Path) -> None:
    files = {path for path in (hard_folder / "out").rglob("*") if path.is_file()}
    assert files == {Path(run.result.path) for run in written(runs)}
    assert all(path.name.startswith("2.25.") and path.parent.name.startswith("2.25.") for path in files)


def test_values_that_matter_stay(runs: list[Run]) -> None:
    changed = []
    for run in written(runs):
        after = read(run.result.path)
        changed += [(named(run), word) for word, value in run.hard.kept if str(after[word].value) != value]
        if not run.hard.same:
            continue
        before = read(run.source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            changed += [(named(run), word) for word in run.hard.same if before.get(word) != after.get(word)]
    assert changed == []


def test_pixels_are_equal_to_the_byte(runs: list[Run]) -> None:
    differing = []
    for run in written(runs):
        if not run.hard.pixels:
            continue
        before, after = read(run.source), read(run.result.path)
        raw = before.PixelData
        big = before.original_encoding[1] is False
        expected = struct.pack(f"<{len(raw) // 2}H", *struct.unpack(f">{len(raw) // 2}H", raw)) if big else raw
        length = len(after.PixelData)
        if after.PixelData[: length - 1] != expected[: length - 1]:
            differing.append(named(run))
    assert differing == []


def test_all_references_inside_a_case_resolve(runs: list[Run]) -> None:
    wrong = []
    for run in written(runs):
        dataset = read(run.result.path)
        assert dataset.file_meta.ImplementationClassUID == IMPLEMENTATION_UID
        for element in dataset.iterall():
            values = [element.value] if element.VM == 1 else list(element.value) if element.VM else []
            wrong += [(named(run), element.keyword) for uid in values if element.VR == "UI" and not is_valid_uid(str(uid))]
    assert wrong == []
    pointing = [run for run in runs if run.case.name == "references"]
    first, second, _ = (read(run.result.path) for run in pointing)
    assert second.ReferencedImageSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert second.SourceImageSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert second.FrameOfReferenceUID == first.FrameOfReferenceUID
    assert second.StudyInstanceUID == first.StudyInstanceUID


def test_dates_of_a_patient_move_together(runs: list[Run], pseudonymizer: Pseudonymizer) -> None:
    from datetime import date

    for run in written(runs):
        if run.case.name not in {"radiograph", "around", "creators", "groups"}:
            continue
        before, after = read(run.source), read(run.result.path)
        days = pseudonymizer.date_shift(before.PatientID)
        for word in ("StudyDate", "SeriesDate", "ContentDate", "InstanceCreationDate"):
            moved = date.fromisoformat(after[word].value) - date.fromisoformat(before[word].value)
            assert moved.days == days


def test_stamps_tell_what_was_done(runs: list[Run]) -> None:
    for run in written(runs):
        dataset = read(run.result.path)
        assert dataset.PatientIdentityRemoved == "YES"
        assert dataset.DeidentificationMethod.startswith("Safelight profile research sha256 ")
        codes = [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
        assert codes[0] == "113100"
        dated = "113107" in codes
        assert dataset.LongitudinalTemporalInformationModified == ("MODIFIED" if dated else "REMOVED")
        assert "BurnedInAnnotation" not in dataset or run.case.name == "enhanced"


def test_dcmdump_reads_every_output(runs: list[Run]) -> None:
    paths = [run.result.path for run in written(runs)]
    done = subprocess.run(["dcmdump", "-q", "+E", *paths], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if line.startswith(("E:", "F:"))] == []


def test_a_second_run_writes_the_same_bytes(
    runs: list[Run], research: DeidEngine, tmp_path: Path, hard_folder: Path
) -> None:
    again = run_all(tmp_path, research)
    assert [(run.result.outcome, run.result.reason) for run in again] == [
        (run.result.outcome, run.result.reason) for run in runs
    ]
    for one, two in zip(runs, again, strict=True):
        if one.result.outcome is WRITTEN:
            assert one.output == two.output, named(one)


def test_the_basic_profile_leaks_nothing_either(tmp_path: Path, pseudonymizer: Pseudonymizer) -> None:
    runs = run_all(tmp_path, DeidEngine(load_profile(PROFILES, "basic").dicom, pseudonymizer))
    needles = [needle.encode() for needle in (MARK, SECRET_ROOT, BIRTH_DATE, STUDY_DATE)]
    assert [named(run) for run in written(runs) if any(needle in run.output for needle in needles)] == []
    assert [named(run) for run in runs if run.hard.expect is None and run.result.outcome is not WRITTEN] == []


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"])
def test_offset_tables_point_at_frames(runs: list[Run], syntax: str) -> None:
    seen = 0
    for run in written(runs):
        dataset = read(run.result.path)
        if run.case.name != "code_streams" or dataset.file_meta.TransferSyntaxUID != syntax:
            continue
        frames = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=int(dataset.NumberOfFrames)))
        assert all(frame[:2] in {b"\xff\xd8", b"\xff\x4f"} for frame in frames)
        table = pydicom.encaps.parse_basic_offsets(dataset.PixelData)
        if table or "ExtendedOffsetTable" in dataset:
            seen += 1
            starts = table or list(struct.unpack(f"<{len(frames)}Q", dataset.ExtendedOffsetTable))
            place = 0
            for start, frame in zip(starts, frames, strict=True):
                assert start == place
                place += 8 + len(frame)
    assert seen
