"""Instances on their way to disk: which are expected, and each one's file until it is complete.

A data set goes straight into a ``.part`` file. Only when its last byte is there, its own identity was read from it and
that identity is expected, is it renamed to where it belongs. What is killed in between leaves a ``.part``, never half an
instance under a real name. File names never hold a UID; they come from the cache.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from safelight.archive.instance_file import Identity, identify
from safelight.errors import IntegrityError, StorageUnwritable

SUCCESS: Final = 0x0000
#: Statuses of a C-STORE that was refused (PS3.4 table B.2-1 and PS3.7 annex C).
OUT_OF_RESOURCES: Final = 0xA700
MISMATCH: Final = 0xA900
NOT_UNDERSTOOD: Final = 0xC000
NOT_AUTHORIZED: Final = 0x0124
#: So many bytes of an instance are written before the room on the disk is looked at again.
_ROOM_EVERY: Final = 4 * 1024 * 1024
_LOCK: Final = "lock"


@dataclass(frozen=True)
class Arrived:
    """One instance, whole on disk. ``path`` is absolute."""

    path: Path
    size: int
    sop_class_uid: str
    series_uid: str = field(repr=False)
    sop_uid: str = field(repr=False)


class Expectation:
    """One study that may come now, and what has come of it.

    Args:
        study_uid: its Study Instance UID.
        folder: where its instances go; on the same filesystem as the spool, or each one is copied.
        name_of: file name for a SOP Instance UID.
        is_patient: tells whether an instance is the right patient's.
        series_uids: the only series that may come; empty: all.
        clock: monotonic seconds.
        on_instance: told of each instance that was taken its bytes, and the seconds since the one before it, or None for
            the first of a retrieval. May block: then the sender waits.
    """

    def __init__(
        self,
        study_uid: str,
        folder: Path,
        *,
        name_of: Callable[[str], str],
        is_patient: Callable[[Identity], bool],
        series_uids: frozenset[str],
        clock: Callable[[], float],
        on_instance: Callable[[int, float | None], None] = lambda _size, _seconds: None,
    ) -> None:
        self.study_uid = study_uid
        self.folder = folder
        self._name_of = name_of
        self._is_patient = is_patient
        self._series_uids = series_uids
        self._clock = clock
        self._lock = threading.Lock()
        self.arrived: dict[str, Arrived] = {}
        #: Status -> how many instances were refused with it.
        self.refused: Counter[int] = Counter()
        self.patient_mismatch = False
        self.storage_failed = False
        self._on_instance = on_instance
        self._ready_since: float | None = None
        self._last_arrival = clock()
        self.bytes = 0

    def retrieval_begins(self) -> None:
        """Note that the archive is asked now: the time to the first instance is not only that instance's."""
        self._ready_since = None

    def admit(self, part: Path, identity: Identity) -> int:
        """Take a complete ``.part`` file, or refuse it. Returns the status to answer.

        An instance that comes twice replaces itself, so it is there once.
        """
        with self._lock:
            status = self._judge(identity)
            if status == SUCCESS:
                target = self.folder / self._name_of(identity.sop_uid)
                try:
                    put_in_place(part, target)
                except OSError:
                    status = OUT_OF_RESOURCES
                else:
                    self.arrived[identity.sop_uid] = Arrived(
                        target, identity.size, identity.sop_class_uid, identity.series_uid, identity.sop_uid
                    )
                    self.bytes += identity.size
            self._note(status)
            taken = None if self._ready_since is None else self._last_arrival - self._ready_since
        if status == SUCCESS:
            self._on_instance(identity.size, taken)
        self._ready_since = self._clock()
        return status

    def fail(self, status: int) -> None:
        """Note that an instance could not be kept."""
        with self._lock:
            self._note(status)

    def _note(self, status: int) -> None:
        if status != SUCCESS:
            self.refused[status] += 1
        self.storage_failed = self.storage_failed or status == OUT_OF_RESOURCES
        self._last_arrival = self._clock()

    def _judge(self, identity: Identity) -> int:
        if not self._is_patient(identity):
            self.patient_mismatch = True
            return NOT_AUTHORIZED
        if self._series_uids and identity.series_uid not in self._series_uids:
            return NOT_AUTHORIZED
        return SUCCESS if identity.whole else NOT_UNDERSTOOD


