"""Instances on their way to disk: what is let in while the disk fills, and whose spool is whose."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from safelight.archive import RawCache
from safelight.archive.intake import OUT_OF_RESOURCES, SUCCESS, Expectation, Intake
from tests.archive.studies import CT, Study

CHECKOUT = Path(__file__).resolve().parents[2]
RECEIVING = """
import sys, time
from pathlib import Path
from safelight.archive.intake import Intake

class Open(Intake):
    def _expects_any(self):
        return True

intake = Open(Path(sys.argv[1]))
part = intake.begin("ARCHIVE")
part.write(b"CANARY")
print("begun", flush=True)
time.sleep(60)
"""
MEGABYTE = 1024 * 1024
STUDY = Study(1, series=(1,), kilobytes=16 * 1024)


@contextmanager
def expecting(intake: Intake, cache: RawCache) -> Iterator[Expectation]:
    folder = cache.study_folder(STUDY.uid)
    expectation = Expectation(
        STUDY.uid,
        folder,
        name_of=cache.file_name,
        is_patient=lambda _identity: True,
        series_uids=frozenset(),
        clock=time.monotonic,
    )
    with intake.expect(expectation):
        yield expectation


@pytest.mark.parametrize("full", [True, False])
def test_the_reserve_holds_while_an_instance_arrives(cache: RawCache, full: bool) -> None:
    """The disk is used up by others when 6 of its 16 MB have come."""
    intake = Intake(cache.spool)
    content, most = STUDY.file(0, 0), 0
    for _ in range(2):
        intake._reserve = 0
        with expecting(intake, cache) as expectation:
            part = intake.begin("ARCHIVE")
            for start in range(0, len(content), MEGABYTE):
                if full and start == 6 * MEGABYTE:
                    intake._reserve = 1 << 62
                part.write(content[start : start + MEGABYTE])
                most = max(most, *(path.stat().st_size for path in cache.spool.rglob("*.part")), 0)
            assert intake.finish(part, CT, STUDY.sop_uid(0, 0)) == (OUT_OF_RESOURCES if full else SUCCESS)
            assert expectation.storage_failed == full
        assert not list(cache.spool.rglob("*.part"))
    assert most <= 10 * MEGABYTE if full else most == len(content)
    intake.close()


def test_who_shares_the_spool_destroys_nothing_of_others(cache: RawCache) -> None:
    """Processes of two containers may have the same number, and see nothing of each other."""
    content, names = STUDY.file(0, 0), []
    first = Intake(cache.spool)
    with expecting(first, cache) as expectation:
        part = first.begin("ARCHIVE")
        part.write(content[:MEGABYTE])
        for _ in range(2):
            second = Intake(cache.spool)
            with expecting(second, cache):
                other = second.begin("ARCHIVE")
                other.write(content)
                names.append(other.path.parent)
            second.close()
        part.write(content[MEGABYTE:])
        assert first.finish(part, CT, STUDY.sop_uid(0, 0)) == SUCCESS
        assert list(expectation.arrived) == STUDY.sop_uids
    assert len({part.path.parent, *names}) == 3
    first.close()
    assert list(cache.spool.iterdir()) == []


def test_what_a_process_leaves_goes_when_it_is_gone(cache: RawCache) -> None:
    worker = subprocess.Popen([sys.executable, "-c", RECEIVING, str(cache.spool)], cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"begun\n"
    try:
        Intake(cache.spool).close()
        assert len(list(cache.spool.rglob("*.part"))) == 1, "it is alive"
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    Intake(cache.spool).close()
    assert list(cache.spool.iterdir()) == []
