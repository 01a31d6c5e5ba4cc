"""Kill an export after each of its steps, run it again, and tell how things then stand.

Runs as a program, ``python -m tests.release.dying FOLDER``, that forks a child for each step: a process is killed as by
a power cut, and the next one starts from what is on the disk. Prints JSON: one entry a step, the first undisturbed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from safelight.link import LinkDatabase
from safelight.release.batch import export_project
from safelight.release.folder import FolderDestination
from safelight.release.lake import Lake
from safelight.release.manifest import read_manifest
from tests.release.hospital import LEASE, NOW, PROJECT, Hospital, tree

TABLES = ("image_occurrence", "dicom_instance", "note", "request_outcome", "release")
#: Everything by which an export changes something outside of its own memory.
STEPS = {
    "lake": ("write",),
    "database": ("claim", "move", "record_release", "audit"),
    "destination": ("send",),
}


class Countdown:
    """Kills this process after the n-th step."""

    def __init__(self, left: int) -> None:
        self.left = left

    def step(self) -> None:
        """Count one; at zero end at once, with nothing cleaned up."""
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """Passes everything on to the real thing, and counts each step that is done."""

    def __init__(self, real: Any, names: tuple[str, ...], countdown: Countdown) -> None:
        self._real, self._names, self._countdown = real, names, countdown

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name not in self._names:
            return found

        def watched(*arguments: Any, **settings: Any) -> Any:
            answer = found(*arguments, **settings)
            self._countdown.step()
            return answer

        return watched


def run(folder: Path, at: int, *, after: timedelta = timedelta(0)) -> None:
    """Export, and die after that step; 0: don't."""
    hospital = Hospital(folder, f"sqlite:///{folder / 'link.db'}", time=NOW + after)
    countdown = Countdown(at)
    export = hospital.export(Lake(str(folder / "lake")), [FolderDestination(folder / "dicom")])
    parts: dict[str, Any] = {
        "lake": Watched(export.lake, STEPS["lake"], countdown),
        "destinations": [Watched(place, STEPS["destination"], countdown) for place in export.destinations],
        "database": Watched(export.database, STEPS["database"], countdown),
    }
    export_project(type(export)(**{**export.__dict__, **parts}))
    hospital.database.close()


def stand(folder: Path) -> dict[str, Any]:
    """How things are: content, not versions."""
    lake = Lake(str(folder / "lake"))
    database = LinkDatabase(f"sqlite:///{folder / 'link.db'}", clock=lambda: NOW)
    found = {
        "states": dict(database.summary(PROJECT).outcomes),
        "recorded": [[row.release_id, row.requests] for row in database.releases(PROJECT)],
        "dicom": tree(folder / "dicom"),
        "manifests": {path.name: _timeless(read_manifest(path.read_bytes())) for path in folder.glob("manifests/*.json")},
        "tables": {name: sorted(map(_line, lake.read(PROJECT, name).to_pylist())) for name in TABLES},
        "journal": (folder / "work" / ".export-journal").exists(),
        "pending": sorted(path.name for path in folder.glob("*pending*")),
    }
    database.close()
    return found


def _timeless(found: dict[str, Any]) -> dict[str, Any]:
    # A release that was killed before its manifest was written is made later.
    later = {"created", "approval", "signature", "manifest_sha256", "manifest", "row_hash"} if "created" in found else set()
    return {name: value for name, value in found.items() if name not in later}


def _line(row: dict[str, Any]) -> str:
    return json.dumps(_timeless(row), default=str, sort_keys=True)


def in_child(call: Callable[[], None]) -> int:
    """Run in a process of its own; returns its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  a fork must never go on in its parent's place
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path) -> None:
    """Kill at every step."""
    origin = folder / "origin"
    origin.mkdir()

    def prepare() -> None:
        hospital = Hospital(origin, f"sqlite:///{origin / 'link.db'}")
        hospital.verify([1, 2])
        hospital.ask([3])
        hospital.database.close()

    assert in_child(prepare) == 0
    found: list[dict[str, Any]] = []
    at = 0
    while True:
        here = folder / f"step{at}"
        shutil.copytree(origin, here)
        status = in_child(lambda here=here, at=at: run(here, at))

        def again(here: Path = here, killed: bool = status != 0) -> None:
            if killed:
                run(here, 0, after=2 * LEASE)
            (here / "stand.json").write_text(json.dumps(stand(here)))

        found.append({"at": at, "status": status, "again": in_child(again)})
        if (here / "stand.json").exists():
            found[-1]["stand"] = json.loads((here / "stand.json").read_text())
        shutil.rmtree(here)
        if at and status == 0:
            break
        at += 1
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
