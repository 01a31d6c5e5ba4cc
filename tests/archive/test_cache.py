"""The raw cache: what it keeps, what it gives up, and what it notices."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from safelight.archive import RawCache
from safelight.archive.instance_file import identify
from safelight.archive.intake import SUCCESS, Arrived, Intake
from safelight.archive.push import Inbox
from safelight.cli.main import main
from safelight.errors import StorageFull, StorageUnwritable
from safelight.link import LinkDatabase
from safelight.model import Reason, RequestState
from tests.archive.conftest import PROJECT, Clock, Stage, a_request, an_archive
from tests.archive.hostile import HostileArchive
from tests.archive.studies import CT, Study

STUDIES = [Study(number, series=(2,)) for number in range(1, 5)]


def put(cache: RawCache, study: Study, *, complete: bool = True) -> int:
    """Put a study into the cache as the stage does; returns its size."""
    folder = cache.study_folder(study.uid)
    folder.mkdir(parents=True, exist_ok=True)
    arrived = []
    for uid, content in zip(study.sop_uids, study.files(), strict=True):
        path = folder / cache.file_name(uid)
        path.write_bytes(content)
        identity = identify(path)
        assert identity is not None
        assert identity.whole
        arrived.append(Arrived(path, identity.size, identity.sop_class_uid, identity.series_uid, identity.sop_uid))
    cache.put(study.uid, "main", arrived, complete=complete)
    return sum(one.size for one in arrived)


@pytest.fixture
def filled(cache: RawCache, clock: Clock) -> int:
    """The cache with four studies, the first used longest ago; the size of one."""
    size = 0
    for study in STUDIES:
        clock.now += timedelta(minutes=1)
        size = put(cache, study)
    return size


def there(cache: RawCache) -> list[int]:
    return [study.number for study in STUDIES if cache.study_folder(study.uid).exists()]


def test_what_is_put_is_there(cache: RawCache, filled: int) -> None:
    study = STUDIES[0]
    assert len(cache.paths(study.uid)) == 2
    assert cache.paths(study.uid, [study.series_uid(0)]) == cache.paths(study.uid)
    assert cache.paths(study.uid, ["1.2.3"]) == []
    assert cache.paths("1.2.3") == []
    status = cache.status()
    assert (status.studies, status.instances, status.bytes, status.pinned) == (4, 8, 4 * filled, 0)


def test_a_damaged_study_is_not_given_out(cache: RawCache, filled: int) -> None:
    shorter, gone = cache.paths(STUDIES[0].uid)[0], cache.paths(STUDIES[1].uid)[0]
    shorter.write_bytes(shorter.read_bytes()[:-1])
    gone.unlink()
    assert cache.paths(STUDIES[0].uid) == cache.paths(STUDIES[1].uid) == []
    assert len(cache.paths(STUDIES[2].uid)) == 2


def test_the_least_recently_used_goes_first(cache: RawCache, filled: int, clock: Clock) -> None:
    clock.now += timedelta(minutes=1)
    assert cache.get(STUDIES[0].uid)
    assert cache.evict(2 * filled) == 2
    assert there(cache) == [1, 4]
    assert cache.evict(2 * filled) == 0
    assert cache.status().bytes == 2 * filled


def test_what_a_request_needs_never_goes(cache: RawCache, filled: int, stage: Stage, database: LinkDatabase) -> None:
    stage.enter(a_request(STUDIES[0]))
    (id_,) = stage.claim()
    database.move(id_, RequestState.LOCATED, worker=stage.worker, archive="main", located_study_uid=STUDIES[0].uid)
    database.move(id_, RequestState.RETRIEVED, worker=stage.worker)
    assert cache.evict(filled) == 3
    assert there(cache) == [1]
    with pytest.raises(StorageFull):
        cache.evict(0)
    assert there(cache) == [1]


def test_what_a_request_needs_by_now_never_goes(
    cache: RawCache, filled: int, stage: Stage, database: LinkDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is located after eviction has looked what is needed, and before it comes to that study."""
    stage.enter(a_request(STUDIES[0], study_uid=""))
    (id_,) = stage.claim()
    look = database.cache_pins

    def look_and_locate() -> set[str]:
        needed = look()
        database.move(id_, RequestState.LOCATED, worker=stage.worker, archive="main", located_study_uid=STUDIES[0].uid)
        return needed

    monkeypatch.setattr(database, "cache_pins", look_and_locate)
    assert STUDIES[0].uid not in look()
    assert cache.evict(filled) == 3
    assert there(cache) == [1]
    assert cache.remove([STUDIES[0].uid]) == 0


def test_what_someone_holds_never_goes(cache: RawCache, filled: int) -> None:
    with cache.lock(STUDIES[0].uid), pytest.raises(StorageFull):
        cache.evict(0)
    assert there(cache) == [1]


def test_the_limit_holds(tmp_path: Path, database: LinkDatabase, cache: RawCache, filled: int) -> None:
    limited = RawCache(cache.folder, database, max_bytes=3 * filled)
    assert limited.make_room() == 1
    assert limited.make_room() == 0
    assert there(limited) == [2, 3, 4]
    assert cache.make_room() == 0


def test_eviction_leaves_no_empty_entry(cache: RawCache, filled: int, database: LinkDatabase) -> None:
    cache.evict(0)
    assert list(database.cache_studies()) == []
    assert list(cache.folder.rglob("*.dcm")) == []


