"""Export of one project: verified requests go to the destinations and the lake, and a manifest says what left.

The order makes every moment a safe one to be killed in. A request is moved only at the end, so until then everything is
done again, and everything done again leaves one copy: (1) DICOM is sent, (2) its rows are merged into the lake,
(3) the manifest is written, (4) recorded in the link database and (5) in the lake, (6) the requests are moved, (7) the
outcomes of all requests are merged. Rows come after the files, so that no row speaks of an image that did not leave.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from safelight.errors import IntegrityError
from safelight.link import LinkDatabase, Request, StageCounts
from safelight.model import InstanceOutcome, InstanceResult, Reason, RequestState
from safelight.release.destination import Destination, OutputFile
from safelight.release.journal import Journal
from safelight.release.lake import Lake
from safelight.release.manifest import (
    DeliveredFile,
    Manifest,
    TableState,
    Terms,
    load_manifest,
    read_manifest,
    write_manifest,
)
from safelight.release.schemas import TABLES, describe

Row = Mapping[str, Any]
#: A group of requests is sent at once, up to this size, so that small studies share a STOW request.
GROUP_BYTES: Final = 200 << 20
_CLAIM: Final = 50
_FLUSH_ROWS: Final = 10_000
_POLL_SECONDS: Final = 2.0
#: Tables that tell of releases; not part of them.
_ACCOUNTS: Final = frozenset({"request_outcome", "release", "data_dictionary"})


class ImageRows(Protocol):
    """Rows of one request's images."""

    image_occurrence: list[dict[str, Any]]
    dicom_instance: list[dict[str, Any]]


class Images(Protocol):
    """Reads the rows of the delivered files; ``locations`` is series UID -> how researchers reach it."""

    def __call__(self, request: Request, files: Sequence[Path], locations: Mapping[str, Mapping[str, str]]) -> ImageRows:
        """Return the rows of the files."""
        ...


@dataclass(frozen=True)
class Export:
    """What an export needs to know and to call.

    Args:
        project: slug.
        database: the link database.
        lake: where tables go.
        destinations: where DICOM goes; their names differ.
        terms: the rules of the release.
        images: reads rows from delivered files.
        outcome: makes the row of a request's outcome.
        work: folder of the verified output; relative paths of instances are below it.
        manifests: folder of manifests.
        record_tables: names of the record tables that the profile lets leave.
        clock: the time, aware.
        worker: name under which requests are leased.
        lease: how long.
        on_progress: called with requests done and instances delivered so far.
        sleep: waits, in seconds, for requests that another worker holds: one that was killed holds them until its lease
            ends, and they belong to this release.
    """

    project: str
    database: LinkDatabase
    lake: Lake
    destinations: Sequence[Destination]
    terms: Terms
    images: Images
    outcome: Callable[[Request, Sequence[InstanceResult]], Row]
    work: Path
    manifests: Path
    clock: Callable[[], datetime]
    worker: str
    lease: timedelta
    record_tables: Sequence[str] = ()
    on_progress: Callable[[int, int], None] | None = None
    sleep: Callable[[float], None] = time.sleep


@dataclass
class ExportResult:
    """What an export did. ``refused``: destination -> instances it refused. No release: there was nothing new."""

    counts: StageCounts
    release_id: str | None
    instances: int
    refused: dict[str, int]


def export_project(export: Export) -> ExportResult:
    """Export everything of a project that is verified. Again without anything new it changes nothing.

    Raises:
        TransientError, PermanentError: of the lake, a destination or the database. Requests stay verified.
    """
    names = [destination.name for destination in export.destinations]
    if len(set(names)) < len(names):
        raise IntegrityError("Two destinations of the project have the same name.")
    for destination in export.destinations:
        destination.check(export.project)
    for table in TABLES:
        export.lake.write(export.project, table, ())
    run = _Run(export, Journal(export.work / ".export-journal"))
    try:
        run.deliver()
        return run.conclude()
    finally:
        export.database.release(sorted(run.held), worker=export.worker)


