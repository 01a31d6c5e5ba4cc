"""An archive that slows is asked less: additive increase, multiplicative decrease, by its own usual times.

Each kind of operation has a usual time, learned from the archive itself. When the median of the last few takes so much
longer, the share of the budget that all workers use becomes a fraction of what it was; while answers come as quickly as
usual it comes back step by step, to the whole budget at most. At the least share the archive is as good as unloaded by
us: what it takes there becomes usual. An archive that was never asked starts there.

The share is kept in the link database and not in the orchestrator's limit: that one is the manager's, and whatever a
worker wrote there could undo his change. Each change is a row with its cause; two workers can't make the same one.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

from safelight.archive.budget import Load
from safelight.errors import TransientError
from safelight.link import ArchivePace, LinkDatabase

#: Operations that a judgement rests on: so many are looked at, and with fewer than ``_ENOUGH`` there is none.
_RECENT: Final = 5
_ENOUGH: Final = 3
#: Up to so much of the usual time an operation counts as quick.
_QUICK: Final = 1.2
#: How often the share is read, and may grow, in seconds.
_INTERVAL: Final = 1.0
#: Seconds after which a lasting change has become usual by two thirds: downwards, upwards, and upwards at the least share.
_DOWN: Final = 300.0
_UP: Final = 3600.0
_UP_AT_LEAST: Final = 60.0


class LoadResponse:
    """The share of its budget that one archive gets now, for all workers. Safe to use from several threads.

    Args:
        archive: name of its block.
        load: the bounds.
        database: link database; while it does not answer, the share stays what it was.
        clock: monotonic seconds.
        on_change: told of each change that this worker makes or learns of.
    """

    def __init__(
        self,
        archive: str,
        load: Load,
        database: LinkDatabase,
        *,
        clock: Callable[[], float],
        on_change: Callable[[ArchivePace], None] = lambda _pace: None,
    ) -> None:
        self._archive = archive
        self._load = load
        self._database = database
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._pace = ArchivePace(share=load.least_share)
        self._read_at = -math.inf
        self._changed_at = clock()
        self._usual: dict[str, float] = {}
        self._recent: dict[str, deque[float]] = {}
        self._learned_at: dict[str, float] = {}

    @property
    def share(self) -> float:
        """Share of the budget, from ``least_share`` to 1. Reads the link database once a second."""
        with self._lock:
            if self._clock() - self._read_at >= _INTERVAL:
                self._read()
            return self._pace.share

    def answered(self, kind: str, seconds: float) -> None:
        """Note how long an operation took.

        Args:
            kind: operations of one kind take about as long as each other.
            seconds: from the request to its last answer, or for one instance.
        """
        with self._lock:
            if self._clock() - seconds < self._changed_at:
                # It began at another pace, and says nothing about this one.
                return
            recent = self._recent.setdefault(kind, deque(maxlen=_RECENT))
            recent.append(seconds)
            if len(recent) < _ENOUGH:
                return
            now, ratio = median(recent), 1.0
            if kind in self._usual:
                late = now - self._usual[kind]
                ratio = now / self._usual[kind] if late < 0 or late >= self._load.unnoticed_seconds else 1.0
            self._learn(kind, now, ratio)
            since = self._clock() - self._changed_at
            if ratio > self._load.slow and self._pace.share > self._load.least_share:
                share = max(self._load.least_share, self._pace.share * self._load.back_off)
                self._change(share, f"{kind} took {now:.3f} s, {ratio:.1f} times as long as usual")
            elif ratio <= _QUICK and self._pace.share < 1 and since >= _INTERVAL:
                # A longer rest earns no larger step: it proves nothing.
                self._change(min(1.0, self._pace.share + self._load.step), f"{kind} took {now:.3f} s, as usual")

    def _learn(self, kind: str, now: float, ratio: float) -> None:
        """Let the usual time follow: quickly down, slowly up, so that a load that grows slowly does not become usual."""
        at_least = self._pace.share <= self._load.least_share
        if ratio > self._load.slow and not at_least:
            return
        usual = self._usual.setdefault(kind, now)
        constant = _DOWN if now < usual else _UP_AT_LEAST if at_least else _UP
        passed = self._clock() - self._learned_at.get(kind, self._clock())
        self._usual[kind] = usual + (now - usual) * -math.expm1(-passed / constant)
        self._learned_at[kind] = self._clock()

    def _change(self, share: float, cause: str) -> None:
        pace = ArchivePace(share=round(share, 4), cause=cause, usual=self._usual)
        try:
            self._database.change_pace(self._archive, after=self._pace, to=pace)
        except TransientError:
            return
        # When another worker was first, its change is the one that counts.
        self._read()

    def _read(self) -> None:
        self._read_at = self._clock()
        try:
            newest = self._database.archive_paces(self._archive)
        except TransientError:
            return
        if not newest or newest[0].number == self._pace.number:
            return
        self._pace = newest[0]
        self._usual.update(newest[0].usual)
        self._recent.clear()
        self._changed_at = self._clock()
        self._on_change(self._pace)
