"""Fixtures that all tests share: the real services, started once for the whole run, only when a test asks for them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from pynetdicom import _config

from tests.scheduling import ModuleScheduling
from tests.services.azurite import Azurite
from tests.services.certificates import Authority
from tests.services.dcmqrscp import Dcmqrscp
from tests.services.key_vault import KeyVault
from tests.services.orthanc import Orthanc, Peer
from tests.services.postgresql import Postgresql
from tests.services.process import free_port
from tests.services.vsftpd import Vsftpd

# The same examples in every run, however slow the machine is that day; --hypothesis-profile=new looks for others.
settings.register_profile("new", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("new"), derandomize=True, database=None)
settings.load_profile("same")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a skipped test a failed one: a run that leaves something out must not look like one that proved it."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be: {report.longrepr}"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the whole runs: each takes a minute or two, and the one that began last would be waited for alone."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/system/"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ModuleScheduling:
    """Distribute modules over processes."""
    return ModuleScheduling(config, log)


@contextmanager
def _pynetdicom_as_it_was() -> Iterator[None]:
    names = ("UNRESTRICTED_STORAGE_SERVICE", "STORE_SEND_CHUNKED_DATASET")
    before = {name: getattr(_config, name) for name in names}
    yield
    for name, value in before.items():
        setattr(_config, name, value)


@pytest.fixture(autouse=True, scope="module")
def _pynetdicom_between_modules() -> Iterator[None]:
    """Undo what we set for the whole process, so that no other peer in it takes whatever is sent, or sends as we do."""
    with _pynetdicom_as_it_was():
        yield


@pytest.fixture(autouse=True)
def _pynetdicom_between_tests() -> Iterator[None]:
    """The same after each test; what a module has started goes on as it was."""
    with _pynetdicom_as_it_was():
        yield


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority for TLS on this machine."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def receiver_peer() -> Peer:
    """Where our own storage SCP listens in the tests: all shared archives know it as a C-MOVE destination."""
    return Peer("SAFELIGHT", free_port())


@pytest.fixture(scope="session")
def start_orthanc() -> Iterator[Callable[..., Orthanc]]:
    """Start more archives: ``start_orthanc(folder, peers={...}, ...)``, see ``Orthanc``. Stopped at the end of the run."""
    with ExitStack() as running:

        def start(*arguments: Any, **settings: Any) -> Orthanc:
            orthanc = Orthanc(*arguments, **settings)
            running.callback(orthanc.kill)  # nothing to save; an orderly stop takes 3 s
            return orthanc

        yield start


@pytest.fixture(scope="session")
def start_dcmqrscp() -> Iterator[Callable[..., Dcmqrscp]]:
    """Start more dcmtk archives: ``start_dcmqrscp(folder, peers={...})``. Stopped at the end of the run."""
    with ExitStack() as running:

        def start(*arguments: Any, **settings: Any) -> Dcmqrscp:
            dcmqrscp = Dcmqrscp(*arguments, **settings)
            running.callback(dcmqrscp.kill)
            return dcmqrscp

        yield start


@pytest.fixture(scope="session")
def _shared_orthanc(
    tmp_path_factory: pytest.TempPathFactory, start_orthanc: Callable[..., Orthanc], receiver_peer: Peer
) -> Orthanc:
    return start_orthanc(tmp_path_factory.mktemp("orthanc"), ae_title="ORTHANC", peers={"safelight": receiver_peer})


@pytest.fixture(scope="session")
def _shared_second_orthanc(
    tmp_path_factory: pytest.TempPathFactory, start_orthanc: Callable[..., Orthanc], receiver_peer: Peer
) -> Orthanc:
    return start_orthanc(tmp_path_factory.mktemp("second-orthanc"), ae_title="SECOND", peers={"safelight": receiver_peer})


@pytest.fixture
def orthanc(_shared_orthanc: Orthanc) -> Iterator[Orthanc]:
    """A running, empty Orthanc with DICOMweb that lets ``receiver_peer`` query and retrieve. Emptied after each test."""
    yield _shared_orthanc
    _shared_orthanc.clear()


@pytest.fixture
def second_orthanc(_shared_second_orthanc: Orthanc) -> Iterator[Orthanc]:
    """Another one: the second archive, or the research destination."""
    yield _shared_second_orthanc
    _shared_second_orthanc.clear()


@pytest.fixture
def dcmqrscp(tmp_path_factory: pytest.TempPathFactory, receiver_peer: Peer) -> Iterator[Dcmqrscp]:
    """A running, empty dcmqrscp that lets ``receiver_peer`` query and retrieve."""
    archive = Dcmqrscp(tmp_path_factory.mktemp("dcmqrscp"), peers={"safelight": receiver_peer})
    yield archive
    archive.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A running PostgreSQL server."""
    server = Postgresql()
    yield server
    server.stop()


@pytest.fixture
def postgresql_url(postgresql: Postgresql) -> Iterator[str]:
    """The SQLAlchemy URL of a new, empty PostgreSQL database of this test."""
    url = postgresql.new_database()
    yield url
    postgresql.drop_database(url)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A running Azurite (HTTP, account key); take a container of your own with ``azurite.new_container()``."""
    service = Azurite(tmp_path_factory.mktemp("azurite"))
    yield service
    service.stop()


@pytest.fixture(scope="session")
def vsftpd(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Vsftpd]:
    """A running vsftpd that accepts FTPS only."""
    server = Vsftpd(tmp_path_factory.mktemp("vsftpd"), authority)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server with an empty database and Safelight's block types, for the whole run."""
    # Imported late: most tests need no orchestrator, and Prefect takes seconds to import.
    from prefect.testing.utilities import prefect_test_harness

    from deployments.bootstrap import register_block_types

    with prefect_test_harness(server_startup_timeout=90):
        register_block_types()
        yield


@pytest.fixture
def key_vault(authority: Authority) -> Iterator[KeyVault]:
    """A running, empty key vault with its Entra tenant."""
    vault = KeyVault(authority)
    yield vault
    vault.stop()
