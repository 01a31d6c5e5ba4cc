"""A DICOM node as destination, by C-STORE (PS3.4 annex B, PS3.7 section 9.1.1), over TLS where it has it.

A file's data set is sent as it is, in its own transfer syntax: one presentation context for each pair of SOP class and
transfer syntax, and no decoding. Data sets go to the wire from the disk in pieces.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt

from safelight.dimse import checkpoint, library
from safelight.dimse.tls import why_refused
from safelight.errors import DestinationRefused, DestinationUnavailable, StorageFull
from safelight.model import DicomPeer, Reason
from safelight.release.attempts import TryAgain, retrying
from safelight.release.destination import Left, OutputFile, SendResult, Withdrawn, output_is_gone

_VERIFICATION: Final = "1.2.840.10008.1.1"
#: Presentation contexts of one association (PS3.8 section 9.3.2.2: odd numbers up to 255), one of them for C-ECHO.
_CONTEXTS: Final = 127
_SUCCESS: Final = 0x0000
#: Stored, with a warning (PS3.4 table B.2-1).
_WARNINGS: Final = frozenset({0xB000, 0xB006, 0xB007})
_DUPLICATE: Final = 0x0111
_NOT_AUTHORIZED: Final = 0x0124

Context = tuple[str, str]


@dataclass(frozen=True)
class StoragePeerDestination:
    """A DICOM node that stores.

    Args:
        peer: where it is.
        calling_ae_title: as whom we call.
        name: its name in manifests.
        tls: TLS context with our certificate, or None for none.
        attempts: attempts at an association, and at one instance that ends it.
        wait: waits between attempts: first and longest, in seconds; doubled each time.
        timeout: longest silence in seconds.
    """

    peer: DicomPeer
    calling_ae_title: str = "SAFELIGHT"
    name: str = "c-store"
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    attempts: int = 5
    wait: tuple[float, float] = (0.5, 30.0)
    timeout: float = 60.0

    def check(self, project: str) -> None:  # noqa: ARG002  a node has no folder for a project
        """Send a C-ECHO. Raises DestinationRefused or DestinationUnavailable."""
        retrying(self.attempts, self.wait)(self._echo)

    def send(self, project: str, files: Sequence[OutputFile]) -> SendResult:  # noqa: ARG002
        """Store the files, one association for all whose contexts fit into it. Memory is flat.

        What the node says of an instance counts for that instance. One at which it hangs up each time, while it answers
        otherwise, is refused as well.
        """
        result = SendResult()
        waiting: dict[Context, list[OutputFile]] = {}
        for file in files:
            context = _context(file)
            if context is None:
                result.refused[file.sop_uid] = Reason.DESTINATION_REFUSED
            else:
                waiting.setdefault(context, []).append(file)
        contexts = list(waiting)
        for start in range(0, len(contexts), _CONTEXTS):
            chosen = contexts[start : start + _CONTEXTS]
            self._send_all(chosen, deque(file for context in chosen for file in waiting[context]), result)
        return result

    def locate(self, project: str, study_uid: str, series_uid: str) -> dict[str, str]:  # noqa: ARG002
        """Return nothing: how a node is asked for what it stored is not known here."""
        return {}

    def withdraw(self, project: str, studies: Sequence[str]) -> Withdrawn:  # noqa: ARG002
        """Report all as left: C-STORE has no opposite."""
        return Withdrawn(left=dict.fromkeys(studies, Left.NO_DELETION))

    # -- parts

    def _send_all(self, contexts: Sequence[Context], left: deque[OutputFile], result: SendResult) -> None:
        while left:
            before = len(left)
            try:
                retrying(self.attempts, self.wait)(self._send_some, contexts, left, result)
            except TryAgain:
                if len(left) < before:
                    continue
                # Nothing got through: is it the node, or this one instance?
                self._echo()
                result.refused[left.popleft().sop_uid] = Reason.DESTINATION_REFUSED

    def _send_some(self, contexts: Sequence[Context], left: deque[OutputFile], result: SendResult) -> None:
        with self._associated(contexts) as association:
            while left:
                self._store(association, left[0], result)
                left.popleft()

    def _store(self, association: Any, file: OutputFile, result: SendResult) -> None:  # noqa: ANN401  pynetdicom
        try:
            answer = association.send_c_store(file.path, msg_id=1)
        except ValueError:  # the node did not accept this kind of instance, or its transfer syntax
            result.refused[file.sop_uid] = Reason.DESTINATION_REFUSED
            return
        except RuntimeError:
            raise self._lost() from None
        except OSError:
            raise output_is_gone() from None
        if not answer:
            raise self._lost()
        status = int(answer.Status)
        if status == _SUCCESS or status in _WARNINGS:
            result.stored.add(file.sop_uid)
        elif status == _DUPLICATE:
            result.already.add(file.sop_uid)
        elif status & 0xFF00 == 0xA700:
            raise StorageFull(
                f"The DICOM node '{self.name}' is out of resources (status {status:04X}).",
                remedy="Ask its manager to make room, then export again; what it stored stays.",
            )
        elif status == _NOT_AUTHORIZED:
            raise DestinationRefused(
                f"The DICOM node '{self.name}' does not let us store.",
                remedy="Ask its manager to allow C-STORE for our AE title.",
            )
        else:
            result.refused[file.sop_uid] = Reason.DESTINATION_REFUSED

    def _echo(self) -> None:
        with self._associated(()) as association:
            try:
                answer = association.send_c_echo()
            except (RuntimeError, ValueError):
                raise self._lost() from None
            if not answer or int(answer.Status) != _SUCCESS:
                raise self._lost()

    @contextmanager
    def _associated(self, contexts: Sequence[Context]) -> Iterator[Any]:
        entity = library.entity(self.calling_ae_title, timeout=self.timeout)
        entity.add_requested_context(_VERIFICATION, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
        for sop_class, syntax in contexts:
            entity.add_requested_context(sop_class, syntax)
        association = entity.associate(
            self.peer.host,
            self.peer.port,
            ae_title=self.peer.ae_title,
            max_pdu=library.MAXIMUM_PDU,
            tls_args=(self.tls, self.peer.host) if self.tls is not None else None,
            evt_handlers=[(evt.EVT_CONN_OPEN, _opened)],
        )
        try:
            if not association.is_established:
                raise self._not_established(association)
            yield association
            if association.is_established:
                association.release()
        finally:
            if association.is_established:
                association.abort()
            library.close_socket(association)

    def _not_established(self, association: Any) -> DestinationRefused | DestinationUnavailable:  # noqa: ANN401
        if not association.is_rejected:
            if self.tls is not None and (why := why_refused(self.tls, self.peer.host, self.peer.port)):
                return DestinationRefused(
                    f"There is no TLS with the DICOM node '{self.name}': {why}.",
                    remedy="Check host, ca_file, cert_file and key_file in its block.",
                )
            return TryAgain(f"The DICOM node '{self.name}' made no association with us.")
        answer = association.acceptor.primitive
        # PS3.8 table 9-21: transient, or no room at the provider.
        if answer.result == 2 or (answer.result_source == 3 and answer.diagnostic in {1, 2}):
            return TryAgain(f"The DICOM node '{self.name}' takes no more associations for now.")
        return DestinationRefused(
            f"The DICOM node '{self.name}' rejected the association (source {answer.result_source}, "
            f"reason {answer.diagnostic}).",
            remedy="Check both AE titles in its block, and ask its manager to register ours.",
        )

    def _lost(self) -> TryAgain:
        return TryAgain(f"The DICOM node '{self.name}' ended the association or did not answer.")


def _opened(event: evt.Event) -> None:
    checkpoint.install(event)
    library.without_delay(event)


def _context(file: OutputFile) -> Context | None:
    """Return SOP class and transfer syntax by the file meta information (PS3.10 section 7.1); None where there is none."""
    try:
        meta = read_file_meta_info(file.path)
        named = bool(meta.MediaStorageSOPInstanceUID)
        return (str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)) if named else None
    except (InvalidDicomError, AttributeError, EOFError, ValueError, KeyError):
        return None
    except OSError:
        raise output_is_gone() from None
