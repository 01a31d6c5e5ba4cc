"""A worker that is killed in the middle: the next one goes on, fetches only the rest, and nothing is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from pydicom import dcmread

from safelight.archive import RawCache, StorageReceiver
from safelight.model import RequestState
from tests.archive.conftest import LEASE, Clock, Stage, a_request, an_archive
from tests.archive.hostile import HostileArchive, send_all
from tests.archive.studies import Study
from tests.services.orthanc import Peer

STUDIES = [Study(300 + number, series=(6,), patient=number) for number in range(4)]
CHECKOUT = Path(__file__).resolve().parents[2]
WORKER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from safelight.archive import RawCache, StorageReceiver, locate_and_retrieve
from safelight.link import LinkDatabase
from safelight.model import RequestState
from tests.archive.conftest import LEASE, NOON, PROJECT, an_archive
from tests.services.orthanc import Peer

folder, archive_port, port = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
archive = Peer("HOSTILE", archive_port)
database = LinkDatabase(f"sqlite:///{folder / 'link.sqlite'}", clock=lambda: NOON)
cache = RawCache(folder / "cache", database)
ids = database.claim(PROJECT, [RequestState.LOCATED, RequestState.REQUESTED], worker="killed", limit=10, lease=LEASE)
with StorageReceiver("SAFELIGHT", "127.0.0.1", port, cache.spool, [archive]) as receiver:
    locate_and_retrieve(ids, database=database, archives=[an_archive(archive)], receiver=receiver, cache=cache,
                        worker="killed", lease=LEASE, clock=lambda: NOON, parallel=1)
"""


def instances_in(folder: Path) -> int:
    """Count instances, whatever folders come and go meanwhile."""
    return sum(name.endswith(".dcm") for _, _, names in os.walk(folder) for name in names)


def test_killed_at_any_instant(tmp_path: Path, stage: Stage, cache: RawCache, clock: Clock, receiver_peer: Peer) -> None:
    archive = HostileArchive(STUDIES, receiver_peer)

    def send_slowly(association: object, instances: list[object]) -> None:
        for instance in instances:
            time.sleep(0.02)
            send_all(association, [instance])  # type: ignore[list-item]

    archive.send = send_slowly
    archive.start()
    stage.enter(*map(a_request, STUDIES))
    try:
        for run in range(6):
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(tmp_path), str(archive.port), str(receiver_peer.port)],
                cwd=CHECKOUT,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            )
            arrived = instances_in(cache.folder)
            deadline = time.monotonic() + 30
            while worker.poll() is None and time.monotonic() < deadline:
                # Each run a little later in its study.
                if instances_in(cache.folder) > arrived + run % 4:
                    break
                time.sleep(0.005)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            states = {one.state for one in stage.requests()}
            assert states <= {RequestState.REQUESTED, RequestState.LOCATED, RequestState.RETRIEVED}
            # Nobody else may take them before the lease is over.
            held = [one for one in stage.requests() if one.state is not RequestState.RETRIEVED]
            if held and worker.returncode == -signal.SIGKILL and not run:
                assert stage.claim() == []
            stage.database.release([one.id for one in held], worker="killed")

        clock.now += LEASE + timedelta(seconds=1)
        with StorageReceiver("SAFELIGHT", "127.0.0.1", receiver_peer.port, cache.spool, [archive]) as receiver:
            stage.run(receiver, an_archive(archive))
            sent_before = sum(map(len, archive.moved))
            stage.enter(*map(a_request, STUDIES))
            stage.run(receiver, an_archive(archive))
            assert sum(map(len, archive.moved)) == sent_before
    finally:
        archive.stop()
    assert {one.state for one in stage.requests()} == {RequestState.RETRIEVED}
    files = sorted(str(dcmread(path).SOPInstanceUID) for path in cache.folder.rglob("*.dcm"))
    assert files == sorted(uid for study in STUDIES for uid in study.sop_uids)
    assert not list(cache.folder.rglob("*.part"))
