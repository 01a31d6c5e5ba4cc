"""An archive that slows under load, and many clients that ask it for one thing after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from safelight.archive.query import Archive
from safelight.archive.settings import ArchiveUse
from safelight.archive.throttle import Throttle
from safelight.errors import TransientError
from tests.archive.hostile import HostileArchive
from tests.archive.studies import Study
from tests.services.orthanc import Peer

STUDY = Study(900, series=(1,))


@dataclass(frozen=True)
class Answer:
    """One operation, as the archive saw it: when it came, what it took, and how many were at work with it."""

    at: float
    seconds: float
    in_flight: int


class TiringArchive(HostileArchive):
    """Answers a C-FIND in ``unloaded`` seconds while no more than ``knee`` are at work; beyond, each takes its share."""

    def __init__(self, *, knee: int, unloaded: float) -> None:
        super().__init__([STUDY], Peer("SAFELIGHT", 104))
        self.knee = knee
        self.unloaded = unloaded
        self.answers: list[Answer] = []
        self._lock = threading.Lock()
        self._in_flight = 0
        self.on_find = self._work

    def _work(self) -> None:
        came = time.monotonic()
        with self._lock:
            self._in_flight += 1
            in_flight = self._in_flight
        time.sleep(self.unloaded * max(1.0, in_flight / self.knee))
        with self._lock:
            self._in_flight -= 1
            self.answers.append(Answer(came, time.monotonic() - came, in_flight))

    @property
    def capacity(self) -> float:
        """Operations a second at the knee."""
        return self.knee / self.unloaded

    def slowest(self, *, since: float = 0.0) -> float:
        """Return the longest that an operation took, as a multiple of the unloaded time; by load, not by chance."""
        return max(max(1.0, one.in_flight / self.knee) for one in self.answers if one.at >= since)

    def rate(self, since: float, until: float) -> float:
        """Return operations a second between two instants."""
        return sum(since <= one.at < until for one in self.answers) / (until - since)


def ask_for(
    seconds: float, peer: TiringArchive, throttles: Sequence[Throttle], *, clients: int, operations: int = 4
) -> None:
    """Have so many clients ask as fast as they are let, for so long.

    Args:
        seconds: how long.
        peer: the archive.
        throttles: each stands for a worker.
        clients: shared out among the workers.
        operations: so many on an association; 4 are about what a study takes.
    """
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        use = ArchiveUse(block="tiring", attempts=1)
        throttle = throttles[number % len(throttles)]
        archive = Archive("tiring", peer, calling_ae_title="SAFELIGHT", use=use, throttle=throttle)
        while time.monotonic() < end:
            try:
                with archive.conversation() as conversation:
                    for _ in range(operations):
                        conversation.find_series(STUDY.uid)
                        if time.monotonic() > end:
                            break
            except TransientError:
                # No leave before its patience ended, or the machine was busy.
                continue

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
