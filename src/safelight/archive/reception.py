"""C-STORE requests and pending answers of one association, taken off its socket (PS3.7 section 9.3, PS3.8 section 9.3.5).

pynetdicom negotiates the association and handles all other messages. A data set would pass through two threads and three
queues of its and be copied four times; here the thread that reads the connection writes each piece to the file as it
comes, and answers the request itself. Memory: one PDU an association, whatever the instance's size. Of a study with
hundreds of instances, decoding the list of them its way would take longer than receiving them.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from safelight.archive.intake import PartFile
from safelight.dimse import library

_HEAD: Final = struct.Struct(">BxL")
_ITEM: Final = struct.Struct(">LBB")
_ELEMENT: Final = struct.Struct("<HHL")
_P_DATA: Final = 0x04
#: Message control header (PS3.8 annex E.2).
_COMMAND, _LAST = 0x01, 0x02
_NO_DATA_SET: Final = 0x0101
_STORE_REQUEST, _STORE_RESPONSE, _FIND_RESPONSE = 0x0001, 0x8001, 0x8020
_RETRIEVAL_RESPONSES: Final = frozenset({0x8010, 0x8021})
_PENDING: Final = frozenset({0xFF00, 0xFF01})
# Elements of group 0000 (PS3.7 annex E).
_SOP_CLASS, _FIELD, _MESSAGE_ID, _RESPONDED_TO, _DATA_SET, _STATUS, _SOP_INSTANCE = (
    0x0002, 0x0100, 0x0110, 0x0120, 0x0800, 0x0900, 0x1000,
)  # fmt: skip
#: How long the next message is waited for before pynetdicom's loop goes round: that one sleeps a millisecond each time.
_LINGER: Final = 0.02


@dataclass
class _Arriving:
    """One C-STORE request whose data set is arriving."""

    part: PartFile
    context_id: int
    message_id: int
    sop_class_uid: str
    sop_uid: str = field(repr=False)


@dataclass
class _Answering:
    """One C-FIND answer whose identifier is arriving."""

    context_id: int
    identifier: bytearray = field(default_factory=bytearray, repr=False)


class Reception:
    """Takes the C-STORE requests and the pending answers of one association.

    Args:
        association: pynetdicom's, connected, before its first PDU.
        begin: makes the file of the next data set; None: C-STORE requests are pynetdicom's to refuse.
        finish: judges a complete one, given what the request said of its SOP class and instance; returns the status.
    """

    def __init__(
        self,
        association: Any,  # noqa: ANN401  pynetdicom is untyped here
        begin: Callable[[], PartFile] | None = None,
        finish: Callable[[PartFile, str, str], int] = lambda _part, _sop_class_uid, _sop_uid: 0,
    ) -> None:
        self._association = association
        self._dul = association.dul
        self._connection = association.dul.socket
        self._begin = begin
        self._finish = finish
        self._buffer = bytearray(_HEAD.size + library.MAXIMUM_PDU)
        self._given_back = bytearray()
        self._command = bytearray()
        #: PDUs of a message that is not ours, or may turn out not to be.
        self._held: list[bytes] = []
        self._foreign = False
        self._arriving: _Arriving | None = None
        self._answering: _Answering | None = None
        #: C-FIND answers that have come: presentation context and identifier.
        self.answers: list[tuple[int, bytes]] = []
        #: When something came last, in monotonic seconds.
        self.heard = 0.0
        self._pass_on = self._dul._read_pdu_data
        self._connection.recv = self._receive
        self._dul._read_pdu_data = self._read
        self._socket.settimeout(association.network_timeout)

    @property
    def _socket(self) -> socket.socket:
        connection: socket.socket = self._connection.socket
        return connection

    @property
    def busy(self) -> bool:
        """Whether it is in the middle of an instance."""
        return self._arriving is not None

    def close(self) -> None:
        """Remove what arrived in part; the association is over."""
        arriving, self._arriving = self._arriving, None
        if arriving is not None:
            arriving.part.discard()

    # -- reading

    def _receive(self, size: int) -> bytes:
        """Stand in for pynetdicom's reading of a connection, which takes 4 KiB at a time and up to 4 GiB in all."""
        data, self._given_back = self._given_back[:size], self._given_back[size:]
        if size > library.LONGEST_PDU:
            return b""
        rest = bytearray(size - len(data))
        return bytes(data + rest[: self._fill(memoryview(rest))])

    def _fill(self, target: memoryview) -> int:
        connection, got = self._socket, 0
        while got < len(target) and (count := connection.recv_into(target[got:])):
            got += count
        return got

    def _read(self) -> None:
        """Read what has come. pynetdicom calls this in the association's reader thread."""
        # An acceptor's other thread looks for messages a thousand times a second; there are none for it now.
        pause = self._association._reactor_checkpoint if self._association.is_acceptor else None
        if pause is not None:
            pause.clear()
        try:
            while (pdu := self._next()) is not None:
                if not self._take(pdu):
                    self._give_back()
                    return
                self._dul._idle_timer.restart()
                self.heard = time.monotonic()
                if self._arriving is None and self._answering is None and not self._more():
                    return
            # Whatever else comes in the middle of an instance ends it.
            self.close()
            self._pass_on()
        except OSError:
            self.close()
            self._dul.event_queue.put("Evt17")
        finally:
            if pause is not None:
                pause.set()

    def _next(self) -> memoryview | None:
        """Return the next PDU when it is a P-DATA-TF; otherwise None, and its beginning is given back."""
        view = memoryview(self._buffer)
        got = self._fill(view[: _HEAD.size])
        if got == _HEAD.size:
            kind, length = _HEAD.unpack_from(view)
            if kind == _P_DATA and length <= library.LONGEST_PDU:
                if length > len(view) - _HEAD.size:
                    self._buffer = bytearray(self._buffer[: _HEAD.size]) + bytes(length)
                    view = memoryview(self._buffer)
                end = _HEAD.size + length
                if self._fill(view[_HEAD.size : end]) < length:
                    raise ConnectionResetError
                return view[:end]
        self._given_back += view[:got]
        return None

    def _more(self) -> bool:
        """Tell whether another message comes soon, and nothing is waiting to be sent."""
        if self._dul.to_provider_queue.queue:
            return False
        pending = getattr(self._socket, "pending", None)
        if pending is not None and pending():
            return True
        ready, _, _ = select.select([self._socket], [], [], _LINGER)
        return bool(ready)

    # -- messages

    def _take(self, pdu: memoryview) -> bool:
        """Take a PDU that belongs to C-STORE requests only; False: some of it does not, and it is held for pynetdicom."""
        at, ours = _HEAD.size, True
        while at < len(pdu):
            length, context_id, control = _ITEM.unpack_from(pdu, at) if len(pdu) - at >= _ITEM.size else (0, 0, 0)
            data, at = pdu[at + _ITEM.size : at + 4 + length], at + 4 + length
            if length < 2 or at > len(pdu):
                ours = False
                break
            if control & _COMMAND:
                self._foreign = False
                self._command += data
                if control & _LAST:
                    ours = self._start(context_id) and ours
            elif self._arriving is not None and not self._foreign:
                self._write(data, last=bool(control & _LAST))
            elif self._answering is not None and not self._foreign:
                self._answering.identifier += data
                if control & _LAST:
                    self.answers.append((self._answering.context_id, bytes(self._answering.identifier)))
                    self._answering = None
            else:
                ours, self._foreign = False, not control & _LAST
        if not ours or self._command:
            self._held.append(bytes(pdu))
        return ours

    def _give_back(self) -> None:
        """Have pynetdicom read what was held, PDU by PDU."""
        for pdu in self._held:
            self._given_back += pdu
            self._pass_on()
        self._held.clear()

    def _start(self, context_id: int) -> bool:
        """Begin with the message whose command is complete; False: it is not for us."""
        command, self._command = _elements(self._command), bytearray()
        context = self._association._accepted_cx.get(context_id)
        kind, has_data_set = _number(command, _FIELD), _number(command, _DATA_SET) != _NO_DATA_SET
        if context is not None and has_data_set and kind == _FIND_RESPONSE and _number(command, _STATUS) in _PENDING:
            self._held.clear()
            self._answering = _Answering(context_id)
            return True
        if kind in _RETRIEVAL_RESPONSES and not has_data_set and _number(command, _STATUS) in _PENDING:
            # One an instance; that the archive is not silent is all that counts.
            self._held.clear()
            return True
        if context is None or self._begin is None or kind != _STORE_REQUEST or not has_data_set:
            self._foreign = has_data_set
            return False
        self._held.clear()
        # A request before the one at hand has ended: that one never will.
        self.close()
        sop_class, sop_uid = _text(command, _SOP_CLASS), _text(command, _SOP_INSTANCE)
        self._arriving = _Arriving(self._begin(), context_id, _number(command, _MESSAGE_ID), sop_class, sop_uid)
        self._arriving.part.write(_file_head(sop_class, sop_uid, str(context.transfer_syntax[0])))
        return True

    def _write(self, data: memoryview, *, last: bool) -> None:
        arriving = self._arriving
        assert arriving is not None  # noqa: S101  looked at by the caller
        arriving.part.write(data)
        if last:
            self._arriving = None
            status = self._finish(arriving.part, arriving.sop_class_uid, arriving.sop_uid)
            self._socket.sendall(_answer(arriving, status))


