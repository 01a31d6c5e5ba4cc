"""The places that a project's data goes to, from its settings and the blocks that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blocks import DeltaLake, DicomwebServer, LocalFolder
from safelight.release.dicomweb import DicomwebDestination
from safelight.release.folder import FolderDestination
from safelight.release.lake import Lake
from tasks.wiring import load_block

if TYPE_CHECKING:
    from safelight.release.destination import Destination
    from tasks.wiring import ProjectRun


def destinations_of(run: ProjectRun) -> list[Destination]:
    """Return the project's DICOM destinations."""
    found: list[Destination] = []
    for destination in run.project.destinations.dicom:
        if destination.kind == "folder":
            found.append(FolderDestination(load_block(LocalFolder, destination.block).path, name=destination.block))
        else:
            server = load_block(DicomwebServer, destination.block)
            auth = (server.username, server.password.get_secret_value()) if server.username else None
            found.append(DicomwebDestination(server.url, auth=auth, ca=server.ca_file, name=destination.block))
    return found


def lake_of(run: ProjectRun) -> Lake:
    """Return the project's lake."""
    block = load_block(DeltaLake, run.project.destinations.lake)
    return Lake(block.uri, block.options())
