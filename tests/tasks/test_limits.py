"""Calls to an orchestrator that is busy."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from safelight.errors import TransientError
from tasks.limits import Limits, LimitsClient


@contextmanager
def busy(times: int) -> Iterator[tuple[LimitsClient, list[str]]]:
    """A client of an orchestrator that answers 503 so many times, and then that there is room."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            body = json.dumps([{"id": "00000000-0000-0000-0000-000000000001", "name": "rate", "limit": 3}]).encode()
            self.send_response(503 if len(asked) <= times else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{server.server_port}/api"}):
            client = LimitsClient()
        client.open()
        yield client, asked
        client.close()
    finally:
        server.shutdown()
        server.server_close()


def test_a_busy_orchestrator_is_asked_again_without_the_clients_own_pauses() -> None:
    with busy(3) as (client, asked):
        start = time.monotonic()
        Limits(client).use_up("rate", 1)
        # The client's own pauses after three such answers are 14 s.
        assert time.monotonic() - start < 10
    assert asked == ["/api/v2/concurrency_limits/increment"] * 4


def test_an_orchestrator_that_stays_busy_is_an_error_that_passes() -> None:
    with busy(1000) as (client, asked):
        limits = Limits(client)
        with pytest.raises(TransientError, match="did not answer") as caught:
            limits.wait("rate", lambda: limits.use_up("rate", 1), patience=60)
        assert "asked again" in str(caught.value.remedy)
    assert len(asked) == 10
