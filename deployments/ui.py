"""``make ui``: a Prefect server with its UI, everything registered, a worker, and the demo hospital to try it on.

Stops everything with Ctrl-C. State stays in the folder, so the next start goes on where this one ended.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
#: What a server needs so that what a killed worker held is given back within its lease: leases outlive the server, and it
#: looks after those that have run out every second, not every 15.
LEASES = {
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "1",
}


def main() -> int:
    """Start server, registrations, worker and demo hospital, and wait."""
    parser = argparse.ArgumentParser(prog="make ui", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=CHECKOUT / "demo", help="folder of the demo hospital and of the server"
    )
    parser.add_argument("--port", type=int, default=4200, help="port of the server and its UI")
    parser.add_argument("--scale", default="1.0", help="size of the generated images (1: as a scanner makes them)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = options.folder.resolve()
    address = f"http://127.0.0.1:{options.port}"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(folder / "prefect-server"),
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        **LEASES,
        "SAFELIGHT_HOME": str(CHECKOUT),
        "PYTHONUNBUFFERED": "1",
    }
    folder.mkdir(parents=True, exist_ok=True)
    children: list[subprocess.Popen[bytes]] = []
    try:
        children.append(
            _start(["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(options.port)], environment, folder)
        )
        _wait_for(f"{address}/api/health", children[0])
        serving = folder / "hospital" / "serving"
        serving.unlink(missing_ok=True)
        hospital = ["-m", "deployments.demo", "--serve", "--folder", str(folder), "--scale", options.scale]
        children.append(_start([sys.executable, *hospital], environment, folder))
        _wait_for_file(serving, children[1])
        for step in ([sys.executable, "-m", "deployments.bootstrap"], ["prefect", "--no-prompt", "deploy", "--all"]):
            subprocess.run(_command(step), env=environment, cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
        children.append(_start(["prefect", "worker", "start", "--pool", "safelight"], environment, folder))
        print(f"\nThe UI is at {address}\n")
        print("Start a cohort: Deployments -> nightly-batch/cohort -> Run -> Custom run, and pick a project.")
        print("Watch it: Runs. Change the archive's budget or stop it: Concurrency. Stop all of this: Ctrl-C.", flush=True)
        while True:
            for child in children:
                if child.poll() is not None:
                    print(f"One of the parts ended by itself; see the logs in {folder}.", file=sys.stderr)
                    return 1
            time.sleep(1)
    except KeyboardInterrupt:
        print("\nStopping.")
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(f"make ui: {error}", file=sys.stderr)
        return 1
    finally:
        for child in reversed(children):
            child.terminate()
        for child in children:
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
    return 0


def _command(words: list[str]) -> list[str]:
    """Return the command with `prefect` taken from this environment, not from PATH."""
    return [sys.executable, "-m", "prefect", *words[1:]] if words[0] == "prefect" else words


def _start(words: list[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    name = "-".join(word for word in words[1:4] if word.isalpha()) or "demo-hospital"
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            _command(words), env=environment, cwd=CHECKOUT, stdout=log, stderr=log, start_new_session=True
        )


def _wait_for(url: str, child: subprocess.Popen[bytes], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  an address on loopback, made above
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise RuntimeError("the Prefect server did not start; is the port in use? Try another: make ui ARGS='--port 4300'")


def _wait_for_file(path: Path, child: subprocess.Popen[bytes], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and child.poll() is None:
        if path.exists():
            return
        time.sleep(0.3)
    raise RuntimeError("the demo hospital did not start")


if __name__ == "__main__":
    sys.exit(main())
