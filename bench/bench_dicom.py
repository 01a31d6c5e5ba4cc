"""De-identification: CPU time per file beside a plain copy, pydicom with the same allow-list, dicom-anonymizer and deid

Files in memory, one pinned core, each tool in a process of its own, all in one run and in turns, best of the rounds.
Read the ratios: seconds of another machine say little. The target of each stands beside it in brackets. The rivals are
installed for the benchmark only, beside its results; without them there is no benchmark. Needs 5 GB of memory or disk.
"""

from __future__ import annotations

import functools
import itertools
import json
import multiprocessing
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
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
#: name -> files, rows, columns, frames, bits stored; at least so much of cp's speed
SETS = {
    "CT 0.5 MB": ((60, 512, 512, 1, 16), 0.35),
    "radiograph 10 MB": ((8, 2500, 2048, 1, 12), 0.70),
    "multi-frame 105 MB": ((3, 512, 512, 200, 16), 0.85),
}
TOOLS = ("cp", "Safelight", "pydicom, same allow-list", "dicom-anonymizer", "deid")
#: On the CT, Safelight is at least so many times as fast.
LEADS = {"pydicom, same allow-list": 4, "dicom-anonymizer": 20}
SLOW = frozenset(TOOLS[2:])
ROUNDS = 3
#: The fast ones take the files several times a round.
PASSES = 5
#: Files after which outputs are removed.
BATCH = 10
#: Files of the run on two cores, its least gain, and the largest memory of the largest instances.
MANY = 2000
GAIN = 1.8
PEAK = 150
LARGE = {"native 2 GB": 4096, "JPEG 2 GB": 20_000}


def main() -> list[dict[str, Any]]:
    """Return one row for each set and tool: CPU milliseconds a file, its speed in that of cp, peak memory."""
    _install()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=_roomy()) as name:
        folder = Path(name)
        source, target = folder / "in", folder / "out"
        for kind, (shape, least) in SETS.items():
            _generate(source, *shape)
            best: dict[str, dict[str, float]] = {}
            for _ in range(ROUNDS):
                for tool in TOOLS:
                    told = _measure(tool, source, target)
                    if told["ms"] < best.get(tool, told)["ms"] or tool not in best:
                        best[tool] = told
            rows += [_row(kind, tool, best, least) for tool in TOOLS]
            shutil.rmtree(source)
        _generate(source, MANY, *SETS["CT 0.5 MB"][0][1:])
        rows.append(_two_cores(source, target))
        shutil.rmtree(source)
        for kind, frames in LARGE.items():
            _generate_large(source, frames, compressed=kind.startswith("JPEG"))
            told = _measure("Safelight", source, target)
            rows.append(_line(kind, "Safelight", f"{told['ms']:.0f}", peak=f"{told['mb']:.0f} (< {PEAK})"))
            shutil.rmtree(source)
    return rows


def _line(kind: str, tool: str, ms: str, *, of_copy: str = "", lead: str = "", peak: str = "") -> dict[str, Any]:
    """One row of the table."""
    return {
        "set": kind,
        "tool": tool,
        "CPU ms a file": ms,
        "speed of cp": of_copy,
        "Safelight is faster by": lead,
        "peak MB": peak,
    }


def _row(kind: str, tool: str, best: dict[str, dict[str, float]], least: float) -> dict[str, Any]:
    told = best[tool]
    of_copy = f"{best['cp']['ms'] / told['ms']:.2f}"
    lead = f"{told['ms'] / best['Safelight']['ms']:.1f}"
    if tool == "Safelight":
        of_copy += f" (> {least:.2f})"
    if kind.startswith("CT") and tool in LEADS:
        lead += f" (> {LEADS[tool]})"
    return _line(kind, tool, f"{told['ms']:.3f}", of_copy=of_copy, lead=lead, peak=f"{told['mb']:.0f}")


