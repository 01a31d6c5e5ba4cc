"""No answer is taken away from the one who waits for it."""

from __future__ import annotations

import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from safelight.dimse import checkpoint
from safelight.dimse.checkpoint import Checkpoint


@pytest.fixture
def impatient() -> Any:
    """Have Python change threads as often as it can, as on a busy machine."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_it_is_set_at_first_and_lets_through() -> None:
    association = SimpleNamespace(_is_paused=True)
    assert Checkpoint(association).wait(1)
    assert association._is_paused is False


def test_a_thread_that_wakes_up_too_late_is_not_let_through() -> None:
    """Set and cleared again before the waiting thread ran: with a plain event it passes, and takes the answer."""
    association = SimpleNamespace(_is_paused=True)
    event = Checkpoint(association)
    event.clear()
    passed = threading.Event()
    waiting = threading.Thread(target=lambda: (event.wait(), passed.set()), daemon=True)
    waiting.start()
    time.sleep(0.05)
    with event._cond:
        # The waiting thread is told, and can't run before the condition is free again: then the event is clear.
        event._flag = True
        event._cond.notify_all()
        event._flag = False
    assert not passed.wait(0.2)
    assert association._is_paused is True
    event.set()
    assert passed.wait(5)
    assert association._is_paused is False
    waiting.join(5)


def test_after_clear_paused_means_paused(impatient: None) -> None:
    """Whenever the event is clear and the reactor says that it has paused, it stays so."""
    association = SimpleNamespace(_is_paused=False)
    event = Checkpoint(association)
    end = threading.Event()

    def reactor() -> None:
        while not end.is_set():
            association._is_paused = True
            event.wait(0.5)

    thread = threading.Thread(target=reactor)
    thread.start()
    for _ in range(2000):
        event.clear()
        while not association._is_paused:
            time.sleep(0)
        time.sleep(0)
        assert association._is_paused
        event.set()
    end.set()
    event.set()
    thread.join(5)
    assert not thread.is_alive()


def test_many_requests_in_a_row_are_all_answered(impatient: None) -> None:
    server_entity = AE("ARCHIVE")
    server_entity.add_supported_context(Verification)
    handlers = [(evt.EVT_C_ECHO, lambda _: 0x0000)]
    server = server_entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    client = AE("CLIENT")
    client.add_requested_context(Verification)
    client.dimse_timeout = 5
    association = client.associate(
        "127.0.0.1",
        server.server_address[1],
        ae_title="ARCHIVE",
        evt_handlers=[(evt.EVT_CONN_OPEN, checkpoint.install)],
    )
    assert isinstance(association._reactor_checkpoint, Checkpoint)
    assert [association.send_c_echo().get("Status") for _ in range(200)] == [0x0000] * 200
    association.release()
    assert association.is_released
    server.shutdown()
