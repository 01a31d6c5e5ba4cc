"""A DICOM archive (Query/Retrieve and Verification SCP, PS3.4 annexes A and C) over a folder of files.

It answers C-ECHO, C-FIND at patient, study, series and image level, C-MOVE to configured destinations and C-GET, over real
associations. It accepts only its own name as called AE title, and only known calling AE titles. Files are sent as they
are, in pieces of a PDU, without decoding; only where the peer did not take their transfer syntax they are converted.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from deployments.demo_hospital.index import LEVELS, UNIQUE_KEYS, Held, Index
from safelight.dimse import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pynetdicom.association import Association

PDU_BYTES: Final = 131_072
_PENDING: Final = 0xFF00
_CANCEL: Final = 0xFE00
_DOES_NOT_MATCH: Final = 0xA900  # identifier does not match SOP class (PS3.4 C.4)
_NATIVE: Final = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_FIND: Final = (PatientRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelFind)
_MOVE: Final = (PatientRootQueryRetrieveInformationModelMove, StudyRootQueryRetrieveInformationModelMove)
_GET: Final = (PatientRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelGet)


@dataclass(frozen=True)
class Destination:
    """Where C-MOVE may send to, under the AE title that a request names."""

    ae_title: str
    host: str
    port: int


class _Reference(Dataset):  # type: ignore[misc]  # pydicom's types are not followed
    """Stands for a file among pynetdicom's sub-operations, which count and name data sets."""

    path: Path


class _FileSender:
    """An association whose C-STORE takes references and sends the files' bytes."""

    def __init__(self, association: Association) -> None:
        self._association = association
        self._store = association.send_c_store

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever an association has
        return getattr(self._association, name)

    def send_c_store(self, dataset: Dataset, **arguments: Any) -> Dataset:  # noqa: ANN401  pynetdicom's own
        if not isinstance(dataset, _Reference):
            return self._store(dataset, **arguments)
        try:
            return self._store(dataset.path, **arguments)
        except ValueError:
            # The peer did not take the file's transfer syntax: native ones can be converted, others are a failure.
            return self._store(dcmread(dataset.path), **arguments)


class _Entity(AE):  # type: ignore[misc]  # pynetdicom's types are not followed
    """An application entity that sends files, not data sets."""

    def associate(self, *arguments: Any, **settings: Any) -> _FileSender:  # noqa: ANN401  pynetdicom's own
        handlers = [(evt.EVT_CONN_OPEN, _prepare)]
        return _FileSender(super().associate(*arguments, evt_handlers=handlers, max_pdu=PDU_BYTES, **settings))


class ArchiveServer:
    """One archive. A context manager that listens while it is open.

    Args:
        ae_title: its AE title; any other called AE title is rejected.
        folder: its files (``*.dcm`` at any depth), indexed at the start.
        clients: calling AE titles that it knows; any other is rejected.
        destinations: where C-MOVE may send to; any other is answered with A801.
        host: address to listen at.
        port: port to listen at; 0 takes a free one.
    """

    def __init__(
        self,
        ae_title: str,
        folder: Path,
        *,
        clients: tuple[str, ...],
        destinations: tuple[Destination, ...] = (),
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.ae_title = ae_title
        self.host = host
        self.port = port
        self.index = Index.of_folder(folder)
        self._destinations: Mapping[str, Destination] = {d.ae_title: d for d in destinations}
        self._entity = _Entity(ae_title)
        self._entity.require_called_aet = True
        self._entity.require_calling_aet = list(clients)
        self._entity.maximum_pdu_size = PDU_BYTES
        self._entity.maximum_associations = 32
        for uid in (Verification, *_FIND, *_MOVE, *_GET):
            self._entity.add_supported_context(uid)
        self._offer_storage()
        self._server: Any = None

    def _offer_storage(self) -> None:
        """Offer every storage class for C-GET, in the transfer syntaxes that the files have or can be converted to."""
        held: dict[str, set[str]] = {}
        for instance in self.index.instances():
            held.setdefault(instance.values["SOPClassUID"], set()).add(instance.transfer_syntax)
        for context in AllStoragePresentationContexts:
            extra = sorted(held.get(context.abstract_syntax, set()) - set(_NATIVE))
            # What is compressed can't be converted here, so it is preferred where the peer proposes both.
            self._entity.add_supported_context(context.abstract_syntax, [*extra, *_NATIVE], scu_role=True, scp_role=True)

    def __enter__(self) -> Self:
        """Start to listen."""
        quieten()
        handlers = [
            (evt.EVT_CONN_OPEN, _prepare),
            (evt.EVT_C_ECHO, lambda _event: 0x0000),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_MOVE, self._move),
            (evt.EVT_C_GET, self._get),
        ]
        self._server = self._entity.start_server((self.host, self.port), block=False, evt_handlers=handlers)
        self.port = self._server.server_address[1]
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and abort what is still connected."""
        self._server.shutdown()

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        identifier = event.identifier
        if str(identifier.get("QueryRetrieveLevel", "")) not in LEVELS:
            yield _DOES_NOT_MATCH, None
            return
        for answer in self.index.find(identifier):
            if event.is_cancelled:
                yield _CANCEL, None
                return
            answer.RetrieveAETitle = self.ae_title
            yield _PENDING, answer

    def _move(self, event: evt.Event) -> Iterator[Any]:
        destination = self._destinations.get(str(event.move_destination).strip())
        if destination is None:
            yield None, None
            return
        chosen = self._chosen(event.identifier)
        contexts = [build_context(sop_class, syntaxes) for sop_class, syntaxes in _proposals(chosen)]
        yield destination.host, destination.port, {"contexts": contexts}
        yield from self._send(event, chosen)

    def _get(self, event: evt.Event) -> Iterator[Any]:
        # pynetdicom sends C-GET's sub-operations on the association itself.
        event.assoc.send_c_store = _FileSender(event.assoc).send_c_store
        yield from self._send(event, self._chosen(event.identifier))

    def _chosen(self, identifier: Dataset) -> list[Held]:
        """Return what to send. A retrieval without its level's unique key is refused, not answered with everything."""
        key = UNIQUE_KEYS.get(str(identifier.get("QueryRetrieveLevel", "")))
        return self.index.matching(identifier) if key and identifier.get(key) else []

    def _send(self, event: evt.Event, chosen: list[Held]) -> Iterator[Any]:
        yield len(chosen)
        for held in chosen:
            if event.is_cancelled:
                yield _CANCEL, None
                return
            reference = _Reference()
            reference.SOPInstanceUID = held.values["SOPInstanceUID"]
            reference.path = held.path
            yield _PENDING, reference


def _proposals(chosen: list[Held]) -> list[tuple[str, list[str]]]:
    """Return the presentation contexts that a C-MOVE proposes: each file as it is, and native as a way out.

    At most 128 (PS3.8 9.3.2.2): one for each class and syntax that really occurs.
    """
    pairs = sorted({(held.values["SOPClassUID"], held.transfer_syntax) for held in chosen})
    classes = dict.fromkeys(sop_class for sop_class, _ in pairs)
    exact = [(sop_class, [syntax]) for sop_class, syntax in pairs]
    return [*exact, *((sop_class, [*map(str, _NATIVE)]) for sop_class in classes)][:128]


def quieten() -> None:
    """Keep pynetdicom's log silent, since it quotes identifiers, and let it send files piece by piece."""
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = True
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


def _prepare(event: evt.Event) -> None:
    """Make a new connection answer at once, and lose no answer.

    Nagle's algorithm delays each short answer by 40 ms, so it is switched off.
    """
    checkpoint.install(event)
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
