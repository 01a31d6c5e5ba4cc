"""An archive as a project may use it, within what its manager allows."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from safelight.archive.budget import Budget, Hours, Load


class ArchiveUse(BaseModel):
    """One archive that a project may ask, in order of preference."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    block: str = Field(description="Block of the DICOM node.")
    budget: Budget = Budget()
    hours: Hours = Hours()
    load: Load = Load()
    accession_alone: bool = Field(default=False, description="Ask by accession number without the patient's id, too.")
    attempts: int = Field(default=3, ge=1, le=20, description="Attempts an operation, with exponential backoff.")
    move_timeout_seconds: float = Field(default=300, gt=0, description="Silence on a C-MOVE after which it has failed.")
    timeout_seconds: float = Field(default=60, gt=0, description="Silence on anything else after which it has failed.")
    settle_seconds: float = Field(
        default=2.0, ge=0, le=300, description="Wait for instances that come after the archive said that it is done."
    )
    information_model: Literal["study", "patient"] = Field(
        default="study", description="Query/Retrieve root: 'patient' for an archive that offers no Study Root."
    )
    image_query_needs_series: bool = Field(
        default=True,
        description="Ask for instances series by series, as the standard says; false saves queries where it can.",
    )
    character_set: str = Field(
        default="", description="Specific Character Set of the archive where its answers don't say; empty: ASCII."
    )
    open_after_failures: int = Field(
        default=5, ge=1, le=1000, description="So many more failures than successes, and nothing is sent for a rest."
    )
    rest_seconds: float = Field(default=60, gt=0, le=86400, description="How long an archive that failed is left alone.")
