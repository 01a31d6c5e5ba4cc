"""The manifest of a release: what went in, what left, under which rules, who let it go; with a SHA-256 of each, signed.

The signature covers everything but the list of files, which it covers by its digest: so the row of the lake's table
``release``, which has no such list, can be checked as the file can. Written once and never changed: an export that was
killed afterwards finds it and finishes that release.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from safelight.errors import ConfigurationError, IntegrityError
from safelight.release.approval import Decision
from safelight.release.faults import folder_fault
from safelight.release.files import write_durably
from safelight.release.signing import PublicKey, SigningKey

FORMAT: Final = "safelight-release/2"


@dataclass(frozen=True)
class Terms:
    """The rules under which a release was made."""

    profile: str
    profile_fingerprint: str
    project_fingerprint: str
    software_version: str

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "software_version": self.software_version,
            "profile": {"name": self.profile, "fingerprint": self.profile_fingerprint},
            "project_fingerprint": self.project_fingerprint,
        }

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Terms:
        """Return what ``as_data`` gave."""
        profile = data["profile"]
        return cls(profile["name"], profile["fingerprint"], data["project_fingerprint"], data["software_version"])


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

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Manifest:
    """What a release holds. ``created`` is aware.

    ``inputs`` and ``verification`` are those of the prepared release; ``parquet`` lists tables delivered as files.
    """

    project: str
    release_id: str
    terms: Terms
    created: datetime
    decision: Decision
    inputs: Mapping[str, Any]
    verification: Mapping[str, int]
    requests: int
    studies: int
    files: Sequence[DeliveredFile]
    tables: Sequence[TableState]
    refused: Sequence[Mapping[str, str]] = ()
    parquet: Sequence[Mapping[str, Any]] = ()

    def content(self) -> dict[str, Any]:
        """Return everything but the signature, as plain data in a fixed order."""
        return {
            "format": FORMAT,
            "project": self.project,
            "release_id": self.release_id,
            "created": self.created.astimezone(UTC).isoformat(),
            "approval": {"by": self.decision.by, "at": self.decision.at.astimezone(UTC).isoformat()},
            **self.terms.as_data(),
            "inputs": dict(self.inputs),
            "verification": dict(self.verification),
            "counts": {
                "requests": self.requests,
                "studies": self.studies,
                "instances": len(self.files),
                "bytes": sum(file.size for file in self.files),
                "refused": len(self.refused),
            },
            "tables": [table.as_data() for table in sorted(self.tables, key=lambda table: table.name)],
            "parquet": sorted((dict(item) for item in self.parquet), key=lambda item: (item["destination"], item["path"])),
            "refused": sorted((dict(item) for item in self.refused), key=lambda item: sorted(item.items())),
            "files": [
                {"path": file.path, "size": file.size, "sha256": file.sha256, "destinations": sorted(file.destinations)}
                for file in sorted(self.files, key=lambda file: file.path)
            ],
        }

    def to_bytes(self, key: SigningKey) -> bytes:
        """Return the file: JSON with sorted keys, one entry a line."""
        content = self.content()
        content["files_sha256"] = hashlib.sha256(_canonical(content["files"])).hexdigest()
        content["public_key"] = key.public.text
        content["signature"] = key.sign(_signed(content))
        return (json.dumps(content, sort_keys=True, indent=1) + "\n").encode()


def manifest_path(folder: Path, release_id: str) -> Path:
    """Return where the manifest of a release stands."""
    return folder / f"{release_id}.json"


def write_manifest(folder: Path, manifest: Manifest, key: SigningKey) -> bytes:
    """Write ``<release id>.json`` unless it is there, and ``<key's name>.pem`` beside it. Returns the manifest's bytes.

    Raises:
        StorageFull, StorageUnwritable: the folder can't be written.
    """
    path = manifest_path(folder, manifest.release_id)
    try:
        write_durably(folder / f"{key.public.name}.pem", key.public.pem.encode())
        if not path.exists():
            write_durably(path, manifest.to_bytes(key))
    except OSError as error:
        raise folder_fault(error, "the folder of manifests") from None
    return load_manifest(folder, manifest.release_id)


def load_manifest(folder: Path, release_id: str) -> bytes:
    """Return the bytes of a manifest file. Raises IntegrityError when it is gone."""
    try:
        return manifest_path(folder, release_id).read_bytes()
    except OSError:
        raise IntegrityError(
            f"The manifest of release '{release_id}' can't be read.", remedy="Restore it from a backup, then export again."
        ) from None


def read_manifest(data: bytes | str, *, public_key: PublicKey | None = None) -> dict[str, Any]:
    """Return the content of a manifest file, or of the column ``manifest`` of the table ``release``.

    Args:
        data: JSON; without a list of files only what the signature covers is checked.
        public_key: the key that must have signed it. Without it, the manifest's own: then a manifest that was changed and
            signed anew by somebody else is not noticed.

    Raises:
        IntegrityError: it was changed, is none, or was signed by another key.
    """
    try:
        found = dict(json.loads(data))
        own = PublicKey.of_text(found["public_key"])
        genuine = found["format"] == FORMAT and own.verifies(_signed(found), found["signature"])
        if "files" in found:
            genuine = genuine and hashlib.sha256(_canonical(found["files"])).hexdigest() == found["files_sha256"]
    except (ValueError, KeyError, TypeError, AttributeError, ConfigurationError):
        genuine = False
    if not genuine:
        raise IntegrityError(
            "The manifest is none, or was changed after it was signed.",
            remedy="Get it from the hospital's folder of manifests, or from the lake's table 'release'.",
        )
    if public_key is not None and own != public_key:
        raise IntegrityError(
            f"The manifest was signed by key '{own.name}', not by '{public_key.name}'.",
            remedy="Ask the hospital for the public key of this release.",
        )
    return found


def newest(manifests: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the last of a project's manifests: each names the one before it, and none names the last."""
    named = {manifest["inputs"]["previous"] for manifest in manifests}
    return max(manifests, key=lambda manifest: (manifest["release_id"] not in named, manifest["created"]))


def _signed(content: Mapping[str, Any]) -> bytes:
    return _canonical({name: value for name, value in content.items() if name not in ("files", "signature")})


def _canonical(data: Any) -> bytes:  # noqa: ANN401  whatever JSON holds
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
