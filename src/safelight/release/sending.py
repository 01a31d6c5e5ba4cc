"""Sends the prepared release, once it is approved: DICOM to the destinations, rows to the lake, and the manifest.

The order makes every moment a safe one to be killed in. Requests are moved only at the end, so until then everything is
done again, and everything done again leaves one copy: (1) staged rows are merged into the lake, (2) DICOM is sent and its
rows are merged, (3) tables go to where files are taken, and the manifest is written; from then on it is what counts:
(4) it is recorded in the link database and (5) in the lake, (6) the requests are moved, (7) the outcomes of all requests
are merged, (8) the prepared release is forgotten. Rows come after the files, so that no row speaks of an image that did
not leave.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from safelight.errors import IntegrityError
from safelight.link import StageCounts
from safelight.link.batches import in_batches
from safelight.model import Reason, RequestState
from safelight.release.accounts import news, table_states, write_accounts
from safelight.release.approval import Decision
from safelight.release.destination import OutputFile
from safelight.release.export import Export, ExportResult
from safelight.release.files import file_digest
from safelight.release.inspection import Verifier, log_words
from safelight.release.journal import Journal
from safelight.release.manifest import (
    DeliveredFile,
    Manifest,
    TableState,
    Terms,
    load_manifest,
    manifest_path,
    read_manifest,
    write_manifest,
)
from safelight.release.parquet import deliver_tables
from safelight.release.pending import Pending, PreparedRequest
from safelight.release.schemas import TABLES, TableSchema
from safelight.staging import read_staged

#: A group of requests is sent at once, up to this size, so that small studies share a STOW request.
GROUP_BYTES: Final = 200 << 20
_CLAIM: Final = 50
_FLUSH_ROWS: Final = 10_000
_POLL_SECONDS: Final = 2.0


def send(export: Export) -> ExportResult:
    """Send the prepared release if it is approved. Without one, or before that, nothing leaves.

    Raises:
        TransientError, PermanentError: of the lake, a destination or the database. Requests stay verified, and calling
            again goes on.
    """
    pending = Pending.find(export.pending)
    decision = pending.decision if pending else None
    if pending is None or decision is None or not decision.approved:
        waiting = ""
        if pending is None and export.policy.approval == "automatic":
            write_accounts(export)
        elif pending is not None:
            waiting = f"release {pending.release_id} awaits approval"
            if decision is not None:
                waiting = f"release {pending.release_id} was refused by {decision.by}"
        return ExportResult(StageCounts(), None, 0, {}, waiting)
    names = [destination.name for destination in export.destinations]
    if len(set(names)) < len(names):
        raise IntegrityError("Two destinations of the project have the same name.")
    for destination in export.destinations:
        destination.check(export.project)
    for place in export.parquet:
        place.check(export.project)
    for table in TABLES:
        export.lake.write(export.project, table, ())
    run = _Sending(export, pending, decision, Journal(export.work / ".export-journal"))
    try:
        if not manifest_path(export.manifests, pending.release_id).exists():
            run.tables()
            run.deliver()
            run.write_manifest()
        return run.conclude()
    finally:
        export.database.release(sorted(run.held), worker=export.worker)


@dataclass
class _Sending:
    export: Export
    pending: Pending
    decision: Decision
    journal: Journal
    held: set[int] = field(default_factory=set)
    delivered: dict[int, str] = field(default_factory=dict)
    files: dict[str, DeliveredFile] = field(default_factory=dict)
    refused: list[dict[str, str]] = field(default_factory=list)
    moved: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    taken: int = 0
    left_out: int = 0
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"image_occurrence": [], "dicom_instance": []})

    @cached_property
    def verifier(self) -> Verifier:
        """Everybody who is known when sending begins."""
        return self.export.verifier()

    def tables(self) -> None:
        """Step 1; without the rows of people who opted out since the release was prepared."""
        gone = pa.array(sorted(self.verifier.gone), pa.string())
        for table in self.pending.tables:
            schema, batches = read_staged(table.path)
            named = table.table if table.table in TABLES else TableSchema.from_arrow(table.table, schema)
            self.export.lake.write(self.export.project, named, (self._without(batch, gone) for batch in batches))

    def _without(self, batch: pa.RecordBatch, gone: pa.Array) -> pa.RecordBatch:
        if "person_id" not in batch.schema.names:
            return batch
        kept = batch.filter(pc.invert(pc.is_in(batch.column("person_id"), value_set=gone)))
        self.left_out += batch.num_rows - kept.num_rows
        return kept

    def deliver(self) -> None:
        """Step 2."""
        requests = self.pending.requests()
        for chunk in in_batches(requests, _CLAIM):
            self.taken += len(chunk)
            held = self._claim([request.id for request in chunk])
            for group in self._groups([request for request in chunk if request.id in held]):
                self._renew()
                self._send([(request, files) for request, files in group if request.id in self.held])
        self._flush()

    def _claim(self, ids: Sequence[int]) -> set[int]:
        """Lease these requests; those that another worker holds are waited for, as long as they are to be sent."""
        export, found = self.export, set[int]()
        end = export.clock() + 2 * export.lease
        while True:
            left = [id_ for id_ in ids if id_ not in found]
            taken = export.database.claim(
                export.project,
                [RequestState.VERIFIED],
                worker=export.worker,
                limit=len(left),
                lease=export.lease,
                only=left,
            )
            found.update(taken)
            self.held.update(taken)
            others = [
                request
                for request in export.database.requests([id_ for id_ in left if id_ not in found])
                if request.state is RequestState.VERIFIED
            ]
            if not others or export.clock() >= end:
                for request in export.database.requests([id_ for id_ in ids if id_ not in found]):
                    if request.state is not RequestState.VERIFIED:
                        self.moved[request.state.value] += 1
                return found
            # Sending may take longer than a lease; one that ran out and that nobody took is still ours.
            self._renew()
            export.sleep(_POLL_SECONDS)

    def _renew(self) -> None:
        """Keep what is held; a request that was withdrawn meanwhile is not held any more and goes no further."""
        kept = set(self.export.database.renew(sorted(self.held), worker=self.export.worker, lease=self.export.lease))
        for request in self.export.database.requests(sorted(self.held - kept)):
            if request.state is RequestState.OPTED_OUT:
                self.moved[request.state.value] += 1
        self.held = kept

    def _groups(self, requests: Sequence[PreparedRequest]) -> Iterator[list[tuple[PreparedRequest, list[OutputFile]]]]:
        group: list[tuple[PreparedRequest, list[OutputFile]]] = []
        size = 0
        for request in requests:
            files = self._intact(request)
            if files is None:
                continue
            here = sum(row["bytes"] for row in request.dicom_instance)
            if group and size + here > GROUP_BYTES:
                yield group
                group, size = [], 0
            group.append((request, files))
            size += here
        if group:
            yield group

    def _intact(self, request: PreparedRequest) -> list[OutputFile] | None:
        """Return a request's files, which are those that were approved; else it goes back to be de-identified again."""
        files = []
        for row in request.dicom_instance:
            path = self.export.work / request.files[row["SOPInstanceUID"]]
            if not path.is_file() or path.stat().st_size != row["bytes"] or file_digest(path) != row["sha256"]:
                self._move(request.id, RequestState.RETRIEVED)
                return None
            files.append(OutputFile(path, row["StudyInstanceUID"], row["SeriesInstanceUID"], row["SOPInstanceUID"]))
        return files

    def _move(self, request_id: int, to: RequestState, reason: Reason | None = None) -> None:
        self.export.database.move(request_id, to, worker=self.export.worker, reason=reason)
        self.held.discard(request_id)
        self.moved[to.value] += 1
        if reason:
            self.reasons[reason.value] += 1

    def _send(self, group: Sequence[tuple[PreparedRequest, list[OutputFile]]]) -> None:
        export = self.export
        files = list({file.sop_uid: file for _, members in group for file in members}.values())
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
        for request, members in group:
            kept = [file for file in members if where[file.sop_uid]]
            if kept:
                self._link(request, kept, where)
            else:
                self._move(request.id, RequestState.FAILED, Reason.DESTINATION_REFUSED)
        if export.on_progress:
            export.on_progress(len(self.delivered), len(self.files))

    def _link(self, request: PreparedRequest, files: Sequence[OutputFile], where: Mapping[str, list[str]]) -> None:
        """Take in the rows of what was delivered, with the addresses at which researchers find it."""
        kept = {file.sop_uid: file for file in files}
        locations: dict[str, dict[str, str]] = {}
        for file in files:
            for destination in self.export.destinations:
                if destination.name in where[file.sop_uid]:
                    found = destination.locate(self.export.project, file.study_uid, file.series_uid)
                    for name, value in found.items():
                        locations.setdefault(file.series_uid, {}).setdefault(name, value)
        instances = [row for row in request.dicom_instance if row["SOPInstanceUID"] in kept]
        for row in instances:
            uid = row["SOPInstanceUID"]
            self.files[uid] = DeliveredFile(kept[uid].relative, row["bytes"], row["sha256"], tuple(where[uid]))
        there = Counter(row["SeriesInstanceUID"] for row in instances)
        self.rows["dicom_instance"] += instances
        self.rows["image_occurrence"] += [
            {**row, **locations.get(row["image_series_uid"], {}), "instances": there[row["image_series_uid"]]}
            for row in request.image_occurrence
            if there[row["image_series_uid"]]
        ]
        self.delivered[request.id] = files[0].study_uid
        if len(self.rows["dicom_instance"]) >= _FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        for name, rows in self.rows.items():
            if rows:
                self.export.lake.write(self.export.project, name, [rows])
                rows.clear()

    def write_manifest(self) -> None:
        """Step 3; not where all was refused, so that nothing is new."""
        export, content = self.export, self.pending.about["content"]
        states = table_states(export)
        if not self.delivered and not self.pending.tables and not news(export, states):
            return
        self._look_at_logs(states)
        inputs = {name: content[name] for name in ("previous", "extracts", "tables", "instances")}
        manifest = Manifest(
            export.project,
            self.pending.release_id,
            Terms.of_data(content["terms"]),
            export.clock(),
            self.decision,
            inputs,
            self.pending.counts | {"rows_opted_out_since": self.left_out},
            len(self.delivered),
            len(set(self.delivered.values())),
            list(self.files.values()),
            states,
            self.refused,
            self._parquet(),
        )
        self.pending.publish_datasheet(export.manifests)
        write_manifest(export.manifests, manifest, export.key)

    def _parquet(self) -> list[dict[str, Any]]:
        """Send the lake's tables as files, now that all rows are in it."""
        export, extract = self.export, self.export.database.newest_extract(self.export.project)
        if extract is None:
            return []
        names, staging = ["note", *export.record_tables], export.pending.parent / "parquet"
        return deliver_tables(export.lake, export.project, names, export.parquet, extract=extract, staging=staging)

    def _look_at_logs(self, states: Sequence[TableState]) -> None:
        """Look at what the lake wrote besides rows. Rows were looked at before, so a finding here is the lake's own."""
        for table in states:
            delta = self.export.lake.open(self.export.project, table.name)
            if delta is not None and self.verifier.words(log_words(delta)):
                raise IntegrityError(
                    f"The log of table '{table.name}' in the lake names somebody; the release is not concluded.",
                    remedy="Keep readers away from the table, and tell information governance.",
                )

    def conclude(self) -> ExportResult:
        """Steps 4 to 8."""
        export, release_id = self.export, self.pending.release_id
        manifest: dict[str, Any] = {}
        if manifest_path(export.manifests, release_id).exists():
            data = load_manifest(export.manifests, release_id)
            manifest = read_manifest(data)
            delivered = self._delivered(manifest)
            digest = hashlib.sha256(data).hexdigest()
            export.database.record_release(export.project, release_id, digest, delivered)
            _enter_release(export, manifest, digest)
            self._move_all(delivered)
            details = {name: manifest["counts"][name] for name in ("requests", "studies", "instances")}
            export.database.audit("release-sent", self.decision.by, project=export.project, release=release_id, **details)
        write_accounts(export)
        self.journal.clear()
        self.pending.remove()
        return ExportResult(
            StageCounts(self.taken, dict(self.moved), dict(self.reasons)),
            release_id if manifest else None,
            len(manifest.get("files", ())),
            dict(Counter(item["destination"] for item in manifest.get("refused", self.refused))),
        )

    def _delivered(self, manifest: Mapping[str, Any]) -> list[int]:
        """Return the requests of which something left, as the manifest has it: a killed sending knew more than this one."""
        paths = {entry["path"] for entry in manifest["files"]}
        return [
            request.id
            for request in self.pending.requests()
            if any(
                f"{row['StudyInstanceUID']}/{row['SeriesInstanceUID']}/{row['SOPInstanceUID']}.dcm" in paths
                for row in request.dicom_instance
            )
        ]

    def _move_all(self, delivered: Sequence[int]) -> None:
        if self.held:
            self._renew()
        for chunk in in_batches(delivered, _CLAIM):
            missing = [id_ for id_ in chunk if id_ not in self.held]
            if missing and not self.delivered:
                self._claim(missing)
                self.taken += len(missing)
            for id_ in chunk:
                if id_ in self.held:
                    self._move(id_, RequestState.EXPORTED)


def _enter_release(export: Export, manifest: Mapping[str, Any], digest: str) -> None:
    row = {
        "release_id": manifest["release_id"],
        "created": datetime.fromisoformat(manifest["created"]),
        **{name: manifest["counts"][name] for name in ("requests", "studies", "instances", "bytes")},
        "profile_fingerprint": manifest["profile"]["fingerprint"],
        "project_fingerprint": manifest["project_fingerprint"],
        "software_version": manifest["software_version"],
        "manifest_sha256": digest,
        "manifest": json.dumps({name: value for name, value in manifest.items() if name != "files"}, sort_keys=True),
        "approved_by": manifest["approval"]["by"],
        "public_key": manifest["public_key"],
    }
    export.lake.write(export.project, "release", [[row]])
