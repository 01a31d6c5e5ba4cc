"""Release: rows into the lake, a nightly increment, and STOW-RS

Each measurement runs in a process of its own, so that its peak memory is its own. STOW-RS is compared with
dicomweb-client on the same Orthanc in the same run; without Orthanc that part is left out, and said so.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_PREPARE = "prepare 10 M"
_DELIVERY = "prepare a delivery"


def main() -> list[dict[str, Any]]:
    """Run every measurement; returns name, target, size, seconds, rate, peak memory in MB, and a note."""
    return [_measure(name, target) for name, (_, target) in MEASURES.items()]


def _measure(name: str, target: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "bench.bench_release", name, folder],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        return {
            "what": name,
            "target": target,
            "size": "",
            "seconds": "",
            "rate": "",
            "peak MB": "",
            "note": done.stderr.strip().splitlines()[-1],
        }
    return {"what": name, "target": target, **json.loads(done.stdout)}


def _told(size: str, seconds: float, rate: str, note: str = "") -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"size": size, "seconds": round(seconds, 2), "rate": rate, "peak MB": round(peak), "note": note}


def _measurements(first: int, count: int) -> Iterator[Any]:
    """Rows like a measurement table's, with random-looking keys."""
    import hashlib

    import numpy as np
    import pyarrow as pa

    names = ("measurement_id", "person_id", "measurement_concept_id", "value_as_number", "extract_datetime")
    kinds = (pa.string(), pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", "UTC"))
    schema = pa.schema([pa.field(n, k, metadata={"comment": "A column."}) for n, k in zip(names, kinds, strict=True)])
    for start in range(first, first + count, 65_536):
        numbers = range(start, min(start + 65_536, first + count))
        keys = [hashlib.blake2b(b"%d" % n, digest_size=32).hexdigest() for n in numbers]
        people = [hashlib.blake2b(b"%d" % (n % 1000), digest_size=32).hexdigest() for n in numbers]
        values = np.arange(len(numbers), dtype=float)
        yield pa.record_batch(
            [
                keys,
                people,
                pa.array(values).cast(pa.int64()),
                pa.array(values),
                pa.repeat(pa.scalar(0).cast(kinds[4]), len(keys)),
            ],
            schema=schema,
        )


def _schema() -> Any:  # noqa: ANN401
    from safelight.release.schemas import TableSchema

    return TableSchema("measurement", "Measurements.", "measurement_id", next(_measurements(0, 1)).schema)


def rows_1m(folder: Path) -> dict[str, Any]:
    """1 million rows into a new table."""
    from safelight.release.lake import Lake

    begin = time.perf_counter()
    result = Lake(str(folder)).write("bench", _schema(), _measurements(0, 1_000_000))
    seconds = time.perf_counter() - begin
    return _told(f"{result.inserted} rows", seconds, f"{result.inserted / seconds:,.0f} rows/s")


def again_1m(folder: Path) -> dict[str, Any]:
    """The same 1 million rows again: nothing is written."""
    from safelight.release.lake import Lake

    Lake(str(folder)).write("bench", _schema(), _measurements(0, 1_000_000))
    begin = time.perf_counter()
    result = Lake(str(folder)).write("bench", _schema(), _measurements(0, 1_000_000))
    seconds = time.perf_counter() - begin
    return _told(
        f"{result.unchanged} rows", seconds, f"{result.unchanged / seconds:,.0f} rows/s", f"{result.inserted} written"
    )


def nightly_10k_on_10m(folder: Path) -> dict[str, Any]:
    """10,000 new rows onto 10 million."""
    from safelight.release.lake import Lake

    # In a process of its own, so that the peak is that of the increment.
    subprocess.run([sys.executable, "-m", "bench.bench_release", _PREPARE, str(folder)], cwd=ROOT, check=True)
    before = {path.name for path in folder.rglob("*.parquet")}
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    begin = time.perf_counter()
    result = Lake(str(folder)).write("bench", _schema(), _measurements(10_000_000, 10_000))
    seconds = time.perf_counter() - begin
    written = sum(path.stat().st_size for path in folder.rglob("part-*.parquet") if path.name not in before)
    return _told(f"{result.inserted} rows", seconds, f"{100 * written / size:.2f} % rewritten")


def _ten_million(folder: Path) -> dict[str, Any]:
    import pyarrow as pa
    from deltalake import write_deltalake

    from safelight.release.conform import with_row_hash
    from safelight.release.lake import SNAPPY, Lake

    lake = Lake(str(folder))
    lake.write("bench", _schema(), ())
    for start in range(0, 10_000_000, 500_000):
        table = with_row_hash(pa.Table.from_batches(_measurements(start, 500_000)))
        write_deltalake(lake.location("bench", "measurement"), table, mode="append", writer_properties=SNAPPY)
    return {}


def records_1m(folder: Path) -> dict[str, Any]:
    """1 million measurements of a delivery, de-identified and written to the lake."""
    # In a process of its own, so that the peak is not that of making the delivery.
    subprocess.run([sys.executable, "-m", "bench.bench_release", _DELIVERY, str(folder)], cwd=ROOT, check=True)
    from datetime import UTC, datetime

    from safelight.pseudonym import ProjectKey, Pseudonymizer
    from safelight.records.rules import RecordRules
    from safelight.records.source import ParquetRows
    from safelight.records.tables import deidentify_table
    from safelight.release.lake import Lake
    from safelight.yamlfile import load_yaml

    file = load_yaml(folder / "profile.yaml")
    table = deidentify_table(
        ParquetRows("measurement", (folder / "MEASUREMENT.parquet",)),
        "measurement",
        RecordRules.parse(file, file.data["records"]),
        Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16)))),
        mrn_of=lambda person: f"MRN{person}",
        generated=datetime(2026, 1, 1, tzinfo=UTC),
    )
    begin = time.perf_counter()
    result = Lake(str(folder)).write("bench", "measurement", table)
    seconds = time.perf_counter() - begin
    return _told(f"{result.inserted} rows", seconds, f"{result.inserted / seconds:,.0f} rows/s")


