"""``make bench``: run the benchmarks, print a table of each, keep the figures as JSON.

A benchmark is a module beside this one with ``main() -> list[dict]``: one row for each thing measured, the same keys
in every row. Its docstring's first line becomes the table's title.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import pkgutil
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
WIDTH = 150
PACKAGES = ("pydicom", "pynetdicom", "deltalake", "pyarrow", "spacy", "presidio-analyzer")


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="make bench", description=main.__doc__)
    found = benchmarks()
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(found) or 'none yet'}")
    names = parser.parse_args().names or list(found)
    if unknown := set(names) - set(found):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(found)}")
    for name in names:
        began = time.monotonic()
        rows = found[name].main()
        _show(name, found[name], rows, time.monotonic() - began)
        _keep(name, rows)
    if not names:
        sys.exit("bench: there is no benchmark")


def benchmarks() -> dict[str, ModuleType]:
    """Name -> module of all benchmarks here."""
    modules = {
        info.name.removeprefix("bench_"): importlib.import_module(f"bench.{info.name}")
        for info in pkgutil.iter_modules([str(Path(__file__).parent)])
        if info.name != "run" and not info.ispkg
    }
    return {name: module for name, module in modules.items() if hasattr(module, "main")}


def _show(name: str, module: ModuleType, rows: list[dict[str, Any]], seconds: float) -> None:
    title = (inspect.getdoc(module) or name).splitlines()[0]
    table = Table(title=f"{name}: {title} ({seconds:.0f} s)", title_justify="left")
    for key in rows[0] if rows else ():
        table.add_column(key, justify="left" if isinstance(rows[0][key], str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    # A file has no width; a table that is cut off in it says nothing.
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


def _keep(name: str, rows: list[dict[str, Any]]) -> None:
    RESULTS.mkdir(exist_ok=True)
    about = {
        "benchmark": name,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine(), "system": platform.system()},
        "packages": {package: version(package) for package in PACKAGES},
        "rows": rows,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(about, indent=1) + "\n")
    print(f"Kept in {path.relative_to(Path(__file__).parents[1])}")


if __name__ == "__main__":
    main()
