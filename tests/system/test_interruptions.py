"""Killed at any instant and started again: work done is not done twice, nothing is lost, nothing is delivered twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployments.demo import PROJECT, open_database
from deployments.demo_hospital import build_hospital
from safelight.model import RequestState
from tests.system.conftest import CHECKOUT, SCALE, SEED, finished, run_demo

#: A killed worker's requests are free again after so many seconds.
LEASE = "8"


def kill_after(folder: Path, line: str, seconds: float) -> None:
    """Start the demo, and kill -9 all of it so many seconds after a stage has said that it is done."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "deployments.demo", "--folder", str(folder), "--seed", str(SEED), "--scale", str(SCALE)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    try:
        assert any(line in said for said in demo.stdout), f"the demo ended before {line}"
        time.sleep(seconds)
        assert demo.poll() is None, "the demo had ended before it was killed"
    finally:
        os.killpg(demo.pid, signal.SIGKILL)
        demo.stdout.close()
        demo.wait()


@pytest.mark.timeout(600)
def test_killed_in_each_stage_it_ends_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_LEASE_SECONDS", LEASE)
    for line, seconds in (("cohort-ingest", 3.0), ("pacs-retrieval", 1.5), ("record-linkage", 1.5)):
        kill_after(tmp_path, line, seconds)
    ended = finished(tmp_path, run_demo(tmp_path))
    hospital = build_hospital(tmp_path / "hospital", seed=SEED, today=datetime.now(UTC).date(), scale=SCALE)
    database = open_database(tmp_path)
    states = {request.procedure_occurrence_id: request.state for request in database.find(PROJECT, list(RequestState))}
    database.verify_audit()  # raises where the chain is broken
    database.close()
    assert states == {number: expected.state for number, expected in hospital.expected.items()}
    assert ended.summary["balanced"] is True
    delivered = [path.name for path in (tmp_path / "dicom").rglob("*.dcm")]
    assert len(delivered) == len(set(delivered)) == ended.summary["instances"]["written"]
    assert not list((tmp_path / "dicom").rglob("*.part"))
