"""The repository itself: names, locks, commands and packaging, each as "all of them"."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked(pattern: str = "*") -> list[Path]:
    """All files under version control that match, as paths relative to the root; deleted ones left out."""
    # CI and containers check out as one user and run as another, which git would refuse to look at.
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]
