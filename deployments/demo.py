"""The demo: a synthetic hospital on loopback, and the whole pipeline over it, with nothing to install or answer.

Run by ``safelight demo`` and ``make demo``. Prefect works in its ephemeral mode with its state in the demo's folder; the
link database is SQLite, the lake and the DICOM destination are folders, the keys are files. A second run exports nothing
new. ``--serve`` keeps the hospital up beside a server that is already there (``make ui``).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deployments.demo_hospital import Hospital
    from safelight.link import LinkDatabase

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = "demo-hospital"
SEED = 20260101
#: What the table shows, in the order in which a request passes.
_PASSED = ("located", "retrieved", "deidentified", "verified", "exported")


def main(arguments: list[str] | None = None) -> int:
    """Run the demo. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="safelight demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "demo", help="where everything is put (default: ./demo)")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the synthetic hospital")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the generated images (1: as a scanner makes them)")
    parser.add_argument("--fresh", action="store_true", help="delete what an earlier demo left in the folder first")
    parser.add_argument("--serve", action="store_true", help="only keep the hospital up, for a Prefect server beside it")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    console = Console(highlight=False)
    if options.fresh and folder.exists():
        if not (folder / "hospital").is_dir():
            console.print(f"{folder} was not made by a demo: not deleting it.")
            return 2
        shutil.rmtree(folder)
    _configure_prefect(folder, ephemeral=not options.serve)

    # Imported after the settings are in place: Prefect reads them once.
    from deployments.demo_hospital import build_hospital
    from safelight.errors import SafelightError

    started = time.monotonic()
    try:
        with console.status("Building the demo hospital (synthetic patients, seeded) ..."):
            hospital = build_hospital(
                folder / "hospital", seed=options.seed, today=datetime.now(UTC).date(), scale=options.scale
            )
        console.print(f"Demo hospital: {hospital.describe()}")
        with _receiver_port() as port, hospital.start(receiver_ae_title="SAFELIGHT", receiver_port=port):
            console.print("Archives are up on loopback: C-ECHO, C-FIND, C-MOVE, C-GET.")
            register(folder, hospital, port)
            if options.serve:
                return _serve(folder)
            _free_places()
            before = _exported(folder)
            _run(console, folder)
        summary = _summarise(folder, before, seconds=time.monotonic() - started)
        _show(console, folder, summary)
    except SafelightError as error:
        console.print(f"safelight demo: {error}", style="red")
        return 2
    return 0


def _configure_prefect(folder: Path, *, ephemeral: bool) -> None:
    """Keep Prefect's state in the demo's folder, whatever the user's own settings are."""
    os.chdir(CHECKOUT)
    folder.mkdir(parents=True, exist_ok=True)
    if ephemeral:
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            del os.environ[name]
        os.environ |= {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "ERROR",
        }


