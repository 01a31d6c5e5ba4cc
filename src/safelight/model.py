"""The words that all stages share: what a request is, where it may go, why it may be set aside, who the patient is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, field_validator


class RequestState(StrEnum):
    """Where a request is. Each move is one transaction with a reason code, an attempt count and a time."""

    REQUESTED = "requested"
    LOCATED = "located"
    RETRIEVED = "retrieved"
    DEIDENTIFIED = "deidentified"
    VERIFIED = "verified"
    EXPORTED = "exported"
    OPTED_OUT = "opted_out"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"
    FAILED = "failed"


_S = RequestState
#: States that a request passes on its way out, in order.
PROGRESS: Final = (_S.REQUESTED, _S.LOCATED, _S.RETRIEVED, _S.DEIDENTIFIED, _S.VERIFIED, _S.EXPORTED)
#: States in which a request's run ends; together they account for everything that was asked for.
OUTCOMES: Final = (_S.EXPORTED, _S.OPTED_OUT, _S.NOT_FOUND, _S.REJECTED, _S.QUARANTINED, _S.FAILED)
_ASIDE = {_S.OPTED_OUT, _S.REJECTED, _S.QUARANTINED, _S.FAILED}
#: Allowed moves. A request that was set aside for a passing cause may be asked for again (-> requested); patients may
#: opt out at any time before their data left.
TRANSITIONS: Final[dict[RequestState, frozenset[RequestState]]] = {
    _S.REQUESTED: frozenset({_S.LOCATED, _S.NOT_FOUND} | _ASIDE),
    _S.LOCATED: frozenset({_S.RETRIEVED, _S.REQUESTED, _S.NOT_FOUND} | _ASIDE),
    _S.RETRIEVED: frozenset({_S.DEIDENTIFIED, _S.REQUESTED} | _ASIDE),
    _S.DEIDENTIFIED: frozenset({_S.VERIFIED, _S.RETRIEVED} | _ASIDE),
    _S.VERIFIED: frozenset({_S.EXPORTED, _S.RETRIEVED} | _ASIDE),
    _S.EXPORTED: frozenset({_S.OPTED_OUT}),
    _S.OPTED_OUT: frozenset({_S.REQUESTED}),
    _S.NOT_FOUND: frozenset({_S.REQUESTED, _S.OPTED_OUT}),
    _S.REJECTED: frozenset({_S.REQUESTED, _S.OPTED_OUT}),
    _S.QUARANTINED: frozenset({_S.REQUESTED, _S.OPTED_OUT}),
    _S.FAILED: frozenset({_S.REQUESTED, _S.OPTED_OUT}),
}


class Reason(StrEnum):
    """Why something was set aside. A closed list, so that a reason can be shown anywhere.

    The comment behind each group says what the request becomes when all of it is set aside for that reason.
    """

    # cohort rows: set aside with their line
    MISSING_IDENTIFIER = "missing_identifier"
    BAD_VALUE = "bad_value"
    UNKNOWN_PROJECT = "unknown_project"
    UNMATCHED_PERSON = "unmatched_person"
    UNMATCHED_PROCEDURE = "unmatched_procedure"
    DUPLICATE_ROW = "duplicate_row"
    # opted_out
    NOT_ON_OPT_OUT_LIST = "not_on_opt_out_list"
    NO_NHS_NUMBER = "no_nhs_number"
    WITHDRAWN = "withdrawn"
    # not_found
    NOT_IN_ANY_ARCHIVE = "not_in_any_archive"
    # rejected: a rule says no
    MODALITY_NOT_ALLOWED = "modality_not_allowed"
    SERIES_FILTERED = "series_filtered"
    MANUFACTURER_NOT_ALLOWED = "manufacturer_not_allowed"
    TOO_FEW_INSTANCES = "too_few_instances"
    BURNED_IN = "burned_in"
    SOP_CLASS_NOT_ALLOWED = "sop_class_not_allowed"
    ENCAPSULATED_DOCUMENT = "encapsulated_document"
    VIDEO = "video"
    RAW_DATA = "raw_data"
    DICOMDIR = "dicomdir"
    # quarantined: a person has to look
    AMBIGUOUS_STUDY = "ambiguous_study"
    PATIENT_MISMATCH = "patient_mismatch"
    STUDY_MISMATCH = "study_mismatch"
    NOT_DICOM = "not_dicom"
    TRUNCATED = "truncated"
    MISSING_IDENTITY = "missing_identity"
    TRANSFER_SYNTAX_MISMATCH = "transfer_syntax_mismatch"
    TRANSFER_SYNTAX_UNSUPPORTED = "transfer_syntax_unsupported"
    MALFORMED = "malformed"
    INFLATE_LIMIT = "inflate_limit"
    NESTING_LIMIT = "nesting_limit"
    ELEMENT_ORDER = "element_order"
    PIXEL_DATA = "pixel_data"
    RESIDUAL_IDENTIFIER = "residual_identifier"
    NO_PATIENT_RECORD = "no_patient_record"
    TEXT_UNREADABLE = "text_unreadable"
    TEXT_TOO_LONG = "text_too_long"
    DUPLICATE_INSTANCE = "duplicate_instance"
    RULE_NOT_APPLICABLE = "rule_not_applicable"
    # failed: may be tried again
    ARCHIVE_UNREACHABLE = "archive_unreachable"
    ARCHIVE_CLOSED = "archive_closed"
    INCOMPLETE = "incomplete"
    STORAGE_FULL = "storage_full"
    DESTINATION_REFUSED = "destination_refused"
    DESTINATION_UNAVAILABLE = "destination_unavailable"
    INTERNAL_ERROR = "internal_error"


_REJECTS: Final = frozenset(
    {
        Reason.MODALITY_NOT_ALLOWED,
        Reason.SERIES_FILTERED,
        Reason.MANUFACTURER_NOT_ALLOWED,
        Reason.TOO_FEW_INSTANCES,
        Reason.BURNED_IN,
        Reason.SOP_CLASS_NOT_ALLOWED,
        Reason.ENCAPSULATED_DOCUMENT,
        Reason.VIDEO,
        Reason.RAW_DATA,
        Reason.DICOMDIR,
    }
)
_FAILS: Final = frozenset(
    {
        Reason.ARCHIVE_UNREACHABLE,
        Reason.ARCHIVE_CLOSED,
        Reason.INCOMPLETE,
        Reason.STORAGE_FULL,
        Reason.DESTINATION_REFUSED,
        Reason.DESTINATION_UNAVAILABLE,
        Reason.INTERNAL_ERROR,
    }
)


def outcome_of(reason: Reason) -> RequestState:
    """Return the state in which a request ends when everything of it was set aside for this reason."""
    if reason in _REJECTS:
        return RequestState.REJECTED
    if reason in _FAILS:
        return RequestState.FAILED
    if reason in {Reason.NOT_ON_OPT_OUT_LIST, Reason.NO_NHS_NUMBER, Reason.WITHDRAWN}:
        return RequestState.OPTED_OUT
    if reason is Reason.NOT_IN_ANY_ARCHIVE:
        return RequestState.NOT_FOUND
    return RequestState.QUARANTINED


class DicomPeer(Protocol):
    """A DICOM application entity that can be reached (PS3.8)."""

    @property
    def ae_title(self) -> str:
        """Application entity title: at most 16 characters."""

    @property
    def host(self) -> str:
        """Name or address."""

    @property
    def port(self) -> int:
        """TCP port."""


@dataclass(frozen=True)
class StudyRequest:
    """One study that one extract asks for, with the identifiers of the hospital. Empty text: not given.

    ``line`` is where it stands in the delivery (from 1; the header of a CSV is line 1), for messages.
    ``series_uids`` empty means the whole study. ``part`` tells requests for the same series of one study apart, where
    more of them came each time.
    """

    project: str = field(repr=False)
    mrn: str = field(repr=False)
    accession_number: str = field(repr=False)
    study_uid: str = field(repr=False)
    study_date: date | None = field(repr=False)
    procedure_occurrence_id: int = field(repr=False)
    person_id: str = field(default="", repr=False)
    participant_id: str = field(default="", repr=False)
    series_uids: tuple[str, ...] = field(default=(), repr=False)
    line: int = 0
    part: str = field(default="", repr=False)


class Address(BaseModel):
    """A postal address, as the patient record has it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    line1: str = ""
    town: str = ""
    postcode: str = ""

    def __repr__(self) -> str:
        """Show nothing."""
        return "Address()"


