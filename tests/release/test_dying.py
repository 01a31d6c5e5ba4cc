"""An export that is killed at any step and run again ends as one that was not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from safelight.link import LinkDatabase
from safelight.release.destination import Destination
from safelight.release.lake import Lake
from tests.release.dying import STEPS


def test_killed_after_every_step_it_ends_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.release.dying", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    undisturbed, *killed, survivor = json.loads(done.stdout)
    assert undisturbed["status"] == survivor["status"] == 0
    assert undisturbed["stand"]["states"] == {"exported": 2, "requested": 1}
    assert len(killed) >= 15
    for step in killed:
        assert step["status"] == -9, (step["at"], done.stderr[-3000:])
        assert step["again"] == 0, (step["at"], done.stderr[-3000:])
        assert step["stand"] == undisturbed["stand"], step["at"]


def test_every_step_that_is_watched_exists() -> None:
    for kind, names in zip((Lake, LinkDatabase, Destination), STEPS.values(), strict=True):
        for name in names:
            assert callable(getattr(kind, name)), name
