"""Which series and instances a project wants, before any de-identification."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from safelight.model import Reason


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


class HeaderValues(Protocol):
    """Gives an instance's value by keyword, as text; empty where it has none."""

    def __getitem__(self, keyword: str) -> str: ...


class SeriesFilter:
    """Decides on one instance at a time by its header.

    Args:
        filters: the project's filters.
    """

    def __init__(self, filters: ImageFilters) -> None:
        self._modalities = frozenset(filters.modalities)
        self._manufacturers = [
            (re.compile(one.regex, re.IGNORECASE), frozenset(one.exclude_series_numbers)) for one in filters.manufacturers
        ]
        self._descriptions = tuple(text.casefold() for text in filters.exclude_series_descriptions)

    def apply(self, header: HeaderValues | Mapping[str, str]) -> Reason | None:
        """Return why the instance is not wanted, or None where it is."""
        if header["Modality"] not in self._modalities:
            return Reason.MODALITY_NOT_ALLOWED
        description = header["SeriesDescription"].casefold()
        if any(text in description for text in self._descriptions):
            return Reason.SERIES_FILTERED
        if not self._manufacturers:
            return None
        manufacturer = header["Manufacturer"]
        matching = [numbers for pattern, numbers in self._manufacturers if pattern.search(manufacturer)]
        if not matching:
            return Reason.MANUFACTURER_NOT_ALLOWED
        try:
            number = int(header["SeriesNumber"] or "0")
        except ValueError:
            return Reason.SERIES_FILTERED
        return Reason.SERIES_FILTERED if any(number in numbers for numbers in matching) else None
