"""The tables of the link database. A change here needs a migration beside it; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite has no such type and drops time zones, so there it is text that sorts by time."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(32))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ANN401  as the driver wants it
        """Refuse times without a zone; nobody could say later what they meant."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a time without a time zone can't be stored"
            raise ValueError(message)
        value = value.astimezone(UTC)
        return value.isoformat(timespec="microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401
        """Return an aware time in UTC on every database."""
        if value is None:
            return None
        return datetime.fromisoformat(value) if dialect.name == "sqlite" else value.astimezone(UTC)


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
#: SQLite counts up only in a column of exactly the type INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column[int]:
    return Column("id", _Id, primary_key=True)


def _refers(name: str, to: str, **more: Any) -> Column[int]:  # noqa: ANN401  arguments of Column
    return Column(name, _Id, ForeignKey(f"{to}.id"), nullable=False, **more)


def _text(name: str, length: int | None = None) -> Column[str]:
    return Column(name, String(length) if length else Text, nullable=False, server_default="")


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _time(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, UtcDateTime, nullable=nullable)


project: Final = Table(
    "project", metadata, _id(), Column("slug", String(63), nullable=False, unique=True), _time("created_at")
)

extract: Final = Table(
    "extract",
    metadata,
    _id(),
    _refers("project_id", "project"),
    _text("name"),
    Column("sha256", String(64), nullable=False),
    _time("generated_at"),
    _text("source"),
    _time("registered_at"),
    UniqueConstraint("project_id", "sha256"),
)

row_set_aside: Final = Table(
    "row_set_aside",
    metadata,
    _id(),
    _refers("extract_id", "extract"),
    _text("file"),
    Column("line", BigInteger, nullable=False),
    Column("reason", String(32), nullable=False),
    UniqueConstraint("extract_id", "file", "line", "reason"),
)

opt_out_check: Final = Table(
    "opt_out_check",
    metadata,
    _id(),
    _refers("extract_id", "extract"),
    Column("answer_sha256", String(64), nullable=False),
    _time("answered_at"),
    _time("checked_at"),
    _count("allowed"),
    _count("excluded"),
    Index(None, "extract_id"),
)

#: The patient record of those whose studies were asked for, and may be used.
patient: Final = Table(
    "patient",
    metadata,
    _id(),
    _refers("project_id", "project"),
    Column("mrn", Text, nullable=False),
    _text("nhs_number"),
    _text("record"),
    _time("updated_at"),
    UniqueConstraint("project_id", "mrn"),
)

#: Patients who were withdrawn by a person; kept so that no later extract brings them back.
withdrawal: Final = Table(
    "withdrawal",
    metadata,
    _id(),
    _refers("project_id", "project"),
    Column("mrn", Text, nullable=False),
    _time("withdrawn_at"),
    UniqueConstraint("project_id", "mrn"),
)

request: Final = Table(
    "request",
    metadata,
    _id(),
    _refers("project_id", "project"),
    _refers("extract_id", "extract"),
    # SHA-256 over MRN, accession, study UID, series UIDs, part: an index entry has a largest size, a list of UIDs has not.
    Column("natural_key", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    _count("attempts"),
    _text("mrn"),
    _text("accession_number"),
    _text("study_uid"),
    _text("series_uids"),
    Column("study_date", Date),
    Column("procedure_occurrence_id", BigInteger, nullable=False),
    _text("person_id"),
    _text("participant_id"),
    _text("archive"),
    _text("located_study_uid"),
    _count("announced"),
    _count("received"),
    _text("pseudo_study_uid", 64),
    _text("pseudo_patient_id", 64),
    _text("pseudo_person_id", 64),
    _text("pseudo_accession_number", 64),
    Column("worker", Text),
    _time("lease_until", nullable=True),
    _time("not_before", nullable=True),
    _time("created_at"),
    _time("updated_at"),
    # Tells requests for the same series apart, where more of them came each time.
    _text("part", 64),
    UniqueConstraint("project_id", "natural_key"),
    Index(None, "state", "project_id", "id"),
    Index(None, "project_id", "mrn"),
    Index(None, "pseudo_study_uid"),
    Index(None, "pseudo_patient_id"),
    Index(None, "pseudo_person_id"),
    Index(None, "pseudo_accession_number"),
)

#: Every move of every request; rows are only ever added.
transition: Final = Table(
    "transition",
    metadata,
    _id(),
    _refers("request_id", "request"),
    Column("from_state", String(16)),
    Column("to_state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("attempt", Integer, nullable=False),
    _text("worker"),
    _time("at"),
    Index(None, "request_id"),
)

instance: Final = Table(
    "instance",
    metadata,
    _id(),
    _refers("request_id", "request"),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(32)),
    _text("pseudo_sop_instance_uid", 64),
    _text("pseudo_series_instance_uid", 64),
    _text("pseudo_study_instance_uid", 64),
    _text("path"),
    _count("kept"),
    _count("changed"),
    _count("removed"),
    _count("bytes_in"),
    _count("bytes_out"),
    _text("study_instance_uid"),
    _text("series_instance_uid"),
    _text("sop_instance_uid"),
    Index(None, "request_id"),
    Index(None, "pseudo_sop_instance_uid"),
    Index(None, "pseudo_series_instance_uid"),
)

cached_study: Final = Table(
    "cached_study",
    metadata,
    _id(),
    Column("study_uid", Text, nullable=False, unique=True),
    _text("archive"),
    Column("complete", Boolean, nullable=False),
    _time("last_used"),
    # Clocks repeat and go back; eviction needs the order of use.
    _count("used_number"),
    # Of all its instances, so that asking how full the cache is reads a row a study.
    _count("bytes"),
    Index(None, "used_number"),
)

cached_instance: Final = Table(
    "cached_instance",
    metadata,
    _id(),
    _refers("cached_study_id", "cached_study"),
    _text("series_uid"),
    Column("sop_uid", Text, nullable=False),
    _text("sop_class_uid"),
    _text("path"),
    _count("size"),
    UniqueConstraint("cached_study_id", "sop_uid"),
)

archive_health: Final = Table(
    "archive_health",
    metadata,
    Column("archive", String(255), primary_key=True),
    Column("state", String(16), nullable=False),
    _count("failures"),
    _time("opened_at", nullable=True),
    _text("cause"),
    _time("updated_at"),
)

#: How the last studies that an archive was asked for went: what its circuit is judged by. Old rows go.
archive_study: Final = Table(
    "archive_study",
    metadata,
    _id(),
    Column("archive", String(255), nullable=False),
    Column("failed", Boolean, nullable=False),
    _time("at"),
    Index(None, "archive", "at"),
)

#: Every change of an archive's pace, and why; the last one counts. Rows are only ever added.
archive_pace: Final = Table(
    "archive_pace",
    metadata,
    Column("archive", String(255), primary_key=True),
    # Counted from 1 for each archive: of two workers that change the same pace, one finds its number taken.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("share", Float, nullable=False),
    _text("cause"),
    _text("usual"),
    _time("at"),
)

release: Final = Table(
    "release",
    metadata,
    _id(),
    _refers("project_id", "project"),
    Column("release_id", String(128), nullable=False),
    Column("manifest_sha256", String(64), nullable=False),
    _time("recorded_at"),
    UniqueConstraint("project_id", "release_id"),
)

release_request: Final = Table(
    "release_request",
    metadata,
    Column("release_id", _Id, ForeignKey("release.id"), primary_key=True),
    Column("request_id", _Id, ForeignKey("request.id"), primary_key=True),
    Index(None, "request_id"),
)

#: Opt-outs (moves to opted_out) after which everything was taken back, but for the destinations named.
removal: Final = Table(
    "removal",
    metadata,
    Column("transition_id", _Id, ForeignKey("transition.id"), primary_key=True, autoincrement=False),
    _text("left_at"),
    _time("removed_at"),
)

#: Append-only: a trigger refuses changes, and each row's hash covers the row before it.
audit_event: Final = Table(
    "audit_event",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    _text("event"),
    _text("actor"),
    _text("details"),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
