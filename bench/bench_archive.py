"""Retrieval: our receiver and cache beside a bare receiver that throws everything away, and beside Orthanc as the receiver

All take the same studies from the same Orthanc in the same run, so read the ratios. Each measurement runs in a
process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safelight.model import DicomPeer

if TYPE_CHECKING:
    from safelight.archive import WebService

ROOT = Path(__file__).parents[1]
STUDIES, INSTANCES, KILOBYTES = 4, 50, 512
LARGE_MEGABYTES = 300
ASSOCIATIONS = 20
TURNS = 3
BARE, ORTHANC = "bare pynetdicom receiver", "Orthanc as receiver"
COMPARED = (BARE, "Safelight, C-MOVE", "Safelight, C-GET", "Safelight, DICOMweb", ORTHANC)
LARGE = "Safelight, one large instance"
CROWD = f"Safelight's receiver, {ASSOCIATIONS} large instances at once"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def main() -> list[dict[str, Any]]:
    """Run every measurement; returns name, size, seconds, rate, peak memory in MB, and a note.

    What is compared takes turns, and the best of each counts: a machine that others use, too, slows each in its turn.
    """
    with tempfile.TemporaryDirectory() as folder, _archives(Path(folder)) as arguments:

        def measure(what: str, size: int) -> dict[str, Any]:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                return _measure(what, size, own, arguments)

        turns = [[measure(what, STUDIES * INSTANCES) for what in COMPARED] for _ in range(TURNS)]
        rows = [min(of_one, key=lambda row: float(row["seconds"])) for of_one in zip(*turns, strict=True)]
        rows += [measure(LARGE, 1), measure(CROWD, ASSOCIATIONS)]
    bare, move, _, _, orthanc = (float(row["seconds"]) for row in rows[: len(COMPARED)])
    rows[1]["note"] = f"{bare / move:.0%} of the bare receiver's speed, {orthanc / move:.1f} times Orthanc's"
    return rows


def _measure(what: str, instances: int, folder: str, arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.bench_archive", what, folder, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    megabytes = instances * (LARGE_MEGABYTES if "large" in what else KILOBYTES / 1024)
    rate = f"{megabytes / told['seconds']:.0f} MB/s, {instances / told['seconds']:.0f} instances/s"
    return {"what": what, "size": f"{instances} instances, {megabytes:.0f} MB", **told, "rate": rate, "note": ""}


@contextmanager
def _archives(folder: Path) -> Iterator[list[str]]:
    from tests.services.orthanc import Orthanc, Peer
    from tests.services.process import free_port

    receiver = Peer("SAFELIGHT", free_port())
    other = Orthanc(folder / "other", ae_title="OTHER", peers={"source": Peer("ORTHANC", 104)})
    source = Orthanc(folder / "source", peers={"safelight": receiver, "other": Peer("OTHER", other.port)})
    try:
        for study in _studies():
            source.upload(study.files())
        source.upload(_large().files())
        yield [str(source.port), str(receiver.port), source.dicomweb_url]
    finally:
        source.stop()
        other.stop()


def _studies() -> list[Any]:
    from tests.archive.studies import Study

    return [Study(500 + number, series=(INSTANCES,), kilobytes=KILOBYTES) for number in range(STUDIES)]


def _large() -> Any:  # noqa: ANN401  a study of the tests
    from tests.archive.studies import Study

    return Study(600, series=(1,), kilobytes=LARGE_MEGABYTES * 1024)


def _safelight(
    folder: Path,
    archive: DicomPeer | WebService,
    port: int,
    studies: list[Any],
    retrieve: Literal["c-move", "c-get", "dicomweb"],
) -> float:
    from safelight.archive import Archive, Intake, RawCache, StorageReceiver, Unlimited, locate_and_retrieve
    from safelight.archive.settings import ArchiveUse
    from safelight.link import LinkDatabase
    from safelight.model import RequestState, StudyRequest
    from safelight.pseudonym import ProjectKey, Pseudonymizer

    database = LinkDatabase(f"sqlite:///{folder / 'link.sqlite'}", clock=lambda: NOON)
    database.migrate()
    extract = database.register_extract("bench", name="one", sha256="0" * 64, generated=NOON, source="csv")
    requests = [StudyRequest("bench", one.mrn, one.accession, one.uid, one.when, one.number) for one in studies]
    key = Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))
    database.add_requests(extract, requests, pseudonymizer=key, opted_out={})
    cache = RawCache(folder / "cache", database)
    lease = timedelta(minutes=10)
    ids = database.claim("bench", [RequestState.REQUESTED], worker="bench", limit=100, lease=lease)
    use = ArchiveUse(block="main", retrieve=retrieve)
    asked = Archive("main", archive, calling_ae_title="SAFELIGHT", use=use, throttle=Unlimited())
    with ExitStack() as running:
        arrive_at: StorageReceiver | Intake = Intake(cache.spool)
        if asked.mover is not None:
            receiver = StorageReceiver("SAFELIGHT", "127.0.0.1", port, cache.spool, [asked.mover])
            arrive_at = running.enter_context(receiver)
        started = time.perf_counter()
        counts = locate_and_retrieve(
            ids,
            database=database,
            archives=[asked],
            receiver=arrive_at,
            cache=cache,
            worker="bench",
            lease=lease,
            clock=lambda: NOON,
        )
        taken = time.perf_counter() - started
    if counts.moved != {"retrieved": len(studies)}:
        raise SystemExit(f"not all was retrieved: {counts.moved}")
    return taken


def _crowd(folder: Path, archive: DicomPeer, port: int) -> float:
    """Send one large instance on many associations at once, by dcmtk, into a receiver that expects it."""
    from safelight.archive import StorageReceiver
    from safelight.archive.intake import Expectation
    from tests.services.process import program

    large = _large()
    file = folder / "large.dcm"
    file.write_bytes(large.file(0, 0))
    expected = Expectation(
        large.uid,
        folder / "study",
        name_of=lambda _uid: "one.dcm",
        is_patient=lambda _identity: True,
        series_uids=frozenset(),
        clock=time.monotonic,
    )
    send = [program("dcmsend"), "-aet", archive.ae_title, "-aec", "SAFELIGHT", "127.0.0.1", str(port), str(file)]
    with (
        StorageReceiver("SAFELIGHT", "127.0.0.1", port, folder / "spool", [archive]) as receiver,
        receiver.intake.expect(expected),
    ):
        # The peak of what follows, not of making the file: writing 5 sets it back (proc(5)).
        Path("/proc/self/clear_refs").write_text("5")
        started = time.perf_counter()
        senders = [subprocess.Popen(send) for _ in range(ASSOCIATIONS)]
        failed = sum(sender.wait() != 0 for sender in senders)
        taken = time.perf_counter() - started
    if failed or receiver.callers[archive.ae_title] != ASSOCIATIONS or receiver.refusals:
        raise SystemExit(f"{failed} of {ASSOCIATIONS} senders failed")
    return taken


def _move(archive: DicomPeer, destination: str, studies: list[Any]) -> float:
    """Have the studies moved, two at a time as the stage does, and wait until they are."""
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


def _one(what: str, folder: Path, source: int, port: int, address: str) -> None:
    from safelight.archive import WebService
    from tests.services.orthanc import Orthanc, Peer

    archive = Peer("ORTHANC", source)
    web = WebService(address, auth=(Orthanc.username, Orthanc.password))
    measurements: dict[str, Callable[[], float]] = {
        BARE: lambda: _bare(archive, port, _studies()),
        "Safelight, C-MOVE": lambda: _safelight(folder, archive, port, _studies(), "c-move"),
        "Safelight, C-GET": lambda: _safelight(folder, archive, port, _studies(), "c-get"),
        "Safelight, DICOMweb": lambda: _safelight(folder, web, port, _studies(), "dicomweb"),
        ORTHANC: lambda: _move(archive, "OTHER", _studies()),
        LARGE: lambda: _safelight(folder, archive, port, [_large()], "c-move"),
        CROWD: lambda: _crowd(folder, archive, port),
    }
    seconds = measurements[what]()
    # Not getrusage: that one starts with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"seconds": round(seconds, 3), "peak MB": round(peak)}))


if __name__ == "__main__":
    _one(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
