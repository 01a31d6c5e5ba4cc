"""The archive stage's driver: claimed requests go from requested over located to retrieved, or are set aside with a reason.

It can be killed at any instant: what has arrived stays on disk, a request's move is one transaction of the link database,
and a lease that nobody renews expires.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from safelight.archive.cache import RawCache
from safelight.archive.intake import Intake
from safelight.archive.pursuit import Ended, Pursuit, Unheard
from safelight.archive.query import Archive, Refused
from safelight.archive.receiver import StorageReceiver
from safelight.archive.renewal import renewing
from safelight.archive.retrieve import Fetched
from safelight.errors import ArchiveMisconfigured, SafelightError, TransientError
from safelight.link import LinkDatabase, Request, StageCounts

#: So many studies may be refused before any is answered; then it is us that the archive refuses.
_REFUSALS: Final = 3


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
    on_trouble: Callable[[TransientError], None] = lambda _error: None,
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
        on_trouble: told, once each, why studies wait: an archive is closed, stopped, resting or does not answer.
        modalities: that the project allows; they help to resolve an ambiguous answer.
        max_attempts: a request that fails for a passing cause is tried again later, so many times in all.
        parallel: studies at once; by default the largest number of associations that an archive allows, at most 8.

    Returns:
        What became of the requests; ``taken`` is the sum of ``moved`` and of what waits for its next attempt.

    Raises:
        ArchiveMisconfigured: an archive refuses us for good. Requests not ended yet are given back, nothing is lost.
        DatabaseUnavailable: the link database went away; the leases expire.
    """
    threads = parallel or min(8, max((archive.use.budget.associations for archive in archives), default=1))
    progress = _Progress(len(request_ids), on_progress)
    pursuit = Pursuit(
        database=database,
        archives=list(archives),
        receiver=receiver,
        cache=cache,
        worker=worker,
        clock=clock,
        modalities=modalities,
        max_attempts=max_attempts,
        on_change=progress.tell,
        on_trouble=on_trouble,
    )
    return _Batch(database, receiver, worker, pursuit, progress).run(list(request_ids), lease=lease, threads=threads)


class _Progress:
    """Tells how far a batch is, one at a time."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._total = total
        self._on_progress = on_progress
        self._done = 0
        self._lock = threading.Lock()

    def tell(self, request_id: int, state: str, archive: str, fetched: Fetched) -> None:
        with self._lock:
            self._done += bool(state)
            if self._on_progress is not None:
                self._on_progress(
                    RetrievalProgress(self._done, self._total, request_id, state, archive, fetched.received, fetched.bytes)
                )


class _Batch:
    """One call of ``locate_and_retrieve``."""

    def __init__(
        self,
        database: LinkDatabase,
        receiver: StorageReceiver | Intake,
        worker: str,
        pursuit: Pursuit,
        progress: _Progress,
    ) -> None:
        self._database = database
        self._receiver = receiver
        self._worker = worker
        self._pursuit = pursuit
        self._progress = progress

    def run(self, request_ids: list[int], *, lease: timedelta, threads: int) -> StageCounts:
        """Drive all requests; see ``locate_and_retrieve``."""
        requests = {request.id: request for request in self._database.requests(request_ids)}
        ended: dict[int, Ended] = {}
        unheard: dict[int, Unheard] = {}
        with renewing(requests, ended, database=self._database, worker=self._worker, lease=lease):
            try:
                self._drive(list(requests.values()), threads, lease, ended, unheard)
                self._check_heard(unheard)
                for id_, event in unheard.items():
                    ended[id_] = self._pursuit.set_aside(requests[id_], event)
            except BaseException:
                self._database.release([id_ for id_ in requests if id_ not in ended], worker=self._worker)
                raise
        counts = Counter(end.state.value for end in ended.values() if end.state is not None)
        reasons = Counter(end.reason.value for end in ended.values() if end.reason is not None)
        return StageCounts(taken=len(requests), moved=dict(counts), reasons=dict(reasons))

    def _check_heard(self, unheard: dict[int, Unheard]) -> None:
        """Raise ArchiveMisconfigured when studies were asked for and nobody ever called."""
        receiver = self._receiver
        if unheard and isinstance(receiver, StorageReceiver) and not any(receiver.callers.values()):
            archive = next(iter(unheard.values())).archive
            raise ArchiveMisconfigured(
                f"Archive '{archive.name}' was asked to send studies and never called our receiver.",
                remedy=f"Ask its manager whether it knows the destination '{receiver.ae_title}' with our "
                "receiver's host and port, and whether a firewall is between them.",
            )

    def _drive(
        self,
        requests: list[Request],
        threads: int,
        lease: timedelta,
        ended: dict[int, Ended],
        unheard: dict[int, Unheard],
    ) -> None:
        waiting, refused = deque(requests), list[Request]()
        with ThreadPoolExecutor(threads, thread_name_prefix="retrieval") as pool:
            running: dict[Future[Ended], Request] = {}
            again = False
            try:
                while True:
                    # Handed out one by one, so that an error which stops the run leaves the rest untouched.
                    while waiting and len(running) < threads:
                        request = waiting.popleft()
                        running[pool.submit(self._one, request, again)] = request
                    if not running:
                        if not refused:
                            return
                        # By now the archive has answered others, or it is not these studies that it refuses.
                        again = True
                        waiting.extend(self._held([request.id for request in refused], lease))
                        refused.clear()
                        continue
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        request = running.pop(future)
                        try:
                            ended[request.id] = future.result()
                        except Unheard as event:
                            unheard[request.id] = event
                        except Refused:
                            refused.append(request)
                            if again or len(refused) >= _REFUSALS:
                                raise
            finally:
                # On an error: studies at hand end properly and are counted; their requests have moved already.
                for future, request in running.items():
                    try:
                        ended[request.id] = future.result()
                    except (SafelightError, Unheard):
                        continue

    def _held(self, request_ids: list[int], lease: timedelta) -> list[Request]:
        """Read requests again; but not those whose patients opted out meanwhile, or that another worker took over."""
        return self._database.requests(self._database.renew(request_ids, worker=self._worker, lease=lease))

    def _one(self, request: Request, again: bool) -> Ended:
        end = self._pursuit.follow(request, again=again)
        self._progress.tell(request.id, end.state.value if end.state else "waiting", end.archive, end.fetched)
        return end
