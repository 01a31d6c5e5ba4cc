"""Drives requests from retrieved to verified: their instances through the engine, then the independent look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from safelight.dicom.duplicates import DuplicateGuard
from safelight.dicom.engine import DeidEngine, Header
from safelight.dicom.filters import ImageFilters, SeriesFilter
from safelight.dicom.verification import verify_file
from safelight.errors import LeaseLost, StorageFull
from safelight.link import LinkDatabase, Request, StageCounts
from safelight.model import InstanceOutcome, InstanceResult, KnownIdentifiers, Reason, RequestState, outcome_of
from safelight.text import IdentifierMatcher

#: Instances between two renewals of the lease.
RENEW_EVERY: Final = 200
_TAKEN: Final = (RequestState.RETRIEVED, RequestState.DEIDENTIFIED)


def deidentify_requests(
    request_ids: Sequence[int],
    *,
    database: LinkDatabase,
    engine: DeidEngine,
    filters: ImageFilters,
    cache_paths: Callable[[str, Sequence[str]], list[Path]],
    work: Path,
    worker: str,
    lease: timedelta,
    known: Callable[[Request], KnownIdentifiers],
) -> StageCounts:
    """De-identify and verify the instances of requests that this worker has claimed.

    Outputs go to ``<work>/<pseudo study uid>/<pseudo sop uid>.dcm``. A run that was killed at any point is repeated
    from the request's state; doing it again writes the same bytes.

    Args:
        request_ids: claimed requests, retrieved (or deidentified, when an earlier run was killed).
        database: the link database.
        engine: the project's engine.
        filters: what the project wants.
        cache_paths: files of a study in the raw cache, or of some of its series, by their UIDs.
        work: folder of outputs.
        worker: who holds the leases.
        lease: how long they are renewed for.
        known: what is known of a request's patient.

    Returns:
        How many requests ended in which state and for which reasons.

    Raises:
        StorageFull: no room for outputs; the requests stay where they are and are free again.
    """
    moved: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    remaining = list(request_ids)
    stage = _Stage(database, engine, SeriesFilter(filters), filters.min_instances_per_series, work, worker, lease)
    while remaining:
        held = database.renew(remaining, worker=worker, lease=lease)
        remaining = [one for one in remaining if one in set(held)]
        if not remaining:
            break
        (request,) = database.requests(remaining[:1])
        if request.state in _TAKEN:
            try:
                paths = cache_paths(request.located_study_uid, request.series_uids)
                state, reason = stage.run(request, paths, known(request))
            except StorageFull:
                database.release(remaining, worker=worker)
                raise
            except LeaseLost:
                # Its patient opted out meanwhile, or another worker took it over: theirs to report.
                pass
            else:
                moved[state.value] += 1
                if reason is not None:
                    reasons[reason.value] += 1
        remaining = remaining[1:]
    return StageCounts(taken=len(request_ids), moved=dict(moved), reasons=dict(reasons))


class _Stage:
    def __init__(
        self,
        database: LinkDatabase,
        engine: DeidEngine,
        series_filter: SeriesFilter,
        least: int,
        work: Path,
        worker: str,
        lease: timedelta,
    ) -> None:
        self._database = database
        self._engine = engine
        self._filter = series_filter
        self._least = least
        self._work = work
        self._worker = worker
        self._lease = lease

    def run(self, request: Request, paths: list[Path], known: KnownIdentifiers) -> tuple[RequestState, Reason | None]:
        """Take one request to verified, or set it aside; return its new state and the reason, if any."""
        if not paths or len(paths) < request.received:
            # The raw cache gave up some of it between the stages: that has to be fetched again. More is what came since.
            again = RequestState.REQUESTED if request.state is RequestState.RETRIEVED else RequestState.RETRIEVED
            return self._move(request, again, Reason.INCOMPLETE)
        results = self._too_few(self._instances(request, paths, known))
        pseudonymizer = self._engine.pseudonymizer
        if request.state is RequestState.RETRIEVED:
            self._database.move(
                request.id,
                RequestState.DEIDENTIFIED,
                worker=self._worker,
                pseudo_study_uid=pseudonymizer.uid(request.located_study_uid),
                pseudo_patient_id=pseudonymizer.secure_hash(request.mrn, "patient"),
            )
        matcher = IdentifierMatcher([known])
        results = [self._verified(result, matcher) for result in results]
        self._database.record_instances(request.id, results)
        if any(result.outcome is InstanceOutcome.WRITTEN for result in results):
            return self._move(request, RequestState.VERIFIED, None)
        reason = main_reason(results)
        return self._move(request, outcome_of(reason), reason)

    def _move(self, request: Request, state: RequestState, reason: Reason | None) -> tuple[RequestState, Reason | None]:
        self._database.move(request.id, state, worker=self._worker, reason=reason)
        return state, reason

    def _instances(self, request: Request, paths: list[Path], known: KnownIdentifiers) -> list[InstanceResult]:
        guard = DuplicateGuard(self._engine, self._work)
        wanted = frozenset(request.series_uids)
        mrn = request.mrn.strip()
        unwanted = 0

        def admit(header: Header) -> Reason | None:
            nonlocal unwanted
            if header["PatientID"] != mrn:
                return Reason.PATIENT_MISMATCH
            if header["StudyInstanceUID"] != request.located_study_uid.strip():
                return Reason.STUDY_MISMATCH
            if wanted and header["SeriesInstanceUID"] not in wanted:
                unwanted += 1
                return Reason.SERIES_FILTERED
            return self._filter.apply(header)

        results = []
        for number, path in enumerate(sorted(paths), start=1):
            if number % RENEW_EVERY == 0:
                self._database.renew([request.id], worker=self._worker, lease=self._lease)
            before = unwanted
            result = guard.deidentify(path, known=known, admit=admit)
            if result.reason is Reason.STORAGE_FULL:
                raise StorageFull("No room is left in the work folder.", remedy="Make room; the studies stay in the queue.")
            if unwanted != before:
                # Another request's series of the same study: not this one's to account for.
                continue
            if result.outcome is InstanceOutcome.SET_ASIDE:
                self._drop(result)
            results.append(result)
        return results

    def _drop(self, result: InstanceResult) -> None:
        """Remove what an earlier run, under other rules, wrote for an instance that is set aside now."""
        uid = self._engine.pseudonymizer.uid
        if result.sop_instance_uid and result.study_instance_uid and result.reason is not Reason.DUPLICATE_INSTANCE:
            (self._work / uid(result.study_instance_uid) / f"{uid(result.sop_instance_uid)}.dcm").unlink(missing_ok=True)

    def _too_few(self, results: list[InstanceResult]) -> list[InstanceResult]:
        sizes = Counter(result.series_instance_uid for result in results)
        return [
            self._set_aside(result, Reason.TOO_FEW_INSTANCES)
            if result.outcome is InstanceOutcome.WRITTEN and sizes[result.series_instance_uid] < self._least
            else result
            for result in results
        ]

    def _verified(self, result: InstanceResult, matcher: IdentifierMatcher) -> InstanceResult:
        if result.outcome is not InstanceOutcome.WRITTEN or not verify_file(Path(result.path), matcher):
            return result
        return self._set_aside(result, Reason.RESIDUAL_IDENTIFIER)

    @staticmethod
    def _set_aside(result: InstanceResult, reason: Reason) -> InstanceResult:
        Path(result.path).unlink(missing_ok=True)
        return replace(
            result,
            outcome=InstanceOutcome.SET_ASIDE,
            reason=reason,
            pseudo_sop_instance_uid="",
            pseudo_series_instance_uid="",
            pseudo_study_instance_uid="",
            path="",
        )


def main_reason(results: Iterable[InstanceResult]) -> Reason:
    """Return the commonest reason; of equally common ones the first in the closed list."""
    counts = Counter(result.reason for result in results if result.reason is not None)
    order = list(Reason)
    return min(counts, key=lambda reason: (-counts[reason], order.index(reason))) if counts else Reason.INCOMPLETE
