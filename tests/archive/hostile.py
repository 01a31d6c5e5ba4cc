"""An archive of our own making that misbehaves in every way that archives have been seen to."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from safelight.dimse import library
from tests.archive.studies import CT, Study
from tests.services.process import free_port

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
VERIFICATION = "1.2.840.10008.1.1"
_LEVEL_KEYS = {
    "STUDY": ("StudyInstanceUID", "PatientID", "AccessionNumber", "StudyDate"),
    "SERIES": ("StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    "IMAGE": ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"),
}


class HostileArchive:
    """A pynetdicom archive; itself a ``DicomPeer``. Well-behaved until told otherwise.

    Args:
        studies: what it holds.
        destination: where it sends on a C-MOVE, whatever it is asked.
        retrieve: how ``an_archive`` asks it.
    """

    def __init__(self, studies: Sequence[Study], destination: Any, retrieve: str = "c-move") -> None:
        self.retrieve = retrieve
        self.ae_title = "HOSTILE"
        self.host = "127.0.0.1"
        self.port = free_port()
        self.destination = destination
        self.instances = [dcmread(BytesIO(file)) for study in studies for file in study.files()]
        #: How a C-MOVE or C-GET sends its instances: association and data sets.
        self.send: Callable[[Any, list[Dataset]], None] = send_all
        #: Called before each C-FIND; returns a status to fail with, or None.
        self.on_find: Callable[[], int | None] = lambda: None
        #: Called before each C-MOVE or C-GET; returns a status to fail with, or None.
        self.on_move: Callable[[], int | None] = lambda: None
        #: Set when it has mended its ways: what stalls goes on.
        self.mended = threading.Event()
        self._listens = False
        #: Associations that are turned away as passing before one is taken.
        self.refusals = 0
        #: What it was asked; a C-GET counts as a move.
        self.operations: Counter[str] = Counter()
        self.moved: list[list[str]] = []
        self.identifiers: list[Dataset] = []
        self.answer_all = False
        #: What it answers, by level.
        self.answered = dict(_LEVEL_KEYS)
        #: So many answers, and not one more.
        self.cap = 1_000_000
        #: SOP classes that it takes, beside storage.
        self.offers: tuple[str, ...] = (VERIFICATION, FIND, MOVE, GET)
        #: What it says for Number of Study Related Instances; None: nothing.
        self.count: int | None = None

    @property
    def asked(self) -> int:
        """How often it was asked anything."""
        return self.operations.total()

    def mend(self) -> None:
        """Behave well from now on; get up again, if need be."""
        self.mended.set()
        self.refusals = 0
        self.send, self.on_find, self.on_move = send_all, lambda: None, lambda: None
        if not self._listens:
            self.start()

    def start(self) -> HostileArchive:
        self._ae = AE(self.ae_title)
        self._ae.require_called_aet = True
        # Only what a test tells it to refuse is refused: the library takes ten associations by default.
        self._ae.maximum_associations = 1000
        for sop_class in self.offers:
            self._ae.add_supported_context(sop_class)
        self._ae.add_supported_context(CT, ExplicitVRLittleEndian, scu_role=True, scp_role=True)
        self._server = self._ae.start_server(
            (self.host, self.port),
            block=False,
            evt_handlers=[
                (evt.EVT_REQUESTED, self._requested),
                (evt.EVT_C_ECHO, self._echo),
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_C_MOVE, self._move),
                (evt.EVT_C_GET, self._get),
                (evt.EVT_CONN_CLOSE, lambda event: library.close_socket(event.assoc)),
            ],
        )
        self._listens = True
        return self

    def stop_listening(self) -> None:
        """Take no more associations; open ones go on."""
        self._listens = False
        self._server.shutdown()

    def stop(self) -> None:
        self._ae.shutdown()

    def _requested(self, event: evt.Event) -> None:
        self.operations["association"] += 1
        if self.refusals > 0:
            self.refusals -= 1
            event.assoc.acse.send_reject(0x02, 0x03, 0x02)
            event.assoc.kill()

    def _echo(self, event: evt.Event) -> int:
        self.operations["echo"] += 1
        return 0x0000

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        self.operations["find"] += 1
        self.identifiers.append(event.identifier)
        if (status := self.on_find()) is not None:
            yield status, None
            return
        level = event.identifier.QueryRetrieveLevel
        seen: set[tuple[str, ...]] = set()
        for instance in self._matching(event.identifier):
            answer = Dataset()
            answer.QueryRetrieveLevel = level
            for keyword in self.answered[level]:
                setattr(answer, keyword, instance.get(keyword, ""))
            if level == "STUDY" and self.count is not None:
                answer.NumberOfStudyRelatedInstances = self.count
            key = tuple(str(answer[keyword].value) for keyword in self.answered[level])
            if key not in seen and len(seen) < self.cap:
                seen.add(key)
                yield 0xFF00, answer

    def _matching(self, identifier: Dataset) -> list[Dataset]:
        keys = {
            keyword: identifier.get(keyword)
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID", "AccessionNumber")
            if identifier.get(keyword) and not self.answer_all
        }

        first, _, last = str(identifier.get("StudyDate") or "").partition("-")

        def matches(instance: Dataset) -> bool:
            return (not last or first <= instance.StudyDate <= last) and all(
                str(instance.get(keyword)) in ([str(value)] if isinstance(value, str) else [str(one) for one in value])
                for keyword, value in keys.items()
            )

        return [instance for instance in self.instances if matches(instance)]

    def send_apart(self, instances: list[Dataset], send: Callable[[Any, list[Dataset]], None] | None = None) -> None:
        """Send on an association of its own."""
        sender = AE(self.ae_title)
        # Verification, so that there is an association even when nothing is sent.
        sender.add_requested_context(VERIFICATION)
        for sop_class in sorted({str(instance.SOPClassUID) for instance in self.instances} | {CT}):
            sender.add_requested_context(sop_class, ExplicitVRLittleEndian)
        association = sender.associate(self.destination.host, self.destination.port, ae_title=self.destination.ae_title)
        try:
            if association.is_established:
                (send or send_all)(association, instances)
        finally:
            if association.is_established:
                association.release()
            library.close_socket(association)

    def _asked(self, event: evt.Event) -> tuple[list[Dataset], int | None]:
        self.operations["move"] += 1
        matching = self._matching(event.identifier)
        self.moved.append([instance.SOPInstanceUID for instance in matching])
        return matching, self.on_move()

    def _get(self, event: evt.Event) -> Iterator[Any]:
        matching, status = self._asked(event)
        if status is None:
            self.send(event.assoc, matching)
            yield 0
        else:
            yield 1
            yield status, None

    def _move(self, event: evt.Event) -> Iterator[Any]:
        matching, status = self._asked(event)
        if status is None:
            self.send_apart(matching, self.send)
        yield self.destination.host, self.destination.port, {"contexts": _verification()}
        yield 0
        if status is not None:
            yield status, None


def _verification() -> list[Any]:
    ae = AE()
    ae.add_requested_context(VERIFICATION)
    return list(ae.requested_contexts)


def encoded(instance: Dataset) -> bytes:
    """Return the data set's bytes as they go over the wire."""
    target = BytesIO()
    instance.save_as(target, implicit_vr=False, little_endian=True)
    raw = target.getvalue()
    if raw[128:132] == b"DICM":
        length = int.from_bytes(raw[140:144], "little")
        return raw[144 + length :]
    return raw


