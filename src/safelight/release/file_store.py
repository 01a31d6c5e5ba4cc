"""What a place for files is: a folder, a container of blobs, an FTPS server. And DICOM in one, as one file an instance."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from safelight.model import Reason
from safelight.release.destination import OutputFile, SendResult, Withdrawn, output_is_gone


class OpenStore(Protocol):
    """A store while it is open. Names are relative, with ``/`` between folders, and made of pseudonyms and slugs.

    Every method raises DestinationUnavailable or StorageFull where trying again later may work, DestinationRefused or
    StorageUnwritable where somebody has to change something first.
    """

    def compare(self, name: str, path: Path) -> bool | None:
        """Tell whether what is there has the file's bytes; None when nothing is there."""
        ...

    def put(self, name: str, path: Path) -> None:
        """Put the file there, in place of an older one. It appears complete or not at all."""
        ...

    def fetch(self, name: str, path: Path) -> bool:
        """Bring a file here. False: it is not there, or may not be read."""
        ...

    def delete(self, name: str) -> bool:
        """Delete a file. False: it was not there."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, sorted; none where there is no such folder."""
        ...


class FileStore(Protocol):
    """A place for files."""

    @property
    def name(self) -> str:
        """Its name in manifests, such as that of its block; no address."""
        ...

    def check(self, project: str) -> None:
        """Raise our error when nothing could be put below the project's folder now."""
        ...

    def open(self) -> AbstractContextManager[OpenStore]:
        """Open it; what was put is safe there once it is closed in good order."""
        ...


class StoreDestination:
    """What all destinations that are made of a store have in common."""

    def __init__(self, store: FileStore) -> None:
        self.store = store

    @property
    def name(self) -> str:
        """The store's name."""
        return self.store.name

    def check(self, project: str) -> None:
        """Raise our error when nothing could be put there now."""
        self.store.check(project)


class FileDestination(StoreDestination):
    """DICOM as files: ``<project>/<study>/<series>/<instance>.dcm``.

    A file that is there already with other content is never overwritten: the new one is refused by its UID. Memory is
    flat; the cost is one read and one write, and one read of both where the file is there already.
    """

    def send(self, project: str, files: Sequence[OutputFile]) -> SendResult:
        """Put the files there. What is complete stays, whatever happens to the next one."""
        result = SendResult()
        with self.store.open() as store:
            for file in files:
                if not file.path.is_file():
                    raise output_is_gone()
                name = f"{project}/{file.relative}"
                same = store.compare(name, file.path)
                if same is None:
                    store.put(name, file.path)
                    result.stored.add(file.sop_uid)
                elif same:
                    result.already.add(file.sop_uid)
                else:
                    result.refused[file.sop_uid] = Reason.DESTINATION_REFUSED
        return result

    def locate(self, project: str, study_uid: str, series_uid: str) -> dict[str, str]:
        """Return the path of a series below the root."""
        return {"local_path": f"{project}/{study_uid}/{series_uid}"}

    def withdraw(self, project: str, studies: Sequence[str]) -> Withdrawn:
        """Delete every file of the studies."""
        result = Withdrawn()
        with self.store.open() as store:
            for study in studies:
                deleted = [store.delete(name) for name in store.names(f"{project}/{study}")]
                (result.removed if deleted else result.absent).add(study)
        return result