@contextmanager
def _receiver_port() -> Iterator[int]:
    """Choose a free port for our storage SCP."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    yield port


def register(folder: Path, hospital: Hospital, receiver_port: int) -> None:
    """Create the link database, the demo project's key, its blocks and its limits. Idempotent."""
    from blocks import DeltaLake, DicomNode, LinkStore, LocalFolder, PseudonymKeyFile, StorageNode
    from deployments.bootstrap import register_block_types, register_limits
    from safelight.project import load_project
    from tasks.wiring import now

    database = open_database(folder)
    database.migrate()
    database.close()
    keys = folder / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    for name, size in (("key", 64), ("salt", 16), ("signing", 32)):
        if not (keys / name).exists():
            (keys / name).write_bytes(os.urandom(size))
    register_block_types()
    labelled = folder / "report-validation"
    labelled.mkdir(exist_ok=True)
    shutil.copyfile(hospital.labelled_reports, labelled / "labelled.jsonl")
    documents: dict[str, Any] = {
        "link-database": LinkStore(url=database_url(folder)),
        f"pseudonym-key-{PROJECT}": PseudonymKeyFile(key_file=keys / "key", salt_file=keys / "salt"),
        "release-signing-key": PseudonymKeyFile(key_file=keys / "signing"),
        "raw-cache": LocalFolder(path=folder / "raw-cache", max_bytes=4 << 30),
        "work": LocalFolder(path=folder / "work"),
        "storage-receiver": StorageNode(ae_title="SAFELIGHT", host="127.0.0.1", port=receiver_port),
        "demo-deliveries": LocalFolder(path=hospital.deliveries),
        "demo-patient-record": LocalFolder(path=hospital.record),
        "demo-opt-out": LocalFolder(path=hospital.opt_out),
        "demo-report-validation": LocalFolder(path=labelled),
        "demo-lake": DeltaLake(uri=str(folder / "lake")),
        "demo-dicom": LocalFolder(path=folder / "dicom"),
    }
    for name, archive in (("primary", hospital.primary), ("secondary", hospital.secondary)):
        documents[f"demo-archive-{name}"] = DicomNode(ae_title=archive.ae_title, host=archive.host, port=archive.port)
    for name, block in documents.items():
        block.save(name, overwrite=True)
    for use in load_project(CHECKOUT / "profiles" / "projects", PROJECT).archives:
        register_limits(use)
    hospital.refresh_opt_out(now())


def _free_places() -> None:
    """Let go of what a demo that was killed still holds: nobody else uses its server."""
    from deployments.bootstrap import free_places
    from safelight.project import load_project

    for use in load_project(CHECKOUT / "profiles" / "projects", PROJECT).archives:
        free_places(use)


def database_url(folder: Path) -> str:
    """Return the SQLAlchemy URL of the demo's link database."""
    return f"sqlite:///{folder / 'link.sqlite'}"


def open_database(folder: Path) -> LinkDatabase:
    """Open the demo's link database."""
    from safelight.link import LinkDatabase
    from tasks.wiring import now

    return LinkDatabase(database_url(folder), clock=now)


def _exported(folder: Path) -> int:
    database = open_database(folder)
    try:
        return database.summary(PROJECT).outcomes.get("exported", 0)
    finally:
        database.close()


def _run(console: Console, folder: Path) -> None:
    """Run all stages, with a line of progress."""
    from flows.nightly_batch import STAGES

    with console.status("Starting Prefect's ephemeral server (a minute at most, the first time) ...") as status:
        done = threading.Event()
        where = ["starting"]
        watcher = threading.Thread(target=_watch, args=(folder, status, where, done), daemon=True)
        watcher.start()
        try:
            for stage in STAGES:
                where[0] = stage.name
                begun = time.monotonic()
                counts = stage(PROJECT)
                shown = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count) or "nothing to do"
                console.print(f"  {stage.name:<24} {time.monotonic() - begun:6.1f} s   {shown}")
        finally:
            done.set()
            watcher.join()


def _watch(folder: Path, status: Any, where: list[str], done: threading.Event) -> None:  # noqa: ANN401  rich's Status
    """Show how many requests have come how far, once a second."""
    database = open_database(folder)
    try:
        while not done.wait(1.0):
            summary = database.summary(PROJECT)
            if summary.requested:
                passed = ", ".join(f"{name} {summary.passed.get(name, 0)}" for name in _PASSED)
                status.update(f"{where[0]}: of {summary.requested} requests {passed}")
    finally:
        database.close()


