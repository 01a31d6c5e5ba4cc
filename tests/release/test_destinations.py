"""One contract for every DICOM destination, and what each does on its own."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from safelight.errors import DestinationRefused, DestinationUnavailable, IntegrityError, SafelightError
from safelight.model import Reason
from safelight.release.destination import Destination, OutputFile
from safelight.release.dicomweb import BATCH_FILES, DicomwebDestination
from safelight.release.folder import FolderDestination
from safelight.release.multipart import DicomMultipart
from safelight.release.settings import DicomDestination
from tests.release.disk import file_size_limit
from tests.release.hospital import PROJECT, output_files
from tests.release.server import StowServer, answer
from tests.services.certificates import Authority
from tests.services.orthanc import Orthanc
from tests.services.process import free_port

Place = tuple[Destination, Callable[[], dict[str, bytes]]]


def folder_place(root: Path) -> Place:
    def content() -> dict[str, bytes]:
        return {path.stem: path.read_bytes() for path in (root / PROJECT).rglob("*.dcm")}

    return FolderDestination(root), content


def dicomweb_place(orthanc: Orthanc) -> Place:
    def content() -> dict[str, bytes]:
        return {uid: orthanc.file(uid) for uid in orthanc.instances()}

    return DicomwebDestination(orthanc.dicomweb_url, (orthanc.username, orthanc.password), wait=(0.01, 0.05)), content


KINDS = ("folder", "dicomweb")


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each kind of destination, and what is at it: SOP Instance UID -> bytes."""
    if request.param == "folder":
        return folder_place(tmp_path / "there")
    return dicomweb_place(request.getfixturevalue("orthanc"))


def test_every_kind_that_a_project_may_name_is_under_the_contract() -> None:
    kinds = DicomDestination.model_json_schema()["properties"]["kind"]["enum"]
    assert sorted(kinds) == sorted(KINDS)


def test_what_is_sent_is_there_byte_for_byte(place: Place, tmp_path: Path) -> None:
    target, content = place
    files = output_files(tmp_path / "work", count=3)
    target.check(PROJECT)
    result = target.send(PROJECT, files)
    assert result.stored == {file.sop_uid for file in files}
    assert content() == {file.sop_uid: file.path.read_bytes() for file in files}


def test_sending_twice_leaves_one_copy(place: Place, tmp_path: Path) -> None:
    target, content = place
    files = output_files(tmp_path / "work", count=3)
    target.send(PROJECT, files)
    before = content()
    result = target.send(PROJECT, files)
    assert (result.delivered, result.refused) == ({file.sop_uid for file in files}, {})
    assert content() == before


def test_sending_the_rest_after_a_part_completes_it(place: Place, tmp_path: Path) -> None:
    target, content = place
    files = output_files(tmp_path / "work", count=4)
    target.send(PROJECT, files[:2])
    assert target.send(PROJECT, files).delivered == {file.sop_uid for file in files}
    assert set(content()) == {file.sop_uid for file in files}


def test_nothing_is_sent_for_nothing(place: Place) -> None:
    target, content = place
    result = target.send(PROJECT, [])
    assert (result.delivered, result.refused, content()) == (set(), {}, {})


def test_a_file_that_is_gone_stops_the_sending(place: Place, tmp_path: Path) -> None:
    files = output_files(tmp_path / "work", count=2)
    files[1].path.unlink()
    with pytest.raises(IntegrityError):
        place[0].send(PROJECT, files)


def test_a_series_is_told_where_it_is(place: Place) -> None:
    (value,) = place[0].locate(PROJECT, "2.25.1", "2.25.1.2").values()
    assert value.endswith(("trial/2.25.1/2.25.1.2", "/studies/2.25.1/series/2.25.1.2"))


@pytest.mark.parametrize("uid", ["", "../x", "1.2.3/..", "1.02", "1" * 65])
def test_only_uids_become_paths_and_addresses(tmp_path: Path, uid: str) -> None:
    with pytest.raises(IntegrityError):
        OutputFile(tmp_path, "2.25.1", "2.25.2", uid)


# -- folder


