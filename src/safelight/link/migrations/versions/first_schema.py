"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from safelight.link.schema import UtcDateTime

revision = "first_schema"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_REFUSE = "the audit trail is append-only"


def upgrade() -> None:
    """Create all tables, and triggers that keep the audit trail append-only."""
    op.create_table(
        "archive_health",
        sa.Column("archive", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=True),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("archive", name=op.f("pk_archive_health")),
    )
    op.create_table(
        "audit_event",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("event", sa.Text(), server_default="", nullable=False),
        sa.Column("actor", sa.Text(), server_default="", nullable=False),
        sa.Column("details", sa.Text(), server_default="", nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_event")),
    )
    op.create_table(
        "cached_study",
        sa.Column("id", _ID, nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("archive", sa.Text(), server_default="", nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("last_used", UtcDateTime(), nullable=False),
        sa.Column("used_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cached_study")),
        sa.UniqueConstraint("study_uid", name=op.f("uq_cached_study_study_uid")),
    )
    op.create_index(op.f("ix_cached_study_used_number"), "cached_study", ["used_number"])
    op.create_table(
        "project",
        sa.Column("id", _ID, nullable=False),
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("slug", name=op.f("uq_project_slug")),
    )
    op.create_table(
        "cached_instance",
        sa.Column("id", _ID, nullable=False),
        sa.Column("cached_study_id", _ID, nullable=False),
        sa.Column("series_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("sop_uid", sa.Text(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("path", sa.Text(), server_default="", nullable=False),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["cached_study_id"], ["cached_study.id"], name=op.f("fk_cached_instance_cached_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cached_instance")),
        sa.UniqueConstraint("cached_study_id", "sop_uid", name=op.f("uq_cached_instance_cached_study_id_sop_uid")),
    )
    op.create_table(
        "extract",
        sa.Column("id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("generated_at", UtcDateTime(), nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_extract_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extract")),
        sa.UniqueConstraint("project_id", "sha256", name=op.f("uq_extract_project_id_sha256")),
    )
    op.create_table(
        "patient",
        sa.Column("id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("mrn", sa.Text(), nullable=False),
        sa.Column("nhs_number", sa.Text(), server_default="", nullable=False),
        sa.Column("record", sa.Text(), server_default="", nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_patient_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
        sa.UniqueConstraint("project_id", "mrn", name=op.f("uq_patient_project_id_mrn")),
    )
    op.create_table(
        "release",
        sa.Column("id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("release_id", sa.String(length=128), nullable=False),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_release_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
        sa.UniqueConstraint("project_id", "release_id", name=op.f("uq_release_project_id_release_id")),
    )
    op.create_table(
        "withdrawal",
        sa.Column("id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("mrn", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_withdrawal_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawal")),
        sa.UniqueConstraint("project_id", "mrn", name=op.f("uq_withdrawal_project_id_mrn")),
    )
    op.create_table(
        "opt_out_check",
        sa.Column("id", _ID, nullable=False),
        sa.Column("extract_id", _ID, nullable=False),
        sa.Column("answer_sha256", sa.String(length=64), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=False),
        sa.Column("allowed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("excluded", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["extract_id"], ["extract.id"], name=op.f("fk_opt_out_check_extract_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_out_check")),
    )
    op.create_index(op.f("ix_opt_out_check_extract_id"), "opt_out_check", ["extract_id"])
    op.create_table(
        "request",
        sa.Column("id", _ID, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("extract_id", _ID, nullable=False),
        sa.Column("natural_key", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("mrn", sa.Text(), server_default="", nullable=False),
        sa.Column("accession_number", sa.Text(), server_default="", nullable=False),
        sa.Column("study_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("series_uids", sa.Text(), server_default="", nullable=False),
        sa.Column("study_date", sa.Date(), nullable=True),
        sa.Column("procedure_occurrence_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.Text(), server_default="", nullable=False),
        sa.Column("participant_id", sa.Text(), server_default="", nullable=False),
        sa.Column("archive", sa.Text(), server_default="", nullable=False),
        sa.Column("located_study_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("announced", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("received", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pseudo_study_uid", sa.String(length=64), server_default="", nullable=False),
        sa.Column("pseudo_patient_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("pseudo_person_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("pseudo_accession_number", sa.String(length=64), server_default="", nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["extract_id"], ["extract.id"], name=op.f("fk_request_extract_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_request_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
        sa.UniqueConstraint("project_id", "natural_key", name=op.f("uq_request_project_id_natural_key")),
    )
    op.create_index(op.f("ix_request_project_id_mrn"), "request", ["project_id", "mrn"])
    op.create_index(op.f("ix_request_pseudo_accession_number"), "request", ["pseudo_accession_number"])
    op.create_index(op.f("ix_request_pseudo_patient_id"), "request", ["pseudo_patient_id"])
    op.create_index(op.f("ix_request_pseudo_person_id"), "request", ["pseudo_person_id"])
    op.create_index(op.f("ix_request_pseudo_study_uid"), "request", ["pseudo_study_uid"])
    op.create_index(op.f("ix_request_state_project_id_id"), "request", ["state", "project_id", "id"])
    op.create_table(
        "row_set_aside",
        sa.Column("id", _ID, nullable=False),
        sa.Column("extract_id", _ID, nullable=False),
        sa.Column("file", sa.Text(), server_default="", nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["extract_id"], ["extract.id"], name=op.f("fk_row_set_aside_extract_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_row_set_aside")),
        sa.UniqueConstraint(
            "extract_id", "file", "line", "reason", name=op.f("uq_row_set_aside_extract_id_file_line_reason")
        ),
    )
    op.create_table(
        "instance",
        sa.Column("id", _ID, nullable=False),
        sa.Column("request_id", _ID, nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("pseudo_sop_instance_uid", sa.String(length=64), server_default="", nullable=False),
        sa.Column("pseudo_series_instance_uid", sa.String(length=64), server_default="", nullable=False),
        sa.Column("pseudo_study_instance_uid", sa.String(length=64), server_default="", nullable=False),
        sa.Column("path", sa.Text(), server_default="", nullable=False),
        sa.Column("kept", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("removed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("study_instance_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("series_instance_uid", sa.Text(), server_default="", nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("fk_instance_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance")),
    )
    op.create_index(op.f("ix_instance_pseudo_series_instance_uid"), "instance", ["pseudo_series_instance_uid"])
    op.create_index(op.f("ix_instance_pseudo_sop_instance_uid"), "instance", ["pseudo_sop_instance_uid"])
    op.create_index(op.f("ix_instance_request_id"), "instance", ["request_id"])
    op.create_table(
        "release_request",
        sa.Column("release_id", _ID, nullable=False),
        sa.Column("request_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_release_request_release_id")),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("fk_release_request_request_id")),
        sa.PrimaryKeyConstraint("release_id", "request_id", name=op.f("pk_release_request")),
    )
    op.create_index(op.f("ix_release_request_request_id"), "release_request", ["request_id"])
    op.create_table(
        "transition",
        sa.Column("id", _ID, nullable=False),
        sa.Column("request_id", _ID, nullable=False),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), server_default="", nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("fk_transition_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transition")),
    )
    op.create_index(op.f("ix_transition_request_id"), "transition", ["request_id"])

    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSE}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
        )
    else:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_event_no_{change.lower()} BEFORE {change} ON audit_event "
                f"BEGIN SELECT RAISE(ABORT, '{_REFUSE}'); END"
            )
