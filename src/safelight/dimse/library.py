"""How Safelight uses pynetdicom: silent, and with data sets that go to disk as they come.

pynetdicom keeps these settings for the whole process, so they are made in one place. Its log lines quote identifiers of
queries, PDUs and peers, so its loggers say nothing at all; what matters comes out as an error or a count of ours.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any, Final

import pynetdicom
from pynetdicom import _config, dimse_messages, evt

#: The largest P-DATA-TF that we ask for: dcmtk sends no more, and larger ones gain nothing.
MAXIMUM_PDU: Final = 131_072
#: Association PDUs are not bound by that: 128 presentation contexts with every transfer syntax take about 300 KiB.
_LONGEST_PDU: Final = 1 << 20
_PIECE: Final = 1 << 18


def prepare() -> None:
    """Set pynetdicom up. Doing it twice changes nothing."""
    logger = logging.getLogger("pynetdicom")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    # Any storage SOP class, private ones too, in any transfer syntax; and no instance in memory.
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    _config.STORE_RECV_CHUNKED_DATASET = True


def spool_into(make: Callable[[], Any]) -> None:
    """Have arriving data sets written to files that ``make`` returns.

    pynetdicom takes a temporary file of the standard library, which goes to the process's one temporary folder and ends
    the thread when the disk is full. This replaces it in pynetdicom's module only, and nowhere else in the process.
    """

    def file_for_data_set(**_arguments: object) -> Any:  # noqa: ANN401  what stands in for a temporary file
        return make()

    dimse_messages.NamedTemporaryFile = file_for_data_set


def without_delay(event: evt.Event) -> None:
    """Turn Nagle's algorithm off on a new connection: with it every small message waits 40 ms for the one before."""
    try:
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (AttributeError, OSError):
        # Slower, and not wrong.
        return


def read_in_large_pieces(event: evt.Event) -> None:
    """Have a new connection read a PDU in pieces of up to 256 KiB, and none that is longer than any should be.

    pynetdicom reads 4 KiB at a time, which takes more time than all the rest of receiving; and it would collect a PDU of
    4 GiB in memory, if a peer announced one.
    """
    connection = event.assoc.dul.socket

    def receive(size: int) -> bytearray:
        data = bytearray()
        while len(data) < size <= _LONGEST_PDU and (piece := connection.socket.recv(min(_PIECE, size - len(data)))):
            data += piece
        return data

    connection.recv = receive


def close_socket(association: Any) -> None:  # noqa: ANN401  pynetdicom is untyped here
    """Close the socket of an association that is over: pynetdicom leaves it open when the peer was first."""
    try:
        association.dul.socket.socket.close()
    except (AttributeError, OSError):
        return


def entity(ae_title: str, *, timeout: float) -> pynetdicom.AE:
    """Return an application entity of ours, with these time-outs in seconds for every kind of silence."""
    prepare()
    result = pynetdicom.AE(ae_title=ae_title)
    result.maximum_pdu_size = MAXIMUM_PDU
    result.acse_timeout = result.dimse_timeout = result.network_timeout = timeout
    result.connection_timeout = min(10.0, timeout)
    return result
