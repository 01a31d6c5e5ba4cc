"""Which series and instances a project wants, before any de-identification."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ManufacturerFilter(BaseModel):
    """Manufacturers by regular expression (search, any case), with series numbers of theirs to leave out."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    regex: str
    exclude_series_numbers: tuple[int, ...] = ()


class ImageFilters(BaseModel):
    """A project's filters. An empty list filters nothing, except ``modalities``, which must name what is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    modalities: tuple[str, ...] = Field(min_length=1, description="Allowed values of Modality.")
    manufacturers: tuple[ManufacturerFilter, ...] = ()
    exclude_series_descriptions: tuple[str, ...] = Field(default=(), description="Substrings, any case.")
    min_instances_per_series: int = Field(default=1, ge=1)
