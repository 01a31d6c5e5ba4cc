"""The raw cache: whole studies as the archive sent them, so that no study is fetched twice.

Shared by all projects. Folder and file names are keyed hashes: from the cache's own key, which never leaves its folder,
so a name shows nothing and two copies of an instance meet in one file. The index is in the link database; files without
an index entry are what a killed run left, and are taken over by the next one that needs them.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safelight.archive.instance_file import Identity, identify
from safelight.archive.intake import Arrived
from safelight.errors import StorageFull, StorageUnwritable
from safelight.link import CachedInstance, CachedStudy, LinkDatabase

#: What the index and the tables name as the archive of a study that no archive was asked for.
PUSHED: Final = "push"
_KEY_FILE: Final = "key"


@dataclass(frozen=True)
class CacheStatus:
    """How full the cache is."""

    studies: int
    instances: int
    bytes: int
    pinned: int
    max_bytes: int | None


@dataclass(frozen=True)
class Verified:
    """What a check of the whole cache found, and did about it."""

    studies: int
    intact: int
    repaired: int
    orphans_removed: int


class RawCache:
    """Studies on disk.

    Args:
        folder: of the cache; made if need be. Identifiable data: it belongs on an encrypted disk of the hospital.
        database: holds the index.
        max_bytes: size limit; None for none. Studies that a request still needs never leave, so it may be exceeded by them.

    Raises:
        StorageUnwritable: the folder can't be written.
    """

    def __init__(self, folder: Path, database: LinkDatabase, max_bytes: int | None = None) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._database = database
        self._studies = folder / "studies"
        self._locks = folder / "locks"
        try:
            with room_needed():
                for path in (self._studies, self._locks):
                    path.mkdir(parents=True, exist_ok=True)
                self._key = _key(folder / _KEY_FILE)
        except OSError:
            raise StorageUnwritable(
                "The raw cache's folder can't be written.", remedy="Check the folder's owner, its rights and its disk."
            ) from None

    @property
    def spool(self) -> Path:
        """A folder on the same filesystem, for the receiver."""
        return self.folder / "incoming"

    # -- names

    def _hash(self, kind: str, uid: str) -> str:
        return hashlib.blake2b(uid.encode(), digest_size=16, key=self._key, person=kind.encode()).hexdigest()

    def study_folder(self, study_uid: str) -> Path:
        """Return where a study's files are or would be."""
        name = self._hash("study", study_uid)
        return self._studies / name[:2] / name

    def file_name(self, sop_uid: str) -> str:
        """Return an instance's file name."""
        return f"{self._hash('instance', sop_uid)}.dcm"

    # -- use

    @contextmanager
    def lock(self, study_uid: str) -> Iterator[None]:
        """Hold a study: only one worker fetches it and none evicts it. The system frees it when its holder is killed.

        Raises:
            StorageFull: no room for the lock's file.
        """
        with self._lock_folder(self.study_folder(study_uid), fcntl.LOCK_EX):
            yield

    @contextmanager
    def _lock_folder(self, folder: Path, mode: int) -> Iterator[None]:
        # One of 4096 files, so that locks leave no trail of files behind; two studies may share one.
        path = self._locks / folder.name[:3]
        with room_needed():
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, mode)
            yield
        finally:
            os.close(descriptor)

    def get(self, study_uid: str) -> CachedStudy | None:
        """Return a study whose indexed files are all there with their sizes, and mark it as used; otherwise None.

        Costs one index read and one ``stat`` a file.
        """
        study = self._database.cache_get(study_uid)
        if study is None or not study.instances or not all(self._is_there(instance) for instance in study.instances):
            return None
        self._database.cache_touch(study_uid)
        return study

    def paths(self, study_uid: str, series_uids: Sequence[str] = ()) -> list[Path]:
        """Return the files of a cached study, or of some of its series, sorted; empty when it is not there."""
        study = self.get(study_uid)
        if study is None:
            return []
        wanted = set(series_uids)
        return sorted(
            self.folder / instance.path for instance in study.instances if not wanted or instance.series_uid in wanted
        )

    def _is_there(self, instance: CachedInstance) -> bool:
        try:
            return bool((self.folder / instance.path).stat().st_size == instance.size)
        except OSError:
            return False

    def on_disk(self, study_uid: str) -> dict[str, tuple[Arrived, Identity]]:
        """Return the whole instances of a study that are on disk, by SOP Instance UID, whatever the index says.

        What a killed run had received is found here. Reads the small elements of each file.
        """
        found = {}
        folder = self.study_folder(study_uid)
        for path in sorted(folder.glob("*.dcm")) if folder.is_dir() else ():
            identity = identify(path)
            if identity is not None and identity.whole and identity.study_uid == study_uid:
                arrived = Arrived(path, identity.size, identity.sop_class_uid, identity.series_uid, identity.sop_uid)
                found[identity.sop_uid] = (arrived, identity)
        return found

    def put(self, study_uid: str, archive: str, instances: Iterable[Arrived], *, complete: bool) -> None:
        """Write a study's index entry; its files are in ``study_folder`` already."""
        self._database.cache_put(
            study_uid,
            archive,
            [
                CachedInstance(
                    series_uid=instance.series_uid,
                    sop_uid=instance.sop_uid,
                    sop_class_uid=instance.sop_class_uid,
                    path=str(instance.path.relative_to(self.folder)),
                    size=instance.size,
                )
                for instance in instances
            ],
            complete=complete,
        )

    # -- size

    def status(self) -> CacheStatus:
        """Return how full the cache is. Reads the index once."""
        studies = instances = size = 0
        for study in self._database.cache_studies():
            studies, instances = studies + 1, instances + len(study.instances)
            size += sum(instance.size for instance in study.instances)
        return CacheStatus(studies, instances, size, len(self._database.cache_pins()), self.max_bytes)

    def make_room(self) -> int:
        """Evict least recently used studies until the limit holds, but none that a request needs. Returns how many.

        Raises:
            StorageFull: what requests still need is more than the limit; nothing more should be fetched now.
        """
        if self.max_bytes is None:
            return 0
        return self.evict(self.max_bytes)

    def evict(self, target_bytes: int) -> int:
        """Evict least recently used studies until at most ``target_bytes`` are left. Returns how many went.

        Raises:
            StorageFull: everything left is needed.
        """
        total = self._database.cache_size()
        if total <= target_bytes:
            return 0
        pins, gone = self._database.cache_pins(), 0
        for study_uid, size in self._database.cache_sizes():
            if total <= target_bytes:
                break
            if study_uid not in pins and self._drop_unneeded(study_uid):
                total -= size
                gone += 1
        if total > target_bytes:
            raise StorageFull(
                "The raw cache is full of studies that requests still need.",
                remedy="Let de-identification catch up, or give the cache more room.",
            )
        return gone

    def remove(self, study_uids: Iterable[str]) -> int:
        """Remove studies, but those that a request of any project needs. Returns how many were there and are gone."""
        gone = 0
        for study_uid in sorted(set(study_uids)):
            with self.lock(study_uid):
                if not self._database.cache_is_pinned(study_uid):
                    gone += self._database.cache_get(study_uid) is not None or self.study_folder(study_uid).is_dir()
                    self._forget(study_uid)
        return gone

    def _drop_unneeded(self, study_uid: str) -> bool:
        """Remove one study, unless someone holds it or a request needs it by now."""
        try:
            with self._lock_folder(self.study_folder(study_uid), fcntl.LOCK_EX | fcntl.LOCK_NB):
                # Asked again: a request that finds it in the cache has said so before it looked, and looks under this lock.
                if self._database.cache_is_pinned(study_uid):
                    return False
                self._forget(study_uid)
        except BlockingIOError:
            return False
        return True

    def _forget(self, study_uid: str) -> None:
        # The index entry first, so that it never names a file that is gone.
        self._database.cache_drop(study_uid)
        shutil.rmtree(self.study_folder(study_uid), ignore_errors=True)

    def verify(self) -> Verified:
        """Read every cached file's structure; forget studies with a damaged or missing file, remove files of no study.

        A study that is forgotten is fetched again when a request needs it, the damaged instances only.
        """
        studies = 0
        known, damaged = set(), []
        for study in self._database.cache_studies():
            studies += 1
            known.add(self.study_folder(study.study_uid))
            if not study.instances or not all(self._is_whole(instance) for instance in study.instances):
                damaged.append(study.study_uid)
        repaired = sum(self._forget_damaged(study_uid) for study_uid in damaged)
        orphans = sum(self._remove_orphan(folder) for folder in sorted(self._studies.glob("*/*")) if folder not in known)
        return Verified(studies, studies - repaired, repaired, orphans)

    def _is_whole(self, instance: CachedInstance) -> bool:
        if not self._is_there(instance):
            return False
        identity = identify(self.folder / instance.path)
        return identity is not None and identity.whole and identity.sop_uid == instance.sop_uid

    def _forget_damaged(self, study_uid: str) -> bool:
        """Forget what is damaged of a study. Returns whether anything is: a run may have mended it meanwhile."""
        with self.lock(study_uid):
            study = self._database.cache_get(study_uid)
            if study is None:
                return False
            whole = [instance for instance in study.instances if self._is_whole(instance)]
            if whole and len(whole) == len(study.instances):
                return False
            for instance in study.instances:
                if instance not in whole:
                    (self.folder / instance.path).unlink(missing_ok=True)
            if whole:
                self._database.cache_put(study_uid, study.archive, whole, complete=False)
            else:
                self._database.cache_drop(study_uid)
            return True

    def _remove_orphan(self, folder: Path) -> bool:
        """Remove a folder without an index entry, unless a run has taken it over since the index was read."""
        with self._lock_folder(folder, fcntl.LOCK_EX):
            if not folder.is_dir() or not self._is_abandoned(folder):
                return False
            studies = {identity.study_uid for path in folder.iterdir() if (identity := identify(path)) is not None}
            if any(self._database.cache_get(study_uid) is not None for study_uid in studies):
                return False
            shutil.rmtree(folder, ignore_errors=True)
            return True

    def _is_abandoned(self, folder: Path) -> bool:
        """Tell whether nothing was written there for an hour: a run may be filling it."""
        newest = max((path.stat().st_mtime for path in (folder, *folder.iterdir())), default=0.0)
        return time.time() - newest > 3600


@contextmanager
def room_needed() -> Iterator[None]:
    """Raise StorageFull when the block meets a disk, or a quota, that is full."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull("No room is left for the raw cache.", remedy="Free space on its disk.") from None
        raise


def _key(path: Path) -> bytes:
    """Return the cache's key, made when the cache is. Not a pseudonym key: it only keeps names from telling anything."""
    if not path.exists():
        fresh = path.with_name(f"{_KEY_FILE}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        # Fails when another process was first; then that one's key counts.
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_bytes()
