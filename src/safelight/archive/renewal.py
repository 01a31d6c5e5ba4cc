"""Keeps the leases of a batch while it runs: a large study takes longer than a lease should."""

from __future__ import annotations

import threading
from collections.abc import Collection, Container, Iterator
from contextlib import contextmanager
from datetime import timedelta

from safelight.errors import SafelightError
from safelight.link import LinkDatabase


@contextmanager
def renewing(
    ids: Collection[int], ended: Container[int], *, database: LinkDatabase, worker: str, lease: timedelta
) -> Iterator[None]:
    """Renew the leases of requests that have not ended while the block runs.

    Args:
        ids: requests that ``worker`` holds.
        ended: those of them that are done; grows meanwhile.
        database: link database.
        worker: who holds them.
        lease: for how long.
    """
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(lease.total_seconds() / 3):
            held = [one for one in ids if one not in ended]
            try:
                database.renew(held, worker=worker, lease=lease)
            except SafelightError:
                # The next move of a request finds out and refuses; nothing is lost by trying again.
                continue

    thread = threading.Thread(target=renew, name="lease-renewal", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
