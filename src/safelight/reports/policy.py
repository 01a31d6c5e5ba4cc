"""What a project wants of its reports and notes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ReportPolicy(BaseModel):
    """How reports and notes are treated."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    include: bool = Field(default=True, description="Whether reports and notes are part of the project.")
    ner: tuple[Literal["spacy"], ...] = Field(default=("spacy",), description="Language models; none: rules only.")
    max_characters: int = Field(default=100_000, ge=1_000, description="A longer text is quarantined.")
