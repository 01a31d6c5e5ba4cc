"""What goes into the link database and comes out of it. Identifiers are never shown by ``repr``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from safelight.model import RequestState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from safelight.model import Reason


@dataclass(frozen=True)
class Request:
    """One study that a project asked for, and how far it has come. Empty text: not given, or not known yet.

    ``located_study_uid`` is the study's real UID once an archive has answered; ``announced`` and ``received`` count
    its instances. ``attempts`` counts those that ended in its present state without a move.
    """

    id: int
    project: str
    state: RequestState
    reason: Reason | None
    attempts: int
    mrn: str = field(repr=False)
    accession_number: str = field(repr=False)
    study_uid: str = field(repr=False)
    series_uids: tuple[str, ...] = field(repr=False)
    study_date: date | None = field(repr=False)
    procedure_occurrence_id: int = field(repr=False)
    person_id: str = field(repr=False)
    participant_id: str = field(repr=False)
    nhs_number: str = field(repr=False)
    archive: str
    located_study_uid: str = field(repr=False)
    announced: int
    received: int
    pseudo_study_uid: str
    pseudo_patient_id: str
    extract_id: int
    part: str = field(default="", repr=False)


@dataclass(frozen=True)
class SetAsideRow:
    """A row of a delivery that can't be used: where it stands and why, never what it holds.

    ``line`` counts from 1; in a CSV file the header is line 1, in Parquet the first row is.
    """

    line: int
    file: str
    reason: Reason


@dataclass(frozen=True)
class Added:
    """What became of the requests of a delivery: ``new + known`` is their number.

    ``opted_out`` of them may not be used. ``reopened`` were known as opted out and may be used again.
    """

    new: int = 0
    known: int = 0
    opted_out: int = 0
    reopened: int = 0

    def __add__(self, other: Added) -> Added:
        """Add two batches up."""
        return Added(
            self.new + other.new,
            self.known + other.known,
            self.opted_out + other.opted_out,
            self.reopened + other.reopened,
        )


@dataclass(frozen=True)
class StageCounts:
    """What a stage did with the requests it took.

    Args:
        taken: requests that were claimed.
        moved: state -> how many ended in it.
        reasons: reason code -> how many were set aside, or wait, for it.
    """

    taken: int = 0
    moved: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many stayed where they were, for another attempt."""
        return self.taken - sum(self.moved.values())


@dataclass(frozen=True)
class Summary:
    """Where a project's requests are.

    Args:
        project: its slug.
        requested: all requests there are.
        outcomes: state -> requests in it now; states without any are left out. They add up to ``requested``.
        reasons: state -> reason -> requests.
        passed: state -> requests that ever reached it.
        instances: ``written`` or ``set_aside/<reason>`` -> instances.
        rows_set_aside: reason -> rows of deliveries that never became a request.
    """

    project: str
    requested: int
    outcomes: Mapping[str, int]
    reasons: Mapping[str, Mapping[str, int]]
    passed: Mapping[str, int]
    instances: Mapping[str, int]
    rows_set_aside: Mapping[str, int]


@dataclass(frozen=True)
class CachedInstance:
    """One instance in the raw cache; ``path`` is relative to the cache's folder, ``size`` in bytes."""

    series_uid: str = field(repr=False)
    sop_uid: str = field(repr=False)
    sop_class_uid: str
    path: str
    size: int


@dataclass(frozen=True)
class CachedStudy:
    """One study in the raw cache. ``complete``: the archive announced no more than this."""

    study_uid: str = field(repr=False)
    archive: str
    complete: bool
    instances: tuple[CachedInstance, ...]
    last_used: datetime

    @property
    def size(self) -> int:
        """Bytes of all its instances."""
        return sum(instance.size for instance in self.instances)


#: What ``ArchiveHealth.state`` may be; ``stopped`` is the manager's switch and only a person turns it back.
HEALTH_STATES: Final = ("closed", "open", "half_open", "stopped")


@dataclass(frozen=True)
class ArchiveHealth:
    """The circuit breaker of one archive, shared by all workers."""

    state: str = "closed"
    failures: int = 0
    opened_at: datetime | None = None
    cause: str = ""

    def __post_init__(self) -> None:
        """Refuse a state that no reader would understand."""
        if self.state not in HEALTH_STATES:
            message = f"archive health must be one of {', '.join(HEALTH_STATES)}"
            raise ValueError(message)


@dataclass(frozen=True)
class ArchivePace:
    """How much of its budget an archive gets, since when, and why; shared by all workers.

    ``number`` counts the changes from 1; 0: never changed. ``usual``: kind of operation -> seconds that it usually takes.
    """

    number: int = 0
    share: float = 0.0
    cause: str = ""
    usual: Mapping[str, float] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True)
class ReleaseRow:
    """One release: what left, by the SHA-256 of its manifest."""

    release_id: str
    manifest_sha256: str
    recorded_at: datetime
    requests: int
