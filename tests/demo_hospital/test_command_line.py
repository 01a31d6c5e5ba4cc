"""``python -m deployments.demo_hospital``: what a person types, and how the archives' process lives and dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from deployments.demo_hospital import Hospital
from deployments.demo_hospital.__main__ import main
from safelight.errors import ConfigurationError
from tests.demo_hospital.test_archive import drop, find, query
from tests.services.process import accepts_connections

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "deployments.demo_hospital", *map(str, arguments)]


def test_build_says_what_it_built_and_does_it_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["build", str(tmp_path), "--seed", "3", "--day", "2026-03-02", "--scale", "0.05"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "60 studies" in said
    before = (tmp_path / "hospital.json").stat().st_mtime_ns
    assert main(arguments) == 0
    assert capsys.readouterr().out == said
    assert (tmp_path / "hospital.json").stat().st_mtime_ns == before


def test_help_names_both_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "build" in said
    assert "serve" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "missing"], "holds no hospital; build one first"),
        (["serve", "missing", "--destination", "SAFELIGHT"], "must be AE=HOST:PORT"),
        ([], "required"),
    ],
)
def test_wrong_use_is_explained(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_serve_prints_ports_serves_says_nothing_and_stops(hospital: Hospital) -> None:
    server = subprocess.Popen(
        command("serve", hospital.folder, "--client", "SAFELIGHT"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout is not None
    ports = json.loads(server.stdout.readline())
    assert set(ports) == {"primary", "secondary"}
    entity = AE("SAFELIGHT")
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    association = entity.associate("127.0.0.1", ports["primary"], ae_title="DEMOPACS")
    identifier = query("STUDY", PatientID=hospital.population.patients[0].mrn, StudyInstanceUID="")
    assert len(list(association.send_c_find(identifier, StudyRootQueryRetrieveInformationModelFind))) > 1
    # The association is still open: that must not keep the archives up.
    server.send_signal(signal.SIGTERM)
    said, _ = server.communicate(timeout=5)
    drop(association)
    assert server.returncode == 0
    assert said == "", "an archive's log would be full of identifiers"


def test_the_archives_end_with_the_process_that_started_them(hospital: Hospital) -> None:
    """However that process ends: here it is killed."""
    script = (
        "import sys, time; from pathlib import Path; from datetime import date\n"
        "from deployments.demo_hospital import build_hospital\n"
        f"hospital = build_hospital(Path(sys.argv[1]), seed={hospital.seed}, today=date(2026, 3, 2), scale=0.05)\n"
        "with hospital.start() as running:\n"
        "    print(running.primary.port, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(hospital.folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    port = int(parent.stdout.readline())
    assert accepts_connections(port)
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 10
    while accepts_connections(port):
        assert time.monotonic() < end, "the archives outlived their parent"
        time.sleep(0.05)


def test_archives_that_do_not_start_are_reported(
    hospital: Hospital, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    nowhere = Hospital(tmp_path, hospital.seed, hospital.day, hospital.contents)
    with pytest.raises(ConfigurationError, match="did not start"), nowhere.start():
        pass
    assert "holds no hospital" in capfd.readouterr().err


def test_two_can_run_beside_each_other(hospital: Hospital) -> None:
    with hospital.start() as first:
        outer = first.primary
        with hospital.start() as second:
            assert second.primary.port != outer.port
            assert accepts_connections(outer.port)
        assert hospital.primary == outer


def test_the_hospital_can_be_started_again(hospital: Hospital) -> None:
    study = next(study for study in hospital.studies if study.archive == "primary")
    for _ in range(2):
        with hospital.start() as running:
            assert len(find(running.primary, query("STUDY", StudyInstanceUID=study.uid))) == 1
            port = running.primary.port
        assert not accepts_connections(port)
