"""A small demo hospital, built once for all tests, with its archives running and a real storage SCP beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from deployments.demo_hospital import Hospital, build_hospital
from tests.services.process import Program, accepts_connections, free_port, program

SEED = 7
DAY = date(2026, 3, 2)
#: Images of 125 x 102 instead of 2500 x 2048.
SCALE = 0.05


@dataclass(frozen=True)
class Receiver:
    """dcmtk's storescp: takes whatever it is sent and writes it to its folder, bit by bit as it came."""

    ae_title: str
    port: int
    folder: Path

    def received(self) -> dict[str, bytes]:
        """Content of the files that came, by name."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return build_hospital(tmp_path_factory.mktemp("hospital"), seed=SEED, today=DAY, scale=SCALE)


@pytest.fixture(scope="session")
def _storescp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    folder, port = tmp_path_factory.mktemp("received"), free_port()
    command = [program("storescp"), "+B", "+xa", "-aet", "SAFELIGHT", "-od", str(folder), "-pdu", "131072", str(port)]
    server = Program(command, tmp_path_factory.mktemp("storescp"), lambda: accepts_connections(port))
    yield Receiver("SAFELIGHT", port, folder)
    server.stop()


@pytest.fixture
def receiver(_storescp: Receiver) -> Receiver:
    """An empty receiver."""
    for path in _storescp.folder.iterdir():
        path.unlink()
    return _storescp


@pytest.fixture(scope="session")
def served(hospital: Hospital, _storescp: Receiver) -> Iterator[Hospital]:
    """The hospital with its archives running; C-MOVE goes to the receiver."""
    with hospital.start(receiver_ae_title=_storescp.ae_title, receiver_port=_storescp.port) as running:
        yield running
