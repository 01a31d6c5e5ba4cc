"""A DICOMweb archive of our own making that misbehaves as services have been seen to, over real sockets."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.archive.studies import Study
from tests.services.process import free_port

_KEYS: Final = {
    "00080018": "SOPInstanceUID",
    "00080016": "SOPClassUID",
    "00080020": "StudyDate",
    "00080050": "AccessionNumber",
    "00080060": "Modality",
    "00100020": "PatientID",
    "0020000D": "StudyInstanceUID",
    "0020000E": "SeriesInstanceUID",
}


class HostileWebArchive:
    """Well-behaved until told otherwise. A context manager.

    Args:
        studies: what it holds.
        tls: serve HTTPS with this context.
    """

    def __init__(self, studies: Sequence[Study], *, tls: ssl.SSLContext | None = None) -> None:
        self.files = {file_uid(file): file for study in studies for file in study.files()}
        #: Called with each request's path; a status to answer with, or None.
        self.on_request: Callable[[str], int | None] = lambda _path: None
        #: Yields the body of a retrieval in pieces.
        self.body: Callable[[list[bytes]], Iterator[bytes]] = whole
        self.content_type = 'multipart/related; type="application/dicom"; boundary="b o u n d"'
        #: Answers to a search in one page; more are announced with a warning 299.
        self.page = 1000
        #: Whether it looks at ``limit`` and ``offset``.
        self.knows_pages = True
        #: Yields the body of a search's answer in pieces.
        self.listed: Callable[[bytes], Iterator[bytes]] = lambda items: iter([items])
        #: Further header fields of such an answer.
        self.fields: dict[str, str] = {}
        #: Set when it has mended its ways: what stalls goes on.
        self.mended = threading.Event()
        self.requests: list[tuple[str, dict[str, list[str]]]] = []
        self.headers: list[dict[str, str]] = []
        self._tls = tls
        self._port = free_port()
        self._server: ThreadingHTTPServer | None = None
        self.url = f"{'https' if tls is not None else 'http'}://localhost:{self._port}/web"

    @property
    def asked(self) -> int:
        """How often it was asked anything."""
        return len(self.requests)

    def mend(self) -> None:
        """Behave well from now on; get up again, if need be."""
        self.mended.set()
        self.on_request, self.body = lambda _path: None, whole
        if self._server is None:
            self.start()

    def start(self) -> None:
        archive = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                archive.answer(self)

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
        if self._tls is not None:
            server.socket = self._tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self._server = server

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> HostileWebArchive:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        parts = urlsplit(to.path)
        query = parse_qs(parts.query)
        self.requests.append((parts.path, query))
        self.headers.append(dict(to.headers))
        status = self.on_request(parts.path)
        if status is not None:
            self._send(to, status, "text/html", [b"<html>CANARY</html>"])
            return
        path = parts.path.removeprefix("/web/").split("/")
        keys = dict(zip(path[::2], path[1::2], strict=False))
        wanted = {
            keyword: keys[level]
            for level, keyword in (
                ("studies", "StudyInstanceUID"),
                ("series", "SeriesInstanceUID"),
                ("instances", "SOPInstanceUID"),
            )
            if level in keys
        }
        if "application/dicom+json" in to.headers["Accept"]:
            self._search(to, path[-1], wanted, query)
            return
        found = [file for file in self.files.values() if _matches(dcmread(BytesIO(file)), wanted)]
        if not found:
            self._send(to, 404, "text/plain", [b""])
            return
        self._send(to, 200, self.content_type, self.body(found))

    def _search(self, to: BaseHTTPRequestHandler, level: str, wanted: dict[str, str], query: dict[str, list[str]]) -> None:
        wanted |= {_KEYS[tag]: values[0] for tag, values in query.items() if tag in _KEYS}
        unique = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID", "instances": "SOPInstanceUID"}[level]
        found = {}
        for file in self.files.values():
            data = dcmread(BytesIO(file))
            if _matches(data, wanted):
                found[str(data[unique].value)] = data
        start, limit = int(query.get("offset", ["0"])[0]), int(query["limit"][0])
        if not self.knows_pages:
            start, limit = 0, self.page
        page = list(found.values())[start : start + min(self.page, limit)]
        more = self.knows_pages and start + len(page) < len(found)
        items = [
            {tag: {"vr": data[word].VR, "Value": [str(data[word].value)]} for tag, word in _KEYS.items()} for data in page
        ]
        warning = {"Warning": "299 web: There are additional results that can be requested"} if more else {}
        self._send(
            to,
            200 if items else 204,
            "application/dicom+json",
            self.listed(json.dumps(items).encode()),
            warning | self.fields,
        )

    def _send(
        self,
        to: BaseHTTPRequestHandler,
        status: int,
        content_type: str,
        body: Iterator[bytes] | list[bytes],
        headers: dict[str, str] | None = None,
    ) -> None:
        to.send_response(status)
        to.send_header("Content-Type", content_type)
        to.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            to.send_header(name, value)
        to.end_headers()
        to.close_connection = True
        try:
            for piece in body if status != 204 else ():
                to.wfile.write(piece)
        except OSError:
            return


def _matches(data: Dataset, wanted: dict[str, str]) -> bool:
    return all(str(data[keyword].value) == value for keyword, value in wanted.items())


def file_uid(file: bytes) -> str:
    """SOP Instance UID of a file."""
    return str(dcmread(BytesIO(file), stop_before_pixels=True).SOPInstanceUID)


def whole(files: list[bytes]) -> Iterator[bytes]:
    """Each file once, with all the freedom that the format leaves: a preamble, header fields, white space, an epilogue."""
    yield b"To be ignored.\r\n"
    for file in files:
        yield b"--b o u n d  \r\nContent-Type: application/dicom\r\nContent-Location: /CANARY\r\n\r\n" + file + b"\r\n"
    yield b"--b o u n d--\r\nTo be ignored, too."


def twice(files: list[bytes]) -> Iterator[bytes]:
    """Each file twice."""
    yield from whole([one for file in files for one in (file, file)])


def cut(files: list[bytes]) -> Iterator[bytes]:
    """All but the last, and half of that one."""
    body = b"".join(whole(files))
    yield body[: body.rindex(files[-1]) + len(files[-1]) // 2]


def truncated(files: list[bytes]) -> Iterator[bytes]:
    """Each file without its last 100 bytes, and said to be complete."""
    yield from whole([file[:-100] for file in files])


def nothing(_files: list[bytes]) -> Iterator[bytes]:
    """A body without parts."""
    yield b"--b o u n d--\r\n"
