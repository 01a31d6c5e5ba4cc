"""Prepares a release: looks at everything that is verified and new, and freezes what will leave.

Each instance is looked at once more, as the bytes that will be sent, and so is each row of notes and record
(`Verifier`). A study with a finding is quarantined and the rest goes on; nothing is sent, and nothing else changes.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.dataset import dataset

from safelight.errors import IntegrityError
from safelight.link import Request, StageCounts
from safelight.model import InstanceOutcome, Reason, RequestState
from safelight.release.accounts import last_release, news, table_states
from safelight.release.datasheet import Datasheet, Heading, datasheet
from safelight.release.destination import OutputFile
from safelight.release.export import Export, ImageRows, StagedTable
from safelight.release.files import file_digest, root_digest, write_durably
from safelight.release.inspection import OPTED_OUT, Verifier
from safelight.release.pending import GOVERNANCE, Draft, Pending, PreparedRequest, drafting, put_in_place
from safelight.staging import read_staged, write_staged


@dataclass
class Preparation:
    """What preparing did. ``pending``: the release that is to be decided on or sent; None when there is nothing new.

    ``counts`` tells of the requests that this call looked at and did not let through.
    """

    pending: Pending | None
    counts: StageCounts = field(default_factory=StageCounts)


def prepare(export: Export) -> Preparation:
    """Prepare a release of all that is verified and new; one that is prepared already stays as it is.

    A release that was refused is prepared anew; when the same comes out, it is still refused. Killed at any point and
    called again it begins from the start: requests stay verified but for those that are quarantined.

    Raises:
        IntegrityError: staged files or rows contradict each other.
        StorageFull, StorageUnwritable: the work folder can't be written.
    """
    if (pending := _standing(export)) is not None:
        return Preparation(pending)
    with drafting(export.pending) as draft:
        if (pending := _standing(export)) is not None:  # another worker's, made just now
            return Preparation(pending)
        refused = Pending.find(export.pending)
        run = _Preparing(export, draft)
        run.tables()
        run.requests()
        counts = StageCounts(sum(run.moved.values()), dict(run.moved), dict(run.reasons))
        release_id = run.conclude()
        if release_id is None:
            if refused:
                refused.remove()
            return Preparation(None, counts)
        if refused and release_id == refused.release_id:
            return Preparation(refused, counts)
        made = put_in_place(draft, export.pending)
    told = {name: count for name, count in made.counts.items() if count}
    export.database.audit("release-prepared", "safelight", project=export.project, release=made.release_id, **told)
    return Preparation(made, counts)


def _standing(export: Export) -> Pending | None:
    """Return the prepared release unless it was refused."""
    pending = Pending.find(export.pending)
    return None if pending and pending.decision and not pending.decision.approved else pending


@dataclass
class _Preparing:
    export: Export
    draft: Draft
    inputs: list[dict[str, Any]] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    tainted: set[str | None] = field(default_factory=set)
    last: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.last = last_release(self.export)

    def tables(self) -> None:
        """Freeze staged tables: those of the last release are named again, and only new ones are sent."""
        known = {(item["name"], item["sha256"]) for item in (self.last or {}).get("inputs", {}).get("tables", ())}
        for staged in self.export.tables:
            digest = file_digest(staged.path)
            item = {"name": staged.origin, "table": staged.table, "sha256": digest, "new": False}
            # A table that somebody moved away, as an error told him to, is written again.
            if (staged.origin, digest) not in known or self.export.lake.open(self.export.project, staged.table) is None:
                item |= {"new": True, **self._freeze(staged)}
            self.inputs.append(item)

    @cached_property
    def verifier(self) -> Verifier:
        """Made once, and only where there is something to look at."""
        return self.export.verifier()

    def _freeze(self, staged: StagedTable) -> dict[str, int]:
        """Take a staged file in, without the rows that must not leave."""
        target = self.draft.table(staged.origin)
        schema, batches = read_staged(staged.path)
        described = [str(text) for field in schema for text in (field.name, field.metadata)]
        if self.verifier.words([*described, str(schema.metadata)]):
            raise IntegrityError(
                f"The description of table '{staged.table}' names somebody.", remedy="Correct its comments in the profile."
            )
        rows, withheld = 0, Counter[str]()
        for batch in batches:
            found = self.verifier.rows(batch)
            rows += batch.num_rows
            withheld.update(found.values())
            procedures = batch.column("procedure_occurrence_id") if "procedure_occurrence_id" in schema.names else None
            self.tainted.update(
                procedures[row].as_py() for row, kind in found.items() if procedures is not None and kind != OPTED_OUT
            )
        if withheld:
            write_staged(target, schema, self._clean(staged.path))
        else:
            _link(staged.path, target)
        stopped = withheld.total() - withheld[OPTED_OUT]
        self.counts[f"{staged.table}_rows"] += rows - withheld.total()
        self.counts["rows_withheld"] += stopped
        self.counts["rows_opted_out"] += withheld[OPTED_OUT]
        return {"rows": rows - withheld.total(), "withheld": stopped, "opted_out": withheld[OPTED_OUT]}

    def _clean(self, path: Path) -> Iterator[pa.RecordBatch]:
        for batch in read_staged(path)[1]:
            found = self.verifier.rows(batch)
            yield batch.filter(pa.array([row not in found for row in range(batch.num_rows)]))

    def requests(self) -> None:
        """Look at every verified request, and write down those that may leave."""
        studies: set[str] = set()
        for request in self.export.database.find(self.export.project, [RequestState.VERIFIED]):
            prepared = self._request(request)
            if prepared is None:
                continue
            self.draft.add(prepared)
            self.digests += [f"{row['SOPInstanceUID']} {row['sha256']}" for row in prepared.dicom_instance]
            studies.update(row["StudyInstanceUID"] for row in prepared.dicom_instance)
            self.counts["requests"] += 1
            self.counts["series"] += len(prepared.image_occurrence)
            self.counts["instances"] += len(prepared.dicom_instance)
            self.counts["bytes"] += sum(row["bytes"] for row in prepared.dicom_instance)
        self.counts["studies"] = len(studies)
        self.draft.rows_done()

    def _request(self, request: Request) -> PreparedRequest | None:
        files = output_files(self.export, request)
        if not files or not all(file.path.is_file() for file in files):
            # The work folder lost it: it is de-identified again.
            self._move(request, RequestState.RETRIEVED)
            return None
        rows = self.export.images(request, [file.path for file in files])
        tainted = any(row["procedure_occurrence_id"] in self.tainted for row in rows.image_occurrence)
        if tainted or self._identifies(request, files, rows):
            self._move(request, RequestState.QUARANTINED, Reason.RESIDUAL_IDENTIFIER)
            self.counts["studies_quarantined"] += 1
            return None
        if {row["SOPInstanceUID"] for row in rows.dicom_instance} != {file.sop_uid for file in files}:
            raise IntegrityError("The files of a request and their rows are not the same instances.")
        names = {file.sop_uid: str(file.path.relative_to(self.export.work)) for file in files}
        return PreparedRequest(request.id, names, rows.image_occurrence, rows.dicom_instance)

    def _identifies(self, request: Request, files: Sequence[OutputFile], rows: ImageRows) -> bool:
        originals = {
            uid
            for instance in self.export.database.instances(request.id)
            for uid in (instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)
        }
        kinds = set[str]().union(*(self.verifier.instance(file.path, request, originals) for file in files))
        kinds |= self.verifier.words(str(value) for row in rows.image_occurrence for value in row.values())
        self.kinds.update(kinds)
        return bool(kinds)

    def _move(self, request: Request, to: RequestState, reason: Reason | None = None) -> None:
        export = self.export
        held = export.database.claim(
            export.project, [RequestState.VERIFIED], worker=export.worker, limit=1, lease=export.lease, only=[request.id]
        )
        if held:
            export.database.move(request.id, to, worker=export.worker, reason=reason)
            self.moved[to.value] += 1
            if reason:
                self.reasons[reason.value] += 1

    def conclude(self) -> str | None:
        """Write down what the release holds. Returns its id, or None when there is nothing new."""
        export, last = self.export, self.last or {}
        new = self.counts["requests"] or any(item["new"] for item in self.inputs)
        if not new and not news(export, table_states(export)):
            return None
        content = {
            "project": export.project,
            "terms": export.terms.as_data(),
            "previous": last.get("release_id", ""),
            "extracts": export.database.extract_digests(export.project),
            "tables": self.inputs,
            "instances": {"count": len(self.digests), "sha256": root_digest(self.digests)},
        }
        sheet = self._sheet()
        counts = dict.fromkeys(("requests", "studies", "series", "instances", "bytes"), 0)
        counts |= dict.fromkeys(("studies_quarantined", "rows_withheld"), 0)
        counts |= {"smallest_cell": sheet.smallest_cell, "small_cells": sheet.small_cells}
        counts |= {f"studies_with_{kind.lower()}": count for kind, count in self.kinds.items()}
        return self.draft.conclude(content, counts | self.counts)

    def _sheet(self) -> Datasheet:
        """Write the datasheet, and beside it what is for the approver's eyes only."""
        export = self.export
        files = {"image_occurrence": [self.draft.table("image_occurrence")]}
        for staged, item in zip(export.tables, self.inputs, strict=True):
            files.setdefault(staged.table, []).append(self.draft.table(staged.origin) if item["new"] else staged.path)
        tables = {name: dataset([str(path) for path in paths]) for name, paths in files.items()}
        tables["request_outcome"] = self._outcomes()
        terms = export.terms
        heading = Heading(
            export.project,
            export.title or export.project,
            export.clock(),
            profile=terms.profile,
            profile_fingerprint=terms.profile_fingerprint,
            software_version=terms.software_version,
        )
        sheet = datasheet(tables, heading)
        for name, text in (("datasheet.md", sheet.markdown), ("datasheet.html", sheet.html), (GOVERNANCE, sheet.governance)):
            write_durably(self.draft.folder / name, text.encode())
        return sheet

    def _outcomes(self) -> pa.Table:
        """Return state and reason of every request, as they are when this release has left."""
        found = self.export.database.find(self.export.project, list(RequestState))
        left = {RequestState.VERIFIED: RequestState.EXPORTED}
        pairs = [(left.get(request.state, request.state).value, request.reason) for request in found]
        reasons = pa.array([reason.value if reason else None for _, reason in pairs], pa.string())
        return pa.table({"state": pa.array([state for state, _ in pairs], pa.string()), "reason": reasons})


def output_files(export: Export, request: Request) -> Sequence[OutputFile]:
    """Return the verified files of a request."""
    return [
        OutputFile(
            export.work / instance.path,
            instance.pseudo_study_instance_uid,
            instance.pseudo_series_instance_uid,
            instance.pseudo_sop_instance_uid,
        )
        for instance in export.database.instances(request.id)
        if instance.outcome is InstanceOutcome.WRITTEN
    ]


def _link(source: Path, target: Path) -> None:
    """Freeze a staged file. It is only ever replaced as a whole, so a link keeps what is looked at."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)  # a file system without links
