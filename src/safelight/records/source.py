"""The public record tables of an OMOP-ES extract, in both of its layouts."""

from __future__ import annotations

from pathlib import Path

from safelight.errors import ExtractInvalid


def record_files(extract: Path) -> dict[str, list[Path]]:
    """Return the parquet files of each public table, by its name in lower case.

    ``public/omop/MEASUREMENT.parquet`` in a delivery of single files, ``public/omop/measurement/part-*.parquet`` in a
    batched one.

    Raises:
        ExtractInvalid: there is no ``public/omop``, or a table is there in both layouts.
    """
    folder = extract / "public" / "omop"
    if not folder.is_dir():
        raise ExtractInvalid("The delivery has no folder public/omop.", remedy="Ask for the delivery again.")
    tables: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        parts = sorted(path.glob("*.parquet")) if path.is_dir() else [path] if path.suffix == ".parquet" else []
        if not parts:
            continue
        name = (path.name if path.is_dir() else path.stem).lower()
        if name in tables:
            raise ExtractInvalid(
                f"The delivery has table '{name}' twice, as a file and as a folder of parts.", remedy="Remove the older one."
            )
        tables[name] = parts
    return tables
