"""Our storage SCP: where archives move studies to (PS3.4 annex B, PS3.7 section 9.1.1).

It takes any storage SOP class in any transfer syntax without decoding it, and only from archives that it knows, under its
own AE title, of studies that were asked for. Memory: one PDU an association, whatever the instance's size.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from pynetdicom import evt
from pynetdicom.transport import ThreadedAssociationServer

from safelight.archive.intake import SUCCESS, Intake, PartFile
from safelight.archive.reception import Reception
from safelight.dimse import library
from safelight.errors import ConfigurationError, StorageUnwritable
from safelight.model import DicomPeer

_LOG: Final = logging.getLogger(__name__)
_POLL: Final = 0.05
_HANDSHAKE_SECONDS: Final = 10.0
_VERIFICATION: Final = "1.2.840.10008.1.1"


class _Server(ThreadedAssociationServer):  # type: ignore[misc]
    """Looks at the address before a word is spoken, and prints no traceback."""

    receiver: StorageReceiver
    tls: ssl.SSLContext | None

    def finish_request(self, request: socket.socket, client_address: tuple[Any, ...]) -> None:
        """Speak TLS first, in the connection's own thread: a silent peer must not hold up the others."""
        if self.tls is not None:
            try:
                request.settimeout(_HANDSHAKE_SECONDS)
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                self.receiver.refuse("tls")
                self.shutdown_request(request)
                return
        super().finish_request(request, client_address)

    def verify_request(self, request: object, client_address: tuple[Any, ...]) -> bool:  # noqa: ARG002
        return self.receiver.knows_address(str(client_address[0]))

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        self.receiver.refuse("connection error")


class StorageReceiver:
    """A storage SCP as a context manager. One a process: pynetdicom keeps its settings for the whole process.

    Args:
        ae_title: ours; an association that calls another one is rejected.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        spool: folder for files on their way, on the filesystem of the raw cache.
        peers: the archives that may send, by AE title and host.
        reserve_bytes: free disk space that is never used; below it instances are refused with A700.
        maximum_associations: more are rejected as passing, by PS3.8 table 9-21.
        idle_seconds: an association that is silent for so long is dropped.
        tls: TLS context with our certificate, that asks callers for theirs; None: no TLS.
    """

    def __init__(
        self,
        ae_title: str,
        host: str,
        port: int,
        spool: Path,
        peers: Sequence[DicomPeer],
        *,
        reserve_bytes: int = 128 * 1024 * 1024,
        maximum_associations: int = 64,
        idle_seconds: float = 300.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if not peers:
            raise ConfigurationError("The receiver knows no archive.", remedy="Give it the project's archives.")
        self.ae_title = ae_title
        self.host = host
        self._port = port
        self._peers = tuple(peers)
        self._maximum = maximum_associations
        self._idle = idle_seconds
        self._tls = tls
        self._spool = spool
        self._reserve = reserve_bytes
        self._lock = threading.Lock()
        self._receptions: dict[int, Reception] = {}
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._intake: Intake | None = None
        #: Why associations and instances were refused -> how often.
        self.refusals: Counter[str] = Counter()
        #: AE title of a known archive -> associations accepted from it.
        self.callers: Counter[str] = Counter()

    # -- life

    def __enter__(self) -> StorageReceiver:
        """Start to listen.

        Raises:
            StorageUnwritable: the spool can't be written, or the address is taken.
        """
        self._intake = self._open_intake()
        entity = library.entity(self.ae_title, timeout=self._idle)
        entity.maximum_associations = self._maximum
        entity.acse_timeout = min(30.0, self._idle)
        entity.require_called_aet = True
        entity.require_calling_aet = sorted({peer.ae_title for peer in self._peers})
        entity.add_supported_context(_VERIFICATION)
        try:
            self._server = entity.make_server(
                (self.host, self._port),
                server_class=_Server,
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, library.without_delay),
                    (evt.EVT_CONN_OPEN, self._connected),
                    (evt.EVT_ACCEPTED, self._accepted),
                    (evt.EVT_REJECTED, lambda _event: self.refuse("association")),
                    (evt.EVT_CONN_CLOSE, self._closed),
                ],
            )
        except OSError:
            self._intake.close()
            raise StorageUnwritable(
                f"The receiver can't listen on port {self._port}.",
                remedy="Wait for a run that is receiving, or give the receiver's block another port and tell the archives.",
            ) from None
        self._server.receiver = self
        self._server.tls = self._tls
        # Else each accepted connection waits for the next one before its thread starts.
        self._server.daemon_threads = True
        entity._servers.append(self._server)
        self._port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _POLL}, name="storage-receiver", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop: no new association, open ones are aborted. Takes a fraction of a second."""
        if self._server is not None:
            open_ones = self._server.active_associations
            self._server.shutdown()
            for association in open_ones:
                # One that has not introduced itself yet can't be aborted, only dropped.
                if association.is_established:
                    association.abort(block=False)
            deadline = time.monotonic() + 0.5
            for association in open_ones:
                if association.is_established or association.is_aborted:
                    association.join(timeout=max(0.0, deadline - time.monotonic()))
                # Not kill(): that waits for a state which a silent peer never lets it reach.
                association.dul.kill_dul()
                library.close_socket(association)
        if self._thread is not None:
            self._thread.join(timeout=1.0)
        if self._intake is not None:
            self._intake.close()

    def _open_intake(self) -> Intake:
        return Intake(self._spool, reserve_bytes=self._reserve)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def intake(self) -> Intake:
        """Where to say what is expected."""
        if self._intake is None:
            raise StorageUnwritable("The receiver is not running.", remedy="Enter it before retrieving.")
        return self._intake

    # -- what comes in

    def knows_address(self, address: str) -> bool:
        """Tell whether an archive is at this address; a stranger's connection is closed unread."""
        if any(address in addresses(peer.host) for peer in self._peers):
            return True
        self.refuse("host")
        return False

    def refuse(self, why: str) -> None:
        """Count a refusal, and log it in words of ours."""
        with self._lock:
            self.refusals[why] += 1
        _LOG.warning("refused: %s", why)

    def _accepted(self, event: evt.Event) -> None:
        with self._lock:
            self.callers[str(event.assoc.requestor.ae_title).strip()] += 1

    def _connected(self, event: evt.Event) -> None:
        association = event.assoc

        def begin() -> PartFile:
            return self._begin(str(association.requestor.ae_title).strip(), str(association.requestor.address))

        self._receptions[id(association)] = Reception(association, begin, self._finish)

    def _begin(self, ae_title: str, address: str) -> PartFile:  # noqa: ARG002  both are known by now
        return self.intake.begin(ae_title)

    def _finish(self, part: PartFile, sop_class_uid: str, sop_uid: str) -> int:
        status = self.intake.finish(part, sop_class_uid, sop_uid)
        if status != SUCCESS:
            self.refuse(f"instance, status {status:04X}")
        return status

    def _closed(self, event: evt.Event) -> None:
        """Remove what an association left in the middle."""
        reception = self._receptions.pop(id(event.assoc), None)
        if reception is not None:
            reception.close()
        library.close_socket(event.assoc)


def addresses(host: str) -> set[str]:
    """Return the addresses of a host; none when its name is unknown."""
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return set()
