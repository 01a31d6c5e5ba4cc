"""What can be wrong at a site: one clear message that says what to do, a failed state, and nothing lost."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blocks import DeltaLake, DicomNode, LocalFolder
from deployments.demo import PROJECT, register
from flows.cohort_ingest import cohort_ingest
from flows.dataset_export import dataset_export
from flows.nightly_batch import nightly_batch
from flows.pacs_retrieval import pacs_retrieval
from safelight import errors
from tests.services.process import free_port
from tests.system.conftest import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("prefect_server")


@contextmanager
def running(site: Site) -> Iterator[None]:
    port = free_port()
    with site.hospital.start(receiver_port=port):
        register(site.folder, site.hospital, port)
        yield


def error_of(run: Any, *arguments: Any) -> str:
    """Run a flow that must fail. Returns the error's text as the orchestrator has it."""
    state = run(*arguments, return_state=True)
    assert state.is_failed(), state
    error = state.result(raise_on_failure=False)
    assert isinstance(error, errors.SafelightError), error
    assert error.remedy, "the message does not say what to do"
    return f"{type(error).__name__}: {error}"


def test_an_extract_with_missing_files(site: Site, tmp_path: Path) -> None:
    deliveries = tmp_path / "deliveries"
    shutil.copytree(site.hospital.deliveries, deliveries)
    (deliveries / "extract-1" / "private" / "PERSON_LINKS.parquet").rename(tmp_path / "kept")
    LocalFolder(path=deliveries).save("demo-deliveries", overwrite=True)
    assert "PERSON_LINKS" in error_of(cohort_ingest, PROJECT)
    (tmp_path / "kept").rename(deliveries / "extract-1" / "private" / "PERSON_LINKS.parquet")
    cohort_ingest(PROJECT)
    assert sum(site.states().values()) == len(site.hospital.expected)


def test_an_unknown_project(site: Site) -> None:
    text = error_of(nightly_batch, ("no-such-project",))
    assert text.startswith("UnknownProject")
    assert PROJECT in text


def test_a_profile_with_an_unknown_operation(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = tmp_path / "profiles"
    shutil.copytree(Path(__file__).resolve().parents[2] / "profiles", profiles)
    path = profiles / "deid" / "base.yaml"
    path.write_text(path.read_text().replace("PatientID: secure-hash", "PatientID: shred"))
    monkeypatch.setenv("SAFELIGHT_PROFILES", str(profiles))
    text = error_of(cohort_ingest, PROJECT)
    line = 1 + path.read_text().splitlines().index("    PatientID: shred")
    assert f"base.yaml:{line}" in text
    assert "shred" in text
    assert "secure-hash" in text


def test_an_expired_approval(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = tmp_path / "profiles"
    shutil.copytree(Path(__file__).resolve().parents[2] / "profiles", profiles)
    path = profiles / "projects" / f"{PROJECT}.yaml"
    path.write_text(path.read_text().replace("2036-12-31", "2020-12-31"))
    monkeypatch.setenv("SAFELIGHT_PROFILES", str(profiles))
    assert error_of(pacs_retrieval, PROJECT).startswith("ApprovalExpired")


def test_an_opt_out_answer_that_is_too_old(site: Site, tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    shutil.copytree(site.hospital.opt_out, answers, copy_function=shutil.copyfile)
    LocalFolder(path=answers).save("demo-opt-out", overwrite=True)
    for answer in answers.glob("*.dat"):
        subprocess.run(["touch", "-d", "8 days ago", str(answer)], check=True)
    assert error_of(cohort_ingest, PROJECT).startswith("OptOutUnavailable")
    assert not site.states()


def test_an_unreachable_archive(site: Site) -> None:
    cohort_ingest(PROJECT)
    before = site.states()
    assert error_of(pacs_retrieval, PROJECT).startswith("ArchiveUnreachable")
    assert site.states() == before


def test_a_wrong_ae_title(site: Site) -> None:
    with running(site):
        cohort_ingest(PROJECT)
        before = site.states()
        right = site.hospital.primary
        DicomNode(ae_title="SOMEBODYELSE", host=right.host, port=right.port).save("demo-archive-primary", overwrite=True)
        text = error_of(pacs_retrieval, PROJECT)
        assert text.startswith("ArchiveMisconfigured")
        assert "AE title" in text
        assert site.states() == before


def test_a_study_that_arrives_late_is_asked_for_again(site: Site) -> None:
    """From the form: what was not found starts over, and only then; what is done stays done."""
    with running(site):
        cohort_ingest(PROJECT)
        first = pacs_retrieval(PROJECT)
        before = site.states()
        assert first["not_found"] == before["not_found"] > 0
        assert pacs_retrieval(PROJECT) == {}
        again = pacs_retrieval(PROJECT, again=("not_found",))
        assert again["not_found"] == before["not_found"]
        assert "retrieved" not in again
        assert site.states() == before


def test_a_missing_key(site: Site) -> None:
    (site.folder / "keys" / "key").rename(site.folder / "key")
    assert error_of(cohort_ingest, PROJECT).startswith("KeyUnavailable")
    assert not site.states()


def test_a_block_that_is_not_there(site: Site) -> None:
    LocalFolder.delete("demo-opt-out")
    text = error_of(cohort_ingest, PROJECT)
    assert "demo-opt-out" in text


def test_a_full_disk(site: Site, tmp_path: Path) -> None:
    """A disk of 1 MB for the raw cache: refused before the archive is asked."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run([*as_root(), "mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", str(small)], check=True)
    try:
        LocalFolder(path=small).save("raw-cache", overwrite=True)
        cohort_ingest_fails = error_of(cohort_ingest, PROJECT)
        assert cohort_ingest_fails.startswith("StorageUnwritable")
        assert "raw-cache" in cohort_ingest_fails
    finally:
        subprocess.run([*as_root(), "umount", str(small)], check=True)


def as_root() -> list[str]:
    import os

    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def test_an_unwritable_lake(site: Site, tmp_path: Path) -> None:
    with running(site):
        cohort_ingest(PROJECT)
        (tmp_path / "a-file").touch()
        DeltaLake(uri=str(tmp_path / "a-file" / "lake")).save("demo-lake", overwrite=True)
        text = error_of(dataset_export, PROJECT)
        assert text.startswith(("StorageUnwritable", "DestinationRefused"))
        assert sum(site.states().values()) == len(site.hospital.expected)


def test_no_message_holds_an_identifier(site: Site) -> None:
    """All of the above went through the orchestrator, whose database has every message."""
    from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL

    url = str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value())
    folder = Path(url.partition("///")[2]).parent
    assert any(folder.iterdir())
    assert not sorted(site.hospital.leaks(folder))
