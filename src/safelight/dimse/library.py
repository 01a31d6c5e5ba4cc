"""How Safelight uses pynetdicom: silent, and without an instance in memory.

pynetdicom keeps these settings for the whole process, so they are made in one place. Its log lines quote identifiers of
queries, PDUs and peers, and those of pydicom, by which answers are decoded, their values; so their loggers say nothing at
all, and what matters comes out as an error or a count of ours.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import pynetdicom
from pynetdicom import _config, evt

from safelight.dimse.quiet import silence

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The largest P-DATA-TF that we ask for: dcmtk sends no more, and larger ones gain nothing.
MAXIMUM_PDU: Final = 131_072
#: Association PDUs are not bound by that: 128 presentation contexts with every transfer syntax take about 300 KiB.
LONGEST_PDU: Final = 1 << 20
_RESTING_SECONDS: Final = 0.02


def prepare() -> None:
    """Set pynetdicom and pydicom up. Doing it twice changes nothing."""
    silence("pynetdicom")
    silence("pydicom")
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    # Any storage SOP class, private ones too, in any transfer syntax.
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    # Files are sent from the disk in pieces, in their own transfer syntax.
    _config.STORE_SEND_CHUNKED_DATASET = True


def without_delay(event: evt.Event) -> None:
    """Turn Nagle's algorithm off on a new connection: with it every small message waits 40 ms for the one before."""
    try:
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (AttributeError, OSError):
        # Slower, and not wrong.
        return


def close_socket(association: Any) -> None:  # noqa: ANN401  pynetdicom is untyped here
    """Close the socket of an association that is over: pynetdicom leaves it open when the peer was first."""
    with suppress(AttributeError, OSError):
        connection = association.dul.socket.socket
        with suppress(OSError):
            # Closing alone does not wake a thread that waits for data.
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@contextmanager
def resting(association: Any) -> Iterator[None]:  # noqa: ANN401  pynetdicom is untyped here
    """Slow down the threads of an association that has nothing to say for a while.

    They look for something to do a thousand times a second each, which is 4 % of a core for every association. While it
    rests, one looks after the connection 50 times a second, so that what is sent next leaves up to 20 ms later.
    """
    dul, checkpoint = association.dul, association._reactor_checkpoint
    quick = dul._run_loop_delay
    dul._run_loop_delay = _RESTING_SECONDS
    checkpoint.clear()
    try:
        yield
    finally:
        dul._run_loop_delay = quick
        checkpoint.set()


def entity(ae_title: str, *, timeout: float) -> pynetdicom.AE:
    """Return an application entity of ours, with these time-outs in seconds for every kind of silence."""
    prepare()
    result = pynetdicom.AE(ae_title=ae_title)
    result.maximum_pdu_size = MAXIMUM_PDU
    result.acse_timeout = result.dimse_timeout = result.network_timeout = timeout
    result.connection_timeout = min(10.0, timeout)
    return result
