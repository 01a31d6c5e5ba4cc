"""Retrieval: our receiver and cache beside a bare receiver that throws everything away, and beside Orthanc as the receiver

All three take the same studies from the same Orthanc in the same run, so read the ratios. Each measurement runs in a
process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from safelight.model import DicomPeer

ROOT = Path(__file__).parents[1]
STUDIES, INSTANCES, KILOBYTES = 4, 50, 512
LARGE_MEGABYTES = 300
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def main() -> list[dict[str, Any]]:
    """Run every measurement; returns name, size, seconds, rate, peak memory in MB, and a note."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, _archives(Path(folder)) as (source, port, other):
        for what in ("bare pynetdicom receiver", "Safelight", "Orthanc as receiver", "Safelight, one large instance"):
            size = 1 if "large" in what else STUDIES * INSTANCES
            rows.append(_measure(what, size, folder, source, port, other))
    bare, ours, orthanc = (float(row["seconds"]) for row in rows[:3])
    rows[1]["note"] = f"{bare / ours:.0%} of the bare receiver's speed, {orthanc / ours:.1f} times Orthanc's"
    return rows


def _measure(what: str, instances: int, folder: str, source: int, port: int, other: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.bench_archive", what, folder, str(source), str(port), str(other)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    megabytes = LARGE_MEGABYTES if "large" in what else instances * KILOBYTES / 1024
    rate = f"{megabytes / told['seconds']:.0f} MB/s, {instances / told['seconds']:.0f} instances/s"
    return {"what": what, "size": f"{instances} instances, {megabytes:.0f} MB", **told, "rate": rate, "note": ""}


@contextmanager
def _archives(folder: Path) -> Iterator[tuple[int, int, int]]:
    from tests.services.orthanc import Orthanc, Peer
    from tests.services.process import free_port

    receiver = Peer("SAFELIGHT", free_port())
    other = Orthanc(folder / "other", ae_title="OTHER", peers={"source": Peer("ORTHANC", 104)})
    source = Orthanc(folder / "source", peers={"safelight": receiver, "other": Peer("OTHER", other.port)})
    try:
        for study in _studies():
            source.upload(study.files())
        source.upload(_large().files())
        yield source.port, receiver.port, other.port
    finally:
        source.stop()
        other.stop()


def _studies() -> list[Any]:
    from tests.archive.studies import Study

    return [Study(500 + number, series=(INSTANCES,), kilobytes=KILOBYTES) for number in range(STUDIES)]


def _large() -> Any:  # noqa: ANN401  a study of the tests
    from tests.archive.studies import Study

    return Study(600, series=(1,), kilobytes=LARGE_MEGABYTES * 1024)


def _safelight(folder: Path, archive: DicomPeer, port: int, studies: list[Any]) -> float:
    from safelight.archive import Archive, RawCache, StorageReceiver, Unlimited, locate_and_retrieve
    from safelight.archive.settings import ArchiveUse
    from safelight.link import LinkDatabase
    from safelight.model import RequestState, StudyRequest
    from safelight.pseudonym import ProjectKey, Pseudonymizer

    database = LinkDatabase(f"sqlite:///{folder / f'{len(studies)}.sqlite'}", clock=lambda: NOON)
    database.migrate()
    extract = database.register_extract("bench", name="one", sha256="0" * 64, generated=NOON, source="csv")
    requests = [StudyRequest("bench", one.mrn, one.accession, one.uid, one.when, one.number) for one in studies]
    key = Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))
    database.add_requests(extract, requests, pseudonymizer=key, opted_out={})
    cache = RawCache(folder / f"cache-{len(studies)}", database)
    lease = timedelta(minutes=10)
    ids = database.claim("bench", [RequestState.REQUESTED], worker="bench", limit=100, lease=lease)
    asked = Archive("main", archive, calling_ae_title="SAFELIGHT", use=ArchiveUse(block="main"), throttle=Unlimited())
    with StorageReceiver("SAFELIGHT", "127.0.0.1", port, cache.spool, [archive]) as receiver:
        started = time.perf_counter()
        counts = locate_and_retrieve(
            ids,
            database=database,
            archives=[asked],
            receiver=receiver,
            cache=cache,
            worker="bench",
            lease=lease,
            clock=lambda: NOON,
        )
        taken = time.perf_counter() - started
    if counts.moved != {"retrieved": len(studies)}:
        raise SystemExit(f"not all was retrieved: {counts.moved}")
    return taken


def _move(archive: DicomPeer, destination: str, studies: list[Any]) -> float:
    """Have the studies moved two at a time, as the stage does, and wait until they are."""
    from concurrent.futures import ThreadPoolExecutor

    from pydicom.dataset import Dataset
    from pynetdicom import AE
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove

    def move(study: Any) -> None:  # noqa: ANN401
        entity = AE("SAFELIGHT")
        entity.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
        association = entity.associate(archive.host, archive.port, ae_title=archive.ae_title)
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID = study.uid
        statuses = list(association.send_c_move(identifier, destination, StudyRootQueryRetrieveInformationModelMove))
        association.release()
        if statuses[-1][0].Status != 0:
            raise SystemExit(f"C-MOVE failed: {statuses[-1][0].Status:04X}")

    started = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(move, studies))
    return time.perf_counter() - started


def _bare(archive: DicomPeer, port: int, studies: list[Any]) -> float:
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt

    entity = AE("SAFELIGHT")
    entity.maximum_pdu_size = 131072
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _event: 0)])
    taken = _move(archive, "SAFELIGHT", studies)
    server.shutdown()
    return taken


def _one(what: str, folder: Path, source: int, port: int, _other: int) -> None:
    from tests.services.orthanc import Peer

    archive = Peer("ORTHANC", source)
    if what == "bare pynetdicom receiver":
        seconds = _bare(archive, port, _studies())
    elif what == "Orthanc as receiver":
        seconds = _move(archive, "OTHER", _studies())
    else:
        seconds = _safelight(folder, archive, port, [_large()] if "large" in what else _studies())
    # Not getrusage: that one starts with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"seconds": round(seconds, 3), "peak MB": round(peak)}))


if __name__ == "__main__":
    _one(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6]))