class Intake:
    """The expectations of one process, and its spool folder.

    Args:
        spool: for files on their way; made if need be, and cleared of what processes left that are gone. It may be shared
            by several machines or containers: each process has a folder of its own there, and holds a lock in it.
        reserve_bytes: free space that is never used: below it instances are refused (status A700).

    Raises:
        StorageUnwritable: the folder can't be written.
    """

    def __init__(self, spool: Path, *, reserve_bytes: int = 0) -> None:
        self._reserve = reserve_bytes
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._expected: dict[str, Expectation] = {}
        self._heard: dict[str, float] = {}
        try:
            spool.mkdir(parents=True, exist_ok=True)
            self._folder, self._held = _own_folder(spool)
        except OSError:
            raise StorageUnwritable(
                "The receiver can't write to its spool folder.", remedy="Check the folder's owner, its rights and its disk."
            ) from None

    @contextmanager
    def expect(self, expectation: Expectation) -> Iterator[Expectation]:
        """Let a study in while the block runs. One at a time per study: the cache's lock sees to that."""
        with self._lock:
            if expectation.study_uid in self._expected:
                raise IntegrityError("A study is being retrieved twice at once in one process.")
            self._expected[expectation.study_uid] = expectation
        try:
            yield expectation
        finally:
            with self._lock:
                del self._expected[expectation.study_uid]

    def begin(self, source: str, *, refused: bool = False) -> PartFile:
        """Return the file of one arriving data set; ``source`` says from where, for ``last_heard``."""
        with self._lock:
            path = self._folder / f"{next(self._numbers)}.part"
        status = SUCCESS if self._expects_any() and not refused else NOT_AUTHORIZED
        if status == SUCCESS and not self._has_room():
            status = OUT_OF_RESOURCES

        def hear() -> None:
            self._heard[source] = time.monotonic()

        return PartFile(path, status, hear, self._has_room)

    def _expects_any(self) -> bool:
        return bool(self._expected)

    def last_heard(self, source: str) -> float:
        """Return when the last byte of an instance came from there, in monotonic seconds; 0 for never."""
        return self._heard.get(source, 0.0)

    def finish(self, part: PartFile, sop_class_uid: str | None = None, sop_uid: str | None = None) -> int:
        """Put a complete data set where it belongs, or drop it. Returns the status to answer (PS3.4 table B.2-1).

        Args:
            part: its file.
            sop_class_uid: as the C-STORE says; None where nothing was said.
            sop_uid: as the C-STORE says; None where nothing was said.
        """
        status = part.close()
        if status == SUCCESS:
            status = self._judge(part.path, sop_class_uid, sop_uid)
        elif status == OUT_OF_RESOURCES:
            # Not known whose it was: every study that is arriving has the same disk.
            for expectation in list(self._expected.values()):
                expectation.fail(status)
        part.discard()
        return status

    def _judge(self, path: Path, sop_class_uid: str | None, sop_uid: str | None) -> int:
        identity = identify(path)
        if identity is None:
            return NOT_UNDERSTOOD
        expectation = self._expected.get(identity.study_uid) if identity.study_uid else None
        if expectation is None:
            return NOT_AUTHORIZED
        if not identity.sop_uid or not (
            sop_uid in {identity.sop_uid, None} and sop_class_uid in {identity.sop_class_uid, None}
        ):
            expectation.fail(MISMATCH)
            return MISMATCH
        return expectation.admit(path, identity)

    def _has_room(self) -> bool:
        try:
            return shutil.disk_usage(self._folder).free > self._reserve
        except OSError:
            return False

    def close(self) -> None:
        """Remove the spool of this process."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


class PartFile:
    """The file of one arriving instance. Never raises for the disk.

    An error is remembered, the rest of the data set is read and dropped, and the C-STORE is answered with its status.

    Args:
        path: of the file.
        status: other than success: the data set is refused already, and nothing is written.
        hear: called with each piece.
        has_room: asked every few megabytes: an instance may be larger than the disk.
    """

    def __init__(self, path: Path, status: int, hear: Callable[[], None], has_room: Callable[[], bool]) -> None:
        self.path = path
        self._status = status
        self._hear = hear
        self._has_room = has_room
        self._unlooked = 0
        self._fd = -1
        if status == SUCCESS:
            try:
                self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except OSError:
                self._status = OUT_OF_RESOURCES

    def write(self, data: bytes | memoryview) -> None:
        """Write the next piece."""
        self._hear()
        rest = memoryview(data)
        self._unlooked += len(rest)
        if self._fd >= 0 and self._unlooked > _ROOM_EVERY:
            self._unlooked = 0
            if not self._has_room():
                self._status = OUT_OF_RESOURCES
                self.discard()
        while self._fd >= 0 and rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except OSError:
                self._status = OUT_OF_RESOURCES
                self.discard()

    def close(self) -> int:
        """Close the file. Returns the status so far."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        return self._status

    def discard(self) -> None:
        """Close the file and remove what was not taken."""
        self.close()
        self.path.unlink(missing_ok=True)


def put_in_place(source: Path, target: Path) -> None:
    """Move a complete file to where it belongs; never half of it is there, also on another filesystem."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = target.with_suffix(".part")
        shutil.copyfile(source, copy)
        copy.replace(target)


def _own_folder(spool: Path) -> tuple[Path, int]:
    """Make a folder for this process, and remove those of processes that are gone: nobody holds their locks.

    Process numbers would not do: another container counts its own.

    Returns:
        The folder, and the descriptor of its lock.
    """
    guard = os.open(spool.with_name(f"{spool.name}.{_LOCK}"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # One at a time: between a folder's making and its locking it looks like an orphan.
        fcntl.flock(guard, fcntl.LOCK_EX)
        for folder in spool.iterdir():
            if folder.is_dir():
                _remove_unless_held(folder)
        own = Path(mkdtemp(dir=spool))
        held = os.open(own / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
    finally:
        os.close(guard)
    return own, held


def _remove_unless_held(folder: Path) -> None:
    # Its process may be removing it at this moment.
    with suppress(OSError):
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
