"""Where a project's cohort comes from."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from safelight.warehouse.query import NAME


class OptOut(BaseModel):
    """The national data opt-out: an NHS MESH answer file lists those who may be used."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    folder: str = Field(description="Block of the folder that receives the MESH answers (.dat).")
    max_age_days: int = Field(default=7, ge=1, le=90, description="An older answer stops the project.")


class CohortSource(BaseModel):
    """Deliveries of the cohort, and what the hospital knows about its patients."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["omop-es", "csv", "sql"] = "omop-es"
    folder: str = Field(
        default="", description="Block of the folder in which each delivery is a subfolder (OMOP-ES) or a file (CSV)."
    )
    warehouse: str = Field(default="", description="sql: block of the warehouse that has the cohort.")
    requests: str = Field(
        default="",
        description="sql: table, view or reviewed query of profiles/sql with one row for each study that is asked for.",
    )
    patient_record: str = Field(description="Block of the folder with patients.jsonl and site.json.")
    opt_out: OptOut | None = Field(
        description="Opt-out answer. Null only where the approval exempts the project; give approval.opt_out_exemption."
    )

    @model_validator(mode="after")
    def _complete(self) -> CohortSource:
        if self.kind == "sql":
            if self.folder or not self.warehouse or not re.fullmatch(NAME, self.requests):
                raise ValueError(
                    "a cohort from sql needs 'warehouse' and 'requests' (a table, view or file), and no 'folder'"
                )
        elif not self.folder or self.warehouse or self.requests:
            raise ValueError("a cohort from deliveries needs 'folder'; 'warehouse' and 'requests' are for sql")
        return self
