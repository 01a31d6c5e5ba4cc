"""One association with an archive, as its client: C-ECHO, C-FIND, C-MOVE (PS3.4 annex C, PS3.7 section 9.1).

Each error says what it means for the caller: try again later, or a person has to change a setting. Messages name the
archive and AE titles, which are configuration, and never a value that was asked for.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.pdu import A_ABORT_RQ

from safelight.dimse import checkpoint, library
from safelight.errors import ArchiveBusy, ArchiveMisconfigured, ArchiveUnreachable
from safelight.model import DicomPeer

VERIFICATION: Final = "1.2.840.10008.1.1"
SUCCESS: Final = 0x0000
_NOT_SUPPORTED: Final = 0x0122
_NOT_AUTHORIZED: Final = 0x0124
_UNKNOWN_DESTINATION: Final = 0xA801
#: Clinical work goes first, where the archive knows priorities (PS3.7 section E.1-1).
_LOW_PRIORITY: Final = 2
_TICK: Final = 0.1


@dataclass(frozen=True)
class QueryModel:
    """The SOP classes of one information model (PS3.4 annex C.6)."""

    find: str
    move: str
    get: str


STUDY_ROOT: Final = QueryModel("1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3")
PATIENT_ROOT: Final = QueryModel("1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.1.3")


class Aborted(ArchiveUnreachable):
    """The archive sent an A-ABORT (PS3.8 section 9.3.8)."""


@dataclass(frozen=True)
class Retrieved:
    """How a C-MOVE ended, in the archive's own words. Not to be trusted: instances are counted on disk."""

    status: int
    completed: int = 0
    failed: int = 0
    warning: int = 0


@dataclass(frozen=True)
class Caller:
    """Who calls whom, and how.

    Args:
        name: the archive's name in messages.
        peer: where it is.
        calling_ae_title: as whom we call.
        timeout: longest silence before an answer, in seconds.
        tls: TLS context with our certificate, or None for none.
    """

    name: str
    peer: DicomPeer
    calling_ae_title: str
    timeout: float = 60.0
    tls: ssl.SSLContext | None = None


