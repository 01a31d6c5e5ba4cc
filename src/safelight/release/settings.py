"""Where a project's data goes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class DicomDestination(BaseModel):
    """One place for DICOM."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["folder", "dicomweb"]
    block: str


class Destinations(BaseModel):
    """The lake for tables, and any number of places for DICOM."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    lake: str = Field(description="Block of the lake; tables go to <lake>/<project>/.")
    dicom: tuple[DicomDestination, ...] = Field(min_length=1)
