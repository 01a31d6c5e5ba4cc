"""``make setup``: the virtual environment ``.venv`` with exactly the versions of the lock file.

Runs on nothing but a Python with pip; does nothing when the environment is what the lock file asks for.
It must start on any Python 3.7, to be able to say that this is too old.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = (3, 11)
OLDEST_PIP = (22, 3)  # the first with --python, which installs into an environment that has no pip of its own
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")


def main() -> None:
    """Bring ``.venv`` to the lock file's versions."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--dev", action="store_true", help="with what the tests and checks need")
    parser.add_argument("--folder", type=Path, default=ROOT / ".venv", help="where; default .venv beside the Makefile")
    options = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        _start_again_with_newer_python()
    environment = Environment(options.folder)
    if not environment.holds(dev=options.dev):
        environment.build(dev=options.dev)


class Environment:
    """A virtual environment of this project, and the notes in it of what was installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"

    def holds(self, *, dev: bool) -> bool:
        """Whether it has what the lock files ask for now: the notes say so, and the Python it was made from is there."""
        notes = [self._note("dev")] if dev else [self._note("runtime"), self._note("dev")]
        return self.python.exists() and any(note.exists() and note.read_text() == wanted(note.stem) for note in notes)

    def build(self, *, dev: bool) -> None:
        """Make or repair it."""
        began = time.monotonic()
        kind = "dev" if dev else "runtime"
        pip = _pip()
        if not self._usable():
            print(f"Making {self.folder.name} with Python {sys.version.split()[0]}", flush=True)
            _run([sys.executable, "-m", "venv", "--clear", *([] if pip is None else ["--without-pip"]), str(self.folder)])
        self._note("runtime").unlink(missing_ok=True)
        self._note("dev").unlink(missing_ok=True)
        lock = _lock(kind)
        count = sum(1 for line in lock.read_text().splitlines() if re.match(r"[a-z0-9]", line))
        print(f"Installing about {count} packages of {lock.relative_to(ROOT)}: one to three minutes", flush=True)
        install = [*([str(self.python), "-m", "pip"] if pip is None else [*pip, "--python", str(self.python)]), "install"]
        install += ["--disable-pip-version-check", "-qq"]
        # Without dependencies: the lock file names all that are wanted, and leaves some out on purpose.
        _run([*install, "--require-hashes", "--no-deps", "-r", str(lock)])
        _run([*install, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
        self._note(kind).write_text(wanted(kind))
        print(f"Ready after {time.monotonic() - began:.0f} s: {self.folder.name}/bin/safelight --help", flush=True)

    def _usable(self) -> bool:
        if not self.python.exists():
            return False
        version = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
        return subprocess.run([str(self.python), "-c", version], check=False).returncode == 0

    def _note(self, kind: str) -> Path:
        return self.folder / f"{kind}.installed"


def _lock(kind: str) -> Path:
    return ROOT / "deployments" / ("requirements-dev.txt" if kind == "dev" else "requirements.txt")


def wanted(kind: str) -> str:
    """What the note must say: changes with the lock file, the project's metadata and the place of the checkout."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (_lock(kind), ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _pip() -> list[str] | None:
    """How to call this Python's pip for another environment; nothing when the environment can have its own."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "--version"], check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    found = re.match(rb"pip (\d+)\.(\d+)", asked.stdout)
    if found and (int(found[1]), int(found[2])) >= OLDEST_PIP:
        return [sys.executable, "-m", "pip"]
    if importlib.util.find_spec("ensurepip") is not None:
        return None
    problem = "is too old" if found else "is missing"
    sys.exit(
        f"setup: pip of {sys.executable} {problem} (needed: {OLDEST_PIP[0]}.{OLDEST_PIP[1]} or newer).\n"
        "On Debian or Ubuntu type: sudo apt-get install python3-pip\n"
        f"Elsewhere: {sys.executable} -m pip install --upgrade pip"
    )


def _start_again_with_newer_python() -> None:
    for name in NEWER:
        path = shutil.which(name)
        if path is not None:
            os.execv(path, [path, *sys.argv])  # noqa: S606
    needed, found = ".".join(map(str, OLDEST_PYTHON)), sys.version.split()[0]
    sys.exit(
        f"setup: Python {needed} or newer is needed, {sys.executable} is {found}.\n"
        "Install a newer one (on Debian or Ubuntu: sudo apt-get install python3.11), then type: make setup PYTHON=python3.11"
    )


def _run(arguments: list[str]) -> None:
    done = subprocess.run(arguments, check=False)
    if done.returncode != 0:
        sys.exit(
            f"setup: this command failed (exit status {done.returncode}); its own words are above. When the cause is gone, "
            f"type the same make command again.\n  {' '.join(arguments)}"
        )


if __name__ == "__main__":
    main()