class Practice(BaseModel):
    """The patient's general practitioner."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    name: str = ""
    practice: str = ""

    def __repr__(self) -> str:
        """Show nothing."""
        return "Practice()"


class KnownIdentifiers(BaseModel):
    """What the hospital already knows about one patient: the strongest tool against leaks.

    One line of ``patients.jsonl`` (the patient record), of ``--known`` files, and the ``patient`` object of a report line.
    Empty text: not known. ``repr`` and errors show no value.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    mrn: str = ""
    nhs_number: str = ""
    person_id: str = ""
    accession: str = ""
    study_uid: str = ""
    title: str = ""
    given: str = ""
    middle: str = ""
    surname: str = ""
    previous_surname: str = ""
    preferred: str = ""
    other_names: tuple[str, ...] = ()
    other_ids: tuple[str, ...] = ()
    sex: str = ""
    dob: date | None = None
    study_date: date | None = None
    address: Address = Address()
    phone: str = ""
    gp: Practice = Practice()
    referrer: str = ""
    hospital: str = ""

    @field_validator("dob", "study_date", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any) -> Any:  # noqa: ANN401  what a file holds
        return None if value == "" else value

    def __repr__(self) -> str:
        """Show nothing: this object is made of identifiers."""
        return "KnownIdentifiers()"

    __str__ = __repr__


class InstanceOutcome(StrEnum):
    """What became of one instance."""

    WRITTEN = "written"
    SET_ASIDE = "set_aside"


@dataclass(frozen=True)
class InstanceResult:
    """What became of one instance: identifies the output, never the input.

    ``series_uid`` and ``sop_instance_uid`` of the input are for the link database only and are not shown.
    Counts are of elements at all depths.
    """

    outcome: InstanceOutcome
    reason: Reason | None = None
    pseudo_sop_instance_uid: str = ""
    pseudo_series_instance_uid: str = ""
    pseudo_study_instance_uid: str = ""
    path: str = ""
    kept: int = 0
    changed: int = 0
    removed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    study_instance_uid: str = field(default="", repr=False)
    series_instance_uid: str = field(default="", repr=False)
    sop_instance_uid: str = field(default="", repr=False)
