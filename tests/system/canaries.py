"""Searches everything that a run left behind for identifiers that were planted in its input."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: How much of a DICOM file can hold text; behind it there are pixels, which grep reads as bytes.
HEADER_BYTES = 1 << 18


@dataclass(frozen=True)
class Hit:
    """One canary in one place."""

    path: Path
    canary: str
    how: str


def search(folder: Path, canaries: Iterable[str]) -> list[Hit]:
    """Look for each canary in file names and in every byte of every file, in parquet values, and in UTF-16 and base64."""
    wanted = sorted({canary for canary in canaries if len(canary) >= 5})
    assert len(wanted) > 100, "too few canaries to prove anything"
    return [
        *_in_names(folder, wanted),
        *_in_bytes(folder, wanted),
        *_in_parquet(folder, wanted),
        *_in_wide_text(folder, wanted),
    ]


def _in_names(folder: Path, wanted: list[str]) -> Iterator[Hit]:
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder)).casefold()
        yield from (Hit(path, canary, "name") for canary in wanted if canary.casefold() in name)


def _in_bytes(folder: Path, wanted: list[str]) -> Iterator[Hit]:
    """Search all bytes with grep, which looks for thousands of words at the speed of the disk."""
    with tempfile.NamedTemporaryFile("wb", suffix=".words") as words:
        for canary in wanted:
            for encoding in ("utf-8", "latin-1"):
                words.write(canary.encode(encoding, "ignore") + b"\n")
        words.flush()
        found = subprocess.run(
            ["grep", "-r", "-a", "-o", "-i", "-F", "-Z", "-f", words.name, str(folder)],
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
    assert found.returncode in (0, 1), found.stderr
    for line in found.stdout.splitlines():
        path, _, canary = line.partition(b"\0")
        yield Hit(Path(path.decode()), canary.decode("latin-1"), "bytes")


def _in_parquet(folder: Path, wanted: list[str]) -> Iterator[Hit]:
    """Search decoded values: compressed pages hide them from a search of the bytes."""
    for path in folder.rglob("*.parquet"):
        text = "\n".join(str(row) for row in pq.read_table(path).to_pylist()).casefold()
        yield from (Hit(path, canary, "parquet") for canary in wanted if canary.casefold() in text)


def _in_wide_text(folder: Path, wanted: list[str]) -> Iterator[Hit]:
    wide = [(canary, canary.encode(encoding)) for canary in wanted for encoding in ("utf-16-le", "utf-16-be")]
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                head = file.read(HEADER_BYTES)
            if b"\0" in head:
                yield from (Hit(path, canary, "utf-16") for canary, sought in wide if sought in head)