def send_all(association: Any, instances: list[Dataset]) -> None:
    """Send each once, as it is."""
    for instance in instances:
        store(association, instance, encoded(instance))


def send_nothing(association: Any, instances: list[Dataset]) -> None:
    """Send none."""


def send_twice(association: Any, instances: list[Dataset]) -> None:
    """Send each twice."""
    send_all(association, [one for instance in instances for one in (instance, instance)])


def send_truncated(association: Any, instances: list[Dataset]) -> None:
    """Send each without its last 100 bytes, and say that it is complete."""
    for instance in instances:
        store(association, instance, encoded(instance)[:-100])


def send_half_and_drop(association: Any, instances: list[Dataset]) -> None:
    """Send all but the last, then half of that one, then close the connection."""
    send_all(association, instances[:-1])
    send_half(association, instances[-1])
    time.sleep(0.2)
    association.dul.socket.close()
    association.kill()


def send_half(association: Any, instance: Dataset) -> None:
    """Send half of an instance, and go on as if nothing were missing."""
    request, context_id = _request(association, instance, encoded(instance))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    pdus = list(message.encode_msg(context_id, 4096))
    for pdu in pdus[: len(pdus) // 2]:
        association.dul.send_pdu(pdu)


def store(association: Any, instance: Dataset, raw: bytes) -> int:
    """Send bytes as an instance's data set; returns the status."""
    request, context_id = _request(association, instance, raw)
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    association.dimse.send_msg(request, context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return -1 if answer is None else int(answer.Status)


def _request(association: Any, instance: Dataset, raw: bytes) -> tuple[C_STORE, int]:
    request = C_STORE()
    request.MessageID = 7
    request.AffectedSOPClassUID = instance.SOPClassUID
    request.AffectedSOPInstanceUID = instance.SOPInstanceUID
    request.Priority = 2
    request.DataSet = BytesIO(raw)
    of_class = [one for one in association.accepted_contexts if one.abstract_syntax == instance.SOPClassUID]
    native = [one for one in of_class if one.transfer_syntax[0] == ExplicitVRLittleEndian]
    context = (native or of_class)[0]
    return request, context.context_id
