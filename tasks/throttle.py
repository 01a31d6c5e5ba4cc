"""The archive's budget: three of the orchestrator's global concurrency limits, so that its manager can change it any time.

``archive-<block>-operations`` is a token bucket (``slot_decay_per_second``), scaled by 100 slots to an operation: with one
slot an operation the limiter under-delivers by up to 40 %, with a hundred it is exact, and rates may be fractional.
``archive-<block>-kilobytes`` is another, of what the archive sends. ``archive-<block>-associations`` counts associations
in flight. They are the manager's, and no worker ever changes them. Where the archive's hours or its own speed leave only a
part of the rate, an operation and an association take as many more slots.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID

import httpx

from safelight.errors import SafelightError
from tasks.limits import FIRST_PAUSE_SECONDS, Limits, LimitsClient
from tasks.policies import associations_limit, kilobytes_limit, operations_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safelight.archive.pace import Pace

#: Slots of the operations limit that one operation takes, at the full rate.
SLOTS_AN_OPERATION: Final = 100
#: Slots of the kilobytes limit to a megabyte: a slot is 1,000 bytes.
SLOTS_A_MEGABYTE: Final = 1000
#: Seconds' worth of operations or bytes that are taken from a limit in one call: at high rates the calls are what costs.
BUNDLE_SECONDS: Final = 0.1
#: Operations that were taken and not sent are forfeited, and a place is given back, after so many seconds: what the
#: manager changes holds that soon.
GOOD_FOR_SECONDS: Final = 1.0
#: A worker that was killed gives its places back after so many seconds (the orchestrator's shortest lease).
LEASE_SECONDS: Final = 60.0
#: How often leases are renewed.
RENEWAL_SECONDS: Final = LEASE_SECONDS / 3
#: How long bytes that are on their way may be held up; then they are owed, and paid before the next operation.
HOLD_UP_SECONDS: Final = 5.0


def burst(operations_per_second: float) -> int:
    """Return how many operations may be sent at once after a pause: half a second's, and three at least.

    With less than three the limiter under-delivers.
    """
    return max(3, math.ceil(operations_per_second / 2))


class OrchestratorThrottle:
    """Waits for the orchestrator's leave before each operation and association. A context manager.

    Cost: about 5 ms a call. A call takes a tenth of a second's operations at once, or one for each thread that waits, so
    there are ten calls a second at most that find room, and about four times as many that find none; the same for bytes.
    Places are reused for a second. Every two seconds another call for each limit looks whether it is there and active.

    Args:
        archive_block: name of the archive's block.
        pace: what its hours and its own speed leave of the rate.
        patience_seconds: how long to wait for leave. Waiting is not fair: with many workers 30 s are normal.
    """

    def __init__(self, archive_block: str, pace: Pace, *, patience_seconds: float = 600.0) -> None:
        self._operations = operations_limit(archive_block)
        self._associations = associations_limit(archive_block)
        self._kilobytes = kilobytes_limit(archive_block)
        self._pace = pace
        self._patience = patience_seconds
        self._client = LimitsClient()
        self._limits = Limits(self._client)
        self._taking, self._queue = threading.Lock(), threading.Lock()
        self._left, self._taken_at, self._waiting = 0, 0.0, 0
        self._owing, self._paying = threading.Lock(), threading.Lock()
        self._owed, self._held_up_at = 0, -math.inf
        self._places = _Places(self._client, self._limits, self._associations)

    def __enter__(self) -> Self:
        self._client.open()
        self._places.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._places.stop()
        self._client.close()

    def operation(self) -> None:
        """Wait until one operation may be sent. Raises ArchiveClosed, ConfigurationError, TransientError."""
        self._pace.check_hours()
        with self._queue:
            self._waiting += 1
        try:
            with self._taking:
                with self._paying:
                    self._pay(self._patience)
                if not self._left or time.monotonic() - self._taken_at > GOOD_FOR_SECONDS:
                    self._left = self._take_operations()
                    self._taken_at = time.monotonic()
                self._left -= 1
        finally:
            with self._queue:
                self._waiting -= 1

    def _take_operations(self) -> int:
        """Take a tenth of a second's operations, or one for each thread that waits for it.

        One that takes more slots than half the limit comes in pieces: no call may ask for more than there is.
        """
        wanted, got = 0, 0.0

        def take() -> float:
            nonlocal wanted
            limit = self._limits.look_at_rate(self._operations)
            decay = limit.slot_decay_per_second
            rate = self._pace.rate(decay / SLOTS_AN_OPERATION)
            room = int(limit.limit / 2 * rate / decay)
            wanted = wanted or max(1, min(room, max(int(rate * BUNDLE_SECONDS), self._waiting)))
            needed = math.ceil(round((wanted - got) * decay / rate, 6))
            slots = min(needed, max(1, limit.limit // 2))
            self._limits.use_up(self._operations, slots)
            return wanted - got if slots == needed else slots * rate / decay

        while not wanted or got < wanted:
            got += self._limits.wait(self._operations, take, patience=self._patience)
        return wanted

    def received(self, size: int) -> None:
        """Hold up what the archive sends while it is more than its budget; never raises.

        What can't be paid in some seconds, or because the limit is inactive, is owed: the next operation waits for it.
        """
        with self._owing:
            self._owed += size
        started = time.monotonic()
        if self._paying.acquire(timeout=HOLD_UP_SECONDS):
            try:
                self._pay(HOLD_UP_SECONDS)
            except SafelightError:
                return
            finally:
                self._paying.release()
                if time.monotonic() - started > FIRST_PAUSE_SECONDS:
                    self._held_up_at = time.monotonic()

    def _pay(self, patience: float) -> None:
        """Take slots for the bytes that are owed, less what is not worth a call."""
        while True:
            limit = self._limits.look_at_rate(self._kilobytes)
            most = max(1, limit.limit // 2)
            slots = min(self._owed * SLOTS_A_MEGABYTE // 1_000_000, most)
            if slots < min(max(1, int(limit.slot_decay_per_second * BUNDLE_SECONDS)), most):
                return

            def take(slots: int = slots) -> None:
                self._limits.look_at_rate(self._kilobytes)
                self._limits.use_up(self._kilobytes, slots)

            self._limits.wait(self._kilobytes, take, patience=patience)
            with self._owing:
                self._owed -= slots * 1_000_000 // SLOTS_A_MEGABYTE

    def answered(self, operation: str, seconds: float, *, size: int = 1) -> None:
        """Note how long an operation took, unless it was we who held it up. It may change the pace of all workers."""
        if time.monotonic() - seconds > self._held_up_at:
            self._pace.answered(operation, seconds, size=size)

    @contextmanager
    def association(self) -> Iterator[None]:
        """Hold one association's place. Raises ArchiveClosed, ConfigurationError, TransientError."""

        def take() -> _Place:
            slots = self._pace.slots(self._limits.look(self._associations).limit)
            return self._places.take(slots)

        self._pace.check_hours()
        # An archive that is stopped by another of its limits is not even called.
        for name in (self._operations, self._kilobytes, self._associations):
            self._limits.look(name)
        slots = self._pace.slots(self._limits.look(self._associations).limit)
        place = self._places.idle(slots) or self._limits.wait(self._associations, take, patience=self._patience)
        try:
            yield
        finally:
            self._places.give(place)


