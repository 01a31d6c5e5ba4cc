"""One study from an archive into the raw cache, with proof that it is all there.

What counts is what the archive announced by C-FIND against what is whole on disk; status codes are not believed, because
archives answer success with nothing sent. Only what is missing is asked for again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from safelight.archive import identifier as ids
from safelight.archive.backoff import FullJitter
from safelight.archive.cache import PUSHED, RawCache
from safelight.archive.identifier import InstanceAnswer, Part
from safelight.archive.instance_file import Identity, identify
from safelight.archive.intake import Arrived, Expectation, Intake
from safelight.archive.locate import is_patient
from safelight.archive.push import procedure_of
from safelight.archive.query import Archive, Conversation
from safelight.archive.receiver import StorageReceiver
from safelight.errors import ArchiveClosed, ConfigurationError, StorageFull, StudyRejected, TransientError
from safelight.model import Reason

if TYPE_CHECKING:
    from safelight.link import Request

#: UIDs in one image-level retrieval: 100 of 64 characters stay far below any archive's limit for an identifier.
_UIDS_PER_PART: Final = 100
_TICK: Final = 0.02


@dataclass(frozen=True)
class Wanted:
    """What is to be fetched: a study of a patient, or some of its series.

    ``instances``: the archive's count, or None; ``owed``: SOP Instance UIDs that another archive announced and did not send;
    ``pushed``: a push made the request, so nothing but the push says what is whole.
    """

    study_uid: str = field(repr=False)
    mrn: str = field(repr=False)
    series_uids: tuple[str, ...] = field(default=(), repr=False)
    instances: int | None = None
    owed: frozenset[str] = field(default=frozenset(), repr=False)
    pushed: bool = False


def wanted_of(request: Request, study_uid: str) -> Wanted:
    """Return what a request wants of a study."""
    pushed = request.procedure_occurrence_id == procedure_of(study_uid)
    return Wanted(study_uid, request.mrn, tuple(request.series_uids), pushed=pushed)


@dataclass(frozen=True)
class Fetched:
    """How it went: announced by the archive, whole on disk, and of these sent by the archive in this run."""

    announced: int
    received: int
    sent: int = 0
    bytes: int = 0


class Incomplete(StudyRejected):
    """Something announced did not come. ``fetched`` has the counts.

    ``unheard``: the archive says that it could not send everything, and never called us at all.
    """

    def __init__(self, fetched: Fetched, *, unheard: bool) -> None:
        super().__init__(Reason.INCOMPLETE, f"{fetched.received} of {fetched.announced} instances arrived")
        self.fetched = fetched
        self.unheard = unheard


def fetch_cached(cache: RawCache, wanted: Wanted) -> Fetched | None:
    """Return the counts of a study that the cache has whole, without asking an archive; None when it has not.

    Args:
        cache: the raw cache.
        wanted: the study; with another count of instances than the cache's own the cache does not answer.

    Raises:
        StudyRejected: patient_mismatch, when the cached study is another patient's.
    """
    with cache.lock(wanted.study_uid):
        study = cache.get(wanted.study_uid)
    if study is None or not study.complete:
        return None
    # The archive need not have what was pushed to its study later.
    late = wanted.pushed and wanted.series_uids
    if not late and wanted.instances not in {None, len(study.instances)}:
        return None
    if study.archive == PUSHED and not wanted.pushed:
        # It may be a fragment: no archive has said yet what there is.
        return None
    instances = [one for one in study.instances if not wanted.series_uids or one.series_uid in wanted.series_uids]
    if not set(wanted.series_uids) <= {one.series_uid for one in instances}:
        return None
    identity = identify(cache.folder / instances[0].path)
    if identity is None:
        return None
    if not _is_patient(identity, wanted.mrn):
        raise StudyRejected(Reason.PATIENT_MISMATCH)
    return Fetched(len(instances), len(instances))


class Retrieval:
    """Fetches studies from one archive into one cache.

    Args:
        archive: to ask.
        receiver: running, known to the archive by its AE title; an intake alone will do for an archive that never calls.
        cache: to fill.
        on_arrival: called now and then with instances and bytes that have arrived of the study at hand.
    """

    def __init__(
        self,
        archive: Archive,
        receiver: StorageReceiver | Intake,
        cache: RawCache,
        *,
        on_arrival: Callable[[int, int], None] = lambda _instances, _bytes: None,
    ) -> None:
        self._archive = archive
        self._receiver = receiver if isinstance(receiver, StorageReceiver) else None
        self._intake = receiver.intake if isinstance(receiver, StorageReceiver) else receiver
        if archive.use.retrieve == "c-move" and self._receiver is None:
            raise ConfigurationError(
                f"Archive '{archive.name}' moves studies to a receiver, and there is none.",
                remedy="Name the receiver's block in the project's file, or retrieve by C-GET or DICOMweb.",
            )
        self._cache = cache
        self._on_arrival = on_arrival
        #: SOP Instance UIDs that the archive has announced.
        self.announced: frozenset[str] = frozenset()

    def fetch(self, conversation: Conversation, wanted: Wanted) -> Fetched:
        """Fetch what is missing of a study, prove that it is all there, and put it into the cache's index.

        Raises:
            Incomplete: something announced did not come after all attempts; what came stays for the next time.
            StudyRejected: patient_mismatch; not_in_any_archive, when the series asked for do not exist.
            StorageFull: no room for it.
            TransientError, ArchiveMisconfigured: as ``Conversation`` raises them.
        """
        self._cache.make_room()
        with self._cache.lock(wanted.study_uid):
            announced = {
                one.sop_uid: one
                for one in conversation.find_instances(
                    wanted.study_uid, series_uids=wanted.series_uids, patient_id=wanted.mrn
                )
            }
            if not announced and wanted.series_uids:
                raise StudyRejected(Reason.NOT_IN_ANY_ARCHIVE)
            self.announced = frozenset(announced)
            self._check_announced(wanted)
            on_disk = self._cache.on_disk(wanted.study_uid)
            if not all(_is_patient(identity, wanted.mrn) for _, identity in on_disk.values()):
                raise StudyRejected(Reason.PATIENT_MISMATCH)
            there = {sop_uid: arrived for sop_uid, (arrived, _) in on_disk.items()}
            return self._complete(conversation, wanted, announced, there)

    def _check_announced(self, wanted: Wanted) -> None:
        """Refuse a list of instances that is shorter than the archive's own count: it may have been cut."""
        whole_study = not wanted.series_uids and wanted.instances is not None
        listed = len(self.announced)
        if whole_study and self._archive.use.counts_are_right and listed < (wanted.instances or 0):
            raise Incomplete(Fetched(wanted.instances or 0, listed), unheard=False)

    def _complete(
        self,
        conversation: Conversation,
        wanted: Wanted,
        announced: Mapping[str, InstanceAnswer],
        there: dict[str, Arrived],
    ) -> Fetched:
        archive = self._archive
        calls_before, due = self._calls(), announced.keys() | wanted.owed
        known = self._cache.get(wanted.study_uid)
        expectation = Expectation(
            wanted.study_uid,
            self._cache.study_folder(wanted.study_uid),
            name_of=self._cache.file_name,
            is_patient=lambda identity: _is_patient(identity, wanted.mrn),
            series_uids=frozenset(wanted.series_uids),
            clock=archive.clock,
            on_instance=self._instance_came,
        )
        try:
            error, refused = self._fetch_missing(conversation, wanted, announced, there, expectation)
        finally:
            there.update(expectation.arrived)
            whole = {sop_uid: arrived for sop_uid, arrived in there.items() if sop_uid in due}
            complete = len(whole) == len(due) and bool(whole) and not wanted.series_uids
            if not expectation.patient_mismatch and there:
                # A push's own requests rest on its word until an archive has proved the study whole.
                pushed = not complete and known is not None and known.archive == PUSHED and known.complete
                source = PUSHED if pushed else archive.name
                # All that is there, also what this archive has not: another request may have been told of it.
                self._cache.put(wanted.study_uid, source, there.values(), complete=complete or pushed)
        fetched = Fetched(len(due), len(whole), len(expectation.arrived), expectation.bytes)
        if expectation.patient_mismatch:
            raise StudyRejected(Reason.PATIENT_MISMATCH)
        empty = set(wanted.series_uids) - {one.series_uid for one in announced.values()}
        if whole and len(whole) == len(due) and not empty:
            return fetched
        if expectation.storage_failed:
            raise StorageFull("No room is left for arriving instances.", remedy="Free space on the raw cache's disk.")
        if error is not None:
            raise error
        raise Incomplete(fetched, unheard=refused and self._calls() == calls_before == 0)

    def _instance_came(self, size: int, seconds: float | None) -> None:
        throttle = self._archive.throttle
        if seconds is not None:
            throttle.answered("instance", seconds, size=size)
        throttle.received(size)

    def _calls(self) -> int | None:
        """Return how often the archive has called our receiver; None where it has no need to."""
        mover = self._archive.mover
        return self._receiver.callers[mover.ae_title] if self._receiver is not None and mover is not None else None

    def _fetch_missing(
        self,
        conversation: Conversation,
        wanted: Wanted,
        announced: Mapping[str, InstanceAnswer],
        there: Mapping[str, Arrived],
        expectation: Expectation,
    ) -> tuple[TransientError | None, bool]:
        """Ask for what is missing until it is there or the attempts are used up.

        Returns the last passing error, and whether the archive said of any part that it could not send all of it.
        """
        archive, error, refused = self._archive, None, False
        wait = FullJitter(archive.jitter)
        with self._intake.expect(expectation):
            for attempt in range(archive.use.attempts):
                missing = announced.keys() - there.keys() - expectation.arrived.keys()
                if not missing or expectation.patient_mismatch or expectation.storage_failed:
                    break
                if attempt:
                    archive.sleep(wait.seconds(attempt))
                error = None
                for part in _plan(wanted, missing, announced):
                    expectation.retrieval_begins()
                    try:
                        refused |= not conversation.retrieve(
                            part, self._intake, destination=self._receiver.ae_title if self._receiver else ""
                        )
                    except ArchiveClosed:
                        raise
                    except TransientError as passing:
                        error = passing
                        break
                self._settle(expectation, missing)
        return error, refused

    def _settle(self, expectation: Expectation, missing: set[str]) -> None:
        """Wait for instances on their way: some archives answer before they have sent everything."""
        archive = self._archive
        since, left = archive.clock(), missing
        while awaited := missing - expectation.arrived.keys():
            self._on_arrival(len(expectation.arrived), expectation.bytes)
            # Not for what comes again, or unasked: that may go on for ever.
            if awaited != left:
                since, left = archive.clock(), awaited
            if archive.clock() - since >= archive.use.settle_seconds:
                break
            archive.sleep(_TICK)
        self._on_arrival(len(expectation.arrived), expectation.bytes)