def test_another_file_of_that_name_is_left_and_the_new_one_refused(tmp_path: Path) -> None:
    target, content = folder_place(tmp_path / "there")
    files = output_files(tmp_path / "work", count=2)
    target.send(PROJECT, files)
    changed = tmp_path / "there" / PROJECT / files[0].relative
    for other in (b"short", changed.read_bytes()[:-1] + b"\xff"):
        changed.write_bytes(other)
        result = target.send(PROJECT, files)
        assert result.refused == {files[0].sop_uid: Reason.DESTINATION_REFUSED}
        assert result.already == {files[1].sop_uid}
        assert changed.read_bytes() == other
    assert len(content()) == 2


_KILLED = """
import os, signal, sys
from pathlib import Path
from safelight.release import folder
from safelight.release.folder import FolderDestination
from safelight.release.settings import DicomDestination
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
    target, content = folder_place(tmp_path / "there")
    arguments = [sys.executable, "-c", _KILLED, str(tmp_path / "work"), str(tmp_path / "there"), str(at)]
    assert subprocess.run(arguments, cwd=Path(__file__).parents[2], timeout=60, check=False).returncode == -9
    files = output_files(tmp_path / "work", count=3)
    assert len(content()) == at - 1
    target.send(PROJECT, files)
    assert content() == {file.sop_uid: file.path.read_bytes() for file in files}
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


# -- DICOMweb


def test_a_body_can_be_read_again_and_knows_its_length(tmp_path: Path) -> None:
    body = DicomMultipart([file.path for file in output_files(tmp_path, count=3)])
    first = b"".join(body)
    assert len(first) == len(body)
    assert b"".join(body) == first


def test_the_memory_of_a_body_does_not_grow_with_its_files(tmp_path: Path) -> None:
    path = tmp_path / "big.dcm"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    total = sum(map(len, DicomMultipart([path, path])))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 128 << 20
    assert peak < 4 << 20


def test_one_bad_instance_is_refused_by_its_uid_and_the_others_arrive(orthanc: Orthanc, tmp_path: Path) -> None:
    target, content = dicomweb_place(orthanc)
    files = output_files(tmp_path, count=7)
    files[3].path.write_bytes(b"this is not DICOM" * 100)
    result = target.send(PROJECT, files)
    assert result.refused == {files[3].sop_uid: Reason.DESTINATION_REFUSED}
    assert set(content()) == result.stored == {file.sop_uid for file in files} - {files[3].sop_uid}


def test_a_wrong_password_is_refused_at_once(orthanc: Orthanc, tmp_path: Path) -> None:
    target = DicomwebDestination(orthanc.dicomweb_url, ("orthanc", "SECRETWORD"))
    for call in (lambda: target.check(PROJECT), lambda: target.send(PROJECT, output_files(tmp_path, count=1))):
        with pytest.raises(DestinationRefused, match="credentials") as caught:
            call()
        assert "SECRETWORD" not in f"{caught.value}{target!r}"


def test_a_wrong_address_is_refused(orthanc: Orthanc, tmp_path: Path) -> None:
    with pytest.raises(DestinationRefused, match="address"):
        DicomwebDestination(orthanc.url + "/nothing", (orthanc.username, orthanc.password)).check(PROJECT)
    with pytest.raises(DestinationRefused, match="address"):
        DicomwebDestination("no address").check(PROJECT)


def test_a_service_that_is_down_is_unavailable_after_its_attempts(tmp_path: Path) -> None:
    target = DicomwebDestination(f"http://127.0.0.1:{free_port()}", attempts=3, wait=(0.01, 0.02))
    with pytest.raises(DestinationUnavailable, match="did not answer"):
        target.send(PROJECT, output_files(tmp_path, count=1))


@pytest.mark.parametrize("status", [408, 424, 429, 500, 503])
def test_a_transient_answer_is_followed_by_the_whole_body_again(tmp_path: Path, status: int) -> None:
    files = output_files(tmp_path, count=3)
    with StowServer([(status, {}), (200, answer(stored=[file.sop_uid for file in files]))]) as server:
        result = DicomwebDestination(server.url, wait=(0.01, 0.05)).send(PROJECT, files)
    assert result.stored == {file.sop_uid for file in files}
    first, second = server.bodies
    assert first == second
    assert len(first) > sum(file.path.stat().st_size for file in files)


def test_a_connection_that_breaks_is_followed_by_the_whole_body_again(tmp_path: Path) -> None:
    files = output_files(tmp_path, count=1)
    with StowServer([(0, {}), (200, answer(stored=[files[0].sop_uid]))]) as server:
        assert DicomwebDestination(server.url, wait=(0.01, 0.05)).send(PROJECT, files).stored
    assert server.bodies[0] == server.bodies[1]


def test_success_without_names_is_no_success(tmp_path: Path) -> None:
    files = output_files(tmp_path, count=2)
    with StowServer([(200, {})] * 3) as server:
        result = DicomwebDestination(server.url).send(PROJECT, files)
    assert result.delivered == set()
    assert set(result.refused) == {file.sop_uid for file in files}


def test_what_is_there_already_counts_as_delivered(tmp_path: Path) -> None:
    files = output_files(tmp_path, count=2)
    one, two = (file.sop_uid for file in files)
    with StowServer([(409, answer(failed={one: 45070, two: 43264}))]) as server:
        result = DicomwebDestination(server.url).send(PROJECT, files)
    assert (result.already, set(result.refused)) == ({one}, {two})


def test_what_is_pending_is_sent_again(tmp_path: Path) -> None:
    (file,) = output_files(tmp_path, count=1)
    answers = [(409, answer(failed={file.sop_uid: 45071})), (200, answer(stored=[file.sop_uid]))]
    with StowServer(answers) as server:
        assert DicomwebDestination(server.url, wait=(0.01, 0.05)).send(PROJECT, [file]).stored == {file.sop_uid}


def test_a_batch_that_is_too_large_is_halved(tmp_path: Path) -> None:
    one, two = output_files(tmp_path, count=2)
    answers = [(413, {}), (200, answer(stored=[one.sop_uid])), (413, {})]
    with StowServer(answers) as server:
        result = DicomwebDestination(server.url).send(PROJECT, [one, two])
    assert (result.stored, set(result.refused)) == ({one.sop_uid}, {two.sop_uid})


def test_a_token_that_ran_out_is_renewed_once(tmp_path: Path) -> None:
    (file,) = output_files(tmp_path, count=1)
    tokens = iter(["old", "new", "newer"])
    with StowServer([(401, {}), (200, answer(stored=[file.sop_uid]))]) as server:
        assert DicomwebDestination(server.url, lambda fresh: next(tokens)).send(PROJECT, [file]).stored
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer old", "Bearer new"]


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with StowServer([(307, {})]) as server, pytest.raises(DestinationRefused, match="307"):
        DicomwebDestination(server.url).send(PROJECT, output_files(tmp_path, count=1))


def test_only_the_given_authority_is_trusted(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = output_files(tmp_path, count=1)
    other = Authority(tmp_path / "other")
    # A variable that requests would obey if it were let to.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with StowServer([(200, answer(stored=[file.sop_uid]))], authority=authority) as server:
        for ca in (None, other.bundle):
            with pytest.raises(DestinationRefused, match="certificate"):
                DicomwebDestination(server.url, ca=ca).send(PROJECT, [file])
        assert DicomwebDestination(server.url, ca=authority.bundle).send(PROJECT, [file]).stored == {file.sop_uid}


def test_an_orthanc_that_goes_away_and_comes_back_has_everything(
    start_orthanc: Callable[..., Orthanc], tmp_path: Path
) -> None:
    orthanc = start_orthanc(tmp_path / "orthanc")
    target, content = dicomweb_place(orthanc)
    files = output_files(tmp_path / "work", count=6)
    target.send(PROJECT, files[:3])
    orthanc.kill()
    with pytest.raises(DestinationUnavailable):
        target.send(PROJECT, files)
    orthanc.start()
    assert target.send(PROJECT, files).delivered == {file.sop_uid for file in files}
    assert content() == {file.sop_uid: file.path.read_bytes() for file in files}


def test_batches_close_by_number(orthanc: Orthanc, tmp_path: Path) -> None:
    target, content = dicomweb_place(orthanc)
    files = output_files(tmp_path, count=BATCH_FILES + 1)
    assert len(target.send(PROJECT, files).stored) == BATCH_FILES + 1
    assert len(content()) == BATCH_FILES + 1
