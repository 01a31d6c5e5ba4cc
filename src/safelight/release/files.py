"""Files that are complete or not there, and what their bytes are told apart by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 20


def write_durably(path: Path, data: bytes) -> None:
    """Write a file that is complete and on the disk, or not there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal. Memory is flat. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def root_digest(lines: Iterable[str]) -> str:
    """Return SHA-256 over the sorted lines: one number for many files."""
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
