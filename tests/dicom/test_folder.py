"""A tree in several processes: whatever becomes of a process, each file is accounted for."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path

import pytest

from safelight.dicom.folder import FolderJob, deidentify_files, list_files
from safelight.model import InstanceOutcome, Reason
from safelight.profile import DeidProfile
from safelight.pseudonym import Pseudonymizer
from tests.dicom.hard import Maker

FILES = 5


@contextmanager
def killing(workers: int) -> Iterator[None]:
    """Kill so many worker processes while they start, one after the other."""
    done = threading.Event()

    def kill() -> None:
        seen: set[str] = set()
        while not done.wait(0.002) and len(seen) < workers:
            server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
            listed = Path(f"/proc/{server}/task/{server}/children")
            for worker in set(listed.read_text().split() if server and listed.exists() else ()) - seen:
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