@dataclass
class _Run:
    export: Export
    journal: Journal
    held: set[int] = field(default_factory=set)
    delivered: dict[int, str] = field(default_factory=dict)
    files: dict[str, DeliveredFile] = field(default_factory=dict)
    refused: list[dict[str, str]] = field(default_factory=list)
    moved: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    taken: int = 0
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"image_occurrence": [], "dicom_instance": []})
    release_id: str | None = None

    def deliver(self) -> None:
        """Steps 1 and 2."""
        database = self.export.database
        finished = self._finish()
        while ids := self._claim():
            self.taken += len(ids)
            self.held.update(ids)
            for request_id in finished.intersection(ids):
                self._move(request_id, RequestState.EXPORTED)
            for group in self._groups(database.requests([id_ for id_ in ids if id_ not in finished])):
                self._renew()
                self._send({request: files for request, files in group.items() if request.id in self.held})
        self._flush()

    def _finish(self) -> set[int]:
        """Return the requests of a release that is recorded and whose requests a killed export had still to move."""
        export = self.export
        finished: set[int] = set()
        recorded = {release.release_id: release.manifest_sha256 for release in export.database.releases(export.project)}
        for release_id in sorted(self.journal.concluding & set(recorded)):
            data = load_manifest(export.manifests, release_id)
            self._enter_release(data, recorded[release_id])
            finished.update(export.database.released_requests(export.project, release_id))
            self.release_id = release_id
        return finished

    def _claim(self) -> list[int]:
        export = self.export
        end = export.clock() + 2 * export.lease
        states = [RequestState.VERIFIED]
        while True:
            # Sending may take longer than a lease; one that ran out and that nobody took is still ours.
            self._renew()
            ids = export.database.claim(export.project, states, worker=export.worker, limit=_CLAIM, lease=export.lease)
            others = export.database.leased(export.project, states) - len(self.held) - len(ids)
            if ids or others <= 0 or export.clock() >= end:
                return ids
            export.sleep(_POLL_SECONDS)

    def _renew(self) -> None:
        """Keep what is held; a request that was withdrawn meanwhile is not held any more and goes no further."""
        if not self.held:
            return
        kept = set(self.export.database.renew(sorted(self.held), worker=self.export.worker, lease=self.export.lease))
        for request in self.export.database.requests(sorted(self.held - kept)):
            if request.state is RequestState.OPTED_OUT:
                self.moved[request.state.value] += 1
        self.held = kept

    def _groups(self, requests: Iterable[Request]) -> Iterator[dict[Request, list[OutputFile]]]:
        group: dict[Request, list[OutputFile]] = {}
        size = 0
        for request in requests:
            files = self._output(request)
            if files is None:
                continue
            here = sum(file.path.stat().st_size for file in files)
            if group and size + here > GROUP_BYTES:
                yield group
                group, size = {}, 0
            group[request] = files
            size += here
        if group:
            yield group

    def _output(self, request: Request) -> list[OutputFile] | None:
        """Return the files of a request; where one is gone the request goes back to be de-identified again."""
        instances = self.export.database.instances(request.id)
        files = [
            OutputFile(
                self.export.work / instance.path,
                instance.pseudo_study_instance_uid,
                instance.pseudo_series_instance_uid,
                instance.pseudo_sop_instance_uid,
            )
            for instance in instances
            if instance.outcome is InstanceOutcome.WRITTEN
        ]
        if files and all(file.path.is_file() for file in files):
            return files
        self._move(request.id, RequestState.RETRIEVED)
        return None

    def _move(self, request_id: int, to: RequestState, reason: Reason | None = None) -> None:
        self.export.database.move(request_id, to, worker=self.export.worker, reason=reason)
        self.held.discard(request_id)
        self.moved[to.value] += 1
        if reason:
            self.reasons[reason.value] += 1

    def _send(self, group: Mapping[Request, list[OutputFile]]) -> None:
        export = self.export
        files = list({file.sop_uid: file for members in group.values() for file in members}.values())
        where: dict[str, list[str]] = {file.sop_uid: [] for file in files}
        for destination in export.destinations:
            new, sent = self.journal.split(destination.name, files)
            result = destination.send(export.project, new)
            there = result.delivered | {file.sop_uid for file in sent}
            self.journal.add(destination.name, (file for file in new if file.sop_uid in result.delivered))
            for uid in there:
                where[uid].append(destination.name)
            self.refused += [
                {"destination": destination.name, "sop_instance_uid": uid, "reason": reason.value}
                for uid, reason in result.refused.items()
            ]
        for request, members in group.items():
            kept = [file for file in members if where[file.sop_uid]]
            if kept:
                self._link(request, kept, where)
            else:
                self._move(request.id, RequestState.FAILED, Reason.DESTINATION_REFUSED)
        if export.on_progress:
            export.on_progress(len(self.delivered), len(self.files))

    def _link(self, request: Request, files: Sequence[OutputFile], where: Mapping[str, list[str]]) -> None:
        locations: dict[str, dict[str, str]] = {}
        for file in files:
            for destination in self.export.destinations:
                if destination.name in where[file.sop_uid]:
                    found = destination.locate(self.export.project, file.study_uid, file.series_uid)
                    for name, value in found.items():
                        locations.setdefault(file.series_uid, {}).setdefault(name, value)
        rows = self.export.images(request, [file.path for file in files], locations)
        by_uid = {row["SOPInstanceUID"]: row for row in rows.dicom_instance}
        if set(by_uid) != {file.sop_uid for file in files}:
            raise IntegrityError("The files of a request and their rows are not the same instances.")
        for file in files:
            row = by_uid[file.sop_uid]
            self.files[file.sop_uid] = DeliveredFile(file.relative, row["bytes"], row["sha256"], tuple(where[file.sop_uid]))
        self.delivered[request.id] = files[0].study_uid
        self.rows["image_occurrence"] += rows.image_occurrence
        self.rows["dicom_instance"] += rows.dicom_instance
        if len(self.rows["dicom_instance"]) >= _FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        for name, rows in self.rows.items():
            if rows:
                self.export.lake.write(self.export.project, name, [rows])
                rows.clear()

    def conclude(self) -> ExportResult:
        """Steps 3 to 7."""
        self._renew()
        tables = self._tables()
        if self.delivered or _changed(tables, self._last_release()):
            self.release_id = self._release(tables)
            for request_id in sorted(self.delivered):
                if request_id in self.held:
                    self._move(request_id, RequestState.EXPORTED)
        self._outcomes()
        export = self.export
        names = dict.fromkeys((*TABLES, *export.record_tables))
        described = [table for name in names if (table := export.lake.described(export.project, name))]
        export.lake.write(export.project, "data_dictionary", [describe(table) for table in described])
        self.journal.clear()
        return ExportResult(
            StageCounts(self.taken, dict(self.moved), dict(self.reasons)),
            self.release_id,
            len(self.files),
            dict(Counter(item["destination"] for item in self.refused)),
        )

    def _tables(self) -> list[TableState]:
        names = [name for name in (*TABLES, *self.export.record_tables) if name not in _ACCOUNTS]
        found = [name for name in dict.fromkeys(names) if self.export.lake.open(self.export.project, name)]
        return [TableState(name, *self.export.lake.digest(self.export.project, name)) for name in found]

    def _last_release(self) -> dict[str, Any] | None:
        rows = self.export.lake.read(self.export.project, "release", ["created", "manifest"]).to_pylist()
        if not rows:
            return None
        return dict(json.loads(max(rows, key=lambda row: row["created"])["manifest"]))

    def _release(self, tables: Sequence[TableState]) -> str:
        export = self.export
        studies = set(self.delivered.values())
        manifest = Manifest(
            export.project,
            export.terms,
            export.clock(),
            len(self.delivered),
            len(studies),
            list(self.files.values()),
            tables,
            self.refused,
        )
        data, digest = write_manifest(export.manifests, manifest)
        self.journal.conclude(manifest.release_id)
        export.database.record_release(export.project, manifest.release_id, digest, sorted(self.delivered))
        self._enter_release(data, digest)
        return manifest.release_id

    def _enter_release(self, data: bytes, digest: str) -> None:
        export = self.export
        written = read_manifest(data)
        row = {
            "release_id": written["release_id"],
            "created": datetime.fromisoformat(written["created"]),
            **{name: written["counts"][name] for name in ("requests", "studies", "instances", "bytes")},
            "profile_fingerprint": written["profile"]["fingerprint"],
            "project_fingerprint": written["project_fingerprint"],
            "software_version": written["software_version"],
            "manifest_sha256": digest,
            "manifest": json.dumps({name: value for name, value in written.items() if name != "files"}, sort_keys=True),
        }
        export.lake.write(export.project, "release", [[row]])

    def _outcomes(self) -> None:
        export = self.export
        count = 0

        def rows() -> Iterator[list[Row]]:
            nonlocal count
            batch: list[Row] = []
            for request in export.database.find(export.project, list(RequestState)):
                batch.append(export.outcome(request, export.database.instances(request.id)))
                count += 1
                if len(batch) == 1_000:
                    yield batch
                    batch = []
            if batch:
                yield batch

        result = export.lake.write(export.project, "request_outcome", rows())
        stored = result.inserted + result.updated + result.unchanged
        if stored != count:
            raise IntegrityError("The outcomes in the lake and the requests are not the same number.")


def _changed(tables: Sequence[TableState], last: Mapping[str, Any] | None) -> bool:
    now = {(table.name, table.rows, table.sha256) for table in tables if table.rows}
    if last is None:
        return bool(now)
    return now != {(table["name"], table["rows"], table["sha256"]) for table in last["tables"] if table["rows"]}
