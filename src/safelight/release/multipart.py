"""The body of a STOW-RS request (PS3.18 section 10.5; RFC 2387), streamed from files, and sent again from the start.

A body that can be iterated only once makes a retry post nothing, and a server that answers 200 to nothing makes that
look like success; so each attempt takes a new iterator. Its length is known, so there is no chunked transfer encoding,
which several servers do not take.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 20
_DELIMITER: Final = "--{}\r\nContent-Type: application/dicom\r\n\r\n"


class DicomMultipart:
    """``multipart/related`` over DICOM files. Memory: one chunk of 1 MiB, whatever the files' size."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        names = "\n".join(path.name for path in self._paths).encode()
        # From the names and not drawn at random, so that the same batch is the same request.
        boundary = "safelight-" + hashlib.blake2b(names, digest_size=20).hexdigest()
        self._head = _DELIMITER.format(boundary).encode()
        self._tail = f"--{boundary}--\r\n".encode()
        self._sizes = tuple(path.stat().st_size for path in self._paths)
        self.content_type = f'multipart/related; type="application/dicom"; boundary={boundary}'

    def __len__(self) -> int:
        """Return the length of the body in bytes: the request's Content-Length."""
        return sum(len(self._head) + size + 2 for size in self._sizes) + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body from its beginning, each time."""
        for path in self._paths:
            yield self._head
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
            yield b"\r\n"
        yield self._tail
