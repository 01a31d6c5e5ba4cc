"""Takes de-identified copies out of the work folder when the project does not keep them any longer."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from safelight.link import LinkDatabase
from safelight.model import OUTCOMES, RequestState
from safelight.pseudonym import Pseudonymizer


def tidy_work(
    database: LinkDatabase, project: str, studies: Path, *, pseudonymizer: Pseudonymizer, days: int, now: datetime
) -> int:
    """Remove folders of studies whose requests have all ended and that nobody has written to for ``days`` days.

    The delivered copies are at the destinations; what was removed here can be made again from the raw cache or archive.

    Args:
        database: link database.
        project: slug.
        studies: the project's folder of de-identified studies, one folder each, named by pseudonym.
        pseudonymizer: of the project.
        days: how long they are kept.
        now: the time, aware.

    Returns:
        how many studies were removed.
    """
    if not studies.is_dir():
        return 0
    # From the original UID, too: a worker may be writing before it has said under which pseudonym.
    running = {
        name
        for request in database.find(project, [state for state in RequestState if state not in OUTCOMES])
        for name in (request.pseudo_study_uid, pseudonymizer.uid(request.located_study_uid))
    }
    oldest = (now - timedelta(days=days)).timestamp()
    removed = 0
    for folder in sorted(studies.iterdir()):
        if folder.is_dir() and folder.name not in running and folder.stat().st_mtime <= oldest:
            shutil.rmtree(folder)
            removed += 1
    return removed
