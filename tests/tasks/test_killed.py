"""Twenty workers, each killed -9 while it holds a study and an association: no study stays theirs.

Their places at the archive come back after a minute, when the server's leases run out: ``make bench ARGS=kill``.
"""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.bootstrap import register_limits
from safelight.archive.budget import Budget
from safelight.archive.settings import ArchiveUse
from safelight.link import LinkDatabase
from safelight.model import RequestState
from safelight.pseudonym import ProjectKey, Pseudonymizer
from tasks.wiring import now
from tests.archive.conftest import PROJECT, a_request
from tests.archive.studies import Study
from tests.tasks.killed_worker import kill

KILLED = 20


@pytest.mark.usefixtures("prefect_server")
def test_no_study_stays_claimed(tmp_path: Path) -> None:
    link = f"sqlite:///{tmp_path / 'link.sqlite'}"
    database = LinkDatabase(link, clock=now)
    database.migrate()
    extract = database.register_extract(PROJECT, name="e", sha256="0" * 64, generated=now(), source="test")
    requests = [a_request(Study(number)) for number in range(KILLED)]
    pseudonymizer = Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))
    database.add_requests(extract, requests, pseudonymizer=pseudonymizer, opted_out={})
    register_limits(ArchiveUse(block="deadly", budget=Budget(operations_per_second=100, associations=KILLED)))

    kill(KILLED, "deadly", link, PROJECT, lease_seconds=1)
    time.sleep(1)
    minute = timedelta(minutes=1)
    claimed = database.claim(PROJECT, [RequestState.REQUESTED], worker="next", limit=100, lease=minute)
    assert len(claimed) == KILLED
    # Each of them died in an attempt, which is counted; some took over what the one before them had left.
    assert sum(request.attempts for request in database.requests(claimed)) == KILLED
    database.close()