def _measure(tool: str, source: Path, target: Path) -> dict[str, float]:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "bench.bench_dicom", tool, str(source), str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{RIVALS}"},
    )
    if done.returncode != 0:
        sys.exit(f"bench: {tool} has failed on {source.name}:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _two_cores(source: Path, target: Path) -> dict[str, Any]:
    """Files a second of two workers in those of one, from the first result to the last, by the clock on the wall.

    What each worker had done when the first result came is left out. Says little on a machine that has something else to
    do or whose cores share their memory's speed, so the load before it and what cp gains stand in the row.
    """
    from safelight.dicom.folder import CHUNK, FolderJob, deidentify_in_turn, list_files

    rules, pseudonymizer = _profile()
    files = list_files(source)
    load = os.getloadavg()[0]

    def safelight(workers: int) -> Iterator[object]:
        return deidentify_in_turn(files, FolderJob(rules, pseudonymizer, target), workers=workers)

    def cp(workers: int) -> Iterator[object]:
        with multiprocessing.get_context("fork").Pool(workers) as pool:
            yield from pool.imap(functools.partial(_copy, target=target), files, chunksize=CHUNK)

    def seconds(run: Callable[[int], Iterator[object]], workers: int) -> float:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        results = run(workers)
        next(results)
        began = time.monotonic()
        for _ in results:
            pass
        return (time.monotonic() - began) / (len(files) - workers * CHUNK)

    best = dict.fromkeys(itertools.product((safelight, cp), (1, 2)), 1e9)
    for _ in range(2 * ROUNDS):
        best = {one: min(least, seconds(*one)) for one, least in best.items()}
    tool = f"two workers against one, at a load of {load:.1f} before"
    gain, copying = (best[run, 1] / best[run, 2] for run in (safelight, cp))
    return _line("CT 0.5 MB", tool, "", of_copy=f"cp gains {copying:.2f}", lead=f"{gain:.2f} (> {GAIN})")


def _roomy() -> Path | None:
    """Return a folder in memory that has room for the largest set twice, or None for the usual one."""
    shared = Path("/dev/shm")
    if shared.is_dir() and shutil.disk_usage(shared).free > 5 << 30:
        return shared
    if shutil.disk_usage(tempfile.gettempdir()).free > 5 << 30:
        return None
    sys.exit("bench: 5 GB of room are needed, in /dev/shm or in the folder for temporary files (TMPDIR).")


def _install() -> None:
    RIVALS.mkdir(parents=True, exist_ok=True)
    for name, package in PACKAGES.items():
        marker = RIVALS / f".{name}"
        if marker.exists():
            continue
        # Their own pydicom would stand before ours on the path: dependencies that we have are left out.
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", str(RIVALS), *package]
        if subprocess.run(command, check=False).returncode != 0:
            sys.exit(f"bench: {name} can't be installed, and without it there is nothing to compare with.")
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


def _generate_large(folder: Path, frames: int, *, compressed: bool) -> None:
    """Write one instance of 2 GB: a hole for uncompressed samples, one code stream again and again for JPEG."""
    import pydicom
    from pydicom.data import get_testdata_file
    from pydicom.dataset import Dataset

    folder.mkdir(parents=True)
    data = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    del data.PixelData, data[0xFFFCFFFC]
    data.Rows = data.Columns = 512
    data.NumberOfFrames = frames
    data.PerFrameFunctionalGroupsSequence = []
    for frame in range(frames):
        item, position = Dataset(), Dataset()
        position.ImagePositionPatient = [-125, -125, frame]
        item.PlanePositionSequence = [position]
        data.PerFrameFunctionalGroupsSequence.append(item)
    if compressed:
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    path = folder / "0000.dcm"
    data.save_as(path)
    with path.open("ab") as stream:
        if not compressed:
            length = 512 * 512 * 2 * frames
            stream.write(struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, length))
            stream.truncate(stream.tell() + length)
            return
        frame_data = _code_stream(random.Random(1))
        offsets = (place * (len(frame_data) + 8) for place in range(frames))
        stream.write(struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF))
        stream.write(struct.pack("<HHI", 0xFFFE, 0xE000, 4 * frames) + struct.pack(f"<{frames}I", *offsets))
        for _ in range(frames):
            stream.write(struct.pack("<HHI", 0xFFFE, 0xE000, len(frame_data)) + frame_data)
        stream.write(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))


def _code_stream(draw: random.Random) -> bytes:
    """Return 105 KB that look like a frame of lossless JPEG with a comment in it."""

    def segment(code: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, code, len(content) + 2) + content

    noise = draw.randbytes(105_000).replace(b"\xff", b"\xff\0")
    header = segment(0xC3, struct.pack(">BHHB", 16, 512, 512, 1) + b"\1\x11\0")
    frame = b"\xff\xd8" + segment(0xFE, b"a comment") + header + segment(0xDA, b"\1\1\0\1\0\0") + noise + b"\xff\xd9"
    return frame + b"\0" * (len(frame) & 1)


def _profile() -> tuple[Any, Any]:
    from safelight.profile import load_profile
    from safelight.pseudonym import ProjectKey, Pseudonymizer

    rules = load_profile(ROOT / "profiles" / "deid", "research").dicom
    return rules, Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target / source.name)


def _cp(_: Path) -> Callable[[Path, Path], object]:
    return _copy


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
    """The newest of its lists; by default it takes that of 2023."""
    from dicomanonymizer import anonymize_dicom_file
    from dicomanonymizer.simpledicomanonymizer import initialize_actions

    def rules() -> dict[Any, Any]:
        return dict(initialize_actions("dicomfields_2026c"))

    return lambda source, target: anonymize_dicom_file(str(source), str(target / source.name), base_rules_gen=rules)


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
    passes = 1 if tool in SLOW else PASSES
    _timed(run, files[:1], target)
    batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    used = sum(_timed(run, batch, target) for _ in range(passes) for batch in batches)
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"ms": used / len(files) / passes * 1000, "mb": peak}))


def _timed(run: Callable[[Path, Path], object], sources: list[Path], target: Path) -> float:
    """Return the processor seconds that some files take, and remove what came of them.

    Every tool finds the memory for its outputs where those before them were: a machine that has to find pages anew for
    each file would measure that.
    """
    began = time.process_time()
    for source in sources:
        run(source, target)
    used = time.process_time() - began
    for path in [path for path in target.rglob("*") if path.is_file()]:
        path.unlink()
    return used


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
