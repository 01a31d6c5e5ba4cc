"""``make ui``: everything is registered, and a cohort that is started as the form does it runs in the worker."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from blocks import BLOCKS
from tasks.policies import associations_limit, operations_limit
from tests.system.conftest import CHECKOUT, SCALE

if TYPE_CHECKING:
    from collections.abc import Iterator


class Server:
    """The API that the UI talks to."""

    def __init__(self, address: str) -> None:
        self.api = f"{address}/api"

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.api}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ui")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "deployments.ui", "--folder", str(folder), "--port", str(port), "--scale", str(SCALE)]
    running = subprocess.Popen([sys.executable, *command], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        line = next((line for line in running.stdout if "The UI is at" in line), "")
        assert line, "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
        yield Server(line.split()[-1])
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
        running.stdout.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server still runs"


def test_everything_is_registered(server: Server) -> None:
    wanted = yaml.safe_load((Path(CHECKOUT) / "prefect.yaml").read_text())["deployments"]
    found = {deployment["name"]: deployment for deployment in server.ask("/deployments/filter", {})}
    assert set(found) == {deployment["name"] for deployment in wanted}
    assert found["nightly"]["schedules"][0]["schedule"]["timezone"] == "Europe/London"
    types = {block["slug"] for block in server.ask("/block_types/filter", {})}
    assert {block.get_block_type_slug() for block in BLOCKS} <= types
    limits = {limit["name"] for limit in server.ask("/v2/concurrency_limits/filter", {})}
    for archive in ("demo-archive-primary", "demo-archive-secondary"):
        assert {operations_limit(archive), associations_limit(archive)} <= limits


def test_each_form_offers_the_projects(server: Server) -> None:
    for deployment in server.ask("/deployments/filter", {}):
        properties = deployment["parameter_openapi_schema"]["properties"]
        project = properties["projects"]["items"] if "projects" in properties else properties["project"]
        assert "demo-hospital" in project["enum"], deployment["name"]


def test_a_cohort_that_is_started_by_the_form_runs(server: Server) -> None:
    deployment = server.ask("/deployments/name/nightly-batch/cohort")
    run = server.ask(f"/deployments/{deployment['id']}/create_flow_run", {"parameters": {"projects": ["demo-hospital"]}})
    end = time.monotonic() + 240
    state = ""
    while state not in ("COMPLETED", "FAILED", "CRASHED") and time.monotonic() < end:
        time.sleep(1)
        state = server.ask(f"/flow_runs/{run['id']}")["state"]["type"]
    assert state == "COMPLETED"
    artifacts = server.ask("/artifacts/filter", {"sort": "CREATED_DESC"})
    outcomes = next(artifact for artifact in artifacts if artifact["key"] == "demo-hospital-outcomes")
    rows = {(row["outcome"], row["reason"]): row["requests"] for row in json.loads(outcomes["data"])}
    assert rows[("exported", "")] > 0
    assert rows[("requested", "")] == sum(rows.values()) - rows[("requested", "")]