@dataclass(eq=False)
class _Place:
    """Slots of the associations limit that one association holds under a lease, since when."""

    lease: UUID
    slots: int
    since: float


class _Places:
    """Leases of associations' places: renewed while they are held, reused while they are fresh, given back."""

    def __init__(self, client: LimitsClient, limits: Limits, name: str) -> None:
        self._client = client
        self._limits = limits
        self._name = name
        self._lock = threading.Lock()
        self._held: set[_Place] = set()
        self._idle: list[_Place] = []
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="places", daemon=True)

    def start(self) -> None:
        self._renewer.start()

    def stop(self) -> None:
        self._ended.set()
        self._renewer.join()
        for place in list(self._held):
            self._release(place)

    def take(self, slots: int) -> _Place:
        """Take a place. Raises httpx.HTTPStatusError when there is no room."""
        place = _Place(self._lease(slots), slots, time.monotonic())
        with self._lock:
            self._held.add(place)
        return place

    def _lease(self, slots: int) -> UUID:
        return UUID(self._limits.lease(self._name, slots, LEASE_SECONDS))

    def idle(self, slots: int) -> _Place | None:
        """Return a place of so many slots that was given back just now; others are of no use any more."""
        with self._lock:
            idle, self._idle = self._idle, []
            place = next((one for one in idle if one.slots == slots), None)
            self._idle = [one for one in idle if one.slots == slots and one is not place]
        for one in idle:
            if one.slots != slots:
                self._release(one)
        return place

    def give(self, place: _Place) -> None:
        """Keep a fresh place for the next association, give an old one back."""
        fresh = time.monotonic() - place.since < GOOD_FOR_SECONDS
        if fresh:
            with self._lock:
                self._idle.append(place)
        else:
            self._release(place)

    def _release(self, place: _Place) -> None:
        with self._lock:
            self._held.discard(place)
        try:
            self._client.call("release_concurrency_slots_with_lease", place.lease)
        except httpx.HTTPError:
            return  # it runs out by itself

    def _renew(self) -> None:
        """Renew what is held; give back what lies idle."""
        renewed = time.monotonic()
        while not self._ended.wait(GOOD_FOR_SECONDS):
            with self._lock:
                idle, self._idle = self._idle, []
            for place in idle:
                self._release(place)
            if time.monotonic() - renewed > RENEWAL_SECONDS:
                renewed = time.monotonic()
                for place in list(self._held):
                    self._renew_one(place)

    def _renew_one(self, place: _Place) -> None:
        """Renew a lease, or take another in its stead: one ran out while the orchestrator or we ourselves stood still.

        What fails is tried again the next time: until then one association more may be in flight than is allowed.
        """
        with suppress(httpx.HTTPError, SafelightError):
            try:
                self._client.call("renew_concurrency_lease", place.lease, LEASE_SECONDS)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.GONE:
                    raise
                place.lease = self._lease(place.slots)
                if place not in self._held:
                    # Given back meanwhile, under the lease that was gone.
                    self._release(place)