def test_names_differ_between_caches_and_stay_within_one(tmp_path: Path, database: LinkDatabase, cache: RawCache) -> None:
    again = RawCache(cache.folder, database)
    other = RawCache(tmp_path / "other", database)
    uid = STUDIES[0].uid
    assert again.study_folder(uid) == cache.study_folder(uid)
    assert other.study_folder(uid).name != cache.study_folder(uid).name
    assert other.file_name(uid) != cache.file_name(uid)
    assert stat.S_IMODE((cache.folder / "key").stat().st_mode) == 0o600


def test_verify_finds_damage_and_leftovers(cache: RawCache, filled: int, database: LinkDatabase) -> None:
    damaged, lost = STUDIES[0], STUDIES[1]
    broken = cache.paths(damaged.uid)[0]
    content = bytearray(broken.read_bytes())
    content[132:200] = bytes(68)
    broken.write_bytes(content)
    for path in cache.paths(lost.uid):
        path.unlink()
    orphan = put_orphan(cache, Study(9), age=7200)
    fresh = put_orphan(cache, Study(10), age=0)

    found = cache.verify()
    assert (found.studies, found.intact, found.repaired, found.orphans_removed) == (4, 2, 2, 1)
    assert not broken.exists()
    assert not orphan.exists()
    assert fresh.exists(), "a run may be filling it"
    kept = database.cache_get(damaged.uid)
    assert kept is not None
    assert (kept.complete, len(kept.instances)) == (False, 1)
    assert database.cache_get(lost.uid) is None
    again = cache.verify()
    assert (again.intact, again.repaired, again.orphans_removed) == (again.studies, 0, 0)


def put_orphan(cache: RawCache, study: Study, *, age: int) -> Path:
    import time

    folder = cache.study_folder(study.uid)
    folder.mkdir(parents=True)
    file = folder / cache.file_name(study.sop_uids[0])
    file.write_bytes(study.files()[0])
    for path in (file, folder):
        os.utime(path, (time.time() - age, time.time() - age))
    return folder


def test_a_folder_that_can_not_be_written(tmp_path: Path, database: LinkDatabase) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(StorageUnwritable):
        RawCache(file / "cache", database)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk for forty files and folders."""
    folder, root = tmp_path / "small", [] if os.geteuid() == 0 else ["sudo", "-n"]
    folder.mkdir()
    options = "size=8m,nr_inodes=40,mode=777"
    subprocess.run([*root, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run([*root, "umount", "-l", str(folder)], check=True)


def test_on_a_full_disk_a_request_waits(small_disk: Path, database: LinkDatabase, clock: Clock) -> None:
    """No room for so much as a lock's file, nor for what was pushed."""
    study = STUDIES[0]
    cache = RawCache(small_disk / "cache", database)
    stage, intake = Stage(database, cache, clock), Intake(cache.spool)
    inbox = Inbox(cache, PROJECT, reserve_bytes=0)
    archive = HostileArchive([study], None, "c-get").start()
    part = inbox.begin("MODALITY")
    part.write(study.file(0, 0))
    assert inbox.finish(part, CT, study.sop_uid(0, 0)) == SUCCESS
    fillers = []
    with suppress(OSError):
        while True:
            fillers.append(small_disk / f"filler-{len(fillers)}")
            fillers[-1].touch()
    stage.enter(a_request(study))
    for _ in range(2):
        assert stage.run(intake, an_archive(archive)).waiting == 1
        assert stage.only().reason is Reason.STORAGE_FULL
        (pushed,) = inbox.complete(quiet_seconds=0, now=datetime(2100, 1, 1, tzinfo=UTC))
        with pytest.raises(StorageFull):
            inbox.keep(pushed)
        clock.now += timedelta(hours=1)
    for filler in fillers:
        filler.unlink(missing_ok=True)
    assert not inbox.keep(pushed)
    assert dict(stage.run(intake, an_archive(archive)).moved) == {"retrieved": 1}
    assert len(cache.paths(study.uid)) == 2
    archive.stop()


@pytest.fixture
def run(cache: RawCache, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Type ``safelight cache ...``; exit status and output."""

    def type_(command: str, *arguments: str, folder: Path = cache.folder) -> tuple[int, str]:
        where = ["--database", f"sqlite:///{tmp_path / 'link.sqlite'}", "--folder", str(folder)]
        result = CliRunner().invoke(main, ["cache", command, *where, *arguments])
        return result.exit_code, result.output

    return type_


def test_the_command(run: Callable[..., tuple[int, str]], cache: RawCache, filled: int) -> None:
    code, output = run("status", "--json")
    assert code == 0
    assert json.loads(output) == {"studies": 4, "instances": 8, "bytes": 4 * filled, "pinned": 0, "max_bytes": None}
    assert "no limit" in run("status")[1]
    assert (run("verify")[0], run("verify", "--json")[0]) == (0, 0)
    code, output = run("evict", "--to", str(filled), "--json")
    assert (code, json.loads(output)["evicted"], json.loads(output)["bytes"]) == (0, 3, filled)
    assert json.loads(run("evict", "--to", "1.5M", "--json")[1])["evicted"] == 0
    cache.paths(STUDIES[3].uid)[0].unlink()
    assert run("verify")[0] == 1
    assert run("verify")[0] == 0


def test_the_command_says_what_is_wrong(run: Callable[..., tuple[int, str]], tmp_path: Path, filled: int) -> None:
    code, output = run("status", folder=tmp_path / "nowhere")
    assert code == 2
    assert "no raw cache" in output
    assert run("evict", "--to", "many")[0] == 2
    assert not (tmp_path / "nowhere").exists()
