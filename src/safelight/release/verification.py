"""Check a delivery against its manifests: every file and table is there, unchanged, and no file is there besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safelight.errors import IntegrityError
from safelight.release.files import file_digest
from safelight.release.lake import Lake
from safelight.release.manifest import newest


@dataclass(frozen=True)
class Verdict:
    """What was found. Paths are relative to the project's folder and made of pseudonyms."""

    intact: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    unlisted: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether the delivery is what the manifests say."""
        return not (self.missing or self.changed or self.unlisted)


def verify_delivery(manifests: Sequence[Mapping[str, Any]], folder: Path, *, destination: str = "") -> Verdict:
    """Compare a project's folder with the manifests of all its releases. Reads every file once; memory is flat.

    Args:
        manifests: from ``read_manifest``, of one project.
        folder: the project's folder at the destination: ``<root>/<project>``.
        destination: name of the destination in the manifests; empty: all instances of the manifests, and no tables.

    Raises:
        IntegrityError: manifests of several projects, or a path in them that leaves the folder.
    """
    if len({manifest["project"] for manifest in manifests}) > 1:
        raise IntegrityError("The manifests are of several projects.")
    listed: dict[str, Mapping[str, Any]] = {}
    # A later release of the same extract replaces its tables.
    for manifest in sorted(manifests, key=lambda manifest: str(manifest["created"])):
        for entry in manifest["files"]:
            if not destination or destination in entry["destinations"]:
                listed[entry["path"]] = entry
        for entry in manifest["parquet"]:
            if destination == entry["destination"]:
                listed[entry["path"]] = entry
    missing, changed, intact = [], [], 0
    for name, entry in sorted(listed.items()):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise IntegrityError("A path in the manifest leaves the delivery's folder.")
        if not path.is_file():
            missing.append(name)
        elif path.stat().st_size != entry["size"] or file_digest(path) != entry["sha256"]:
            changed.append(name)
        else:
            intact += 1
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return Verdict(intact, tuple(missing), tuple(changed), tuple(sorted(there - set(listed))))


def verify_lake(manifests: Sequence[Mapping[str, Any]], lake: Lake) -> Verdict:
    """Compare the tables of a project's lake with the newest of its manifests, whose digests cover all releases before.

    Paths of the verdict are names of tables. Reads one column of each table; 16 bytes a row of memory.

    Raises:
        IntegrityError: manifests of several projects. And what reading the lake may raise.
    """
    if len({manifest["project"] for manifest in manifests}) > 1:
        raise IntegrityError("The manifests are of several projects.")
    last = newest(manifests)
    missing, changed, intact = [], [], 0
    for table in last["tables"]:
        name = table["name"]
        if lake.open(last["project"], name) is None:
            missing.append(name)
        elif lake.digest(last["project"], name) != (table["rows"], table["sha256"]):
            changed.append(name)
        else:
            intact += 1
    return Verdict(intact, tuple(missing), tuple(changed), ())
