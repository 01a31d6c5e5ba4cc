"""``python -m deployments.demo_hospital``: build the demo hospital in a folder, or serve its archives."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NoReturn

from deployments.demo_hospital.archive import ArchiveServer, Destination
from deployments.demo_hospital.hospital import PRIMARY_AE, SECONDARY_AE, build_hospital


def main(arguments: list[str] | None = None) -> int:
    """Build or serve. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deployments.demo_hospital", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    build = commands.add_parser("build", help="build the hospital in a folder; what is there already is reused")
    build.add_argument("folder", type=Path)
    build.add_argument("--seed", type=int, default=20260101)
    build.add_argument("--day", type=date.fromisoformat, default=None, help="all dates lie before it (default: today)")
    build.add_argument("--scale", type=float, default=1.0, help="shrinks the generated images (default: 1)")
    serve = commands.add_parser("serve", help="serve both archives until stopped; prints their ports as one line of JSON")
    serve.add_argument("folder", type=Path, help="where the hospital was built")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--primary-port", type=int, default=0, help="0 takes a free port (default)")
    serve.add_argument("--secondary-port", type=int, default=0, help="0 takes a free port (default)")
    serve.add_argument("--client", action="append", default=[], metavar="AE", help="a calling AE title to accept")
    serve.add_argument(
        "--destination", action="append", type=_destination, default=[], metavar="AE=HOST:PORT", help="where to C-MOVE to"
    )
    serve.add_argument("--until-input-ends", action="store_true", help="stop when standard input is closed")
    options = parser.parse_args(arguments)
    if options.command == "build":
        hospital = build_hospital(
            options.folder, seed=options.seed, today=options.day or datetime.now(UTC).date(), scale=options.scale
        )
        print(f"{options.folder}: {hospital.describe()}")
        return 0
    if not (options.folder / "archives").is_dir():
        parser.error(f"{options.folder} holds no hospital; build one first")
    _serve(options)


def _destination(text: str) -> Destination:
    ae_title, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    if not (ae_title and host and port.isdigit()):
        message = "must be AE=HOST:PORT"
        raise argparse.ArgumentTypeError(message)
    return Destination(ae_title, host, int(port))


def _stop_after_input(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _serve(options: argparse.Namespace) -> NoReturn:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.until_input_ends:
        # Whoever started us holds the other end: when it dies, however it dies, so do we.
        threading.Thread(target=_stop_after_input, args=(stop,), daemon=True).start()
    clients = tuple(options.client) or ("SAFELIGHT",)
    destinations = tuple(options.destination)
    with ExitStack() as running:
        ports = {}
        for name, ae_title, port in (
            ("primary", PRIMARY_AE, options.primary_port),
            ("secondary", SECONDARY_AE, options.secondary_port),
        ):
            server = ArchiveServer(
                ae_title,
                options.folder / "archives" / name,
                clients=clients,
                destinations=destinations,
                host=options.host,
                port=port,
            )
            ports[name] = running.enter_context(server).port
        print(json.dumps(ports), flush=True)
        stop.wait()
        # There is nothing to save, and an orderly end would wait for every peer that is still connected.
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
