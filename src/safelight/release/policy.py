"""Who lets a release go, as a project declares it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ReleaseLimits(BaseModel):
    """What a release may hold that nobody looks at. One that holds more waits for a person."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_studies: int | None = Field(default=None, ge=0, description="Studies in one release; none: any number.")
    max_quarantined_share: float = Field(
        default=0.05, ge=0, le=1, description="Studies that the release's verification stopped, of those it looked at."
    )
    max_withheld_rows: int = Field(default=0, ge=0, description="Rows of notes and record that verification withheld.")
    min_cell: int = Field(
        default=5, ge=0, description="Fewest people who share a combination of quasi-identifiers (k-anonymity); 0: any."
    )


class ReleasePolicy(BaseModel):
    """Who lets a release go."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    approval: Literal["required", "automatic"] = Field(
        default="required", description="required: a person decides on each release. automatic: within the limits."
    )
    limits: ReleaseLimits = ReleaseLimits()
    days_to_answer: int = Field(
        default=14, ge=1, le=365, description="Days that a run waits for an answer; a later run asks again."
    )
