"""Studies that are sent to us unasked: by senders that are registered, for one project.

What arrives is kept in the project's inbox, one folder a study under an opaque name, beside the raw cache. The inbox is
all that is remembered: a listener that was killed finds everything there. A study is complete when nothing more of it came
for a while; then it goes into the raw cache, and a request is made of it. Whoever makes that tells the inbox at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread

from safelight.archive import identifier as ids
from safelight.archive.cache import PUSHED, RawCache, room_needed
from safelight.archive.instance_file import Identity, identify, raw_value
from safelight.archive.intake import (
    MISMATCH,
    NOT_UNDERSTOOD,
    OUT_OF_RESOURCES,
    SUCCESS,
    Intake,
    PartFile,
    put_in_place,
)
from safelight.archive.locate import is_patient
from safelight.archive.receiver import StorageReceiver, addresses
from safelight.errors import StudyRejected
from safelight.model import DicomPeer, Reason, StudyRequest

_ACCESSION_NUMBER: Final = 0x00080050
_STUDY_DATE: Final = 0x00080020
_LATE: Final = "late"


def procedure_of(study_uid: str) -> int:
    """Return what stands for the procedure in the requests that a push makes of a study: negative, so none of a record's."""
    return -int.from_bytes(sha256(study_uid.encode()).digest()[:7]) - 1


@dataclass(frozen=True)
class PushedStudy:
    """A study of the inbox. ``files``: SOP Instance UID -> file and identity."""

    folder: Path
    files: dict[str, tuple[Path, Identity]] = field(repr=False)
    study_uid: str = field(repr=False)
    mrn: str = field(repr=False)
    accession_number: str = field(repr=False)
    study_date: date | None = field(repr=False)
    one_patient: bool

    @property
    def series_uids(self) -> tuple[str, ...]:
        """Of what is in the inbox."""
        return tuple(sorted({identity.series_uid for _, identity in self.files.values()}))

    def request(self, project: str) -> StudyRequest:
        """Return the request for the whole study.

        No procedure of the record asked for it, so it gets a number of its own. By that, what was pushed is whole for it.
        """
        return StudyRequest(
            project=project,
            mrn=self.mrn,
            accession_number=self.accession_number,
            study_uid=self.study_uid,
            study_date=self.study_date,
            procedure_occurrence_id=procedure_of(self.study_uid),
        )

    def request_for_series(self, project: str) -> StudyRequest:
        """Return the request for those of its series that are in the inbox: for what came late.

        It is another request each time that something came, and the same one for the same instances.
        """
        part = sha256("\n".join(sorted(self.files)).encode()).hexdigest()
        return replace(self.request(project), series_uids=self.series_uids, part=part)


