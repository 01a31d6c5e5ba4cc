"""One request of a batch: found, fetched and brought to its end, whatever happens to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from safelight.archive.backoff import next_attempt
from safelight.archive.cache import RawCache
from safelight.archive.circuit import Circuit
from safelight.archive.identifier import StudyAnswer
from safelight.archive.intake import Intake
from safelight.archive.locate import resolve
from safelight.archive.query import Archive, Conversation, Refused
from safelight.archive.receiver import StorageReceiver
from safelight.archive.retrieve import Fetched, Incomplete, Retrieval, fetch_cached, wanted_of
from safelight.errors import (
    ArchiveBusy,
    ArchiveClosed,
    ArchiveUnreachable,
    DatabaseUnavailable,
    LeaseLost,
    PermanentError,
    StorageFull,
    StudyRejected,
    TransientError,
)
from safelight.link import LinkDatabase, Request
from safelight.model import Reason, RequestState, outcome_of

_NOTHING: Final = Fetched(0, 0)
_WAITS: Final = {StorageFull: Reason.STORAGE_FULL, ArchiveClosed: Reason.ARCHIVE_CLOSED}
#: Until when a request waits at most for an archive that is closed.
_LONGEST_WAIT: Final = timedelta(minutes=30)

#: Told of a request that its study has so far: request, state, archive and counts; no state while it is arriving.
OnChange = Callable[[int, str, str, Fetched], None]


@dataclass(frozen=True)
class Ended:
    """What one request came to; no state: it waits."""

    state: RequestState | None
    reason: Reason | None = None
    archive: str = ""
    fetched: Fetched = _NOTHING


class Unheard(Exception):
    """An archive accepted a C-MOVE and never called us: perhaps it does not know where we are."""

    def __init__(self, archive: Archive, incomplete: Incomplete) -> None:
        super().__init__()
        self.archive = archive
        self.incomplete = incomplete


class Pursuit:
    """Brings requests to their ends, one at a call; safe to use from several threads.

    Args:
        database: link database.
        archives: in order of preference.
        receiver: where studies arrive.
        cache: raw cache.
        worker: who holds the requests.
        clock: aware UTC.
        modalities: that the project allows.
        max_attempts: attempts a request.
        on_change: told how far a study is.
        on_trouble: told once of each passing error for which studies wait.
    """

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
        on_change: OnChange,
        on_trouble: Callable[[TransientError], None],
    ) -> None:
        self._database = database
        self._archives = archives
        self._receiver = receiver
        self._cache = cache
        self._worker = worker
        self._clock = clock
        self._modalities = modalities
        self._max_attempts = max_attempts
        self._on_change = on_change
        self._on_trouble = on_trouble
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def follow(self, request: Request, *, again: bool = False) -> Ended:
        """Bring one request to its end, whatever happens to it; only what stops the run is raised.

        ``again``: it was refused in this run already, and all others have been asked for since.
        """
        try:
            return self._outcome(request, again=again)
        except LeaseLost:
            # Its patient opted out meanwhile, or another worker took it over: theirs to report.
            return Ended(None)

    def _outcome(self, request: Request, *, again: bool) -> Ended:
        try:
            return self._locate_and_fetch(request)
        except Incomplete as incomplete:
            return self._set_aside(request, incomplete)
        except StudyRejected as rejected:
            return self._end(request, outcome_of(rejected.reason), rejected.reason)
        except DatabaseUnavailable:
            raise
        except TransientError as passing:
            return self._later(request, passing)
        except Refused as refused:
            if not (again and request.attempts):
                raise
            # In an earlier run others were answered; now it is alone, and waits no longer than for its attempts.
            return self._later(request, ArchiveUnreachable(refused.message, remedy=refused.remedy))
        except (PermanentError, Unheard):
            raise
        except Exception:  # noqa: BLE001  a defect must cost one study, not the batch; its text may quote data
            return self._end(request, RequestState.FAILED, Reason.INTERNAL_ERROR)

    def _locate_and_fetch(self, request: Request) -> Ended:
        located = request.located_study_uid or request.study_uid.strip()
        cached = fetch_cached(self._cache, wanted_of(request, located)) if located else None
        passing: TransientError | None = None
        incomplete: Unheard | Incomplete | None = None
        owed: set[str] = set()
        for archive in self._candidates(request):
            if cached is not None and request.announced <= cached.announced and not archive.use.ask_for_cached:
                continue
            try:
                end = self._ask(request, archive, owed)
            except (StorageFull, DatabaseUnavailable):
                raise
            except TransientError as error:
                # Another archive may have it. If none has, nobody knows: it is not "not found".
                passing = passing or error
                self._tell(error)
            except Unheard as error:
                incomplete = error
                self._tell(ArchiveUnreachable(f"Archive '{archive.name}' was asked for a study and never called us."))
            except Incomplete as error:
                # Another archive may have the rest of it.
                incomplete = error
            except StudyRejected as rejected:
                # Only the series asked for are not there: another archive may have them.
                if rejected.reason is not Reason.NOT_IN_ANY_ARCHIVE:
                    raise
            else:
                if end is not None:
                    return end
            # It may have been located there before that archive failed.
            (request,) = self._database.requests([request.id])
        # An archive that told of more than is cached owes it.
        if cached is not None and not owed and request.announced <= cached.announced:
            return self._retrieved(request, "", located, cached)
        if (why := passing or incomplete) is not None:
            raise why
        return self._end(request, RequestState.NOT_FOUND, Reason.NOT_IN_ANY_ARCHIVE)

    def _ask(self, request: Request, archive: Archive, owed: set[str]) -> Ended | None:
        """Look for a study in one archive, and fetch it; None when it is not there.

        ``owed``: what other archives have announced, which must be there, too; what this one announces is added.
        """
        with Circuit(archive, self._database, self._clock).study(), archive.conversation() as conversation:
            study = resolve(
                request,
                conversation.find_study(_as_located(request)),
                modalities=self._modalities,
                modalities_of=conversation.modalities_of,
            )
            return None if study is None else self._fetch(request, archive, conversation, study, owed)

    def _candidates(self, request: Request) -> list[Archive]:
        """Return the archives to ask, the one that has the study first."""
        return (
            sorted(self._archives, key=lambda archive: archive.name != request.archive)
            if request.archive
            else self._archives
        )

    def _fetch(
        self, request: Request, archive: Archive, conversation: Conversation, study: StudyAnswer, owed: set[str]
    ) -> Ended:
        wanted = replace(wanted_of(request, study.study_uid), instances=study.instances, owed=frozenset(owed))
        if request.archive not in {"", archive.name}:
            # Another one has announced so many, in an earlier attempt.
            wanted = replace(wanted, instances=max(study.instances or 0, request.announced) or None)
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
                on_arrival=lambda count, size: self._on_change(request.id, "", archive.name, Fetched(0, count, count, size)),
            )
            try:
                fetched = retrieval.fetch(conversation, wanted)
            except Incomplete as incomplete:
                if incomplete.unheard:
                    raise Unheard(archive, incomplete) from None
                raise
            finally:
                owed |= retrieval.announced
        (request,) = self._database.requests([request.id])
        return self._retrieved(request, archive.name, study.study_uid, fetched)

    # -- ends

    def _retrieved(self, request: Request, archive: str, study_uid: str, fetched: Fetched) -> Ended:
        archive = archive or request.archive or self._cached_from(study_uid)
        facts: dict[str, Any] = {"announced": fetched.announced, "received": fetched.received, "archive": archive}
        if request.state is RequestState.REQUESTED:
            self._database.move(request.id, RequestState.LOCATED, worker=self._worker, located_study_uid=study_uid, **facts)
        self._database.move(request.id, RequestState.RETRIEVED, worker=self._worker, **facts)
        return Ended(RequestState.RETRIEVED, archive=archive, fetched=fetched)

    def _cached_from(self, study_uid: str) -> str:
        study = self._database.cache_get(study_uid)
        return study.archive if study else ""

    def set_aside(self, request: Request, unheard: Unheard) -> Ended:
        """End a request whose archive never called us, and called for others: it is this study that it has not."""
        try:
            return self._set_aside(request, unheard.incomplete, unheard.archive.name)
        except LeaseLost:
            return Ended(None)

    def _set_aside(self, request: Request, incomplete: Incomplete, archive: str = "") -> Ended:
        """End a request of whose study something is missing."""
        return self._end(request, RequestState.FAILED, Reason.INCOMPLETE, archive=archive, fetched=incomplete.fetched)

    def _end(
        self,
        request: Request,
        state: RequestState,
        reason: Reason,
        *,
        archive: str = "",
        fetched: Fetched = _NOTHING,
    ) -> Ended:
        facts = {"announced": fetched.announced, "received": fetched.received} if fetched.announced else {}
        self._database.move(request.id, state, worker=self._worker, reason=reason, **facts)
        return Ended(state, reason, archive, fetched)

    def _later(self, request: Request, passing: TransientError) -> Ended:
        """Put a request off to its next attempt, or end it when it has had its attempts."""
        self._tell(passing)
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
        return Ended(None, reason)

    def _tell(self, error: TransientError) -> None:
        """Say why studies wait; of what is said already nothing."""
        with self._lock:
            known = str(error) in self._told
            self._told.add(str(error))
        if not known:
            self._on_trouble(error)


def _as_located(request: Request) -> Request:
    """Return the request with the UID that it was located under, so that a resumed one needs no search."""
    return replace(request, study_uid=request.located_study_uid) if request.located_study_uid else request