def _plan(wanted: Wanted, missing: set[str], announced: Mapping[str, InstanceAnswer]) -> Iterator[Part]:
    """Yield what to ask for: the whole study where all of it is missing, else series that miss all, and instances."""

    def part(sop_uids: Collection[str], series_uid: str = "", named: tuple[str, ...] = ()) -> Part:
        known = frozenset(announced[sop_uid].sop_class_uid for sop_uid in sop_uids)
        return Part(wanted.study_uid, series_uid, named, known if "" not in known else frozenset(), wanted.mrn)

    if not wanted.series_uids and len(missing) == len(announced):
        yield part(missing)
        return
    by_series: dict[str, list[str]] = defaultdict(list)
    sizes: dict[str, int] = defaultdict(int)
    for sop_uid, one in sorted(announced.items()):
        sizes[one.series_uid] += 1
        if sop_uid in missing:
            by_series[one.series_uid].append(sop_uid)
    for series_uid, sop_uids in by_series.items():
        if len(sop_uids) == sizes[series_uid]:
            yield part(sop_uids, series_uid)
            continue
        for start in range(0, len(sop_uids), _UIDS_PER_PART):
            some = tuple(sop_uids[start : start + _UIDS_PER_PART])
            yield part(some, series_uid, some)


def _is_patient(identity: Identity, mrn: str) -> bool:
    codec = ids.codec(identity.character_set)
    return is_patient(identity.patient_id.decode(codec, "backslashreplace"), mrn)
