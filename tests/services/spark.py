"""An engine that speaks Spark Connect, read by Spark's own client: Sail, which comes as a wheel and needs no Java.

Run as a program, it reads Delta tables and prints what they hold, in a process of its own: pyspark changes warnings and
logging of the process that it is in.

    python -m tests.services.spark FOLDER...
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def read_by_spark(folders: list[str]) -> dict[str, dict[str, Any]]:
    """Read each Delta table of local folders; returns folder -> ``schema`` (column -> type) and ``rows`` (as JSON text)."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.services.spark", *folders],
        cwd=ROOT,
        env={**os.environ, "TZ": "UTC", "RUST_LOG": "error"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def _main(folders: list[str]) -> None:
    warnings.simplefilter("ignore")
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").getOrCreate()
    found = {}
    for folder in folders:
        table = spark.read.format("delta").load(folder)
        rows = [{name: str(value) for name, value in row.asDict().items()} for row in table.collect()]
        found[folder] = {"schema": dict(table.dtypes), "rows": rows}
    spark.stop()
    server.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    _main(sys.argv[1:])
