"""The release that is prepared and not sent yet: a folder that holds exactly what will leave.

It appears complete or not at all, and nothing in it changes afterwards: tables are links to (or filtered copies of) the
staged files as they were, instances are listed with their digests, and the id is the digest of all that. A decision is
written beside it. When everything is sent the folder is removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from safelight.errors import IntegrityError
from safelight.release.approval import Decision
from safelight.release.conform import conform
from safelight.release.faults import folder_fault
from safelight.release.files import write_durably
from safelight.release.schemas import TABLES
from safelight.staging import read_staged

_ABOUT: Final = "prepared.json"
_DECISION: Final = "decision.json"
_REQUESTS: Final = "requests.jsonl"
_ROWS: Final = ("image_occurrence", "dicom_instance")
#: What the approver reads and nobody else: it names small cells.
GOVERNANCE: Final = "governance.md"
_FLUSH_ROWS: Final = 5_000
_WHERE: Final = "the work folder"


@dataclass(frozen=True)
class PreparedTable:
    """Rows that will be merged into one table of the lake."""

    table: str
    path: Path


@dataclass(frozen=True)
class PreparedRequest:
    """One request that will leave: its instances' files by SOP Instance UID (below the work folder), and its rows."""

    id: int
    files: Mapping[str, str]
    image_occurrence: list[dict[str, Any]]
    dicom_instance: list[dict[str, Any]]


class Pending:
    """The prepared release in a folder. Reading is streamed.

    Raises:
        IntegrityError: (all methods) the folder was changed since.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about: dict[str, Any] = _read(folder / _ABOUT)

    @classmethod
    def find(cls, folder: Path) -> Pending | None:
        """Return the prepared release, or None where there is none."""
        return cls(folder) if (folder / _ABOUT).exists() else None

    @property
    def release_id(self) -> str:
        """Digest of what is prepared."""
        return str(self.about["release_id"])

    @property
    def counts(self) -> dict[str, int]:
        """What it holds, and what verification stopped: for the approver and for limits."""
        return dict(self.about["counts"])

    @property
    def tables(self) -> list[PreparedTable]:
        """Tables of notes and record that are new or were changed."""
        return [
            PreparedTable(item["table"], self.folder / "tables" / f"{item['name']}.parquet")
            for item in self.about["content"]["tables"]
            if item["new"]
        ]

    def rows_of(self, name: str) -> Path:
        """Return the file of all rows of ``image_occurrence`` or ``dicom_instance``; addresses are still empty there."""
        return self.folder / "tables" / f"{name}.parquet"

    def requests(self) -> Iterator[PreparedRequest]:
        """Return the requests in the order of their ids."""
        rows = {name: _rows(self.rows_of(name)) for name in _ROWS}
        try:
            with (self.folder / _REQUESTS).open(encoding="ascii") as lines:
                for line in lines:
                    entry = json.loads(line)
                    taken = [list(islice(rows[name], entry[name])) for name in _ROWS]
                    yield PreparedRequest(entry["id"], entry["files"], *taken)
        except (OSError, ValueError, KeyError):
            raise _damaged() from None

    @property
    def datasheet(self) -> str:
        """The datasheet in Markdown, as it will go with the data."""
        return (self.folder / "datasheet.md").read_text(encoding="utf-8")

    def publish_datasheet(self, folder: Path) -> None:
        """Put the datasheet where the manifest will stand, as Markdown and HTML."""
        try:
            for kind in ("md", "html"):
                write_durably(folder / f"{self.release_id}.{kind}", (self.folder / f"datasheet.{kind}").read_bytes())
        except OSError as error:
            raise folder_fault(error, "the folder of manifests") from None

    @property
    def decision(self) -> Decision | None:
        """What was decided on exactly this release."""
        if not (self.folder / _DECISION).exists():
            return None
        try:
            found = Decision.of_data(_read(self.folder / _DECISION))
        except (KeyError, TypeError, ValueError):
            raise _damaged() from None
        return found if found.release_id == self.release_id else None

    def decide(self, decision: Decision) -> None:
        """Write a decision down, in place of an earlier one."""
        if decision.release_id != self.release_id:
            raise IntegrityError(
                "The decision is on another release than the one that is prepared.", remedy="Look at it and decide again."
            )
        write_durably(self.folder / _DECISION, json.dumps(decision.as_data(), indent=1).encode())

    def remove(self) -> None:
        """Forget it: everything was sent."""
        remove_folder(self.folder)


class Draft:
    """A release while it is being prepared, in a folder of its own. Memory: some thousand rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tables").mkdir(parents=True)
        self._requests = (folder / _REQUESTS).open("w", encoding="ascii")
        self._writers = {
            name: pq.ParquetWriter(folder / "tables" / f"{name}.parquet", TABLES[name].columns, compression="snappy")
            for name in _ROWS
        }
        self._held: dict[str, list[dict[str, Any]]] = {name: [] for name in _ROWS}

    def add(self, request: PreparedRequest) -> None:
        """Enter a request."""
        rows = {name: getattr(request, name) for name in _ROWS}
        counts = {name: len(found) for name, found in rows.items()}
        self._requests.write(json.dumps({"id": request.id, "files": dict(request.files), **counts}, sort_keys=True) + "\n")
        for name, found in rows.items():
            self._held[name] += found
            if len(self._held[name]) >= _FLUSH_ROWS:
                self._flush(name)

    def _flush(self, name: str) -> None:
        self._writers[name].write_table(conform(self._held[name], TABLES[name]))
        self._held[name].clear()

    def table(self, origin: str) -> Path:
        """Return where a table's file is to be put."""
        path = self.folder / "tables" / f"{origin}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def rows_done(self) -> None:
        """Complete the files of rows, so that they can be read."""
        for name in _ROWS:
            self._flush(name)
        self.close()

    def conclude(self, content: Mapping[str, Any], counts: Mapping[str, int]) -> str:
        """Write what the release holds; returns its id."""
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        release_id = hashlib.sha256(text.encode()).hexdigest()[:32]
        about = {"release_id": release_id, "content": content, "counts": counts}
        write_durably(self.folder / _ABOUT, json.dumps(about, sort_keys=True, indent=1).encode())
        return release_id

    def close(self) -> None:
        """Close what is open."""
        self._requests.close()
        for writer in self._writers.values():
            writer.close()


@contextmanager
def drafting(pending: Path) -> Iterator[Draft]:
    """Yield an empty draft beside the pending release; it is gone afterwards unless it was put in place.

    One at a time: whoever comes second waits, and finds what the first one made. A kill lets go.
    """
    folder = pending.with_name(f".{pending.name}.part")
    try:
        pending.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            shutil.rmtree(folder, ignore_errors=True)
            draft = Draft(folder)
            try:
                yield draft
            finally:
                draft.close()
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise folder_fault(error, _WHERE) from None


def put_in_place(draft: Draft, pending: Path) -> Pending:
    """Make the draft the pending release, in place of one that was refused."""
    remove_folder(pending)
    draft.folder.rename(pending)
    return Pending(pending)


def remove_folder(folder: Path) -> None:
    """Remove a pending release: first the file that makes it one, so that no half of it is ever taken for one."""
    try:
        (folder / _ABOUT).unlink(missing_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise folder_fault(error, _WHERE) from None


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for batch in read_staged(path)[1]:
        yield from batch.to_pylist()


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        raise _damaged() from None


def _damaged() -> IntegrityError:
    return IntegrityError(
        "The prepared release in the work folder is damaged.",
        remedy="Remove the project's folder 'release' in the work folder; the release is then prepared anew.",
    )
