"""Every kind of DICOM destination, at a real server of its kind."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pydicom

from safelight.release.destination import Destination, OutputFile
from tests.release.hospital import PROJECT
from tests.release.reach import Settings, build
from tests.services.azurite import Azurite
from tests.services.orthanc import Orthanc
from tests.services.process import free_port
from tests.services.vsftpd import Vsftpd


@dataclass
class Place:
    """A destination of one kind.

    Args:
        kind: as in a project's file.
        settings: what ``build`` makes the destination from.
        content: what is there: SOP Instance UID -> bytes.
        expected: what a file is there.
        spoil: sees to it that an instance will be refused.
        wrong: settings with credentials, a name or an address that the server does not take.
        down: settings of a server that does not run.
        deletes: whether studies can be taken back by protocol.
    """

    kind: str
    settings: Settings
    content: Callable[[], dict[str, bytes]]
    spoil: Callable[[OutputFile], object]
    wrong: Settings
    down: Settings
    expected: Callable[[Path], bytes] = Path.read_bytes
    deletes: bool = True
    target: Destination = field(init=False)

    def __post_init__(self) -> None:
        self.target = build(self.kind, self.settings)


def folder_place(request: Any, tmp_path: Path) -> Place:
    root = tmp_path / "there"

    def content() -> dict[str, bytes]:
        return {path.stem: path.read_bytes() for path in (root / PROJECT).rglob("*.dcm")}

    def spoil(file: OutputFile) -> None:
        path = root / PROJECT / file.relative
        path.parent.mkdir(parents=True)
        path.write_bytes(b"another")

    (tmp_path / "file").write_text("no folder")
    wrong = {"root": str(tmp_path / "file")}
    return Place("folder", {"root": str(root)}, content, spoil, wrong, wrong)


def dicomweb_place(request: Any, tmp_path: Path) -> Place:
    orthanc: Orthanc = request.getfixturevalue("orthanc")
    settings = {"url": orthanc.dicomweb_url, "auth": [orthanc.username, orthanc.password]}
    return Place(
        "dicomweb",
        settings,
        lambda: {uid: orthanc.file(uid) for uid in orthanc.instances()},
        lambda file: file.path.write_bytes(b"this is not DICOM" * 100),
        settings | {"auth": ["orthanc", "SECRETWORD"]},
        settings | {"url": f"http://127.0.0.1:{free_port()}"},
        deletes=False,  # Orthanc's DICOMweb answers 405
    )


def blob_place(request: Any, tmp_path: Path) -> Place:
    azurite: Azurite = request.getfixturevalue("azurite")
    settings = {"account_url": azurite.url, "container": azurite.new_container(), "account_key": azurite.key}
    client = azurite.client().get_container_client(settings["container"])
    request.addfinalizer(client.close)

    def content() -> dict[str, bytes]:
        return {name.rpartition("/")[2][:-4]: client.download_blob(name).readall() for name in client.list_blob_names()}

    return Place(
        "blob",
        settings,
        content,
        lambda file: client.upload_blob(f"{PROJECT}/{file.relative}", b"another"),
        settings | {"account_key": "U0VDUkVUV09SRA=="},
        settings | {"account_url": f"http://127.0.0.1:{free_port()}/{azurite.account}"},
    )


def ftps_place(request: Any, tmp_path: Path) -> Place:
    server: Vsftpd = request.getfixturevalue("vsftpd")
    folder = server.inbox / tmp_path.name
    settings = {
        "host": server.host,
        "port": server.port,
        "username": server.username,
        "password": server.password,
        "ca": str(server.bundle),
        "folder": f"inbox/{tmp_path.name}",
        "scratch": str(tmp_path / "outbox"),
    }

    def content() -> dict[str, bytes]:
        return {name: data for path in (folder / PROJECT).glob("*.zip") for name, data in members(path).items()}

    def spoil(file: OutputFile) -> None:
        (folder / PROJECT).mkdir(parents=True)
        with zipfile.ZipFile(folder / PROJECT / f"{file.study_uid}.zip", "w") as archive:
            archive.writestr(f"{file.series_uid}/{file.sop_uid}.dcm", b"another")

    wrong, down = settings | {"password": "SECRETWORD"}, settings | {"port": free_port()}
    return Place("ftps", settings, content, spoil, wrong, down)


def members(path: Path) -> dict[str, bytes]:
    """SOP Instance UID -> bytes, of a study's zip file."""
    with zipfile.ZipFile(path) as archive:
        return {name.rpartition("/")[2][:-4]: archive.read(name) for name in archive.namelist()}


def storage_place(request: Any, tmp_path: Path) -> Place:
    orthanc: Orthanc = request.getfixturevalue("orthanc")
    settings = {"ae_title": orthanc.ae_title, "port": orthanc.port}
    return Place(
        "c-store",
        settings,
        lambda: {uid: data_set(orthanc.file(uid)) for uid in orthanc.instances()},
        lambda file: file.path.write_bytes(b"this is not DICOM" * 100),
        settings | {"ae_title": "SECRETWORD"},
        settings | {"port": free_port()},
        expected=lambda path: data_set(path.read_bytes()),
        deletes=False,
    )


def data_set(file: bytes) -> bytes:
    """What follows the file meta information: each node writes that part anew."""
    meta = pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True).file_meta
    return file[128 + 4 + 12 + int(meta.FileMetaInformationGroupLength) :]


PLACES: Final[dict[str, Callable[[Any, Path], Place]]] = {
    "folder": folder_place,
    "dicomweb": dicomweb_place,
    "blob": blob_place,
    "ftps": ftps_place,
    "c-store": storage_place,
}
