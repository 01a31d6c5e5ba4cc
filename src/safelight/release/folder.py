"""A local or mounted folder as destination. A file appears complete or not at all: ``.part``, flushed, renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from safelight.release.faults import folder_fault
from safelight.release.file_store import FileDestination

_CHUNK: Final = 1 << 20
_PART: Final = ".part"


@contextmanager
def _faults(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise folder_fault(error, where) from None


@dataclass(frozen=True)
class FolderStore:
    """A folder for files. ``words`` says in messages which one: ``the DICOM folder``."""

    root: Path
    name: str = "folder"
    words: str = "the DICOM folder"

    def check(self, project: str) -> None:
        """Raise StorageUnwritable or StorageFull when the project's folder can't be written."""
        folder = self.root / project
        probe = folder / f".probe{_PART}"
        with _faults(self.words):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe.write_bytes(bytes(4096))
            finally:
                with suppress(OSError):
                    probe.unlink()

    @contextmanager
    def open(self) -> Iterator[OpenFolder]:
        """Open it. At the end the folders of what was put are flushed to the disk."""
        store = OpenFolder(self.root, self.words)
        yield store
        with _faults(self.words):
            for folder in sorted(store.touched):
                _flush_folder(folder)


@dataclass
class OpenFolder:
    """The folder while it is open."""

    root: Path
    words: str
    touched: set[Path] = field(default_factory=set)

    def compare(self, name: str, path: Path) -> bool | None:
        """Tell whether the file there has the same bytes; None when there is none."""
        target = self.root / name
        with _faults(self.words):
            return _same(path, target) if target.exists() else None

    def put(self, name: str, path: Path) -> None:
        """Copy the file. Raises StorageFull, StorageUnwritable or DestinationUnavailable."""
        target = self.root / name
        with _faults(self.words):
            _copy(path, target)
        self.touched.update(parent for parent in target.parents if parent.is_relative_to(self.root))

    def fetch(self, name: str, path: Path) -> bool:
        """Copy a file to here."""
        with _faults(self.words):
            try:
                shutil.copyfile(self.root / name, path)
            except FileNotFoundError:
                return False
        return True

    def delete(self, name: str) -> bool:
        """Delete a file, and the folders that are empty then."""
        target = self.root / name
        with _faults(self.words):
            try:
                target.unlink()
            except FileNotFoundError:
                return False
            for folder in target.parents:
                if folder == self.root or any(folder.iterdir()):
                    break
                folder.rmdir()
                self.touched.discard(folder)
            self.touched.add(folder)
        return True

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, halves that a kill left among them."""
        with _faults(self.words):
            found = (self.root / folder).rglob("*")
            return sorted(str(path.relative_to(self.root)) for path in found if path.is_file())


class FolderDestination(FileDestination):
    """DICOM in a folder: ``<root>/<project>/<study>/<series>/<instance>.dcm``."""

    def __init__(self, root: Path, name: str = "folder") -> None:
        super().__init__(FolderStore(root, name))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(_PART)
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
