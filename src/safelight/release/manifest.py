"""The manifest of a release: what left, from which rules, with a SHA-256 of each file and table.

The same content gives the same manifest but for its time; its name is the digest of that content, so an export that was
killed after the manifest was written finds it again and finishes the same release.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from safelight.errors import IntegrityError
from safelight.release.faults import folder_fault

FORMAT: Final = "safelight-release/1"


@dataclass(frozen=True)
class Terms:
    """The rules under which a release was made."""

    profile: str
    profile_fingerprint: str
    project_fingerprint: str
    software_version: str


@dataclass(frozen=True)
class DeliveredFile:
    """One delivered instance: its path below the project, size in bytes, SHA-256, and the destinations that have it."""

    path: str
    size: int
    sha256: str
    destinations: tuple[str, ...]


@dataclass(frozen=True)
class TableState:
    """One table of the lake as released: rows, and SHA-256 over their sorted digests."""

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a release holds. ``created`` is aware."""

    project: str
    terms: Terms
    created: datetime
    requests: int
    studies: int
    files: Sequence[DeliveredFile]
    tables: Sequence[TableState]
    refused: Sequence[Mapping[str, str]] = ()
    _id: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def content(self) -> dict[str, Any]:
        """Return everything but name and time, as plain data in a fixed order."""
        return {
            "format": FORMAT,
            "project": self.project,
            "software_version": self.terms.software_version,
            "profile": {"name": self.terms.profile, "fingerprint": self.terms.profile_fingerprint},
            "project_fingerprint": self.terms.project_fingerprint,
            "counts": {
                "requests": self.requests,
                "studies": self.studies,
                "instances": len(self.files),
                "bytes": sum(file.size for file in self.files),
                "refused": len(self.refused),
            },
            "tables": [
                {"name": table.name, "rows": table.rows, "sha256": table.sha256}
                for table in sorted(self.tables, key=lambda table: table.name)
            ],
            "refused": sorted((dict(item) for item in self.refused), key=lambda item: sorted(item.items())),
            "files": [
                {"path": file.path, "size": file.size, "sha256": file.sha256, "destinations": sorted(file.destinations)}
                for file in sorted(self.files, key=lambda file: file.path)
            ],
        }

    @property
    def release_id(self) -> str:
        """The first 32 hexadecimal digits of the content's SHA-256."""
        if not self._id:
            text = json.dumps(self.content(), sort_keys=True, separators=(",", ":"))
            self._id.append(hashlib.sha256(text.encode()).hexdigest()[:32])
        return self._id[0]

    def to_bytes(self) -> bytes:
        """Return the file: JSON with sorted keys, one entry a line."""
        data = {**self.content(), "release_id": self.release_id, "created": self.created.astimezone(UTC).isoformat()}
        return (json.dumps(data, sort_keys=True, indent=1) + "\n").encode()


def write_manifest(folder: Path, manifest: Manifest) -> tuple[bytes, str]:
    """Write ``<folder>/<release id>.json`` unless it is there. Returns the file's bytes and their SHA-256.

    Raises:
        StorageFull, StorageUnwritable: the folder can't be written.
    """
    path = folder / f"{manifest.release_id}.json"
    data = manifest.to_bytes()
    try:
        if path.exists():
            data = path.read_bytes()
        else:
            folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
    except OSError as error:
        raise folder_fault(error, "the folder of manifests") from None
    return data, hashlib.sha256(data).hexdigest()


def load_manifest(folder: Path, release_id: str) -> bytes:
    """Return the bytes of a manifest file. Raises IntegrityError when it is gone."""
    try:
        return (folder / f"{release_id}.json").read_bytes()
    except OSError:
        raise IntegrityError(
            f"The manifest of release '{release_id}' can't be read.", remedy="Restore it from a backup, then export again."
        ) from None


def read_manifest(data: bytes) -> dict[str, Any]:
    """Return a manifest file's content. Raises IntegrityError when it was changed or is none."""
    try:
        found = json.loads(data)
        content = {name: value for name, value in found.items() if name not in ("release_id", "created")}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        genuine = found["format"] == FORMAT and hashlib.sha256(text.encode()).hexdigest()[:32] == found["release_id"]
    except (ValueError, KeyError, TypeError, AttributeError):
        genuine = False
    if not genuine:
        raise IntegrityError(
            "The manifest is none, or was changed after it was written.", remedy="Get it from the lake's table 'release'."
        )
    return dict(found)
