"""What a DICOM destination is: something that takes files, says of each what became of it, and may be sent to twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from safelight.errors import IntegrityError
from safelight.model import Reason
from safelight.pseudonym import is_valid_uid


@dataclass(frozen=True)
class OutputFile:
    """One de-identified, verified instance. All UIDs are pseudonyms.

    Raises:
        IntegrityError: a UID is not one (it becomes part of paths and addresses).
    """

    path: Path
    study_uid: str
    series_uid: str
    sop_uid: str

    def __post_init__(self) -> None:
        """Refuse what is not a UID by PS3.5 section 9.1."""
        if not all(is_valid_uid(uid) for uid in (self.study_uid, self.series_uid, self.sop_uid)):
            raise IntegrityError("An output file without valid UIDs can't be delivered.")

    @property
    def relative(self) -> str:
        """Where it stands below a project: ``<study>/<series>/<instance>.dcm``."""
        return f"{self.study_uid}/{self.series_uid}/{self.sop_uid}.dcm"


def output_is_gone() -> IntegrityError:
    """Return the error for a file that somebody took away between its verification and its sending."""
    return IntegrityError("An output file that was verified is not in the work folder any more.")


@dataclass
class SendResult:
    """What became of each instance, by its pseudonymous SOP Instance UID; each is in exactly one of the three."""

    stored: set[str] = field(default_factory=set)
    already: set[str] = field(default_factory=set)
    refused: dict[str, Reason] = field(default_factory=dict)

    @property
    def delivered(self) -> set[str]:
        """Instances that are at the destination now."""
        return self.stored | self.already

    def add(self, other: SendResult) -> None:
        """Take in the result of another part of the same sending."""
        self.stored |= other.stored
        self.already |= other.already
        self.refused.update(other.refused)


class Left(StrEnum):
    """Why a withdrawn study is still at a destination: somebody there has to delete it."""

    NO_DELETION = "no_deletion"
    REFUSED = "refused"


@dataclass
class Withdrawn:
    """What became of withdrawn studies, by pseudonymous Study Instance UID; each is in exactly one of the three."""

    removed: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    left: dict[str, Left] = field(default_factory=dict)


class Destination(Protocol):
    """A place for DICOM."""

    @property
    def name(self) -> str:
        """Its name in manifests, such as that of its block; no address."""
        ...

    def check(self, project: str) -> None:
        """Raise our error when nothing could be sent there now."""
        ...

    def send(self, project: str, files: Sequence[OutputFile]) -> SendResult:
        """Deliver the files. Sending twice leaves one copy.

        Raises:
            DestinationUnavailable, StorageFull: sending again later may work; what was sent stays.
            DestinationRefused, StorageUnwritable: nothing more can be sent before somebody changes something.
        """
        ...

    def locate(self, project: str, study_uid: str, series_uid: str) -> dict[str, str]:
        """Return how researchers reach a series: ``{"wadors_uri": ...}``, ``{"local_path": ...}`` or nothing."""
        ...

    def withdraw(self, project: str, studies: Sequence[str]) -> Withdrawn:
        """Take whole studies away, of a patient who does not take part any more. Again, it finds them absent.

        Raises:
            The same as ``send``.
        """
        ...
