"""Reads ``multipart/related`` as it comes (RFC 2046 section 5.1, RFC 2387): one piece in memory, whatever a part's size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.message import Message
from typing import Final

#: Of a body before its first delimiter, or of a part's header fields, in bytes.
_LONGEST_HEAD: Final = 1 << 16


class Cut(Exception):
    """The body ended before its closing delimiter, or is no multipart body at all: its delimiter does not come."""


def boundary_of(content_type: str) -> bytes:
    """Return the boundary of a ``multipart/related`` content type; empty when it is another type."""
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_type() != "multipart/related":
        return b""
    return (message.get_boundary() or "").encode("ascii", "replace")


class MultipartReader:
    """The parts of a body, in order.

    Args:
        pieces: the body, in pieces of any size.
        boundary: its boundary.
    """

    def __init__(self, pieces: Iterable[bytes], boundary: bytes) -> None:
        self._pieces = iter(pieces)
        self._delimiter = b"\r\n--" + boundary
        # The first delimiter may stand at the very beginning.
        self._buffer = b"\r\n"

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        """Yield each part's content as an iterator of pieces; what is not taken of it is skipped. Raises Cut."""
        preamble = 0
        for piece in self._until_delimiter():
            preamble += len(piece)
            if preamble > _LONGEST_HEAD:
                raise Cut
        while True:
            while len(self._buffer) < 2:
                self._more()
            if self._buffer.startswith(b"--"):
                return
            self._skip_head()
            part = self._until_delimiter()
            yield part
            for _ in part:
                continue

    def _more(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise Cut
        self._buffer += piece

    def _skip_head(self) -> None:
        # White space may follow a delimiter; a part without header fields has an empty line right after it.
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _LONGEST_HEAD:
                raise Cut
            self._more()
        self._buffer = self._buffer[end + 4 :]

    def _until_delimiter(self) -> Iterator[bytes]:
        keep = len(self._delimiter) - 1
        while (at := self._buffer.find(self._delimiter)) < 0:
            if len(self._buffer) > keep:
                yield self._buffer[:-keep]
                self._buffer = self._buffer[-keep:]
            self._more()
        rest, self._buffer = self._buffer[:at], self._buffer[at + len(self._delimiter) :]
        if rest:
            yield rest
