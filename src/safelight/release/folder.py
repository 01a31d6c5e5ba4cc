"""A folder as DICOM destination: ``<root>/<project>/<study>/<series>/<instance>.dcm``, all by pseudonym.

A file appears complete or not at all: written as ``.part``, flushed to the disk, renamed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safelight.errors import IntegrityError
from safelight.model import Reason
from safelight.release.destination import OutputFile, SendResult
from safelight.release.faults import folder_fault

_CHUNK: Final = 1 << 20
_WORDS: Final = "the DICOM folder"


@dataclass(frozen=True)
class FolderDestination:
    """A local or mounted folder.

    A file that is there already with other content is never overwritten: the new one is refused by its UID. Memory is
    flat; the cost is one read and one write, and one read of both where the file is there already.
    """

    root: Path
    name: str = "folder"

    def check(self, project: str) -> None:
        """Raise StorageUnwritable or StorageFull when the project's folder can't be written."""
        folder = self.root / project
        probe = folder / ".probe.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(bytes(4096))
            probe.unlink()
        except OSError as error:
            with suppress(OSError):
                probe.unlink()
            raise folder_fault(error, _WORDS) from None

    def send(self, project: str, files: Sequence[OutputFile]) -> SendResult:
        """Copy the files. Raises StorageFull, StorageUnwritable or DestinationUnavailable; complete files stay."""
        result = SendResult()
        folders: set[Path] = set()
        for file in files:
            target = self.root / project / file.relative
            if not file.path.is_file():
                raise IntegrityError("An output file that was verified is not in the work folder any more.")
            try:
                if not target.exists():
                    _copy(file.path, target)
                    folders.update((target.parent, target.parent.parent, target.parent.parent.parent))
                    result.stored.add(file.sop_uid)
                elif _same(file.path, target):
                    result.already.add(file.sop_uid)
                else:
                    result.refused[file.sop_uid] = Reason.DESTINATION_REFUSED
            except OSError as error:
                raise folder_fault(error, _WORDS) from None
        for folder in sorted(folders):
            _flush_folder(folder)
        return result

    def locate(self, project: str, study_uid: str, series_uid: str) -> dict[str, str]:
        """Return the path of a series below the root."""
        return {"local_path": f"{project}/{study_uid}/{series_uid}"}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    try:
        with source.open("rb") as read, part.open("wb") as write:
            shutil.copyfileobj(read, write, _CHUNK)
            write.flush()
            os.fsync(write.fileno())
        part.rename(target)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while chunk := left.read(_CHUNK):
            if chunk != right.read(len(chunk)):
                return False
    return True


def _flush_folder(folder: Path) -> None:
    # A rename is on the disk only when its folder is (fsync(2)).
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