def _delivery(folder: Path) -> dict[str, Any]:
    from datetime import date

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = np.arange(1_000_000)
    columns = {
        "measurement_id": numbers.astype(float),
        "person_id": (numbers % 2000).astype(float),
        "measurement_concept_id": 3_000_000 + numbers % 100,
        "measurement_date": pa.repeat(pa.scalar(date(2020, 1, 1)), len(numbers)),
        "value_as_number": numbers / 7,
        "unit_concept_id": pa.repeat(pa.scalar(8840), len(numbers)),
        "visit_occurrence_id": (numbers // 10).astype(float),
    }
    pq.write_table(pa.table(columns), folder / "MEASUREMENT.parquet")
    rules = {
        name: "secure-hash" if name.endswith(("t_id", "n_id", "e_id")) and "concept" not in name else "keep"
        for name in columns
    }
    rules |= {"measurement_date": "date-shift"}
    lines = "".join(f"    {name}: {rule}\n" for name, rule in rules.items())
    (folder / "profile.yaml").write_text(f"records:\n  measurement:\n{lines}")
    return {}


def _instances(folder: Path) -> list[Any]:
    from tests.release.hospital import output_files

    return output_files(folder / "work", count=100, rows=512)


def _orthanc(folder: Path) -> Any:  # noqa: ANN401
    from tests.services.orthanc import Orthanc

    return Orthanc(folder / "orthanc")


def _stow(folder: Path, send: Callable[[Any, list[Any]], None]) -> dict[str, Any]:
    files = _instances(folder)
    size = sum(file.path.stat().st_size for file in files) / 1e6
    orthanc = _orthanc(folder)
    best = 1e9
    try:
        for _ in range(3):
            orthanc.clear()
            begin = time.perf_counter()
            send(orthanc, files)
            best = min(best, time.perf_counter() - begin)
            assert len(orthanc.instances()) == len(files)
    finally:
        orthanc.kill()
    return _told(f"{len(files)} instances, {size:.0f} MB", best, f"{size / best:.0f} MB/s")


def stow_ours(folder: Path) -> dict[str, Any]:
    """STOW-RS by Safelight."""
    from safelight.release.dicomweb import DicomwebDestination

    return _stow(
        folder,
        lambda orthanc, files: (
            DicomwebDestination(orthanc.dicomweb_url, (orthanc.username, orthanc.password)).send("x", files) and None
        ),
    )


def stow_dicomweb_client(folder: Path) -> dict[str, Any]:
    """STOW-RS by dicomweb-client, all in one call."""
    import pydicom
    from dicomweb_client import DICOMwebClient
    from dicomweb_client.session_utils import create_session_from_user_pass

    def send(orthanc: Any, files: list[Any]) -> None:  # noqa: ANN401
        session = create_session_from_user_pass(orthanc.username, orthanc.password)
        client = DICOMwebClient(orthanc.dicomweb_url, session=session)
        client.store_instances([pydicom.dcmread(file.path) for file in files])

    return _stow(folder, send)


def images_100k(folder: Path) -> dict[str, Any]:
    """Metadata of 100,000 images, read from their files and written to the lake as an export does it."""
    from collections import Counter

    from safelight.linkage.images import image_rows
    from safelight.release.lake import Lake
    from tests.linkage.test_rows import REQUEST
    from tests.release.hospital import PSEUDONYMIZER, output_files

    # The files of one study, read as often as there are studies: reading costs the same, and the disk stays small.
    files = [file.path for file in output_files(folder / "work", count=500, rows=8)]
    lake, counts = Lake(str(folder / "lake")), Counter[str]()
    begin = time.perf_counter()
    held: dict[str, list[Any]] = {"image_occurrence": [], "dicom_instance": []}
    for study in range(200):
        rows = image_rows(files, REQUEST, PSEUDONYMIZER)
        for row in rows.dicom_instance:
            row["SOPInstanceUID"] += f".{study}"
        for row in rows.image_occurrence:
            row["image_occurrence_id"] = PSEUDONYMIZER.secure_hash(str(study), "image")
        held["image_occurrence"] += rows.image_occurrence
        held["dicom_instance"] += rows.dicom_instance
        if len(held["dicom_instance"]) >= 10_000 or study == 199:
            for name, found in held.items():
                counts[name] += lake.write("bench", name, [found]).inserted
                found.clear()
    seconds = time.perf_counter() - begin
    images = counts["dicom_instance"]
    return _told(f"{images} images", seconds, f"{images / seconds:,.0f} images/s", f"{counts['image_occurrence']} series")


_FLAT = "peak < 1000 MB"
#: What is measured, and what it should reach.
MEASURES: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "1 M record rows": (records_1m, _FLAT),
    "100 k images' metadata": (images_100k, _FLAT),
    "1 M rows, new": (rows_1m, _FLAT),
    "1 M rows, again": (again_1m, "0 written"),
    "10 k rows onto 10 M": (nightly_10k_on_10m, "< 1 % rewritten"),
    "STOW-RS": (stow_ours, "1.2 x the next line, memory flat"),
    "STOW-RS, dicomweb-client": (stow_dicomweb_client, ""),
}

if __name__ == "__main__":
    calls = {**{name: measure for name, (measure, _) in MEASURES.items()}, _PREPARE: _ten_million, _DELIVERY: _delivery}
    outcome = calls[sys.argv[1]](Path(sys.argv[2]))
    if outcome:
        print(json.dumps(outcome))
