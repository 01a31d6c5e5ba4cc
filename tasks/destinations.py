"""The places that a project's data goes to, from its settings and the blocks that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blocks import AzureBlobContainer, DeltaLake, DicomNode, DicomwebServer, FtpsServer, LocalFolder
from safelight.release.blob import BlobStore
from safelight.release.dicomweb import DicomwebDestination
from safelight.release.file_store import FileDestination
from safelight.release.folder import FolderStore
from safelight.release.ftps import FtpsStore
from safelight.release.lake import Lake
from safelight.release.parquet import ParquetDelivery
from safelight.release.storage_peer import StoragePeerDestination
from safelight.release.study_archive import StudyArchiveDestination
from tasks.nodes import tls_to
from tasks.wiring import load_block

if TYPE_CHECKING:
    from collections.abc import Callable

    from safelight.release.destination import Destination
    from safelight.release.file_store import FileStore
    from tasks.wiring import ProjectRun


def destinations_of(run: ProjectRun) -> list[Destination]:
    """Return the project's DICOM destinations."""
    return [DICOM_KINDS[each.kind](run, each.block) for each in run.project.destinations.dicom]


def parquet_destinations_of(run: ProjectRun) -> list[ParquetDelivery]:
    """Return the project's destinations for tables as Parquet files."""
    return [ParquetDelivery(STORE_KINDS[each.kind](each.block)) for each in run.project.destinations.parquet]


def lake_of(run: ProjectRun) -> Lake:
    """Return the project's lake."""
    block = load_block(DeltaLake, run.project.destinations.lake)
    return Lake(block.uri, block.options())


def _folder(block: str) -> FileStore:
    return FolderStore(load_block(LocalFolder, block).path, name=block, words=f"the folder of block '{block}'")


def _blob(block: str) -> FileStore:
    return BlobStore(load_block(AzureBlobContainer, block).open(), name=block)


def _ftps(block: str) -> FileStore:
    server = load_block(FtpsServer, block)
    return FtpsStore(
        server.host,
        server.port,
        server.username,
        server.password.get_secret_value(),
        implicit=server.implicit,
        ca=server.ca_file,
        folder=server.folder,
        name=block,
    )


def _dicomweb(run: ProjectRun, block: str) -> Destination:  # noqa: ARG001  all kinds are called alike
    server = load_block(DicomwebServer, block)
    own = (server.cert_file, server.key_file) if server.cert_file and server.key_file else None
    return DicomwebDestination(server.url, auth=server.login(), ca=server.ca_file, certificate=own, name=block)


def _node(run: ProjectRun, block: str) -> Destination:  # noqa: ARG001
    node = load_block(DicomNode, block)
    return StoragePeerDestination(node, node.calling_ae_title, name=block, tls=tls_to(node, block))


#: Places for files by kind, and all places for DICOM: the closed lists of a project's file.
STORE_KINDS: Final[dict[str, Callable[[str], FileStore]]] = {"folder": _folder, "blob": _blob, "ftps": _ftps}
DICOM_KINDS: Final[dict[str, Callable[[ProjectRun, str], Destination]]] = {
    "folder": lambda run, block: FileDestination(_folder(block)),  # noqa: ARG005
    "blob": lambda run, block: FileDestination(_blob(block)),  # noqa: ARG005
    "ftps": lambda run, block: StudyArchiveDestination(_ftps(block), run.work / "outbox"),
    "dicomweb": _dicomweb,
    "c-store": _node,
}
