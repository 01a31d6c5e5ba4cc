"""An association that waits costs next to nothing, and works on afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from safelight.dimse import checkpoint, library


@contextmanager
def an_association() -> Iterator[Any]:
    peer = AE("PEER")
    peer.add_supported_context(Verification)
    server = peer.start_server(("127.0.0.1", 0), block=False)
    entity = library.entity("SAFELIGHT", timeout=30)
    entity.add_requested_context(Verification)
    try:
        yield entity.associate("127.0.0.1", server.server_address[1], evt_handlers=[(evt.EVT_CONN_OPEN, checkpoint.install)])
    finally:
        server.shutdown()


def test_a_resting_association_looks_around_less_often_and_answers_at_once_afterwards() -> None:
    with an_association() as association:
        looks = 0
        look = association.dul._is_transport_event

        def counted() -> bool:
            nonlocal looks
            looks += 1
            return bool(look())

        for _ in range(2):
            with library.resting(association):
                time.sleep(0.05)
                association.dul._is_transport_event = counted
                looks = 0
                time.sleep(0.4)
                seen = looks
            assert 1 <= seen <= 25
            assert association.send_c_echo().Status == 0x0000
            looks = 0
            time.sleep(0.4)
            assert looks > 2 * seen
        association.release()
        assert association.is_released


def test_an_association_that_its_peer_drops_while_it_rests_is_lost_and_not_forgotten() -> None:
    with an_association() as association:
        with library.resting(association):
            library.close_socket(association)
            time.sleep(0.1)
        end = time.monotonic() + 10
        while association.is_established and time.monotonic() < end:
            time.sleep(0.01)
        assert not association.is_established
