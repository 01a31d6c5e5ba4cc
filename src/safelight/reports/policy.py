"""What a project wants of its reports and notes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LanguageModel = Annotated[str, Field(pattern=r"^(spacy|onnx|folder:.+)$")]


class Thresholds(BaseModel):
    """What a validation must reach, in per cent of what was labelled. A project may ask for more or less, in its file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    recall_direct: float = Field(
        default=99.0, ge=0, le=100, description="Identifiers that name somebody by themselves, removed."
    )
    recall_all: float = Field(default=98.5, ge=0, le=100, description="All labelled identifiers, removed.")
    terms_kept: float = Field(default=98.0, ge=0, le=100, description="Clinical terms that survived.")
    words_kept: float = Field(default=98.0, ge=0, le=100, description="Other words that survived.")
    quarantined: float = Field(default=2.0, ge=0, le=100, description="Texts set aside, at most.")
    documents: int = Field(default=100, ge=1, description="Labelled texts, at least.")


class ValidationSource(BaseModel):
    """Where the labelled sets are, and when they are measured again."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    folder: str = Field(description="Block of the folder with labelled sets (*.jsonl); the records are kept in it, too.")
    again: Literal["by-hand", "on-change"] = Field(
        default="by-hand",
        description="Whether somebody starts report_validation after each change of the configuration (the staff directory "
        "is part of it), or the report stage does so by itself.",
    )


class ReportPolicy(BaseModel):
    """How reports and notes are treated."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    include: bool = Field(default=True, description="Whether reports and notes are part of the project.")
    ner: tuple[LanguageModel, ...] = Field(
        default=("spacy",),
        description="Language models: 'spacy' and 'onnx' (packaged), 'folder:PATH' (the hospital's own); none: rules only.",
    )
    max_characters: int = Field(default=100_000, ge=1_000, description="A longer text is quarantined.")
    validation: ValidationSource | None = Field(
        default=None, description="How it is proved that the de-identification works; reports can't leave without."
    )
    thresholds: Thresholds = Field(
        default=Thresholds(), description="What a validation must reach before reports may leave."
    )

    @model_validator(mode="after")
    def _provable(self) -> ReportPolicy:
        if self.include and self.validation is None:
            raise ValueError("reports need 'validation' with the folder of labelled sets, or 'include: false'")
        return self
