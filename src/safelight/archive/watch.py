"""Ends a retrieval that has fallen silent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

_TICK: Final = 0.1


class Watch:
    """Cancels a C-MOVE or C-GET when neither the archive nor the receiver has been heard for too long.

    Args:
        association: pynetdicom's, on which it was asked for.
        message_id: of the request.
        sop_class: of the request.
        silence: so many seconds are too long.
        last_arrival: when the last byte of an instance came, on ``clock``.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        association: Any,  # noqa: ANN401  pynetdicom is untyped here
        message_id: int,
        sop_class: str,
        silence: float,
        last_arrival: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._association = association
        self._message_id = message_id
        self._sop_class = sop_class
        self._silence = silence
        self._last_arrival = last_arrival
        self._clock = clock
        self._last = clock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="retrieval-watch", daemon=True)
        self.expired = False

    def heard(self) -> None:
        """Note an answer."""
        self._last = self._clock()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_TICK):
            if not self.expired and self._clock() - max(self._last, self._last_arrival()) > self._silence:
                self.expired = True
                # Whatever state the association is in, the one that waits for it must be woken.
                with suppress(Exception):
                    self._association.send_c_cancel(self._message_id, query_model=self._sop_class)
                with suppress(Exception):
                    self._association.abort(block=False)
            if self.expired or not self._association.is_established:
                # pynetdicom wakes who waits for an answer only when the peer ends the association in good order.
                self._association.dimse.msg_queue.put((None, None))
