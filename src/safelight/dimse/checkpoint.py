"""Keeps pynetdicom from taking an answer away from the one who waits for it.

An association has a thread of its own (its reactor) that looks for incoming messages. Whoever sends a request clears an
event to pause that thread, waits until it says that it has paused, sends, waits for the answer, and sets the event again.
Two requests in a row can lose an answer: between the set and the next clear the thread may not have run, so it still says
that it has paused; then it wakes up, finds the answer before the sender does, and drops it. The sender waits until its
time-out, half a minute or more. On a busy machine that happens to one C-MOVE in ten.
"""

from __future__ import annotations

import threading
from typing import Any

from pynetdicom import evt


class Checkpoint(threading.Event):
    """The event that pauses a reactor, without the gap: waking up and ceasing to be paused are one step.

    Args:
        association: pynetdicom's, whose reactor has not started yet.
    """

    def __init__(self, association: Any) -> None:  # noqa: ANN401  pynetdicom is untyped here
        super().__init__()
        self._association = association
        self._step = threading.Lock()
        self.set()

    def clear(self) -> None:
        """Pause the reactor: if it has not woken up yet, it will not."""
        with self._step:
            super().clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Let the reactor through only while the event is set, not because it was for a moment."""
        while super().wait(timeout):
            with self._step:
                if self.is_set():
                    self._association._is_paused = False
                    return True
        return False


def install(event: evt.Event) -> None:
    """Give a new association such a checkpoint; a handler of ``EVT_CONN_OPEN``, which comes before the reactor starts."""
    event.assoc._reactor_checkpoint = Checkpoint(event.assoc)
