"""200,000 damaged DICOM files through the engine: nothing may end it, hold it up, fool dcmdump, or let a canary out

Another seed or number: ``.venv/bin/python -m bench.bench_fuzz --seed 8 --files 20000``. What must not have happened is
printed, and the file that did it is kept in ``results/fuzz``. A file is drawn from the seed and its number alone, so
``--only NUMBER`` makes and takes one again. Needs a core for about four minutes; ``--workers 2`` halves that.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.dicom.fuzzing import Fuzzer, Outcome

ROOT = Path(__file__).parents[1]
KEPT = Path(__file__).parent / "results" / "fuzz"
FILES = 200_000
SEED = 7
TOLD_EVERY = 15


def main(files: int = FILES, seed: int = SEED, workers: int = 1) -> list[dict[str, Any]]:
    """Return one row of counts, with the target beside each; findings are printed and kept."""
    began = time.monotonic()
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        runs = [_Run(Path(folder) / str(number), seed, range(number, files, workers)) for number in range(workers)]
        told = began
        while any(run.alive for run in runs):
            time.sleep(0.2)
            if time.monotonic() - told > TOLD_EVERY:
                told = time.monotonic()
                done, found = sum(run.get("files") for run in runs), sum(len(run.findings) for run in runs)
                print(f"{done:,} files, {found} findings, {told - began:.0f} s", file=sys.stderr)
        findings = [finding for run in runs for finding in run.end()]
    _keep(findings, seed)
    reasons: Counter[str] = Counter()
    for run in runs:
        reasons.update(run.last.get("reasons", {}))
    return [
        {
            "files": sum(run.get("files") for run in runs),
            "came out": sum(run.get("written") for run in runs),
            "reasons met": len(reasons),
            "longest s (< 1)": max(run.last.get("longest", 0.0) for run in runs),
            "findings (0)": len(findings),
            "moved into kept text": sum(run.get("moved") for run in runs),
            "peak MB": max(run.last.get("peak", 0) for run in runs),
            "files/s": round(files / (time.monotonic() - began)),
        }
    ]


class _Run:
    """One process over its share of the files: what it tells, and what becomes of it."""

    def __init__(self, folder: Path, seed: int, numbers: range) -> None:
        folder.mkdir()
        self._folder = folder
        self._errors = folder / "errors"
        command = [sys.executable, "-m", "bench.bench_fuzz", "--child", str(folder), "--seed", str(seed)]
        command += ["--range", str(numbers.start), str(numbers.stop), str(numbers.step)]
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert self._process.stdout is not None
        self.last: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            known = len(self.findings)
            self.last = json.loads(line)
            for finding in self.findings[known:]:
                print(json.dumps(finding), flush=True)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def findings(self) -> list[dict[str, Any]]:
        return list(self.last.get("findings", []))

    def get(self, name: str) -> int:
        return int(self.last.get(name, 0))

    def end(self) -> list[dict[str, Any]]:
        """Return what was found, a process that died and a canary in its messages among it."""
        from tests.dicom.fuzzing import leaks

        status = self._process.wait()
        self._reader.join()
        errors = self._errors.read_bytes()
        more = []
        if status != 0:
            KEPT.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._folder / "in", KEPT / f"died-{self._folder.name}.dcm")
            print(errors.decode(errors="replace")[-2000:], file=sys.stderr)
            more.append({"number": None, "what": f"the process died with status {status}", "damage": []})
        if leaks(errors, self._errors):
            more.append({"number": None, "what": "a canary in a message", "damage": []})
        for finding in more:
            print(json.dumps(finding), flush=True)
        return [*self.findings, *more]


def _fuzzer(seed: int, folder: Path) -> Fuzzer:
    from safelight.dicom import DeidEngine
    from safelight.profile import load_profile
    from safelight.pseudonym import ProjectKey, Pseudonymizer
    from tests.dicom.fuzzing import Fuzzer

    rules = load_profile(ROOT / "profiles" / "deid", "research").dicom
    return Fuzzer(DeidEngine(rules, Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))), seed, folder)


def _keep(findings: list[dict[str, Any]], seed: int) -> None:
    """Keep the files of numbered findings; the others have none, or are kept."""
    numbered = [finding for finding in findings if finding["number"] is not None]
    if numbered:
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            fuzzer = _fuzzer(seed, Path(folder))
            for finding in numbered:
                (KEPT / f"{seed}-{finding['number']}.dcm").write_bytes(fuzzer.file(finding["number"])[0])
        print(f"Kept in {KEPT.relative_to(ROOT)}")


def _child(folder: Path, seed: int, numbers: range) -> None:
    os.nice(10)
    fuzzer = _fuzzer(seed, folder)
    for outcome in fuzzer.run(numbers):
        _tell(outcome)


def _tell(outcome: Outcome) -> None:
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
    told = {
        "files": outcome.files,
        "written": outcome.written,
        "longest": round(outcome.longest, 3),
        "reasons": {reason.value: count for reason, count in outcome.reasons.items()},
        "findings": [{"number": one.number, "what": one.what, "damage": one.damage} for one in outcome.findings],
        "moved": len(outcome.moved),
        "peak": peak,
    }
    print(json.dumps(told), flush=True)


def _command() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.bench_fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", type=int, help="take the file of this number alone")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--range", type=int, nargs=3, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.child:
        _child(told.child, told.seed, range(*told.range))
    elif told.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            for outcome in _fuzzer(told.seed, Path(folder)).run(range(told.only, told.only + 1)):
                _tell(outcome)
    else:
        (row,) = main(told.files, told.seed, told.workers)
        print(json.dumps(row))
        sys.exit(1 if row["findings (0)"] else 0)


if __name__ == "__main__":
    _command()
