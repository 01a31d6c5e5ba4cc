"""Associations with an archive, as its client: C-ECHO, C-FIND, C-MOVE and C-GET (PS3.4 annex C, PS3.7 section 9.1).

Each error says what it means for the caller: try again later, or a person has to change a setting. Messages name the
archive and AE titles, which are configuration, and never a value that was asked for.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from pynetdicom import evt
from pynetdicom.dsutils import decode
from pynetdicom.pdu import A_ABORT_RQ

from safelight.archive.contexts import roles, storage_contexts
from safelight.archive.identifier import Answer, DatasetAnswer, Keys, Part, encode, keys_of
from safelight.archive.reception import Reception
from safelight.archive.watch import Watch
from safelight.dimse import checkpoint, library, tls
from safelight.errors import ArchiveBusy, ArchiveMisconfigured, ArchiveUnreachable
from safelight.model import DicomPeer

if TYPE_CHECKING:
    from pynetdicom.presentation import PresentationContext

    from safelight.archive.intake import Intake

VERIFICATION: Final = "1.2.840.10008.1.1"
SUCCESS: Final = 0x0000
_NOT_SUPPORTED: Final = 0x0122
_NOT_AUTHORIZED: Final = 0x0124
_UNKNOWN_DESTINATION: Final = 0xA801
#: Clinical work goes first, where the archive knows priorities (PS3.7 section E.1-1).
_LOW_PRIORITY: Final = 2


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
class Caller:
    """Who calls whom, and how.

    Args:
        name: the archive's name in messages.
        peer: where it is.
        calling_ae_title: as whom we call.
        timeout: longest silence before an answer, in seconds.
        retrieval_timeout: longest silence during a retrieval, in seconds.
        model: information model for queries and retrievals.
        by_get: whether instances come by C-GET; otherwise by C-MOVE.
        character_set: of the archive, where its answers don't say.
        clock: monotonic seconds.
        tls: TLS context with our certificate, or None for none.
    """

    name: str
    peer: DicomPeer
    calling_ae_title: str
    timeout: float = 60.0
    retrieval_timeout: float = 300.0
    model: QueryModel = STUDY_ROOT
    by_get: bool = False
    character_set: str = ""
    clock: Callable[[], float] = time.monotonic
    tls: ssl.SSLContext | None = None


class DimseSession:
    """An established association. A C-GET needs one on which the study's SOP classes were negotiated: it is opened anew.

    Args:
        caller: who calls whom.

    Raises:
        ArchiveUnreachable: no connection, or no answer.
        ArchiveBusy: refused for now.
        ArchiveMisconfigured: refused for good; the message says which setting of which side to look at.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._model = caller.model
        self._message_id = 0
        #: SOP classes negotiated for C-GET; None: none.
        self._offered: frozenset[str] | None = None
        self._associate()

    def _associate(self, storage: Sequence[PresentationContext] = (), intake: Intake | None = None) -> None:
        caller = self._caller
        self._connected = self._aborted = False
        self._reception: Reception | None = None
        entity = library.entity(caller.calling_ae_title, timeout=caller.timeout)
        for sop_class in (VERIFICATION, self._model.find, self._model.get if caller.by_get else self._model.move):
            entity.add_requested_context(sop_class)
        for context in storage:
            entity.add_requested_context(context.abstract_syntax, context.transfer_syntax)

        def opened(event: evt.Event) -> None:
            self._connected = True
            checkpoint.install(event)
            library.without_delay(event)
            if intake is not None:
                self._reception = Reception(event.assoc, lambda: intake.begin(caller.name), intake.finish)
            else:
                self._reception = Reception(event.assoc)

        peer = caller.peer
        self._association = entity.associate(
            peer.host,
            peer.port,
            ae_title=peer.ae_title,
            max_pdu=library.MAXIMUM_PDU,
            ext_neg=roles(storage),
            tls_args=(caller.tls, peer.host) if caller.tls is not None else None,
            evt_handlers=[(evt.EVT_CONN_OPEN, opened), (evt.EVT_PDU_RECV, self._received)],
        )
        if not self._association.is_established:
            error = self._not_established()
            self.abort()
            raise error

    def _received(self, event: evt.Event) -> None:
        self._aborted = self._aborted or isinstance(event.pdu, A_ABORT_RQ)

    def _not_established(self) -> ArchiveBusy | ArchiveMisconfigured | ArchiveUnreachable:
        name, peer = self._caller.name, self._caller.peer
        answer = self._association.acceptor.primitive
        if self._association.is_rejected:
            return self._rejected(answer.result, answer.result_source, answer.diagnostic)
        if answer is not None and answer.result == 0:
            # Accepted, with none of the abstract syntaxes (PS3.8 section 9.3.3.2): pynetdicom ends such an association.
            return self._not_offered("any service that we asked for")
        if self._caller.tls is not None and (why := tls.why_refused(self._caller.tls, peer.host, peer.port)):
            return ArchiveMisconfigured(
                f"There is no TLS with archive '{name}': {why}.",
                remedy="Check tls, ca_file, cert_file and key_file in its block, and when the certificates end.",
            )
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

    def find(self, level: str, match: Keys, wanted: Sequence[int]) -> list[Answer]:
        """Send a C-FIND and return what it answers.

        Raises:
            ArchiveBusy, ArchiveMisconfigured, ArchiveUnreachable: it failed.
        """
        caller, association, reception = self._caller, self._association, self._reception
        assert reception is not None  # noqa: S101  it came with the association
        asked = encode(level, match, [tag for tag in wanted if tag not in match], character_set=caller.character_set)
        reception.answers.clear()
        send = partial(association.send_c_find, asked, self._model.find)
        self._check("C-FIND", self._ask("FIND", self._model.find, send, caller.timeout, lambda: reception.heard))
        return [self._answer(context_id, identifier) for context_id, identifier in reception.answers]

    def _answer(self, context_id: int, identifier: bytes) -> Answer:
        syntax = self._association._accepted_cx[context_id].transfer_syntax[0]
        try:
            data = decode(BytesIO(identifier), syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
        except Exception:  # noqa: BLE001  pydicom raises anything; the text may quote data
            raise ArchiveUnreachable(f"Archive '{self._caller.name}' sent a malformed C-FIND answer.") from None
        return DatasetAnswer(data, self._caller.character_set)

    def _ask(
        self, operation: str, sop_class: str, send: Callable[..., Any], silence: float, last_arrival: Callable[[], float]
    ) -> Any:  # noqa: ANN401  pynetdicom gives a Dataset
        """Send a request and return its last status. Waits for as long as the archive is not silent for too long."""
        association, caller, message_id = self._association, self._caller, self._next_id()
        # pynetdicom would wait for its own messages only, and not for what is taken off the socket before it.
        association.dimse_timeout = None
        watch = Watch(association, message_id, sop_class, silence, last_arrival, caller.clock)
        final: Any = None
        with self._speaking(f"Query/Retrieve {operation}"), watch:
            for status, _ in send(msg_id=message_id, priority=_LOW_PRIORITY):
                watch.heard()
                final = status
        association.dimse_timeout = caller.timeout
        if watch.expired:
            raise ArchiveUnreachable(f"Archive '{caller.name}' fell silent during a C-{operation}; it was cancelled.")
        if not final:
            raise self._lost(f"C-{operation}")
        return final

    def retrieve(self, part: Part, intake: Intake, destination: str) -> bool:
        """Have a part of a study sent, by C-MOVE to ``destination`` or by C-GET, and wait until that has ended.

        Returns whether the archive says that all of it was sent. Its word proves nothing: instances are counted on disk.

        Raises:
            ArchiveUnreachable: lost, or silent for too long (then it was cancelled first).
            ArchiveMisconfigured: the archive has no such destination or no such service.
        """
        caller, model = self._caller, self._model
        asked = encode(*keys_of(part, patient_root=model is PATIENT_ROOT), character_set=caller.character_set)
        if caller.by_get:
            self._offer(part.sop_classes, intake)
        association = self._association
        if caller.by_get:
            operation, sop_class, source = "GET", model.get, caller.name
            send = partial(association.send_c_get, asked, sop_class)
        else:
            operation, sop_class, source = "MOVE", model.move, caller.peer.ae_title
            send = partial(association.send_c_move, asked, destination, sop_class)
        reception = self._reception
        assert reception is not None  # noqa: S101  it came with the association

        def heard() -> float:
            # An archive may say nothing until it has sent everything, so silence is measured where instances arrive, too.
            return max(reception.heard, intake.last_heard(source))

        final = self._ask(operation, sop_class, send, caller.retrieval_timeout, heard)
        if final.Status == _UNKNOWN_DESTINATION:
            raise ArchiveMisconfigured(
                f"Archive '{caller.name}' does not know the destination '{destination}'.",
                remedy="Ask its manager to register this AE title with the receiver's host and port.",
            )
        if final.Status in {_NOT_SUPPORTED, _NOT_AUTHORIZED}:
            self._check(f"C-{operation}", final)
        return bool(final.Status == SUCCESS)

    def _offer(self, sop_classes: frozenset[str], intake: Intake) -> None:
        """Have an association on which these SOP classes may be sent to us."""
        if self._offered is not None and (sop_classes == self._offered or set() < sop_classes <= self._offered):
            return
        self.close()
        self._associate(storage_contexts(sop_classes), intake)
        self._offered = sop_classes

    def resting(self) -> AbstractContextManager[None]:
        """Have the association cost next to nothing while it waits for leave."""
        return library.resting(self._association)

    def close(self) -> None:
        """Release the association."""
        if self._association.is_established:
            self._association.release()
        library.close_socket(self._association)

    def abort(self) -> None:
        """Drop the association: after an error there is nothing to agree on."""
        if self._reception is not None and self._reception.busy:
            # It waits for the rest of an instance, and would not see the abort.
            library.close_socket(self._association)
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
            raise self._not_offered(service) from None
        except RuntimeError:
            raise self._lost(service) from None

    def _not_offered(self, service: str) -> ArchiveMisconfigured:
        return ArchiveMisconfigured(
            f"Archive '{self._caller.name}' does not offer {service} to us.",
            remedy="Ask its manager to allow it for our AE title.",
        )

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