class Inbox(Intake):
    """What was pushed for one project and is no request yet.

    Args:
        cache: the raw cache; the inbox is in its folder.
        project: slug.
        reserve_bytes: free disk space that is never used; below it instances are refused (status A700).
    """

    def __init__(self, cache: RawCache, project: str, *, reserve_bytes: int = 128 * 1024 * 1024) -> None:
        place = cache.folder / "pushed"
        self.spool = place / "incoming"
        super().__init__(self.spool, reserve_bytes=reserve_bytes)
        self._cache = cache
        self._inbox = place / "inbox" / project
        self._aside = place / "aside" / project
        for folder in (self._inbox, self._aside):
            folder.mkdir(parents=True, exist_ok=True)

    def _expects_any(self) -> bool:
        return True

    def _judge(self, path: Path, sop_class_uid: str | None, sop_uid: str | None) -> int:
        identity = identify(path)
        if identity is None or not identity.whole:
            return NOT_UNDERSTOOD
        said = (identity.sop_uid, identity.sop_class_uid)
        if not (identity.study_uid and identity.series_uid and identity.patient_id) or said != (sop_uid, sop_class_uid):
            return MISMATCH
        target = self._inbox / self._cache.study_folder(identity.study_uid).name / self._cache.file_name(identity.sop_uid)
        try:
            put_in_place(path, target)
        except OSError:
            return OUT_OF_RESOURCES
        return SUCCESS

    # -- what has arrived

    def complete(self, *, quiet_seconds: float, now: datetime) -> Iterator[PushedStudy]:
        """Return the studies of which nothing came for so long, read from their files.

        A folder without a readable instance is passed over: its files came whole, so somebody damaged them since.
        """
        for folder in sorted(self._inbox.iterdir()):
            files = sorted(folder.glob("*.dcm"))
            newest = max((file.stat().st_mtime for file in files), default=None)
            if newest is None or now.timestamp() - newest < quiet_seconds:
                continue
            if (study := _read(folder, files)) is not None:
                yield study

    def keep(self, study: PushedStudy) -> bool:
        """Put a study into the raw cache, with what was there already. Returns whether that came late: to a known study.

        Raises:
            StudyRejected: patient_mismatch, when its instances, or those of the raw cache, are of several patients.
            StorageFull: no room.
        """
        cache = self._cache
        cache.make_room()
        with cache.lock(study.study_uid):
            known, there = cache.get(study.study_uid), cache.on_disk(study.study_uid)
            if not study.one_patient or not all(_is_of(study, identity) for _, identity in there.values()):
                raise StudyRejected(Reason.PATIENT_MISMATCH)
            late = study.folder / _LATE
            if known is not None and study.files.keys() - there.keys():
                # Written down first: after a kill everything would look known.
                late.touch()
            target = cache.study_folder(study.study_uid)
            with room_needed():
                target.mkdir(parents=True, exist_ok=True)
                for sop_uid, (path, _) in study.files.items():
                    if sop_uid not in there:
                        os.link(path, target / cache.file_name(sop_uid))
            arrived = [one for one, _ in cache.on_disk(study.study_uid).values()]
            # An archive that announced more still owes the rest; so may one whose retrieval was killed before its entry.
            complete = known.complete if known else there.keys() <= study.files.keys()
            cache.put(study.study_uid, known.archive if known else PUSHED, arrived, complete=complete)
            return late.exists()

    def set_aside(self, study: PushedStudy) -> None:
        """Put a study where nothing happens to it until ``ask_again``: a person has to look."""
        for path, _ in study.files.values():
            put_in_place(path, self._aside / study.folder.name / path.name)
        self.done(study)

    def ask_again(self) -> None:
        """Look once more at what was set aside: a patient's record may be there now. Asked at each start of a listener."""
        for path in sorted(self._aside.glob("*/*.dcm")):
            put_in_place(path, self._inbox / path.parent.name / path.name)

    @staticmethod
    def done(study: PushedStudy) -> None:
        """Forget a study of the inbox; what has come of it meanwhile stays."""
        for path, _ in study.files.values():
            path.unlink(missing_ok=True)
        (study.folder / _LATE).unlink(missing_ok=True)
        with suppress(OSError):
            study.folder.rmdir()


class PushReceiver(StorageReceiver):
    """The storage SCP with an inbox: a sender is known by AE title and address together.

    Args:
        inbox: where studies arrive.
        ae_title: ours; who calls another one is rejected.
        host: address to listen on.
        port: port to listen on.
        senders: who may send.
        more: see ``StorageReceiver``.
    """

    def __init__(
        self,
        inbox: Inbox,
        ae_title: str,
        host: str,
        port: int,
        senders: Sequence[DicomPeer],
        **more: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(ae_title, host, port, inbox.spool, senders, **more)
        self._inbox = inbox

    def _open_intake(self) -> Intake:
        return self._inbox

    def _begin(self, ae_title: str, address: str) -> PartFile:
        known = any(peer.ae_title == ae_title and address in addresses(peer.host) for peer in self._peers)
        return self._inbox.begin(ae_title, refused=not known)


def _is_of(study: PushedStudy, identity: Identity) -> bool:
    return is_patient(_mrn(identity), study.mrn)


def _mrn(identity: Identity) -> str:
    return identity.patient_id.decode(ids.codec(identity.character_set), "backslashreplace").strip()


def _read(folder: Path, paths: Sequence[Path]) -> PushedStudy | None:
    read = [(path, identity) for path in paths if (identity := identify(path)) is not None and identity.whole]
    if not read:
        return None
    path, first = read[0]
    data = dcmread(path, stop_before_pixels=True, specific_tags=[_ACCESSION_NUMBER, _STUDY_DATE])
    return PushedStudy(
        folder,
        {identity.sop_uid: (path, identity) for path, identity in read},
        study_uid=first.study_uid,
        mrn=_mrn(first),
        accession_number=raw_value(data, _ACCESSION_NUMBER).decode(ids.codec(first.character_set), "backslashreplace"),
        study_date=_day(raw_value(data, _STUDY_DATE).decode("ascii", "replace")),
        one_patient=len({_mrn(identity) for _, identity in read}) == 1,
    )


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007  a day has no zone
    except ValueError:
        return None
