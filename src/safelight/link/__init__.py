"""The link database: identifiers and their pseudonyms, the state of every request, and who asked for what."""

from safelight.link.database import LinkDatabase
from safelight.link.removals import Removal
from safelight.link.rows import (
    Added,
    ArchiveHealth,
    ArchivePace,
    CachedInstance,
    CachedStudy,
    ReleaseRow,
    Request,
    SetAsideRow,
    StageCounts,
    Summary,
)

__all__ = [
    "Added",
    "ArchiveHealth",
    "ArchivePace",
    "CachedInstance",
    "CachedStudy",
    "LinkDatabase",
    "ReleaseRow",
    "Removal",
    "Request",
    "SetAsideRow",
    "StageCounts",
    "Summary",
]
