"""The error tree. Its branches say what the caller should do.

::

    SafelightError
    ├── TransientError              try again, with backoff
    │   ├── ArchiveUnreachable        no association, or it was lost
    │   ├── ArchiveBusy               the archive refused for lack of resources
    │   ├── ArchiveClosed             outside hours, stopped by its manager, or circuit open
    │   ├── DestinationUnavailable    the lake or a DICOM destination did not answer
    │   ├── DatabaseUnavailable       the link database did not answer
    │   └── StorageFull               no room left on a disk that this run writes to
    ├── PermanentError              stop the run; a person has to change something
    │   ├── ConfigurationError        a profile, project, block or site file is wrong
    │   ├── UnknownProject            no such file in profiles/projects
    │   ├── ApprovalExpired           the project's approval has ended
    │   ├── KeyUnavailable            the project key or salt can't be read
    │   ├── ExtractInvalid            the delivery can't be read as a cohort
    │   ├── OptOutUnavailable         no usable opt-out answer
    │   ├── ArchiveMisconfigured      wrong AE title, refused abstract syntax
    │   ├── DestinationRefused        a destination refused for good: credentials, address, type
    │   ├── StorageUnwritable         a folder, cache or lake can't be written
    │   ├── ModelUnavailable          the language model is missing or not the pinned one
    │   └── IntegrityError            stored state contradicts itself; nothing was changed
    │       └── LeaseLost               the request is not this worker's any more
    └── StudyRejected               set this study aside with a reason code and go on

Exception texts reach the orchestrator's database verbatim, so a message holds words, counts, file names of
configuration, block names and opaque ids, and never a value that came out of a patient's data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import datetime

    from safelight.model import Reason


class SafelightError(Exception):
    """Base of all errors that Safelight raises on purpose.

    Args:
        message: what happened, in one sentence, without any identifier.
        remedy: what to do next, in one sentence.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the message and, where there is one, the next step."""
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by attributes: Prefect moves exceptions between processes."""
        return (_rebuild, (type(self), self.args, dict(self.__dict__)))


def _rebuild(cls: type[SafelightError], args: tuple[object, ...], state: dict[str, object]) -> SafelightError:
    error = cls.__new__(cls)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


class TransientError(SafelightError):
    """Trying again later may work."""

    code = "transient"


class ArchiveUnreachable(TransientError):
    """No association could be made with the archive, or it was lost."""

    code = "archive_unreachable"


class ArchiveBusy(TransientError):
    """The archive answered that it is out of resources (PS3.4 C.4.1.1.4, status A7xx)."""

    code = "archive_busy"


class ArchiveClosed(TransientError):
    """Nothing may be sent to the archive now: hours, stop switch or open circuit.

    Args:
        message: why.
        remedy: what to do next.
        until: when it may be asked again, where that is known.
    """

    code = "archive_closed"

    def __init__(self, message: str, *, remedy: str = "", until: datetime | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.until = until


class DestinationUnavailable(TransientError):
    """A destination did not answer, or asked to be left alone for a while."""

    code = "destination_unavailable"


class DatabaseUnavailable(TransientError):
    """The link database did not answer."""

    code = "database_unavailable"


class StorageFull(TransientError):
    """No room is left on a disk that this run writes to."""

    code = "storage_full"


class PermanentError(SafelightError):
    """Trying again can't help: a person has to change something first."""

    code = "permanent"


class ConfigurationError(PermanentError):
    """A profile, project, block or site file is wrong.

    Args:
        message: what is wrong.
        remedy: what is allowed, or what to type next.
        file: name of the configuration file.
        line: its line, from 1.
    """

    code = "configuration"

    def __init__(self, message: str, *, remedy: str = "", file: str = "", line: int | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.file = file
        self.line = line

    def __str__(self) -> str:
        """Return ``file:line: message remedy``."""
        where = ":".join(str(part) for part in (self.file, self.line) if part)
        return f"{where}: {super().__str__()}" if where else super().__str__()


class UnknownProject(PermanentError):
    """There is no file of that name in profiles/projects."""

    code = "unknown_project"


class ApprovalExpired(PermanentError):
    """The project's approval has ended."""

    code = "approval_expired"


class KeyUnavailable(PermanentError):
    """The project key or salt can't be read, or is not what it must be."""

    code = "key_unavailable"


class ExtractInvalid(PermanentError):
    """The delivery can't be read as a cohort at all (single bad rows are set aside instead)."""

    code = "extract_invalid"


class OptOutUnavailable(PermanentError):
    """The opt-out answer is missing, malformed or too old."""

    code = "opt_out_unavailable"


class ArchiveMisconfigured(PermanentError):
    """The archive does not know us, or we call it by a wrong name."""

    code = "archive_misconfigured"


class DestinationRefused(PermanentError):
    """A destination refused for good: credentials, address, content type."""

    code = "destination_refused"


class StorageUnwritable(PermanentError):
    """A folder, cache or lake can't be written."""

    code = "storage_unwritable"


class ModelUnavailable(PermanentError):
    """The language model is missing, or is not the pinned one."""

    code = "model_unavailable"


class IntegrityError(PermanentError):
    """Stored state contradicts itself; nothing was changed."""

    code = "integrity"


class LeaseLost(IntegrityError):
    """A request is not this worker's any more: its patient opted out, or its lease ended and another took it over.

    For a batch: leave the request alone and go on with the next.
    """

    code = "lease_lost"


class StudyRejected(SafelightError):
    """Set this study aside with a reason code and go on with the batch.

    Args:
        reason: a member of the closed list of reason codes.
        message: optional words, without any identifier.
    """

    code = "study_rejected"

    def __init__(self, reason: Reason, message: str = "") -> None:
        super().__init__(message or reason.value)
        self.reason = reason
