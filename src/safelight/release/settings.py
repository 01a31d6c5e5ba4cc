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
