"""The link database: the one place that knows which pseudonym is whose. It never leaves the hospital."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safelight.errors import KeyUnavailable
from safelight.link import (
    audit,
    extracts,
    migration,
    moves,
)
from safelight.link import patients as patient_rows
from safelight.link import requests as request_rows
from safelight.link.batches import in_batches
from safelight.link.removals import Removals
from safelight.link.result_rows import ResultRows
from safelight.link.rows import Added
from safelight.link.summary import summarise
from safelight.model import Reason, RequestState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from safelight.link.rows import (
        Request,
        SetAsideRow,
        Summary,
    )
    from safelight.model import KnownIdentifiers, StudyRequest
    from safelight.pseudonym import Pseudonymizer

#: Requests a transaction, when many are entered: a killed run repeats at most so many.
_REQUESTS: int = 2000
_PAGE: int = 500


class LinkDatabase(ResultRows):
    """Requests, patients, the raw cache's index and the audit trail, on PostgreSQL or SQLite.

    Every method is one transaction, or a series of them that may be repeated after a kill. Safe to use from several
    threads and processes at once. Errors name ids and counts, never what a row holds.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql+psycopg2://USER:PASSWORD@HOST/NAME``.
        clock: returns the time, aware, in UTC.

    Raises:
        ConfigurationError: another database than these.
        StorageUnwritable: the SQLite file can't be created.
        DatabaseUnavailable: (all methods) no answer, or locked for a minute.
    """

    def migrate(self) -> None:
        """Bring the schema to this version. Safe to repeat."""
        migration.migrate(self._engine)

    def check(self) -> None:
        """Raise ConfigurationError unless the schema is this version's, DatabaseUnavailable when there is no answer."""
        migration.check(self._engine)

    # -- projects, extracts, patients

    def register_extract(self, project: str, *, name: str, sha256: str, generated: datetime, source: str) -> int:
        """Enter an extract and return its id; the same contents again give the same id."""
        with self._write() as connection:
            return extracts.register(
                connection, project, name=name, sha256=sha256, generated=generated, source=source, now=self._clock()
            )

    def add_requests(
        self,
        extract_id: int,
        requests: Iterable[StudyRequest],
        *,
        pseudonymizer: Pseudonymizer,
        opted_out: Mapping[str, Reason],
    ) -> Added:
        """Enter the requests of an extract, and issue their pseudonyms. Repeating it changes nothing.

        Args:
            extract_id: from ``register_extract``.
            requests: streamed; a request is the same one by project, MRN, accession number, study and series.
            pseudonymizer: of the project.
            opted_out: medical record number -> why its patient may not be used. All requests of these patients become
                opted_out, also those that are under way or were exported; those of other patients come back.

        Returns:
            Counts; a request given twice counts as new once and as known once.
        """
        with self._read() as connection:
            extract = (extracts.project_of(connection, extract_id)[0], extract_id)
            excluded = dict(opted_out) | dict.fromkeys(patient_rows.withdrawn(connection, extract[0]), Reason.WITHDRAWN)
        added = Added()
        for batch in in_batches(requests, _REQUESTS):
            here = {mrn for request in batch if (mrn := request.mrn.strip())}
            with self._write() as connection:
                now = self._clock()
                # In one transaction, so that no worker can claim a request before its opt-out is known.
                added += request_rows.add_batch(
                    connection, extract, batch, pseudonymizer=pseudonymizer, opted_out=excluded, now=now
                )
                out = {mrn: excluded[mrn] for mrn in here & excluded.keys()}
                moves.opt_out(connection, extract[0], out, worker="opt-out", now=now)
                back = moves.reopen(connection, extract[0], here - excluded.keys(), worker="opt-out", now=now)
                added += Added(reopened=back)
        for mrns in in_batches(sorted(excluded), _REQUESTS):
            # Patients who are not in this extract may have requests from earlier ones.
            with self._write() as connection:
                out = {mrn: excluded[mrn] for mrn in mrns}
                moves.opt_out(connection, extract[0], out, worker="opt-out", now=self._clock())
                patient_rows.forget(connection, extract[0], mrns)
        return added

    def extract_digests(self, project: str) -> list[str]:
        """Return the SHA-256 of every delivery of a project that was registered, sorted."""
        with self._read() as connection:
            return extracts.digests(connection, project)

    def check_key(self, project: str, pseudonymizer: Pseudonymizer) -> None:
        """Raise KeyUnavailable unless this key gives the pseudonyms that the project's people have already."""
        with self._read() as connection:
            found = extracts.project_id(connection, project)
            issued = request_rows.issued(connection, found) if found is not None else None
        if issued and pseudonymizer.secure_hash(issued[1], issued[0]) != issued[2]:
            raise KeyUnavailable(
                "The project's key is not the one that its pseudonyms were issued with.",
                remedy="Restore that version of key and salt; a key of pseudonyms is never rotated.",
            )

    def newest_extract(self, project: str) -> datetime | None:
        """Return when the newest delivery of a project was generated; None where there is none."""
        with self._read() as connection:
            return extracts.newest(connection, project)

    def record_set_asides(self, extract_id: int, rows: Iterable[SetAsideRow]) -> None:
        """Write down which rows of an extract could not be used, and why. Safe to repeat."""
        with self._write() as connection:
            extracts.record_set_asides(connection, extract_id, rows)

    def record_opt_out_check(
        self, extract_id: int, *, answer_sha256: str, answered_at: datetime, allowed: int, excluded: int
    ) -> None:
        """Keep the evidence that an extract's patients were looked up in an opt-out answer."""
        with self._write() as connection:
            extracts.record_opt_out_check(
                connection,
                extract_id,
                answer_sha256=answer_sha256,
                answered_at=answered_at,
                allowed=allowed,
                excluded=excluded,
                now=self._clock(),
            )

    def put_patients(self, project: str, patients: Iterable[KnownIdentifiers]) -> int:
        """Enter or replace what is known of patients, by their medical record number. Returns how many."""
        with self._write() as connection:
            now = self._clock()
            return patient_rows.put(connection, extracts.make_project(connection, project, now), patients, now=now)

    def patient(self, project: str, mrn: str) -> KnownIdentifiers | None:
        """Return what is known of one patient."""
        with self._read() as connection:
            found = extracts.project_id(connection, project)
            return patient_rows.get(connection, found, mrn) if found is not None else None

    def patients(self, project: str) -> Iterator[KnownIdentifiers]:
        """Return what is known of all patients of a project, streamed."""
        after = 0
        while True:
            with self._read() as connection:
                found = extracts.project_id(connection, project)
                rows = patient_rows.page(connection, found, after=after, size=_PAGE) if found is not None else []
            if not rows:
                return
            after = rows[-1][0]
            yield from (row for _, row in rows)

    def withdraw_patient(self, project: str, mrn: str, *, actor: str) -> int:
        """Withdraw a patient for good: no later extract or opt-out answer brings the requests back. Audited.

        Returns how many requests moved to opted_out. What was delivered already is for the release stage to take back.
        """
        with self._write() as connection:
            now, mrn = self._clock(), mrn.strip()
            found = extracts.make_project(connection, project, now)
            patient_rows.withdraw(connection, found, mrn, now=now)
            moved = moves.opt_out(connection, found, {mrn: Reason.WITHDRAWN}, worker="withdrawal", now=now)
            audit.add(connection, "withdraw", actor, {"project": project, "requests": moved}, now=now)
            return moved

    def removals(self) -> Removals:
        """Return what has still to be taken back of patients who do not take part any more."""
        return Removals(self._engine, self._clock)

    # -- the state machine

    def claim(
        self,
        project: str,
        states: Sequence[RequestState],
        *,
        worker: str,
        limit: int,
        lease: timedelta,
        only: Sequence[int] | None = None,
    ) -> list[int]:
        """Lease up to ``limit`` free requests in these states. No two workers get the same one while its lease holds.

        Expired leases are free again; requests put off are not before their time. ``only``: of these requests.
        """
        with self._write() as connection:
            now = self._clock()
            found = extracts.project_id(connection, project)
            if found is None:
                return []
            until = now + lease
            return moves.claim(connection, found, states, worker=worker, limit=limit, now=now, until=until, only=only)

    def leased(self, project: str, states: Sequence[RequestState]) -> int:
        """Return how many requests in these states some worker holds."""
        with self._read() as connection:
            found = extracts.project_id(connection, project)
            return moves.leased(connection, found, states, self._clock()) if found is not None else 0

    def requests(self, ids: Sequence[int]) -> list[Request]:
        """Return requests in the order of ``ids``. Raises IntegrityError when one is not there."""
        with self._read() as connection:
            return request_rows.by_id(connection, ids)

    def known(self, request: StudyRequest) -> Request | None:
        """Return the request that this one would be, where it was entered already."""
        with self._read() as connection:
            found = extracts.project_id(connection, request.project)
            return request_rows.known(connection, found, request) if found is not None else None

    def move(self, request_id: int, to: RequestState, *, worker: str, reason: Reason | None = None, **facts: object) -> None:
        """Move a request that the worker has leased, and write down from where, why, at which attempt and when.

        The lease stays with located and deidentified, the middles of their stages; every other move ends it.

        Args:
            request_id: the request.
            to: its new state.
            worker: who holds the lease.
            reason: needed where the request is set aside.
            facts: new values of ``archive``, ``located_study_uid``, ``announced``, ``received``, ``pseudo_study_uid``,
                ``pseudo_patient_id``.

        Raises:
            IntegrityError: no such move, another's lease, or no reason given; nothing was changed.
        """
        with self._write() as connection:
            moves.move(connection, request_id, to, worker=worker, reason=reason, facts=facts, now=self._clock())

    def renew(self, ids: Sequence[int], *, worker: str, lease: timedelta) -> list[int]:
        """Prolong leases, and return the ids of those that the worker still holds."""
        with self._write() as connection:
            return moves.renew(connection, ids, worker=worker, until=self._clock() + lease)

    def release(self, ids: Sequence[int], *, worker: str) -> None:
        """End leases early, without an attempt; what others hold is left alone."""
        with self._write() as connection:
            moves.give_back(connection, ids, worker=worker, now=self._clock())

    def retry_later(
        self, request_id: int, *, worker: str, reason: Reason, not_before: datetime, counts: bool = True
    ) -> None:
        """Give a request back in its state, not to be claimed before a time; one attempt later, unless it ``counts`` not."""
        with self._write() as connection:
            moves.retry_later(
                connection,
                request_id,
                worker=worker,
                reason=reason,
                not_before=not_before,
                now=self._clock(),
                counts=counts,
            )

    def requeue(
        self,
        project: str,
        *,
        states: Sequence[RequestState] = (RequestState.FAILED, RequestState.NOT_FOUND),
        reasons: Sequence[Reason] = (),
    ) -> int:
        """Ask again for requests that were set aside, all or those with one of the reasons. Returns how many."""
        total = 0
        while True:
            with self._write() as connection:
                found = extracts.project_id(connection, project)
                if found is None:
                    return 0
                count = moves.requeue(connection, found, states=states, reasons=reasons, batch=_REQUESTS, now=self._clock())
            total += count
            if not count:
                return total

    def find(self, project: str, states: Sequence[RequestState]) -> Iterator[Request]:
        """Return all requests of a project in these states, by id, streamed; no transaction stays open meanwhile."""
        after = 0
        while True:
            with self._read() as connection:
                found = extracts.project_id(connection, project)
                rows = request_rows.page(connection, found, states, after=after, size=_PAGE) if found is not None else []
            if not rows:
                return
            after = rows[-1].id
            yield from rows

    def summary(self, project: str) -> Summary:
        """Count where the project's requests are."""
        with self._read() as connection:
            return summarise(connection, project)

    # -- tracing

    def trace(self, project: str, pseudonym: str, *, actor: str) -> list[Request]:
        """Return whose a pseudonym is: of a study, series, instance, patient, person or accession number. Audited.

        The entry is written in the same transaction, before anything is shown, also when nothing was found.
        """
        with self._write() as connection:
            found = extracts.project_id(connection, project)
            traced = request_rows.of_pseudonym(connection, found, pseudonym.strip()) if found is not None else []
            details: dict[str, str | int] = {"project": project, "requests": len(traced)}
            for number, request in enumerate(traced[:20]):
                details[f"request_{number}"] = request.id
            audit.add(connection, "trace", actor, details, now=self._clock())
            return traced
