"""A folder as destination."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from safelight.errors import SafelightError
from safelight.model import Reason
from safelight.release.destination import OutputFile
from safelight.release.folder import FolderDestination
from tests.release.disk import file_size_limit
from tests.release.hospital import PROJECT, output_files


def dicom_files(root: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (root / PROJECT).rglob("*.dcm")}


def test_another_file_of_that_name_is_left_and_the_new_one_refused(tmp_path: Path) -> None:
    target = FolderDestination(tmp_path / "there")
    files = output_files(tmp_path / "work", count=2)
    target.send(PROJECT, files)
    changed = tmp_path / "there" / PROJECT / files[0].relative
    for other in (b"short", changed.read_bytes()[:-1] + b"\xff"):
        changed.write_bytes(other)
        result = target.send(PROJECT, files)
        assert result.refused == {files[0].sop_uid: Reason.DESTINATION_REFUSED}
        assert result.already == {files[1].sop_uid}
        assert changed.read_bytes() == other
    assert len(dicom_files(tmp_path / "there")) == 2


_KILLED = """
import os, signal, sys
from pathlib import Path
from safelight.release import folder
from safelight.release.folder import FolderDestination
from tests.release.hospital import PROJECT, output_files
files = output_files(Path(sys.argv[1]), count=3)
limit = int(sys.argv[3])
rename, count = Path.rename, 0
def die(self, target):
    global count
    count += 1
    if count == limit:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.rename = die
FolderDestination(Path(sys.argv[2])).send(PROJECT, files)
"""


@pytest.mark.parametrize("at", [1, 2, 3])
def test_killed_at_any_file_it_is_completed_without_half_a_file(tmp_path: Path, at: int) -> None:
    target = FolderDestination(tmp_path / "there")
    arguments = [sys.executable, "-c", _KILLED, str(tmp_path / "work"), str(tmp_path / "there"), str(at)]
    assert subprocess.run(arguments, cwd=Path(__file__).parents[2], timeout=60, check=False).returncode == -9
    files = output_files(tmp_path / "work", count=3)
    assert len(dicom_files(tmp_path / "there")) == at - 1
    target.send(PROJECT, files)
    assert dicom_files(tmp_path / "there") == {file.sop_uid: file.path.read_bytes() for file in files}
    assert not list((tmp_path / "there").rglob("*.part"))


def _no_room(root: Path, files: Sequence[OutputFile]) -> None:
    with file_size_limit(5_000):
        FolderDestination(root).send(PROJECT, files)


def _not_a_folder(root: Path, files: Sequence[OutputFile]) -> None:
    root.write_text("a file")
    FolderDestination(root).send(PROJECT, files)


@pytest.mark.parametrize(
    ("how", "code", "text"),
    [(_no_room, "storage_full", "No room is left"), (_not_a_folder, "storage_unwritable", "can't be written")],
)
def test_a_folder_that_fails_says_so_once_and_leaves_no_part(
    tmp_path: Path, how: Callable[[Path, Sequence[OutputFile]], None], code: str, text: str
) -> None:
    files = output_files(tmp_path / "work", count=2, rows=64)
    with pytest.raises(SafelightError, match=text) as caught:
        how(tmp_path / "there", files)
    assert caught.value.code == code
    assert caught.value.remedy
    assert str(tmp_path) not in str(caught.value)
    if (tmp_path / "there").is_dir():
        assert not [path for path in (tmp_path / "there").rglob("*") if path.is_file()]
