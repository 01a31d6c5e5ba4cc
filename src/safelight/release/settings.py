"""Where a project's data goes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class DicomDestination(BaseModel):
    """One place for DICOM."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["folder", "dicomweb", "blob", "ftps", "c-store"] = Field(
        description="folder, blob: a file an instance. ftps: a zip file a study. dicomweb: STOW-RS. c-store: a DICOM node."
    )
    block: str = Field(description="Block that says where it is. Names of all destinations differ.")


class ParquetDestination(BaseModel):
    """One place for the released tables as Parquet files, as a data safe haven takes them in."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["folder", "blob", "ftps"]
    block: str = Field(description="Block that says where it is.")


class Destinations(BaseModel):
    """The lake for tables, any number of places for DICOM, and any number for tables as Parquet files."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    lake: str = Field(description="Block of the lake; tables go to <lake>/<project>/.")
    dicom: tuple[DicomDestination, ...] = Field(min_length=1)
    parquet: tuple[ParquetDestination, ...] = ()

    @field_validator("dicom", "parquet")
    @classmethod
    def _apart(
        cls, places: tuple[DicomDestination | ParquetDestination, ...]
    ) -> tuple[DicomDestination | ParquetDestination, ...]:
        """Refuse a block that is named twice: manifests tell destinations apart by it."""
        if len({place.block for place in places}) < len(places):
            message = "two destinations name the same block"
            raise ValueError(message)
        return places


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
