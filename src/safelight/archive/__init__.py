"""From a request to a study in the raw cache, within what the archive's manager allows."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from safelight.archive.batch import RetrievalProgress, locate_and_retrieve
    from safelight.archive.cache import RawCache
    from safelight.archive.intake import Intake
    from safelight.archive.query import Archive
    from safelight.archive.receiver import StorageReceiver
    from safelight.archive.throttle import Throttle, Unlimited
    from safelight.archive.web import WebService

__all__ = [
    "Archive",
    "Intake",
    "RawCache",
    "RetrievalProgress",
    "StorageReceiver",
    "Throttle",
    "Unlimited",
    "WebService",
    "locate_and_retrieve",
]
_MODULES: Final = {
    "Archive": "query",
    "Intake": "intake",
    "RawCache": "cache",
    "RetrievalProgress": "batch",
    "StorageReceiver": "receiver",
    "Throttle": "throttle",
    "Unlimited": "throttle",
    "WebService": "web",
    "locate_and_retrieve": "batch",
}


def __getattr__(name: str) -> object:
    """Import a part when it is asked for: a project's settings need none of them, and commands should start at once."""
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
