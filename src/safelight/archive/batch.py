"""The archive stage's driver: claimed requests go from requested over located to retrieved, or are set aside with a reason.

It can be killed at any instant: what has arrived stays on disk, a request's move is one transaction of the link database,
and a lease that nobody renews expires.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from safelight.archive.backoff import next_attempt
from safelight.archive.cache import RawCache
from safelight.archive.circuit import Circuit
from safelight.archive.identifier import StudyAnswer
from safelight.archive.intake import Intake
from safelight.archive.locate import resolve
from safelight.archive.query import Archive, Conversation
from safelight.archive.receiver import StorageReceiver
from safelight.archive.renewal import renewing
from safelight.archive.retrieve import Fetched, Incomplete, Retrieval, fetch_cached, wanted_of
from safelight.errors import (
    ArchiveBusy,
    ArchiveClosed,
    ArchiveMisconfigured,
    DatabaseUnavailable,
    LeaseLost,
    PermanentError,
    SafelightError,
    StorageFull,
    StudyRejected,
    TransientError,
)
from safelight.link import LinkDatabase, Request, StageCounts
from safelight.model import Reason, RequestState, outcome_of

_NOTHING: Final = Fetched(0, 0)
_WAITS: Final = {StorageFull: Reason.STORAGE_FULL, ArchiveClosed: Reason.ARCHIVE_CLOSED}
#: Until when a request waits at most for an archive that is closed.
_LONGEST_WAIT: Final = timedelta(minutes=30)


@dataclass(frozen=True)
class RetrievalProgress:
    """How far a batch is. ``request_id`` is opaque; ``state`` is empty while its study is still arriving."""

    done: int
    total: int
    request_id: int
    state: str
    archive: str
    instances: int
    bytes: int


OnProgress = Callable[[RetrievalProgress], None]


def locate_and_retrieve(
    request_ids: Sequence[int],
    *,
    database: LinkDatabase,
    archives: Sequence[Archive],
    receiver: StorageReceiver | Intake,
    cache: RawCache,
    worker: str,
    lease: timedelta,
    clock: Callable[[], datetime],
    on_progress: OnProgress | None = None,
    modalities: Collection[str] = (),
    max_attempts: int = 3,
    parallel: int | None = None,
) -> StageCounts:
    """Find and fetch the studies of requests that ``worker`` has claimed in the states requested or located.

    Args:
        request_ids: claimed requests.
        database: link database.
        archives: in order of preference; the next is asked when the one before has no such study.
        receiver: running; the archives' C-MOVE destination. An intake alone will do where no archive moves studies.
        cache: raw cache, on the filesystem of the receiver's spool.
        worker: who holds the leases; they are renewed while this runs.
        lease: for how long.
        clock: aware UTC.
        on_progress: told of each request's end, and of arriving instances.
        modalities: that the project allows; they help to resolve an ambiguous answer.
        max_attempts: a request that fails for a passing cause is tried again later, so many times in all.
        parallel: studies at once; by default the largest number of associations that an archive allows, at most 8.

    Returns:
        What became of the requests; ``taken`` is the sum of ``moved`` and of what waits for its next attempt.

    Raises:
        ArchiveMisconfigured: an archive refuses us for good. Requests not ended yet are given back, nothing is lost.
        DatabaseUnavailable: the link database went away; the leases expire.
    """
    batch = _Batch(
        database=database,
        archives=list(archives),
        receiver=receiver,
        cache=cache,
        worker=worker,
        clock=clock,
        modalities=modalities,
        max_attempts=max_attempts,
    )
    threads = parallel or min(8, max((archive.use.budget.associations for archive in archives), default=1))
    return batch.run(list(request_ids), lease=lease, threads=threads, on_progress=on_progress)


@dataclass(frozen=True)
class _Ended:
    """What one request came to; no state: it waits."""

    state: RequestState | None
    reason: Reason | None = None
    archive: str = ""
    fetched: Fetched = _NOTHING


class _Unheard(Exception):
    """An archive accepted a C-MOVE and never called us: perhaps it does not know where we are."""

    def __init__(self, archive: Archive, incomplete: Incomplete) -> None:
        super().__init__()
        self.archive = archive
        self.incomplete = incomplete


class _Batch:
    """One call of ``locate_and_retrieve``."""

    def __init__(
        self,
        *,
        database: LinkDatabase,
        archives: list[Archive],
        receiver: StorageReceiver | Intake,
        cache: RawCache,
        worker: str,
        clock: Callable[[], datetime],
        modalities: Collection[str],
        max_attempts: int,
    ) -> None:
        self._database = database
        self._archives = archives
        self._receiver = receiver
        self._cache = cache
        self._worker = worker
        self._clock = clock
        self._modalities = modalities
        self._max_attempts = max_attempts
        self._lock = threading.Lock()
        self._done = 0
        self._total = 0
        self._on_progress: OnProgress | None = None

    # -- the batch

    def run(self, request_ids: list[int], *, lease: timedelta, threads: int, on_progress: OnProgress | None) -> StageCounts:
        """Drive all requests; see ``locate_and_retrieve``."""
        self._on_progress, self._total = on_progress, len(request_ids)
        requests = {request.id: request for request in self._database.requests(request_ids)}
        ended: dict[int, _Ended] = {}
        unheard: dict[int, _Unheard] = {}
        with renewing(requests, ended, database=self._database, worker=self._worker, lease=lease):
            try:
                self._drive(list(requests.values()), threads, ended, unheard)
            except BaseException:
                self._database.release([id_ for id_ in requests if id_ not in ended], worker=self._worker)
                raise
            receiver = self._receiver
            if unheard and isinstance(receiver, StorageReceiver) and not any(receiver.callers.values()):
                self._database.release(list(unheard), worker=self._worker)
                archive = next(iter(unheard.values())).archive
                raise ArchiveMisconfigured(
                    f"Archive '{archive.name}' was asked to send studies and never called our receiver.",
                    remedy=f"Ask its manager whether it knows the destination '{receiver.ae_title}' with our "
                    "receiver's host and port, and whether a firewall is between them.",
                )
            for id_, event in unheard.items():
                ended[id_] = self._set_aside(requests[id_], event.archive, event.incomplete)
        counts = Counter(end.state.value for end in ended.values() if end.state is not None)
        reasons = Counter(end.reason.value for end in ended.values() if end.reason is not None)
        return StageCounts(taken=len(requests), moved=dict(counts), reasons=dict(reasons))

    def _drive(self, requests: list[Request], threads: int, ended: dict[int, _Ended], unheard: dict[int, _Unheard]) -> None:
        waiting = iter(requests)
        with ThreadPoolExecutor(threads, thread_name_prefix="retrieval") as pool:
            running: dict[Future[_Ended], Request] = {}
            try:
                while True:
                    # Handed out one by one, so that an error which stops the run leaves the rest untouched.
                    while len(running) < threads and (request := next(waiting, None)) is not None:
                        running[pool.submit(self._one, request)] = request
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        request = running.pop(future)
                        try:
                            ended[request.id] = future.result()
                        except _Unheard as event:
                            unheard[request.id] = event
            finally:
                # On an error: studies at hand end properly and are counted; their requests have moved already.
                for future, request in running.items():
                    try:
                        ended[request.id] = future.result()
                    except (SafelightError, _Unheard):
                        continue

    # -- one request

    def _one(self, request: Request) -> _Ended:
        """Bring one request to its end, whatever happens to it; only what stops the run is raised."""
        try:
            end = self._outcome(request)
        except LeaseLost:
            # Its patient opted out meanwhile, or another worker took it over: theirs to report.
            end = _Ended(None)
        with self._lock:
            self._done += 1
        self._report(request.id, end.state.value if end.state else "waiting", end.archive, end.fetched)
        return end

    def _outcome(self, request: Request) -> _Ended:
        try:
            return self._locate_and_fetch(request)
        except Incomplete as incomplete:
            return self._set_aside(request, None, incomplete)
        except StudyRejected as rejected:
            return self._end(request, outcome_of(rejected.reason), rejected.reason)
        except DatabaseUnavailable:
            raise
        except TransientError as passing:
            return self._later(request, passing)
        except (PermanentError, _Unheard):
            raise
        except Exception:  # noqa: BLE001  a defect must cost one study, not the batch; its text may quote data
            return self._end(request, RequestState.FAILED, Reason.INTERNAL_ERROR)

    def _locate_and_fetch(self, request: Request) -> _Ended:
        located = request.located_study_uid or request.study_uid.strip()
        if located and (fetched := fetch_cached(self._cache, wanted_of(request, located))) is not None:
            return self._retrieved(request, "", located, fetched)
        passing: TransientError | None = None
        for archive in self._candidates(request):
            try:
                end = self._ask(request, archive)
            except (StorageFull, DatabaseUnavailable):
                raise
            except TransientError as error:
                # Another archive may have it. If none has, nobody knows: it is not "not found".
                passing = passing or error
            else:
                if end is not None:
                    return end
        if passing is not None:
            raise passing
        return self._end(request, RequestState.NOT_FOUND, Reason.NOT_IN_ANY_ARCHIVE)

    def _ask(self, request: Request, archive: Archive) -> _Ended | None:
        """Look for a study in one archive, and fetch it; None when it is not there."""
        circuit = Circuit(archive, self._database, self._clock)
        circuit.enter()
        try:
            with archive.conversation() as conversation:
                study = resolve(request, conversation.find_study(_as_located(request)), modalities=self._modalities)
                end = None if study is None else self._fetch(request, archive, conversation, study)
        except TransientError as error:
            circuit.failed(error)
            raise
        except StudyRejected:
            circuit.succeeded()
            raise
        circuit.succeeded()
        return end

    def _candidates(self, request: Request) -> list[Archive]:
        """Return the archives to ask, the one that has the study first."""
        return (
            sorted(self._archives, key=lambda archive: archive.name != request.archive)
            if request.archive
            else self._archives
        )

    def _fetch(self, request: Request, archive: Archive, conversation: Conversation, study: StudyAnswer) -> _Ended:
        wanted = replace(wanted_of(request, study.study_uid), instances=study.instances)
        if request.state is RequestState.REQUESTED:
            self._database.move(
                request.id,
                RequestState.LOCATED,
                worker=self._worker,
                archive=archive.name,
                located_study_uid=study.study_uid,
                announced=study.instances or 0,
            )
        fetched = fetch_cached(self._cache, wanted)
        if fetched is None:
            retrieval = Retrieval(
                archive,
                self._receiver,
                self._cache,
                on_arrival=lambda count, size: self._report(request.id, "", archive.name, Fetched(0, count, count, size)),
            )
            try:
                fetched = retrieval.fetch(conversation, wanted)
            except Incomplete as incomplete:
                if incomplete.unheard:
                    raise _Unheard(archive, incomplete) from None
                raise
        return self._retrieved(request, archive.name, study.study_uid, fetched, located=True)

    # -- ends

    def _retrieved(
        self, request: Request, archive: str, study_uid: str, fetched: Fetched, *, located: bool = False
    ) -> _Ended:
        archive = archive or request.archive or self._cached_from(study_uid)
        facts: dict[str, Any] = {"announced": fetched.announced, "received": fetched.received}
        if request.state is RequestState.REQUESTED and not located:
            self._database.move(
                request.id, RequestState.LOCATED, worker=self._worker, archive=archive, located_study_uid=study_uid, **facts
            )
        self._database.move(request.id, RequestState.RETRIEVED, worker=self._worker, **facts)
        return _Ended(RequestState.RETRIEVED, archive=archive, fetched=fetched)

    def _cached_from(self, study_uid: str) -> str:
        study = self._database.cache_get(study_uid)
        return study.archive if study else ""

    def _set_aside(self, request: Request, archive: Archive | None, incomplete: Incomplete) -> _Ended:
        fetched = incomplete.fetched
        return self._end(
            request,
            RequestState.FAILED,
            Reason.INCOMPLETE,
            archive=archive.name if archive else "",
            fetched=fetched,
        )

    def _end(
        self,
        request: Request,
        state: RequestState,
        reason: Reason,
        *,
        archive: str = "",
        fetched: Fetched = _NOTHING,
    ) -> _Ended:
        facts = {"announced": fetched.announced, "received": fetched.received} if fetched.announced else {}
        self._database.move(request.id, state, worker=self._worker, reason=reason, **facts)
        return _Ended(state, reason, archive, fetched)

    def _later(self, request: Request, passing: TransientError) -> _Ended:
        """Put a request off to its next attempt, or end it when it has had its attempts."""
        reason = next((reason for kind, reason in _WAITS.items() if isinstance(passing, kind)), Reason.ARCHIVE_UNREACHABLE)
        # An archive that is closed or busy has not failed the request, so that costs it no attempt.
        failed = not isinstance(passing, ArchiveClosed | ArchiveBusy)
        # Read again: locating it may have started a new count.
        (request,) = self._database.requests([request.id])
        if failed and request.attempts + 1 >= self._max_attempts:
            return self._end(request, RequestState.FAILED, reason)
        not_before = self._clock() + next_attempt(request.attempts if failed else 0, jitter=self._archives[0].jitter)
        if isinstance(passing, ArchiveClosed) and passing.until is not None:
            # Not much longer than that: the hours in the project's file may be corrected meanwhile.
            not_before = max(not_before, min(passing.until, self._clock() + _LONGEST_WAIT))
        self._database.retry_later(request.id, worker=self._worker, reason=reason, not_before=not_before, counts=failed)
        return _Ended(None, reason)

    def _report(self, request_id: int, state: str, archive: str, fetched: Fetched) -> None:
        if self._on_progress is None:
            return
        with self._lock:
            self._on_progress(
                RetrievalProgress(self._done, self._total, request_id, state, archive, fetched.received, fetched.bytes)
            )


def _as_located(request: Request) -> Request:
    """Return the request with the UID that it was located under, so that a resumed one needs no search."""
    return replace(request, study_uid=request.located_study_uid) if request.located_study_uid else request