class Session:
    """An established association.

    Args:
        caller: who calls whom.
        model: information model for queries.

    Raises:
        ArchiveUnreachable: no connection, or no answer.
        ArchiveBusy: refused for now.
        ArchiveMisconfigured: refused for good; the message says which setting of which side to look at.
    """

    def __init__(self, caller: Caller, model: QueryModel) -> None:
        self._caller = caller
        self._model = model
        self._message_id = 0
        self._connected = self._aborted = False
        entity = library.entity(caller.calling_ae_title, timeout=caller.timeout)
        for sop_class in (VERIFICATION, model.find, model.move):
            entity.add_requested_context(sop_class)
        peer = caller.peer
        self._association = entity.associate(
            peer.host,
            peer.port,
            ae_title=peer.ae_title,
            max_pdu=library.MAXIMUM_PDU,
            tls_args=(caller.tls, peer.host) if caller.tls is not None else None,
            evt_handlers=[(evt.EVT_CONN_OPEN, self._opened), (evt.EVT_PDU_RECV, self._received)],
        )
        if not self._association.is_established:
            error = self._not_established()
            self.abort()
            raise error

    def _opened(self, event: evt.Event) -> None:
        self._connected = True
        checkpoint.install(event)
        library.without_delay(event)

    def _received(self, event: evt.Event) -> None:
        self._aborted = self._aborted or isinstance(event.pdu, A_ABORT_RQ)

    def _not_established(self) -> ArchiveBusy | ArchiveMisconfigured | ArchiveUnreachable:
        name = self._caller.name
        if self._association.is_rejected:
            answer = self._association.acceptor.primitive
            return self._rejected(answer.result, answer.result_source, answer.diagnostic)
        if self._aborted:
            return self._abort_error()
        if self._connected:
            return ArchiveUnreachable(
                f"Archive '{name}' took the connection and did not answer as a DICOM node.",
                remedy="Check its port, and whether it wants TLS.",
            )
        return ArchiveUnreachable(
            f"Archive '{name}' can't be reached.", remedy="Check that it runs, its host and port, and the network."
        )

    def _rejected(self, result: int, source: int, reason: int) -> ArchiveBusy | ArchiveMisconfigured:
        """Translate an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
        caller = self._caller
        if result == 2 or (source == 3 and reason in {1, 2}):
            return ArchiveBusy(f"Archive '{caller.name}' takes no more associations for now.")
        if (source, reason) == (1, 7):
            return ArchiveMisconfigured(
                f"Archive '{caller.name}' is not called '{caller.peer.ae_title}'.",
                remedy="Correct the AE title in the archive's block.",
            )
        if (source, reason) == (1, 3):
            return ArchiveMisconfigured(
                f"Archive '{caller.name}' does not know us as '{caller.calling_ae_title}'.",
                remedy="Ask its manager to register this AE title with our host, or correct calling_ae_title in its block.",
            )
        return ArchiveMisconfigured(
            f"Archive '{caller.name}' rejected the association for good (source {source}, reason {reason}).",
            remedy="Check both AE titles, and ask its manager to allow query and retrieve from our host.",
        )

    # -- operations

    def echo(self) -> None:
        """Send a C-ECHO. Raises ArchiveUnreachable when it is not answered with success."""
        with self._speaking("Verification (C-ECHO)"):
            self._check("C-ECHO", self._association.send_c_echo(msg_id=self._next_id()))

    def find(self, identifier: Dataset) -> Iterator[Dataset]:
        """Send a C-FIND and yield what it answers, as it comes.

        Raises:
            ArchiveBusy, ArchiveMisconfigured, ArchiveUnreachable: it failed.
        """
        with self._speaking("Query/Retrieve FIND"):
            answers = self._association.send_c_find(
                identifier, self._model.find, msg_id=self._next_id(), priority=_LOW_PRIORITY
            )
            for status, answer in answers:
                if status and status.Status in {0xFF00, 0xFF01}:
                    if answer is None:
                        raise ArchiveUnreachable(f"Archive '{self._caller.name}' sent a malformed C-FIND answer.")
                    yield answer
                else:
                    self._check("C-FIND", status)

    def move(
        self,
        destination: str,
        identifier: Dataset,
        *,
        silence: float,
        last_arrival: Callable[[], float],
        clock: Callable[[], float],
    ) -> Retrieved:
        """Send a C-MOVE and wait until it has ended.

        Args:
            destination: AE title to send to.
            identifier: what to send.
            silence: seconds without an answer and without an instance at the destination after which it is cancelled.
            last_arrival: when the destination last received anything of it, on ``clock``.
            clock: monotonic seconds.

        Raises:
            ArchiveUnreachable: lost, or silent for too long (then it was cancelled first).
            ArchiveMisconfigured: the archive has no such destination or no such service.
        """
        # An archive may say nothing until it has sent everything, so silence is measured at the receiver too.
        self._association.dimse_timeout = None
        message_id = self._next_id()
        watch = _Watch(self._association, message_id, self._model.move, silence, last_arrival, clock)
        final: Any = None
        with self._speaking("Query/Retrieve MOVE"), watch:
            for status, _ in self._association.send_c_move(
                identifier, destination, self._model.move, msg_id=message_id, priority=_LOW_PRIORITY
            ):
                watch.heard()
                final = status
        self._association.dimse_timeout = self._caller.timeout
        name = self._caller.name
        if watch.expired:
            raise ArchiveUnreachable(f"Archive '{name}' fell silent during a C-MOVE; it was cancelled.")
        if not final:
            raise self._lost("C-MOVE")
        if final.Status == _UNKNOWN_DESTINATION:
            raise ArchiveMisconfigured(
                f"Archive '{name}' does not know the destination '{destination}'.",
                remedy="Ask its manager to register this AE title with the receiver's host and port.",
            )
        if final.Status in {_NOT_SUPPORTED, _NOT_AUTHORIZED}:
            self._check("C-MOVE", final)
        return Retrieved(
            final.Status,
            *(int(final.get(f"NumberOf{kind}Suboperations") or 0) for kind in ("Completed", "Failed", "Warning")),
        )

    def close(self) -> None:
        """Release the association."""
        if self._association.is_established:
            self._association.release()
        library.close_socket(self._association)

    def abort(self) -> None:
        """Drop the association: after an error there is nothing to agree on."""
        if not (self._association.is_aborted or self._association.is_released or self._association.is_rejected):
            self._association.abort()
        library.close_socket(self._association)

    # -- parts

    def _next_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    @contextmanager
    def _speaking(self, service: str) -> Iterator[None]:
        """Translate pynetdicom's own errors: no context for the service, or no association any more."""
        try:
            yield
        except ValueError:
            raise ArchiveMisconfigured(
                f"Archive '{self._caller.name}' does not offer {service} to us.",
                remedy="Ask its manager to allow it for our AE title.",
            ) from None
        except RuntimeError:
            raise self._lost(service) from None

    def _check(self, operation: str, status: Any) -> None:  # noqa: ANN401  pynetdicom gives a Dataset
        """Raise unless the status says success."""
        name = self._caller.name
        if not status:
            raise self._lost(operation)
        code = int(status.Status)
        if code == SUCCESS:
            return
        if code == _NOT_SUPPORTED:
            raise ArchiveMisconfigured(
                f"Archive '{name}' does not support our {operation}.", remedy="Ask its manager which services it offers."
            )
        if code == _NOT_AUTHORIZED:
            raise ArchiveMisconfigured(
                f"Archive '{name}' does not authorise our {operation}.",
                remedy="Ask its manager to allow it for our AE title.",
            )
        if code & 0xFF00 == 0xA700:
            raise ArchiveBusy(f"Archive '{name}' is out of resources for a {operation} (status {code:04X}).")
        raise ArchiveUnreachable(f"Archive '{name}' failed a {operation} (status {code:04X}).")

    def _lost(self, operation: str) -> ArchiveUnreachable:
        if self._aborted:
            return self._abort_error()
        return ArchiveUnreachable(f"Archive '{self._caller.name}' did not answer a {operation}, or the connection was lost.")

    def _abort_error(self) -> Aborted:
        return Aborted(
            f"Archive '{self._caller.name}' aborted the association.",
            remedy="Some archives do so for an unknown AE title: check ours and theirs.",
        )


class _Watch:
    """Cancels a C-MOVE when neither the archive nor the receiver has heard anything for too long."""

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
        self._thread = threading.Thread(target=self._watch, name="c-move-watch", daemon=True)
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
