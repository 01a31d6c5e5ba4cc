"""Orthanc, a DICOM archive with DICOMweb: the clinical archive and the research destination of the tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.services.process import Program, ServiceUnavailable, free_port, program

_PLUGIN = "orthanc/plugins/libOrthancDicomWeb.so"
_PLUGIN_FOLDERS = (Path("/usr/share"), Path("/usr/lib"))


@dataclass(frozen=True)
class Peer:
    """A DICOM application entity on this machine."""

    ae_title: str
    port: int
    host: str = "127.0.0.1"


class Orthanc:
    """A running Orthanc; itself a ``DicomPeer`` (``ae_title``, ``host``, ``port``).

    Args:
        folder: For its configuration, database, files and log.
        ae_title: Checked against the called AE title of each association.
        peers: Who may talk to it and where C-MOVE may send, by a name of your choice. Anyone else is refused.
        dicomweb: Whether to load the DICOMweb plugin.
        overwrite: Whether an instance that comes again replaces the one that is there.
        configuration: More of Orthanc's own settings.
    """

    username = "orthanc"
    password = "orthanc"

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "ORTHANC",
        peers: Mapping[str, Peer] | None = None,
        dicomweb: bool = True,
        overwrite: bool = True,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        self.ae_title = ae_title
        self.host = "127.0.0.1"
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.session = requests.Session()
        self.session.auth = (self.username, self.password)
        self.session.trust_env = False
        self._settings: dict[str, Any] = {
            "Name": ae_title,
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "Plugins": [str(_plugin())] if dicomweb else [],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {self.username: self.password},
            "HttpCompressionEnabled": False,  # else each instance is sent at a tenth of the speed
            "KeepAlive": True,
            "TcpNoDelay": True,
            "HttpThreadsCount": 8,
            "DicomAet": ae_title,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": False,
            "DicomAlwaysAllowEcho": True,
            "DicomModalities": {name: _modality(peer) for name, peer in (peers or {}).items()},
            "MaximumPduLength": 131072,
            "UnknownSopClassAccepted": True,
            "OverwriteInstances": overwrite,
            "SynchronousCMove": True,
            "StableAge": 1,
            "SaveJobs": False,
            "ExecuteLuaEnabled": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False, "Host": "127.0.0.1", "Ssl": False},
            **(configuration or {}),
        }
        self.port = free_port()
        self._http_port = free_port()
        self._start()

    def _start(self) -> None:
        settings = {**self._settings, "DicomPort": self.port, "HttpPort": self._http_port}
        path = self._folder / "orthanc.json"
        path.write_text(json.dumps(settings, indent=1))
        self._program = Program([program("Orthanc"), str(path)], self._folder, self._answers)

    def _answers(self) -> bool:
        try:
            answer = self.session.get(f"{self.url}/system", timeout=5)
        except requests.ConnectionError:
            return False
        return answer.ok and answer.json()["DicomPort"] == self.port

    @property
    def url(self) -> str:
        """Its own REST interface."""
        return f"http://127.0.0.1:{self._http_port}"

    @property
    def dicomweb_url(self) -> str:
        """Its DICOMweb interface: QIDO-RS, WADO-RS and STOW-RS below this address."""
        return f"{self.url}/dicom-web"

    def add_peer(self, name: str, peer: Peer) -> None:
        """Let ``peer`` talk to this archive and receive by C-MOVE, from now on."""
        self._call("PUT", f"/modalities/{name}", json=_modality(peer))

    def upload(self, files: Iterable[Path | bytes]) -> int:
        """Put instances into the archive; returns how many."""
        count = 0
        for file in files:
            self._call("POST", "/instances", data=file if isinstance(file, bytes) else file.read_bytes())
            count += 1
        return count

    def instances(self) -> dict[str, str]:
        """SOP Instance UID of all instances in the archive -> Orthanc's own id."""
        found = self._call("GET", "/instances?expand").json()
        return {instance["MainDicomTags"]["SOPInstanceUID"]: instance["ID"] for instance in found}

    def file(self, sop_instance_uid: str) -> bytes:
        """One instance as a DICOM file."""
        return self._call("GET", f"/instances/{self.instances()[sop_instance_uid]}/file").content

    def delete(self, sop_instance_uid: str) -> None:
        """Take one instance out of the archive."""
        self._call("DELETE", f"/instances/{self.instances()[sop_instance_uid]}")

    def clear(self) -> None:
        """Take everything out of the archive."""
        for patient in self._call("GET", "/patients").json():
            self._call("DELETE", f"/patients/{patient}")

    def _call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        answer = self.session.request(method, self.url + path, timeout=60, **arguments)
        answer.raise_for_status()
        return answer

    def log(self) -> str:
        """What it has logged so far."""
        return self._program.log()

    def stop(self) -> None:
        """Shut it down; ``start`` brings it back with the same ports and content."""
        # A kept-open connection would hold the shutdown for its time-out.
        self.session.close()
        self._program.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.session.close()
        self._program.kill()

    def start(self) -> None:
        """Start again after ``stop`` or ``kill``."""
        self._start()


def _modality(peer: Peer) -> dict[str, Any]:
    allowed = dict.fromkeys(("AllowEcho", "AllowFind", "AllowMove", "AllowGet", "AllowStore"), True)
    return {"AET": peer.ae_title, "Host": peer.host, "Port": peer.port, **allowed}


def _plugin() -> Path:
    for folder in _PLUGIN_FOLDERS:
        if (path := folder / _PLUGIN).exists():
            return path
    raise ServiceUnavailable("the DICOMweb plugin of Orthanc is not installed: type `make services`")
