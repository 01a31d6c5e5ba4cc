"""Send to a destination in a process of its own: to be killed, or to see how much memory it takes.

``python -m tests.release.sending PROJECT KIND SETTINGS WORK FILES KILL``: sends the files, and is killed, as by a power
cut, when files below WORK were opened so often (0: never). Prints by how much its memory grew at most, in MiB.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from safelight.release.destination import OutputFile
from tests.release.reach import Settings, build


def send(
    project: str, kind: str, settings: Settings, work: Path, files: list[OutputFile], *, kill: int = 0
) -> tuple[int, int]:
    """Send; returns exit status and growth of memory in MiB."""
    names = [[str(file.path), file.study_uid, file.series_uid, file.sop_uid] for file in files]
    arguments = [project, kind, json.dumps(settings), str(work), json.dumps(names), str(kill)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.release.sending", *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, -9), done.stderr[-2000:]
    return done.returncode, int(done.stdout or 0)


def _main(project: str, kind: str, settings: str, work: str, names: str, kill: str) -> None:
    files = [OutputFile(Path(path), *uids) for path, *uids in json.loads(names)]
    target = build(kind, json.loads(settings))
    target.check(project)
    left = int(kill)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if left and event == "open" and str(arguments[0]).startswith(work):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(target.send(project, files).delivered) == len(files)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)


if __name__ == "__main__":
    _main(*sys.argv[1:])
