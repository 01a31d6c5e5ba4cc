"""De-identification: CPU time per file beside a plain copy, pydicom with the same allow-list, dicom-anonymizer and deid

One pinned core, files in memory, all tools in one run and in turns, best of the rounds; read the ratios to ``cp``. Each
tool runs in a process of its own. The rivals are installed for the benchmark only, beside its results.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
RIVALS = Path(__file__).parent / "results" / "packages"
PACKAGES = {
    "dicom-anonymizer": ("dicom-anonymizer==2.1.0", "tqdm"),
    "deid": (
        *("deid==0.4.9", "matplotlib", "python-dateutil", "six", "pyparsing", "cycler", "kiwisolver", "contourpy"),
        *("pillow", "fonttools", "packaging"),
    ),
}
#: name, files, rows, columns, frames, bits stored
SETS = {
    "CT 0.5 MB": (600, 512, 512, 1, 16),
    "radiograph 10 MB": (12, 2500, 2048, 1, 12),
    "multi-frame 105 MB": (3, 512, 512, 200, 16),
}
TOOLS = ("cp", "Safelight", "pydicom, same allow-list", "dicom-anonymizer", "deid")
ROUNDS = 3


def main() -> list[dict[str, Any]]:
    """Return one row for each set and tool: CPU milliseconds a file, its speed in that of cp, peak memory."""
    _install()
    shared = Path("/dev/shm")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        for name, (count, *shape) in SETS.items():
            source = Path(folder) / "in"
            _generate(source, count, *shape)
            best: dict[str, dict[str, float]] = {}
            for _ in range(ROUNDS):
                for tool in TOOLS:
                    told = _measure(tool, source, Path(folder) / "out")
                    if told and told["ms"] < best.get(tool, {"ms": 1e9})["ms"]:
                        best[tool] = told
            rows += [_row(name, tool, best[tool], best) for tool in TOOLS if tool in best]
            if count > 100:
                rows.append(_two_cores(name, source, Path(folder) / "out"))
            shutil.rmtree(source)
    return rows


def _row(name: str, tool: str, told: dict[str, float], best: dict[str, dict[str, float]]) -> dict[str, Any]:
    return {
        "set": name,
        "tool": tool,
        "CPU ms a file": told["ms"],
        "speed of cp": f"{best['cp']['ms'] / told['ms']:.2f}",
        "Safelight is faster by": f"{told['ms'] / best['Safelight']['ms']:.1f}",
        "peak MB": round(told["mb"]),
    }


def _measure(tool: str, source: Path, target: Path) -> dict[str, float] | None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "bench.bench_dicom", tool, str(source), str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{RIVALS}"},
    )
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def _two_cores(name: str, source: Path, target: Path) -> dict[str, Any]:
    """Wall-clock speed of two workers in that of one."""
    import time

    from safelight.dicom.folder import CHUNK, FolderJob, deidentify_files, list_files

    rules, pseudonymizer = _profile()
    files = list_files(source)

    def seconds(workers: int, count: int) -> float:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        began = time.monotonic()
        list(deidentify_files(files[:count], FolderJob(rules, pseudonymizer, target), workers=workers))
        return time.monotonic() - began

    # Starting a pool and compiling the profile is paid once a batch: the difference of two batches leaves it out.
    few = CHUNK * 2
    rate = {workers: min(seconds(workers, len(files)) - seconds(workers, few) for _ in range(ROUNDS)) for workers in (1, 2)}
    return {
        "set": name,
        "tool": "Safelight, two workers against one",
        "CPU ms a file": rate[2] / (len(files) - few) * 1000,
        "speed of cp": "",
        "Safelight is faster by": f"{rate[1] / rate[2]:.2f}",
        "peak MB": 0,
    }


def _install() -> None:
    RIVALS.mkdir(parents=True, exist_ok=True)
    for name, package in PACKAGES.items():
        marker = RIVALS / f".{name}"
        if marker.exists():
            continue
        # Their own pydicom would stand before ours on the path: dependencies that we have are left out.
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(RIVALS), *package]
        if subprocess.run(command, check=False).returncode == 0:
            marker.touch()


def _generate(folder: Path, count: int, rows: int, columns: int, frames: int, stored: int) -> None:
    """Write files around a real CT header with private elements; many frames with functional groups."""
    import pydicom
    from pydicom.data import get_testdata_file
    from pydicom.dataset import Dataset

    folder.mkdir(parents=True)
    draw = random.Random(1)
    data = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    pixels = np.random.default_rng(1).integers(0, 1 << min(stored, 12), (frames, rows, columns), dtype=np.uint16)
    data.Rows, data.Columns, data.PixelRepresentation = rows, columns, 0
    data.BitsStored, data.HighBit = stored, stored - 1
    data.PixelData = pixels.tobytes()
    data.PatientID, data.StudyDescription = "MRN12345", "CT chest"
    if frames > 1:
        data.NumberOfFrames = frames
        data.PerFrameFunctionalGroupsSequence = []
        for frame in range(frames):
            item, position, content = Dataset(), Dataset(), Dataset()
            position.ImagePositionPatient = [-125, -125, frame]
            content.FrameAcquisitionNumber, content.StackID, content.InStackPositionNumber = 1, "1", frame + 1
            item.PlanePositionSequence, item.FrameContentSequence = [position], [content]
            data.PerFrameFunctionalGroupsSequence.append(item)
    for place in range(count):
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.{draw.randrange(10**20)}"
        data.InstanceNumber, data.SliceLocation = place, f"{place * 1.25}"
        data.save_as(folder / f"{place:04d}.dcm")


def _profile() -> tuple[Any, Any]:
    from safelight.profile import load_profile
    from safelight.pseudonym import ProjectKey, Pseudonymizer

    rules = load_profile(ROOT / "profiles" / "deid", "research").dicom
    return rules, Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))


def _cp(_: Path) -> Callable[[Path, Path], object]:
    return lambda source, target: shutil.copyfile(source, target / source.name)


def _safelight(_: Path) -> Callable[[Path, Path], object]:
    from safelight.dicom import DeidEngine

    engine = DeidEngine(*_profile())

    def run(source: Path, target: Path) -> None:
        assert engine.deidentify(source, target).outcome == "written"

    return run


def _pydicom(_: Path) -> Callable[[Path, Path], object]:
    """The same allow-list with pydicom: whole file read, listed elements kept or changed, written."""
    import pydicom
    from pydicom.dataset import Dataset

    rules, pseudonymizer = _profile()
    operations = {address.tag: rule.operation for address, rule in rules.elements.items() if not address.creator}

    def level(dataset: Dataset, days: int) -> Dataset:
        from datetime import date, timedelta

        for tag in list(dataset.keys()):
            operation = operations.get(int(tag))
            if operation is None and tag != 0x7FE00010:
                del dataset[tag]
                continue
            if operation is None or operation.op == "keep":
                if dataset.get_item(tag).VR == "SQ":
                    for item in dataset[tag].value:
                        level(item, days)
                continue
            element = dataset[tag]
            if operation.op == "date-shift" and element.VR == "DA" and element.value:
                element.value = (date.fromisoformat(str(element.value)[:8]) + timedelta(days)).strftime("%Y%m%d")
            elif operation.op == "uid" and element.value:
                element.value = pseudonymizer.uid(str(element.value))
            elif operation.op == "secure-hash" and element.value:
                element.value = pseudonymizer.secure_hash(
                    str(element.value), "patient", limit=16 if element.VR == "SH" else 64
                )
            else:
                element.value = getattr(operation, "value", "") if element.VR != "SQ" else []
        return dataset

    def run(source: Path, target: Path) -> None:
        dataset = pydicom.dcmread(source)
        level(dataset, pseudonymizer.date_shift(str(dataset.PatientID)))
        dataset.save_as(target / source.name)

    return run


def _kitware(_: Path) -> Callable[[Path, Path], object]:
    from dicomanonymizer import anonymize_dicom_file

    return lambda source, target: anonymize_dicom_file(str(source), str(target / source.name))


def _deid(_: Path) -> Callable[[Path, Path], object]:
    from deid.config import DeidRecipe
    from deid.dicom import replace_identifiers

    recipe = DeidRecipe()
    return lambda source, target: replace_identifiers(
        dicom_files=[str(source)], deid=recipe, save=True, output_folder=str(target), overwrite=True, remove_private=True
    )


_MAKERS = dict(zip(TOOLS, (_cp, _safelight, _pydicom, _kitware, _deid), strict=True))


def _child(tool: str, source: Path, target: Path) -> None:
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    run = _MAKERS[tool](source)
    files = sorted(source.iterdir())
    slow = tool in {"dicom-anonymizer", "deid", "pydicom, same allow-list"}
    files = files[:30] if slow else files
    run(files[0], target)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for path in files:
        run(path, target)
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"ms": used / len(files) * 1000, "mb": peak}))


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
