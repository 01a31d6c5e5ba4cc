"""``make check``: everything about the code and its configuration that can be seen without running it."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SPELLED: Final = (
    "README.md", "Makefile", "pyproject.toml", "prefect.yaml",
    "src", "flows", "tasks", "blocks", "deployments", "profiles", "docs", "tests", "bench",
)  # fmt: skip
#: What is checked -> the command. Names can be given on the command line, to run some.
CHECKS: Final[dict[str, tuple[str, ...]]] = {
    "lint": ("ruff", "check", "--quiet", "."),
    "format": ("ruff", "format", "--check", "--quiet", "."),
    "types": ("mypy",),
    "imports": ("lint-imports",),
    "spelling": ("codespell", *SPELLED),
    "projects": ("safelight", "project", "check"),
    "profiles": ("python", "-m", "deployments.check_profiles"),
}


def main() -> None:
    """Run all checks, also after one has failed, so that one run shows all there is to do."""
    parser = argparse.ArgumentParser(prog="make check", description=main.__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *CHECKS], help=f"some of {', '.join(CHECKS)} (default: all)")
    names = parser.parse_args().names or list(CHECKS)
    failed = [name for name in names if not _passes(name)]
    if failed:
        sys.exit(f"check: failed: {', '.join(failed)}")


def _passes(name: str) -> bool:
    began = time.monotonic()
    program, *arguments = CHECKS[name]
    path = Path(sys.executable).parent / program
    done = subprocess.run(
        [str(path), *arguments], cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    passed = done.returncode == 0
    print(f"{name:10} {'passed' if passed else 'FAILED':7} {time.monotonic() - began:5.1f} s", flush=True)
    if not passed:
        print(done.stdout)
    return passed


if __name__ == "__main__":
    main()
