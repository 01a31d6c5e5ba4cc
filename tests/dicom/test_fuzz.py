"""Bit flips, truncations and length lies: no crash, no hang, no output that dcmdump refuses, no value in a message."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from safelight.dicom import DeidEngine
from safelight.model import InstanceOutcome, Reason
from tests.dicom.hard import MARK, cases

FILES = 1500


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Return the data with one to four kinds of damage."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        if not out:
            break
        # Most damage goes where the structure is.
        at = draw.randrange(min(len(out), 2000) if draw.random() < 0.8 else len(out))
        kind = draw.randrange(6)
        if kind == 0:
            out[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del out[at:]
        elif kind == 2:
            out[at : at + 4] = draw.choice(
                (b"\xff" * 4, b"\0" * 4, b"\xfe\xff\xff\x7f", bytes(draw.randrange(256) for _ in range(4)))
            )
        elif kind == 3:
            del out[at : at + draw.randrange(1, 20)]
        elif kind == 4:
            out[at:at] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 20)))
        else:
            other = draw.randrange(len(out))
            out[at : at + 16], out[other : other + 16] = out[other : other + 16], out[at : at + 16]
    return bytes(out)


def fuzz(engine: DeidEngine, folder: Path, count: int, seed: int) -> tuple[list[Path], list[Reason | None], float]:
    """De-identify damaged files; return outputs, reasons and the longest time that one took, in seconds."""
    draw = random.Random(seed)
    sources = [hard.data for _, files in cases(seed) for hard in files if len(hard.data) < 100_000]
    source = folder / "in"
    longest = 0.0
    outputs, reasons = [], []
    for _ in range(count):
        source.write_bytes(damaged(draw.choice(sources), draw))
        begun = time.perf_counter()
        result = engine.deidentify(source, folder / "out")
        longest = max(longest, time.perf_counter() - begun)
        reasons.append(result.reason)
        if result.outcome is InstanceOutcome.WRITTEN:
            outputs.append(Path(result.path))
    return sorted(set(outputs)), reasons, longest


def test_no_damage_ends_hangs_or_fools_a_worker(
    research: DeidEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    outputs, reasons, longest = fuzz(research, tmp_path, FILES, seed=7)
    assert longest < 1
    # Every cause has its own reason; an internal error would be a case that nobody thought of.
    assert Reason.INTERNAL_ERROR not in reasons
    assert reasons.count(None) > FILES / 20
    assert outputs
    assert len({reason for reason in reasons if reason}) > 6
    done = subprocess.run(["dcmdump", "-q", *map(str, outputs)], capture_output=True, text=True, errors="replace")
    assert [line for line in done.stderr.splitlines() if line.startswith(("E:", "F:"))] == []
    assert done.returncode == 0
    said = capfd.readouterr()
    assert MARK not in said.out + said.err + caplog.text
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix != ".dcm" and path.is_file()]
