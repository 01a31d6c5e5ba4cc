"""An archive that may be asked: within its budget, tried again by error class, and never asked for everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from safelight.archive import identifier as ids
from safelight.archive.backoff import Jitter, retrying, system_jitter
from safelight.archive.identifier import Answer, InstanceAnswer, Keys, Part, SeriesAnswer, StudyAnswer
from safelight.archive.session import PATIENT_ROOT, STUDY_ROOT, Aborted, Caller, DimseSession
from safelight.archive.settings import ArchiveUse
from safelight.archive.throttle import Throttle
from safelight.archive.web import WebService, WebSession
from safelight.errors import ArchiveMisconfigured, ArchiveUnreachable, StudyRejected
from safelight.model import DicomPeer, Reason, StudyRequest

if TYPE_CHECKING:
    import ssl

    from safelight.archive.intake import Intake
    from safelight.link import Request

T = TypeVar("T")
#: Names of the operation that has instances sent, and of the one that is about no study.
RETRIEVAL: Final = "retrieval"
ECHO: Final = "echo"
_DATES: Final = (date(1900, 1, 1), date(2099, 12, 31))
_STUDY_KEYS: Final = (
    ids.STUDY_UID,
    ids.PATIENT_ID,
    ids.ACCESSION_NUMBER,
    ids.STUDY_DATE,
    ids.MODALITIES_IN_STUDY,
    ids.STUDY_INSTANCES,
)


class Session(Protocol):
    """An open connection to an archive, whatever it speaks."""

    def echo(self) -> None:
        """Ask whether it is there."""

    def find(self, level: str, match: Keys, wanted: Sequence[int]) -> list[Answer]:
        """Ask for studies, series or instances ("STUDY", "SERIES", "IMAGE")."""

    def retrieve(self, part: Part, intake: Intake, destination: str) -> bool:
        """Have a part of a study come into ``intake``; by C-MOVE, the receiver that fills it is ``destination``.

        Returns whether the archive says that it sent all of it.
        """

    def resting(self) -> AbstractContextManager[None]:
        """Have it cost next to nothing while it waits for its next operation."""

    def close(self) -> None:
        """End it in good order."""

    def abort(self) -> None:
        """Drop it."""


class Archive:
    """One archive, as one project may use it.

    Args:
        name: of its block; it stands in messages, in the link database and in the tables.
        peer: AE title, host and port; or a DICOMweb service, where that is how the project retrieves.
        calling_ae_title: as whom the archive knows us; nothing for DICOMweb.
        use: attempts, time-outs and quirks.
        throttle: its manager's budget.
        clock: monotonic seconds.
        sleep: waits so many seconds.
        jitter: spreads retries; see ``backoff``.
        tls: TLS context with our certificate, or None for none.
    """

    def __init__(
        self,
        name: str,
        peer: DicomPeer | WebService,
        *,
        calling_ae_title: str = "",
        use: ArchiveUse,
        throttle: Throttle,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Jitter = system_jitter,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.peer = peer
        self.use = use
        self.clock = clock
        self.sleep = sleep
        self.jitter = jitter
        self.throttle = throttle
        self._calling_ae_title = calling_ae_title
        self._tls = tls
        #: Operations that it has answered well: what is refused and was never answered is a matter of settings.
        self._answered: set[str] = set()

    @contextmanager
    def conversation(self) -> Iterator[Conversation]:
        """Keep one association for the operations of one study. It is opened when first needed."""
        conversation = Conversation(self)
        try:
            yield conversation
        except BaseException:
            conversation.close(broken=True)
            raise
        conversation.close()

    def echo(self) -> None:
        """Send a C-ECHO. Raises TransientError or ArchiveMisconfigured as ``Conversation`` does."""
        with self.conversation() as conversation:
            conversation.echo()

    def find_study(self, request: Request | StudyRequest) -> list[StudyAnswer]:
        """Return the studies that answer a request; see ``Conversation.find_study``."""
        with self.conversation() as conversation:
            return conversation.find_study(request)

    def find_series(self, study_uid: str, *, patient_id: str = "") -> list[SeriesAnswer]:
        """Return the series of a study."""
        with self.conversation() as conversation:
            return conversation.find_series(study_uid, patient_id=patient_id)

    def find_instances(
        self, study_uid: str, *, series_uids: Sequence[str] = (), patient_id: str = ""
    ) -> list[InstanceAnswer]:
        """Return the instances that the archive announces; see ``Conversation.find_instances``."""
        with self.conversation() as conversation:
            return conversation.find_instances(study_uid, series_uids=series_uids, patient_id=patient_id)

    # -- for Conversation

    @property
    def mover(self) -> DicomPeer | None:
        """The node that calls our receiver; None where studies come without a call."""
        return None if isinstance(self.peer, WebService) or self.use.retrieve != "c-move" else self.peer

    def is_cut(self, answers: Sequence[Answer]) -> bool:
        """Tell whether there are as many answers as the archive ever gives. DICOMweb gives the rest on more pages."""
        cap = self.use.result_cap
        return cap is not None and len(answers) >= cap and not isinstance(self.peer, WebService)

    def open_session(self, held: ExitStack) -> Session:
        """Open a connection within the budget; ``held`` gives it back."""
        held.enter_context(self.throttle.association())
        use, timeouts = self.use, (self.use.timeout_seconds, self.use.move_timeout_seconds)
        if isinstance(self.peer, WebService):
            leave = self.throttle.operation
            return WebSession(self.name, self.peer, before_request=leave, timeout=timeouts[0], retrieval_timeout=timeouts[1])
        caller = Caller(
            self.name,
            self.peer,
            self._calling_ae_title,
            *timeouts,
            model=PATIENT_ROOT if use.information_model == "patient" else STUDY_ROOT,
            by_get=use.retrieve == "c-get",
            character_set=use.character_set,
            clock=self.clock,
            tls=self._tls,
        )
        return DimseSession(caller)

    def serves(self, name: str) -> bool:
        """Tell whether it has answered an operation of this name for some study."""
        return name in self._answered - {ECHO}

    def attempt(self, name: str, operation: Callable[[], T]) -> T:
        """Send one operation and note how it went. How long a retrieval takes tells nothing: instances are timed."""
        started = self.clock()
        try:
            result = operation()
        except Aborted as error:
            # Who answers queries knows us, and an echo is answered to anyone; an abort of a retrieval is an accident.
            if name in self._answered or self._answered - {ECHO} or name == RETRIEVAL:
                raise
            raise NeverAnswered(error.message, remedy=error.remedy) from None
        except ArchiveMisconfigured as error:
            raise Refused(error.message, remedy=error.remedy) from None
        if result is not False:
            self._answered.add(name)
        if name != RETRIEVAL:
            self.throttle.answered(name, self.clock() - started, size=len(result) if isinstance(result, list) else 1)
        return result


class NeverAnswered(Aborted):
    """The archive aborts and has never answered anything: most likely it does not know our AE title."""


class Refused(ArchiveMisconfigured):
    """The archive refuses an operation of which it has never answered one: to us, or perhaps for this one study."""


class Conversation:
    """The operations of one study on one archive, over one association that is opened again when it is lost.

    Every operation raises, after its attempts:
        ArchiveUnreachable, ArchiveBusy, ArchiveClosed: try again later.
        ArchiveMisconfigured: a person has to change a setting; the message says which. ``Refused``, when another study
            may tell that it is not so.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._session: Session | None = None
        self._held = ExitStack()

    def close(self, *, broken: bool = False) -> None:
        """End the association and give its place in the budget back."""
        session, self._session = self._session, None
        try:
            if session is not None:
                session.abort() if broken else session.close()
        finally:
            self._held.close()

    def _run(self, name: str, operation: Callable[[Session], T], *, attempts: int | None = None) -> T:
        archive = self._archive

        def once() -> T:
            try:
                session = self._ready()
                return archive.attempt(name, lambda: operation(session))
            except Exception:
                self.close(broken=True)
                raise

        try:
            return retrying(attempts or archive.use.attempts, jitter=archive.jitter, sleep=archive.sleep)(once)
        except NeverAnswered:
            raise Refused(
                f"Archive '{archive.name}' aborts every {name} and has never answered one.",
                remedy="Most likely it does not know our AE title and host, or its own AE title is another: check both.",
            ) from None
        except Refused as error:
            if not archive.serves(name):
                raise
            # Who has answered others of the kind bars this study from us, not us.
            raise ArchiveUnreachable(error.message, remedy=error.remedy) from None

    def _ready(self) -> Session:
        """Return the open association, with leave to send one operation on it."""
        # Leave comes first: an association that waits for it would be one that the archive holds for nothing.
        with self._session.resting() if self._session is not None else nullcontext():
            self._archive.throttle.operation()
        if self._session is None:
            self._session = self._archive.open_session(self._held)
        return self._session

    # -- operations

    def echo(self) -> None:
        """Send a C-ECHO."""
        self._run(ECHO, lambda session: session.echo())

    def _find(self, level: str, match: Keys, wanted: Sequence[int]) -> list[Answer]:
        return self._run(f"{level.lower()} query", lambda session: session.find(level, match, wanted))

    def find_study(self, request: Request | StudyRequest) -> list[StudyAnswer]:
        """Return the studies that answer a request.

        Asked by UID, else by accession number with the patient's id, else, where the project allows it, by accession
        number alone. The first way that has an answer counts. Answers that do not hold the value asked for are dropped:
        some archives ignore keys that they do not know. Patient Root knows no study without its patient (PS3.4 section
        C.6.1.2): there the patient's id goes along with the UID.

        Raises:
            StudyRejected: bad_value, when an identifier may not be sent.
        """
        uid, mrn, accession = (
            ids.matching_uid(request.study_uid),
            ids.matching_value(request.mrn),
            ids.matching_value(request.accession_number),
        )
        with_patient = {ids.PATIENT_ID: mrn} if mrn and self._archive.use.information_model == "patient" else {}
        if uid and (found := self._studies({ids.STUDY_UID: uid, **with_patient})):
            return found
        if accession and mrn and (found := self._studies({ids.ACCESSION_NUMBER: accession, ids.PATIENT_ID: mrn})):
            return found
        if accession and self._archive.use.accession_alone:
            return self._studies({ids.ACCESSION_NUMBER: accession})
        return []

    def _studies(self, match: Mapping[int, str]) -> list[StudyAnswer]:
        if self._archive.use.information_model == "patient" and ids.PATIENT_ID not in match:
            return []
        found: dict[str, StudyAnswer] = {}
        for answer in self._all_studies(match):
            study = StudyAnswer(
                study_uid=answer.text(ids.STUDY_UID),
                patient_id=answer.text(ids.PATIENT_ID),
                accession_number=answer.text(ids.ACCESSION_NUMBER),
                study_date=answer.date(ids.STUDY_DATE),
                modalities=tuple(part.strip() for part in answer.text(ids.MODALITIES_IN_STUDY).split("\\") if part.strip()),
                instances=answer.number(ids.STUDY_INSTANCES),
            )
            if study.study_uid and _answers(study, match):
                found[study.study_uid] = study
        return list(found.values())

    def _all_studies(self, match: Mapping[int, str]) -> list[Answer]:
        answers = self._find("STUDY", match, _STUDY_KEYS)
        if ids.STUDY_UID in match or not self._archive.is_cut(answers):
            return answers
        # Studies without a date are in no range of dates.
        return answers + self._studies_between(match, *_DATES)

    def _studies_between(self, match: Mapping[int, str], first: date, last: date) -> list[Answer]:
        """Return the studies of these days, asked for in halves until each answer is below the archive's cap."""
        answers = self._find("STUDY", {**match, ids.STUDY_DATE: f"{first:%Y%m%d}-{last:%Y%m%d}"}, _STUDY_KEYS)
        if not self._archive.is_cut(answers):
            return answers
        if first == last:
            raise StudyRejected(Reason.AMBIGUOUS_STUDY)
        middle = first + (last - first) // 2
        return self._studies_between(match, first, middle) + self._studies_between(match, middle + timedelta(1), last)

    def find_series(self, study_uid: str, *, patient_id: str = "") -> list[SeriesAnswer]:
        """Return the series of a study. ``patient_id`` is needed for Patient Root only."""
        answers = self._find(
            "SERIES", self._study_keys(study_uid, patient_id), (ids.SERIES_UID, ids.MODALITY, ids.SERIES_INSTANCES)
        )
        if self._archive.is_cut(answers):
            raise StudyRejected(Reason.INCOMPLETE)
        series = {
            answer.text(ids.SERIES_UID): SeriesAnswer(
                answer.text(ids.SERIES_UID), answer.text(ids.MODALITY), answer.number(ids.SERIES_INSTANCES)
            )
            for answer in answers
            if answer.text(ids.STUDY_UID) in {study_uid, ""}
        }
        series.pop("", None)
        return list(series.values())

    def modalities_of(self, study: StudyAnswer) -> Collection[str]:
        """Return a study's modalities; those of its series, where the archive's answer does not say."""
        if study.modalities:
            return study.modalities
        return {series.modality for series in self.find_series(study.study_uid, patient_id=study.patient_id)}

    def find_instances(
        self, study_uid: str, *, series_uids: Sequence[str] = (), patient_id: str = ""
    ) -> list[InstanceAnswer]:
        """Return the instances that the archive announces for a study, or for some of its series.

        One query where the archive answers image-level queries by study, else one a series and one before.

        Raises:
            StudyRejected: incomplete, when the list is as long as the archive's cap and so may have been cut.
        """
        keys = self._study_keys(study_uid, patient_id)
        if not self._archive.use.image_query_needs_series and not series_uids:
            found_at_once = self._instances(keys, "")
            if found_at_once is not None:
                return found_at_once
        wanted = series_uids or [series.series_uid for series in self.find_series(study_uid, patient_id=patient_id)]
        found: dict[str, InstanceAnswer] = {}
        for series_uid in wanted:
            uid = ids.matching_uid(series_uid)
            of_series = self._instances({**keys, ids.SERIES_UID: uid}, uid)
            if of_series is None:
                raise StudyRejected(Reason.INCOMPLETE)
            found.update({one.sop_uid: one for one in of_series})
        return list(found.values())

    def _instances(self, keys: Keys, series_uid: str) -> list[InstanceAnswer] | None:
        """Return the instances that match; None when the list may have been cut."""
        answers = self._find("IMAGE", keys, (ids.SERIES_UID, ids.SOP_INSTANCE_UID, ids.SOP_CLASS_UID))
        if self._archive.is_cut(answers):
            return None
        found = {}
        for answer in answers:
            series = answer.text(ids.SERIES_UID) or series_uid
            sop_uid = answer.text(ids.SOP_INSTANCE_UID)
            if sop_uid and answer.text(ids.STUDY_UID) in {keys[ids.STUDY_UID], ""} and series_uid in {series, ""}:
                found[sop_uid] = InstanceAnswer(sop_uid, series, answer.text(ids.SOP_CLASS_UID))
        return list(found.values())

    def _study_keys(self, study_uid: str, patient_id: str) -> dict[int, str | Sequence[str]]:
        keys: dict[int, str | Sequence[str]] = {ids.STUDY_UID: ids.matching_uid(study_uid)}
        if self._archive.use.information_model == "patient":
            keys[ids.PATIENT_ID] = ids.matching_value(patient_id)
        return keys

    def retrieve(self, part: Part, intake: Intake, *, destination: str = "") -> bool:
        """Have a part of a study sent, in one attempt. Returns the archive's word that it was: count what has arrived.

        Args:
            part: of which study, and of which patient.
            intake: where it arrives.
            destination: AE title of the receiver that fills ``intake``; for C-MOVE.
        """
        return self._run(RETRIEVAL, lambda session: session.retrieve(part, intake, destination), attempts=1)


def _answers(study: StudyAnswer, match: Mapping[int, str]) -> bool:
    """Tell whether an answer holds what was asked for, as far as it says."""
    said = {
        ids.STUDY_UID: study.study_uid,
        ids.PATIENT_ID: study.patient_id,
        ids.ACCESSION_NUMBER: study.accession_number,
    }
    return all(said[tag] in {value, ""} for tag, value in match.items())
