"""DICOM as one zip file a study: ``<project>/<study>.zip``, which holds ``<series>/<instance>.dcm``.

Its bytes depend on nothing but its members, so a sending that was cut off goes on in the middle. When more of a study is
released later, the archive is fetched, completed and replaced; where it may not be fetched, the new instances are refused.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

from safelight.model import Reason
from safelight.release.destination import OutputFile, SendResult, Withdrawn, output_is_gone
from safelight.release.faults import folder_fault
from safelight.release.file_store import FileStore, OpenStore, StoreDestination

_CHUNK: Final = 1 << 20
#: The earliest time that a zip file knows: ours tell none.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)


class StudyArchiveDestination(StoreDestination):
    """A store that takes each study as a zip file.

    Memory is flat; the cost is one more writing and reading of each study.

    Args:
        store: where the zip files go.
        scratch: folder for zip files in the making, and for nothing else; emptied each time.
    """

    def __init__(self, store: FileStore, scratch: Path) -> None:
        super().__init__(store)
        self._scratch = scratch

    def send(self, project: str, files: Sequence[OutputFile]) -> SendResult:
        """Put one zip file a study there. A study arrives as a whole or not at all."""
        result, studies = SendResult(), dict[str, list[OutputFile]]()
        for file in files:
            if not file.path.is_file():
                raise output_is_gone()
            studies.setdefault(file.study_uid, []).append(file)
        try:
            if self._scratch.exists():
                shutil.rmtree(self._scratch)  # what a killed export left
            self._scratch.mkdir(parents=True)
            with self.store.open() as store:
                for study, members in studies.items():
                    with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
                        result.add(_send(store, f"{project}/{study}.zip", members, Path(folder)))
        except OSError as error:
            raise folder_fault(error, "the work folder") from None
        return result

    def locate(self, project: str, study_uid: str, series_uid: str) -> dict[str, str]:  # noqa: ARG002
        """Return nothing: what the receiver does with a zip file is not known here."""
        return {}

    def withdraw(self, project: str, studies: Sequence[str]) -> Withdrawn:
        """Delete the zip files of the studies, and what an upload that was cut off left of them."""
        result = Withdrawn()
        with self.store.open() as store:
            there = store.names(project)
            for study in studies:
                names = [name for name in there if name.startswith(f"{project}/{study}.zip")]
                deleted = [store.delete(name) for name in names]
                (result.removed if any(deleted) else result.absent).add(study)
        return result


def _send(store: OpenStore, name: str, files: Sequence[OutputFile], scratch: Path) -> SendResult:
    result = SendResult()
    members = {_member(file): file for file in files}
    made = scratch / "made.zip"
    _write(made, {member: file.path for member, file in members.items()}, None)
    same = store.compare(name, made)
    if same:
        result.already = {file.sop_uid for file in files}
    elif same is None:
        store.put(name, made)
        result.stored = {file.sop_uid for file in files}
    else:
        result = _complete(store, name, members, scratch)
    return result


def _complete(store: OpenStore, name: str, members: Mapping[str, OutputFile], scratch: Path) -> SendResult:
    """Add what is missing to the zip file that is there; a member with other content is left and the new one refused."""
    result, fetched, made = SendResult(), scratch / "fetched.zip", scratch / "made.zip"
    refuse_all = SendResult(refused={file.sop_uid: Reason.DESTINATION_REFUSED for file in members.values()})
    if not store.fetch(name, fetched):
        return refuse_all
    try:
        with zipfile.ZipFile(fetched) as there:
            if there.testzip() is not None:
                return refuse_all
            known = set(there.namelist())
            new = {}
            for member, file in members.items():
                if member not in known:
                    new[member] = file.path
                    result.stored.add(file.sop_uid)
                elif _same(there, member, file.path):
                    result.already.add(file.sop_uid)
                else:
                    result.refused[file.sop_uid] = Reason.DESTINATION_REFUSED
            if new:
                _write(made, new, there)
                store.put(name, made)
    except zipfile.BadZipFile:
        return refuse_all
    return result


def _member(file: OutputFile) -> str:
    return f"{file.series_uid}/{file.sop_uid}.dcm"


def _write(target: Path, files: Mapping[str, Path], old: zipfile.ZipFile | None) -> None:
    names = sorted({*files, *(old.namelist() if old else ())})
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as made:
        for name in names:
            entry = zipfile.ZipInfo(name, _NO_TIME)
            entry.external_attr = 0o600 << 16
            with ExitStack() as stack:
                source: IO[bytes] = stack.enter_context(
                    files[name].open("rb") if name in files or old is None else old.open(name)
                )
                member = stack.enter_context(made.open(entry, "w", force_zip64=True))
                while chunk := source.read(_CHUNK):
                    member.write(chunk)


def _same(archive: zipfile.ZipFile, member: str, path: Path) -> bool:
    if archive.getinfo(member).file_size != path.stat().st_size:
        return False
    with archive.open(member) as there, path.open("rb") as here:
        while chunk := here.read(_CHUNK):
            if chunk != there.read(len(chunk)):
                return False
    return True
