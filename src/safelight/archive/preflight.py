"""What retrieving a project's requests would bring and take, before it is done. Asks archives, and moves no image.

Nothing is claimed and no request moves. No query tells how large an instance is (PS3.4 annex C has no such key), so bytes
are counted for studies that the raw cache has, and estimated by modality for the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Final

from safelight.archive.cache import RawCache
from safelight.archive.calendar import Calendar
from safelight.archive.circuit import Circuit
from safelight.archive.identifier import StudyAnswer
from safelight.archive.locate import resolve
from safelight.archive.query import Archive, Conversation
from safelight.archive.retrieve import fetch_cached, wanted_of
from safelight.errors import DatabaseUnavailable, StudyRejected, TransientError
from safelight.link import LinkDatabase, Request
from safelight.model import Reason, RequestState

#: Typical kilobytes of an instance as archives keep them, native or lossless; each within a factor of two or three.
_KILOBYTES: Final = {
    "CT": 530, "MR": 300, "PT": 100, "NM": 500, "CR": 10_000, "DX": 15_000, "MG": 30_000, "US": 1_500, "XA": 20_000,
    "RF": 10_000, "OT": 1_000, "SR": 20, "PR": 20, "KO": 10, "SEG": 5_000, "RTSTRUCT": 2_000, "RTDOSE": 5_000,
}  # fmt: skip
_OTHER_KILOBYTES: Final = 1_000
#: What one study takes beyond its series: queries for it and for its series, and the retrieval.
_OPERATIONS_A_STUDY: Final = 3


@dataclass
class Work:
    """What one archive would have to do."""

    studies: int = 0
    series: int = 0
    instances: int = 0
    bytes: int = 0

    @property
    def operations(self) -> int:
        """Queries and retrievals for these studies."""
        return self.studies * _OPERATIONS_A_STUDY + self.series


@dataclass
class Preflight:
    """What was found. Counts are of requests that were looked at, unless they say otherwise."""

    #: Requests that wait to be retrieved.
    requests: int = 0
    looked_at: int = 0
    found: int = 0
    #: Whole in the raw cache: they cost the archive nothing.
    cached: int = 0
    #: Studies that several requests ask for, beyond the first.
    repeated: int = 0
    missing: int = 0
    #: Reason -> requests that retrieval would set aside for it.
    set_aside: Counter[Reason] = field(default_factory=Counter)
    #: Requests of which nothing is known, because an archive did not answer or is closed.
    unknown: int = 0
    cached_instances: int = 0
    cached_bytes: int = 0
    #: Archive -> what it would have to do for the studies that were looked at; bytes are estimated.
    archives: dict[str, Work] = field(default_factory=dict)
    #: When all requests would be there, at each archive's full budget and in its hours; None: not within a year.
    expected_end: datetime | None = None

    @property
    def scale(self) -> Fraction:
        """All requests to those that were looked at."""
        return Fraction(self.requests, self.looked_at) if self.looked_at else Fraction(0)


def foresee(
    project: str,
    *,
    database: LinkDatabase,
    archives: Sequence[Archive],
    cache: RawCache,
    clock: Callable[[], datetime],
    modalities: Collection[str] = (),
    at_most: int = 1000,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Preflight:
    """Look for the studies of a project's waiting requests.

    Args:
        project: its slug.
        database: link database; only read, but for the archives' health.
        archives: in order of preference.
        cache: raw cache.
        clock: aware UTC.
        modalities: that the project allows; they help to resolve an ambiguous answer.
        at_most: so many requests are looked at, spread evenly over all: each costs an archive two queries.
        on_progress: told how many were looked at, of how many.

    Raises:
        ArchiveMisconfigured: an archive refuses us for good.
        DatabaseUnavailable: the link database went away.
    """
    waiting = (RequestState.REQUESTED, RequestState.LOCATED)
    result = Preflight(requests=sum(1 for _ in database.find(project, waiting)))
    step = max(Fraction(1), Fraction(result.requests, at_most))
    total = int(result.requests / step)
    with ExitStack() as open_ones:
        conversations = [(one, open_ones.enter_context(one.conversation())) for one in archives]
        look = _Look(result, conversations, database, cache, clock, modalities)
        for number, request in enumerate(database.find(project, waiting)):
            if result.looked_at < total and number >= result.looked_at * step:
                result.looked_at += 1
                look.at(request)
                on_progress(result.looked_at, total)
    result.expected_end = _end(result, archives, clock())
    return result


@dataclass
class _Look:
    """Looks at one request after the other, and counts."""

    result: Preflight
    conversations: Sequence[tuple[Archive, Conversation]]
    database: LinkDatabase
    cache: RawCache
    clock: Callable[[], datetime]
    modalities: Collection[str]
    #: Studies that were counted.
    seen: set[str] = field(default_factory=set, repr=False)

    def at(self, request: Request) -> None:
        """Count one request."""
        located = request.located_study_uid or request.study_uid.strip()
        try:
            if located and self._is_cached(request, located):
                return
            passing = False
            for archive, conversation in self.conversations:
                try:
                    if self._is_there(request, archive, conversation):
                        return
                except DatabaseUnavailable:
                    raise
                except TransientError:
                    passing = True
        except StudyRejected as rejected:
            self.result.set_aside[rejected.reason] += 1
            return
        if passing:
            self.result.unknown += 1
        else:
            self.result.missing += 1

    def _is_there(self, request: Request, archive: Archive, conversation: Conversation) -> bool:
        with Circuit(archive, self.database, self.clock).study():
            study = resolve(
                request,
                conversation.find_study(request),
                modalities=self.modalities,
                modalities_of=conversation.modalities_of,
            )
            return study is not None and self._count(request, study, archive, conversation)

    def _is_cached(self, request: Request, study_uid: str) -> bool:
        fetched = fetch_cached(self.cache, wanted_of(request, study_uid))
        if fetched is None:
            return False
        self.result.cached += 1
        if self._is_first(study_uid):
            self.result.cached_instances += fetched.received
            self.result.cached_bytes += sum(path.stat().st_size for path in self.cache.paths(study_uid, request.series_uids))
        return True

    def _is_first(self, study_uid: str) -> bool:
        """Count a request whose study is there; False: another one asked for that study before."""
        self.result.found += 1
        if study_uid in self.seen:
            self.result.repeated += 1
            return False
        self.seen.add(study_uid)
        return True

    def _count(self, request: Request, study: StudyAnswer, archive: Archive, conversation: Conversation) -> bool:
        """Count what an archive would send; False: it has none of the series that are asked for."""
        if self._is_cached(request, study.study_uid):
            return True
        series = conversation.find_series(study.study_uid, patient_id=request.mrn)
        wanted = [one for one in series if not request.series_uids or one.series_uid in request.series_uids]
        if not wanted:
            return False
        if self._is_first(study.study_uid):
            work = self.result.archives.setdefault(archive.name, Work())
            work.studies += 1
            work.series += len(wanted)
            # An archive that counts no instances of a series may count those of the study; spread evenly, to estimate.
            uncounted = sum(one.instances is None for one in series)
            rest = (study.instances or uncounted) - sum(one.instances or 0 for one in series)
            for one in wanted:
                instances = round(max(0, rest) / uncounted) if one.instances is None else one.instances
                work.instances += instances
                work.bytes += instances * _KILOBYTES.get(one.modality, _OTHER_KILOBYTES) * 1000
        return True


def _end(result: Preflight, archives: Sequence[Archive], start: datetime) -> datetime | None:
    """Return when the last archive is done with its share of all requests."""
    end = start
    for archive in archives:
        work = result.archives.get(archive.name, Work())
        ends = Calendar(archive.use.hours).expected_end(
            start,
            archive.use.budget,
            operations=float(work.operations * result.scale),
            size=int(work.bytes * result.scale),
        )
        if ends is None:
            return None
        end = max(end, ends)
    return end
