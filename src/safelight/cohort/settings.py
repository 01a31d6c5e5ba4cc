"""Where a project's cohort comes from."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class OptOut(BaseModel):
    """The national data opt-out: an NHS MESH answer file lists those who may be used."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    folder: str = Field(description="Block of the folder that receives the MESH answers (.dat).")
    max_age_days: int = Field(default=7, ge=1, le=90, description="An older answer stops the project.")


class CohortSource(BaseModel):
    """Deliveries of the cohort, and what the hospital knows about its patients."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["omop-es", "csv"] = "omop-es"
    folder: str = Field(description="Block of the folder in which each delivery is a subfolder (OMOP-ES) or a file (CSV).")
    patient_record: str = Field(description="Block of the folder with patients.jsonl and site.json.")
    opt_out: OptOut | None = Field(
        description="Opt-out answer. Null only where the approval exempts the project; give approval.opt_out_exemption."
    )