def _summarise(folder: Path, exported_before: int, *, seconds: float) -> dict[str, Any]:
    """Write summary.json. ``requested`` is the sum of ``outcomes``."""
    database = open_database(folder)
    try:
        summary = database.summary(PROJECT)
    finally:
        database.close()
    result = {
        "project": PROJECT,
        "requested": summary.requested,
        "outcomes": dict(sorted(summary.outcomes.items())),
        "reasons": {state: dict(sorted(reasons.items())) for state, reasons in sorted(summary.reasons.items())},
        "passed": {name: summary.passed.get(name, 0) for name in _PASSED},
        "instances": dict(sorted(summary.instances.items())),
        "rows_set_aside": dict(sorted(summary.rows_set_aside.items())),
        "newly_exported": summary.outcomes.get("exported", 0) - exported_before,
        "balanced": summary.requested == sum(summary.outcomes.values()),
        "seconds": round(seconds, 1),
    }
    (folder / "summary.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _show(console: Console, folder: Path, summary: dict[str, Any]) -> None:
    """Print the table, the paths, one query with its answer, and what to type next."""
    table = Table(title=f"Project {PROJECT}", title_justify="left")
    table.add_column("")
    table.add_column("requests", justify="right")
    table.add_column("because")
    table.add_row("requested", str(summary["requested"]), "", style="bold")
    for state in ("opted_out", "not_found", "rejected", "quarantined", "failed"):
        reasons = ", ".join(f"{reason} {count}" for reason, count in summary["reasons"].get(state, {}).items())
        table.add_row(state.replace("_", " "), str(summary["outcomes"].get(state, 0)), reasons)
    for name in ("retrieved", "verified"):
        table.add_row(f"({name} on the way)", str(summary["passed"][name]), "", style="dim")
    table.add_row(
        "exported",
        str(summary["outcomes"].get("exported", 0)),
        f"new in this run: {summary['newly_exported']}",
        style="bold",
    )
    console.print(table)
    balance = " + ".join(str(count) for count in summary["outcomes"].values())
    console.print(f"{summary['requested']} requested = {balance}: every request is accounted for.")
    aside = {name: count for name, count in summary["instances"].items() if name != "written"}
    console.print(f"Instances written: {summary['instances'].get('written', 0)}; set aside: {aside or 'none'}.")
    console.print(f"Rows of the deliveries set aside: {summary['rows_set_aside'] or 'none'}.\n")
    for name, what in (
        ("lake", "Delta tables"),
        ("dicom", "de-identified DICOM"),
        ("summary.json", "the table above"),
        ("link.sqlite", "link database (identifiable: stays in the hospital)"),
    ):
        console.print(f"  {folder / name}  {what}")
    sql = query(folder)
    console.print("\nImages joined to reports and record rows, in DuckDB:\n")
    console.print(f"{sql}\n", style="cyan", markup=False)
    answer = Table()
    columns, rows = ask(sql)
    for column in columns:
        answer.add_column(column)
    for row in rows:
        answer.add_row(*[str(value) for value in row])
    console.print(answer)
    console.print("\nNext:")
    console.print("  make demo                                   run it again: nothing new is exported")
    console.print("  make ui                                     the same from the Prefect UI, with a form")
    console.print("  .venv/bin/safelight --help                  rehearse a profile, check a cohort, trace a pseudonym")
    console.print(f"\nDone in {summary['seconds']:.0f} s.")


def query(folder: Path) -> str:
    """Return the demo's SQL over the Delta tables."""
    lake = folder / "lake" / PROJECT
    return (
        "SELECT i.modality, count(DISTINCT i.image_study_uid) AS studies, count(DISTINCT i.image_series_uid) AS series,\n"
        "       count(DISTINCT n.note_id) AS reports, count(DISTINCT p.person_id) AS persons,\n"
        "       min(p.year_of_birth) AS born_from\n"
        f"FROM delta_scan('{lake / 'image_occurrence'}') i\n"
        f"JOIN delta_scan('{lake / 'person'}') p USING (person_id)\n"
        f"LEFT JOIN delta_scan('{lake / 'note'}') n USING (procedure_occurrence_id)\n"
        "GROUP BY i.modality ORDER BY i.modality"
    )


def ask(sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run SQL in DuckDB with its packaged Delta extension. Returns column names and rows."""
    from safelight.release.query import connect

    with connect() as connection:
        cursor = connection.execute(sql)
        return [column[0] for column in cursor.description], cursor.fetchall()


def _serve(folder: Path) -> int:
    """Keep the hospital up until the parent stops it."""
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, signal.default_int_handler)
    serving = folder / "hospital" / "serving"
    serving.touch()
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        return 0
    finally:
        serving.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
