"""A tree in several processes: whatever becomes of a process, each file is accounted for."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from pathlib import Path

import pytest

from safelight.dicom.folder import FolderJob, deidentify_files, list_files
from safelight.model import InstanceOutcome, Reason
from safelight.profile import DeidProfile
from safelight.pseudonym import Pseudonymizer
from tests.dicom.conftest import PROFILES
from tests.dicom.hard import Maker

FILES = 5


def children_of(process: int) -> set[str]:
    """Process ids; none of one that has ended."""
    with suppress(OSError):
        return set(Path(f"/proc/{process}/task/{process}/children").read_text().split())
    return set()


@contextmanager
def killing(workers: int) -> Iterator[None]:
    """Kill so many worker processes while they start, one after the other."""
    done = threading.Event()

    def kill() -> None:
        seen: set[str] = set()
        while not done.wait(0.002) and len(seen) < workers:
            server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
            for worker in children_of(server) - seen if server else ():
                seen.add(worker)
                os.kill(int(worker), signal.SIGKILL)
                break

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("killed", [0, 1, 4])
def test_a_killed_worker_costs_at_most_the_file_over_which_it_died(
    killed: int, profile: Callable[[str], DeidProfile], pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    maker = Maker(random.Random("tree"))
    for number in range(FILES):
        (tmp_path / "raw" / f"{number}.dcm").parent.mkdir(exist_ok=True)
        (tmp_path / "raw" / f"{number}.dcm").write_bytes(maker.ct())
    job = FolderJob(profile("research").dicom, pseudonymizer, tmp_path / "out")
    for kills in (killed, 0):
        with killing(kills):
            results = dict(deidentify_files(list_files(tmp_path / "raw"), job, workers=2))
        assert sorted(results) == list(range(FILES))
        aside = [result.reason for result in results.values() if result.outcome is not InstanceOutcome.WRITTEN]
        assert set(aside) <= {Reason.INTERNAL_ERROR}
        # The first kill ends the pool; whoever dies after it does so over a file of its own.
        assert len(aside) <= max(0, kills - 1)
        assert bool(aside) is (kills > 2)
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == FILES


@pytest.mark.parametrize("killed", [0, 2])
def test_the_command_forks_its_workers_and_outlives_them(killed: int, tmp_path: Path) -> None:
    """In a process without threads, as the command's, workers are forked from it."""
    maker = Maker(random.Random("many"))
    (tmp_path / "raw").mkdir()
    for number in range(200):
        (tmp_path / "raw" / f"{number:03}.dcm").write_bytes(maker.ct())
    (tmp_path / "key").write_bytes(bytes(range(64)))
    (tmp_path / "salt").write_bytes(bytes(range(16)))
    options = ["--key-file", tmp_path / "key", "--salt-file", tmp_path / "salt", "--workers", "2", "--json"]
    options += ["--profiles", PROFILES.parent]
    command = [sys.executable, "-m", "safelight.cli", "dicom", "deid", tmp_path / "raw", tmp_path / "out", *options]
    running = subprocess.Popen(command, stdout=subprocess.PIPE)
    seen: set[str] = set()
    while running.poll() is None and len(seen) < max(2, killed):
        time.sleep(0.001)
        for worker in children_of(running.pid) - seen:
            seen.add(worker)
            if len(seen) <= killed:
                with suppress(ProcessLookupError):
                    os.kill(int(worker), signal.SIGKILL)
    told = json.loads(running.communicate()[0])
    assert len(seen) >= 2, "workers are children of the command"
    assert sorted(row["file"] for row in told["files"]) == list(range(1, 201))
    assert sum(told["counts"].values()) == 200
    assert told["counts"]["written"] >= 200 - killed
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == told["counts"]["written"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_name_may_be_any_bytes(
    workers: int, profile: Callable[[str], DeidProfile], pseudonymizer: Pseudonymizer, tmp_path: Path
) -> None:
    maker = Maker(random.Random("names"))
    (tmp_path / "raw").mkdir()
    for name in (b"\xff\xfe", "Jos\u00e9".encode(), "Jos\u00e9".encode("latin-1"), b"a\nb", b" "):
        Path(os.fsdecode(os.fsencode(tmp_path / "raw") + b"/" + name)).write_bytes(maker.ct())
    job = FolderJob(profile("research").dicom, pseudonymizer, tmp_path / "out")
    for _ in range(2):
        results = deidentify_files(list_files(tmp_path / "raw"), job, workers=workers)
        assert [result.outcome for _, result in results] == [InstanceOutcome.WRITTEN] * FILES
