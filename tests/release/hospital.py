"""A tiny hospital for the export's tests: verified requests in a link database, and their output files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from safelight.link import LinkDatabase
from safelight.linkage.images import image_rows
from safelight.linkage.outcomes import outcome_row
from safelight.model import InstanceOutcome, InstanceResult, Reason, RequestState, StudyRequest
from safelight.pseudonym import ProjectKey, Pseudonymizer
from safelight.release.destination import Destination, OutputFile
from safelight.release.export import Export
from safelight.release.inspection import known_patients
from safelight.release.lake import Lake
from safelight.release.manifest import Terms
from safelight.release.policy import ReleaseLimits, ReleasePolicy
from safelight.release.signing import SigningKey

PROJECT = "trial"
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
#: Stands in every identifying field of the hospital's side; must be in no output.
CANARY = "CANARY7"
PSEUDONYMIZER = Pseudonymizer(ProjectKey(bytes(range(64)), bytes(range(16))))
TERMS = Terms("research", "f" * 64, "e" * 64, "0.1.0")
LEASE = timedelta(minutes=5)
KEY = SigningKey(bytes(range(32)))
#: Everything goes: what stops a release is tested where it is asked for.
AUTOMATIC = ReleasePolicy(
    approval="automatic", limits=ReleaseLimits(max_quarantined_share=1, max_withheld_rows=99, min_cell=0)
)


def write_instance(path: Path, study: str, series: str, sop: str, *, number: int = 1, rows: int = 16) -> None:
    """Write a de-identified CT instance."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = sop
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, sop
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.PatientID, data.PatientName = PSEUDONYMIZER.secure_hash("x", "patient"), "ANON"
    data.Modality, data.BodyPartExamined, data.Manufacturer = "CT", "CHEST", "SIEMENS"
    data.StudyDate, data.SeriesDescription, data.SeriesNumber = "20200614", "Thorax", 4
    data.InstanceNumber, data.ImageType = number, ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.PixelSpacing, data.SliceThickness, data.KVP = [0.7, 0.8], 1.5, 120
    data.Rows, data.Columns, data.SamplesPerPixel = rows, rows, 1
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelData = np.full((rows, rows), number, "<u2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


def output_file(work: Path, study: str, series: str, sop: str, **settings: int) -> OutputFile:
    """Write an instance where de-identification puts it."""
    path = work / study / f"{sop}.dcm"
    write_instance(path, study, series, sop, **settings)
    return OutputFile(path, study, series, sop)


def output_files(work: Path, *, count: int, study: str = "2.25.1", **settings: int) -> list[OutputFile]:
    """Write a study of one series."""
    return [
        output_file(work, study, f"{study}.2", f"{study}.2.{number}", number=number, **settings)
        for number in range(1, count + 1)
    ]


@dataclass
class Hospital:
    """A link database with requests, and a work folder."""

    folder: Path
    url: str
    time: datetime = NOW

    def __post_init__(self) -> None:
        self.database = LinkDatabase(self.url, clock=self.clock)
        self.database.migrate()
        self.work = self.folder / "work"
        self.work.mkdir(exist_ok=True)

    def clock(self) -> datetime:
        """The time, as it was set."""
        return self.time

    def ask(self, numbers: Sequence[int]) -> list[int]:
        """Request one study for each number; returns the ids of all requests there are."""
        extract = self.database.register_extract(
            PROJECT,
            name="first",
            sha256=hashlib.sha256(repr(list(numbers)).encode()).hexdigest(),
            generated=NOW,
            source="test",
        )
        requests = [
            StudyRequest(
                project=PROJECT,
                mrn=f"{CANARY}-{number}",
                accession_number=f"{CANARY}ACC{number}",
                study_uid=f"1.2.3.{number}",
                study_date=date(2020, 2, 3),
                procedure_occurrence_id=1000 + number,
                person_id=str(number),
            )
            for number in numbers
        ]
        self.database.add_requests(extract, requests, pseudonymizer=PSEUDONYMIZER, opted_out={})
        return [request.id for request in self.database.find(PROJECT, list(RequestState))]

    def verify(self, numbers: Sequence[int], *, instances: int = 2, **settings: int) -> None:
        """Request studies and bring them to verified, with their output files."""
        self.ask(numbers)
        ids = self.database.claim(PROJECT, [RequestState.REQUESTED], worker="setup", limit=10_000, lease=LEASE)
        for request in self.database.requests(ids):
            study, series = PSEUDONYMIZER.uid(request.study_uid), PSEUDONYMIZER.uid(request.study_uid + ".1")
            results = []
            for number in range(1, instances + 1):
                sop = PSEUDONYMIZER.uid(f"{request.study_uid}.1.{number}")
                output_file(self.work, study, series, sop, number=number, **settings)
                results.append(
                    InstanceResult(
                        InstanceOutcome.WRITTEN,
                        pseudo_sop_instance_uid=sop,
                        pseudo_series_instance_uid=series,
                        pseudo_study_instance_uid=study,
                        path=f"{study}/{sop}.dcm",
                    )
                )
            results.append(InstanceResult(InstanceOutcome.SET_ASIDE, Reason.BURNED_IN))
            for state in (RequestState.LOCATED, RequestState.RETRIEVED):
                self.database.move(request.id, state, worker="setup", announced=instances + 1, received=instances + 1)
            self.database.claim(PROJECT, [RequestState.RETRIEVED], worker="setup", limit=10_000, lease=LEASE)
            self.database.record_instances(request.id, results)
            self.database.move(request.id, RequestState.DEIDENTIFIED, worker="setup", pseudo_study_uid=study)
            self.database.move(request.id, RequestState.VERIFIED, worker="setup")

    def export(self, lake: Lake, destinations: Sequence[Destination], **settings: object) -> Export:
        """What an export of this hospital needs."""
        given: dict[str, Any] = {
            "project": PROJECT,
            "database": self.database,
            "lake": lake,
            "destinations": destinations,
            "terms": TERMS,
            "policy": AUTOMATIC,
            "key": KEY,
            "verifier": lambda: known_patients(self.database, PROJECT, lambda id_: PSEUDONYMIZER.secure_hash(id_, "person")),
            "images": lambda request, files: image_rows(files, request, PSEUDONYMIZER),
            "outcome": lambda request, instances: outcome_row(request, instances, PSEUDONYMIZER),
            "work": self.work,
            "pending": self.folder / "pending",
            "manifests": self.folder / "manifests",
            "clock": self.clock,
            "worker": "exporter",
            "lease": LEASE,
        }
        return Export(**(given | settings))

    def states(self) -> dict[str, int]:
        """State -> requests."""
        return dict(self.database.summary(PROJECT).outcomes)


def read_uid(path: Path) -> str:
    """The SOP Instance UID of a file."""
    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def tree(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
