"""A STOW-RS service that gives the answers it is told to: for codes that no server gives on demand."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.services.certificates import Authority


def answer(*, stored: Iterable[str] = (), failed: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The answer of PS3.18 table 10.5.3-1 in DICOM JSON."""
    found: dict[str, Any] = {}
    if names := list(stored):
        found["00081199"] = {"vr": "SQ", "Value": [_named(uid) for uid in names]}
    if failed:
        items = [{**_named(uid), "00081197": {"vr": "US", "Value": [code]}} for uid, code in failed.items()]
        found["00081198"] = {"vr": "SQ", "Value": items}
    return found


def _named(uid: str) -> dict[str, Any]:
    return {"00081155": {"vr": "UI", "Value": [uid]}}


class StowServer:
    """Answers each request with the next (status, JSON); status 0 breaks the connection. Keeps what it was sent.

    ``more``: headers of answers that are no success.
    """

    def __init__(
        self,
        answers: Sequence[tuple[int, Any]],
        *,
        authority: Authority | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        left = iter(answers)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer()

            def do_GET(self) -> None:
                self._answer()

            def do_DELETE(self) -> None:
                self._answer()

            def _answer(self) -> None:
                outer.requests.append(f"{self.command} {self.path}")
                outer.headers.append(dict(self.headers))
                status, content = next(left)
                if status == 0:
                    self.close_connection = True
                    return
                body = json.dumps(content).encode() if content or content == [] else b""
                self.send_response(status)
                self.send_header("Content-Type", "application/dicom+json")
                self.send_header("Content-Length", str(len(body)))
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                for name, value in (more or {}).items() if status >= 400 else ():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that does not trust us hangs up; that is not news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if authority is not None:
            certificate = authority.issue("stow")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if authority is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> StowServer:
        """Start to answer."""
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
