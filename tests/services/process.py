"""Start a program, wait until it answers, stop it again."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

INSTALL = "type `make services` (or see docs/development.md) and run the tests again"
# Below the range from which the kernel takes the ports of outgoing connections, so that no client can sit on a port
# between the moment we choose it and the moment the service listens.
_PORTS = itertools.cycle(range(20000, 32000))
for _ in range(os.getpid() * 37 % 12000):
    next(_PORTS)


class ServiceUnavailable(Exception):
    """A service that the tests need does not run. A test run without it would prove nothing, so it fails."""


def free_port() -> int:
    """A port that nothing on this machine listens to now."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise AssertionError


def program(name: str, *folders: str) -> str:
    """The path of an installed program; looks in ``folders`` too, as system programs are not on every PATH."""
    found = shutil.which(name) or shutil.which(
        name, path=os.pathsep.join((*folders, "/usr/sbin", "/usr/local/sbin", "/sbin"))
    )
    if found is None:
        raise ServiceUnavailable(f"{name} is not installed: {INSTALL}")
    return found


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on that port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """One running program, with its output in a file of its folder."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        ready: Callable[[], bool],
        *,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        timeout: float = 30,
    ) -> None:
        self._log = folder / f"{Path(arguments[0]).name}.log"
        # Ends with this process, even when this process is killed.
        start = [program("setpriv"), "--pdeathsig", "TERM"]
        if user is not None:
            start += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
        # Without TCP_NODELAY every DICOM program built on dcmtk waits 40 ms for each instance.
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*start, "--", *arguments],
                cwd=folder,
                env={**os.environ, "TCP_NODELAY": "1", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until(ready, timeout)

    def _wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        end = time.monotonic() + timeout
        while not ready():
            if self._process.poll() is not None:
                raise ServiceUnavailable(f"{self._log.stem} ended at once:\n{self.log()[-2000:]}")
            if time.monotonic() > end:
                self.stop()
                raise ServiceUnavailable(f"{self._log.stem} was not ready after {timeout:.0f} s:\n{self.log()[-2000:]}")
            time.sleep(0.05)
        # Somebody else may have taken the port: then the answer came from there.
        if self._process.poll() is not None:
            raise ServiceUnavailable(f"{self._log.stem} ended at once:\n{self.log()[-2000:]}")

    def log(self) -> str:
        """What the program has printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """End the program and wait until it is gone; its ports are free afterwards."""
        if self.running:
            self._process.send_signal(signal_number)
            try:
                self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout=15)
        # Programs that serve each client in a child of their own leave those behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the program as a power cut would."""
        self.stop(signal.SIGKILL)


def run(arguments: Sequence[str], folder: Path, *, user: str | None = None, timeout: float = 120) -> str:
    """Run a program to its end; returns what it printed.

    Raises:
        ServiceUnavailable: It ended with an error; the message holds what it printed.
    """
    start = [] if user is None else [program("setpriv"), f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
    done = subprocess.run(
        [*start, *arguments],
        cwd=folder,
        env={**os.environ, "TCP_NODELAY": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0:
        raise ServiceUnavailable(f"{Path(arguments[0]).name} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