def _elements(command: bytes | bytearray) -> dict[int, bytes]:
    """Return a command set's elements: group 0000, Implicit VR Little Endian (PS3.7 section 6.3.1)."""
    found, at = {}, 0
    while len(command) - at >= _ELEMENT.size:
        _, element, length = _ELEMENT.unpack_from(command, at)
        at += _ELEMENT.size
        found[element] = bytes(command[at : at + length])
        at += length
    return found


def _number(command: dict[int, bytes], element: int) -> int:
    return int.from_bytes(command.get(element, b""), "little")


def _text(command: dict[int, bytes], element: int) -> str:
    return command.get(element, b"").decode("ascii", "replace").strip(" \0")


def _answer(arriving: _Arriving, status: int) -> bytes:
    """Return the P-DATA-TF of a C-STORE response (PS3.7 table 9.3-2)."""
    command = b"".join(
        _ELEMENT.pack(0x0000, element, len(value)) + value
        for element, value in (
            (_SOP_CLASS, _uid(arriving.sop_class_uid)),
            (_FIELD, struct.pack("<H", _STORE_RESPONSE)),
            (_RESPONDED_TO, struct.pack("<H", arriving.message_id)),
            (_DATA_SET, struct.pack("<H", _NO_DATA_SET)),
            (_STATUS, struct.pack("<H", status)),
            (_SOP_INSTANCE, _uid(arriving.sop_uid)),
        )
    )
    command = _ELEMENT.pack(0x0000, 0x0000, 4) + struct.pack("<L", len(command)) + command
    item = _ITEM.pack(len(command) + 2, arriving.context_id, _COMMAND | _LAST) + command
    return bytes([_P_DATA, 0]) + struct.pack(">L", len(item)) + item


def _file_head(sop_class_uid: str, sop_uid: str, transfer_syntax: str) -> bytes:
    """Return preamble, prefix and File Meta Information (PS3.10 section 7.1)."""

    def element(number: int, vr: bytes, value: bytes) -> bytes:
        length = struct.pack("<HL", 0, len(value)) if vr == b"OB" else struct.pack("<H", len(value))
        return struct.pack("<HH", 0x0002, number) + vr + length + value

    version = PYNETDICOM_IMPLEMENTATION_VERSION.encode()
    meta = b"".join(
        (
            element(0x0001, b"OB", b"\x00\x01"),
            element(0x0002, b"UI", _uid(sop_class_uid)),
            element(0x0003, b"UI", _uid(sop_uid)),
            element(0x0010, b"UI", _uid(transfer_syntax)),
            element(0x0012, b"UI", _uid(str(PYNETDICOM_IMPLEMENTATION_UID))),
            element(0x0013, b"SH", version + b" " * (len(version) % 2)),
        )
    )
    return bytes(128) + b"DICM" + element(0x0000, b"UL", struct.pack("<L", len(meta))) + meta


def _uid(value: str) -> bytes:
    raw = value.encode("ascii", "replace")
    return raw + b"\0" * (len(raw) % 2)
