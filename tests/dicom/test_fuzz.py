"""Damaged files, the short run; ``make bench ARGS=fuzz`` takes 200,000 of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.dicom import DeidEngine
from safelight.model import Reason
from tests.dicom.fuzzing import HANG, KINDS, Fuzzer, accepted, leaks
from tests.dicom.hard import MARK, SECRET_ROOT, STUDY_DATE

FILES = 3000


def test_no_damage_ends_hangs_or_fools_a_worker(
    research: DeidEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    fuzzer = Fuzzer(research, 7, tmp_path)
    for _ in fuzzer.run(range(FILES)):
        pass
    outcome = fuzzer.outcome
    assert outcome.findings == []
    assert len(outcome.moved) <= FILES / 1000
    assert outcome.longest < HANG
    assert outcome.files == FILES
    assert outcome.written > FILES / 20
    assert outcome.written + outcome.reasons.total() == FILES
    # Damage of many kinds was met, and each has its own reason.
    assert len(outcome.reasons) > 10
    assert Reason.INTERNAL_ERROR not in outcome.reasons
    said = capfd.readouterr()
    assert MARK not in said.out + said.err + caplog.text
    assert not list((tmp_path / "out").rglob("*.part"))


def test_every_kind_of_damage_is_drawn(research: DeidEngine, tmp_path: Path) -> None:
    fuzzer = Fuzzer(research, 7, tmp_path)
    drawn = {kind for number in range(300) for kind in fuzzer.file(number)[1]}
    assert drawn == {kind.__name__ for kind in KINDS}
    assert fuzzer.file(11) == Fuzzer(research, 7, tmp_path).file(11)


def test_the_judge_sees_what_it_looks_for(tmp_path: Path) -> None:
    clean = tmp_path / "clean.dcm"
    clean.write_bytes(b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0\4\0\0\0")
    assert leaks(b"no canary, Zqx or otherwise", clean) == []
    for text in (f"{MARK}1234", f"{MARK.lower()}1234", SECRET_ROOT, STUDY_DATE):
        assert leaks(f"x{text}x".encode(), clean) != []
    assert leaks(f"{MARK}1234".encode("utf-16-le"), clean) == ["a mark"]
    assert leaks(b"", tmp_path / f"{MARK}1234.dcm") == ["a mark"]
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(clean.read_bytes() + b"\x08\0\5\0CS\xff\0ISO")
    assert not accepted([broken])
    assert not accepted([clean, broken])
