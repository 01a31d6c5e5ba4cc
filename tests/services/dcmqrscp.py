"""dcmqrscp, the query/retrieve archive of dcmtk: a second make of archive, with other habits than Orthanc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.services.orthanc import Peer
from tests.services.process import Program, accepts_connections, free_port, program, run


class Dcmqrscp:
    """A running dcmqrscp; itself a ``DicomPeer``.

    It answers C-FIND without ModalitiesInStudy and without counts, and a C-MOVE of an unknown study with success.

    Args:
        folder: For its configuration, files and log.
        ae_title: The one storage area that it serves.
        peers: Who may talk to it and where C-MOVE may send. Fixed for its life.
    """

    def __init__(self, folder: Path, *, ae_title: str = "QRSCP", peers: Mapping[str, Peer] | None = None) -> None:
        self.ae_title = ae_title
        self.host = "127.0.0.1"
        self.port = free_port()
        self._folder = folder
        storage = folder / "storage"
        storage.mkdir(parents=True, exist_ok=True)
        # It compares the name that the peer's address resolves to, so the table must say localhost.
        self._uploader = "UPLOADER"
        known = {"uploader": Peer(self._uploader, 104), **(peers or {})}
        table = "\n".join(f"{name} = ({peer.ae_title}, localhost, {peer.port})" for name, peer in known.items())
        self._configuration = folder / "dcmqrscp.cfg"
        self._configuration.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
            f"HostTable BEGIN\n{table}\npeers = {', '.join(known)}\nHostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{ae_title} {storage} RW (500, 1024mb) peers\nAETable END\n"
        )
        self.start()

    def start(self) -> None:
        """Start; also again after ``stop`` or ``kill``."""
        arguments = [program("dcmqrscp"), "--config", str(self._configuration)]
        self._program = Program(arguments, self._folder, lambda: accepts_connections(self.port))

    def upload(self, files: Sequence[Path]) -> int:
        """Put instances into the archive over a real association; returns how many."""
        run(
            [program("dcmsend"), "-aet", self._uploader, "-aec", self.ae_title, self.host, str(self.port), *map(str, files)],
            self._folder,
        )
        return len(files)

    def log(self) -> str:
        """What it has logged so far."""
        return self._program.log()

    def stop(self) -> None:
        """Shut it down."""
        self._program.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._program.kill()
