"""The demo hospital: built once into a folder, then served on loopback."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydicom import dcmwrite

from deployments.demo_hospital import casebook
from deployments.demo_hospital.canaries import SHORTEST, Canaries
from deployments.demo_hospital.casebook import Case, Study, plan
from deployments.demo_hospital.expectations import Expected, expected_of
from deployments.demo_hospital.extract import BAD_ROWS, write_extract
from deployments.demo_hospital.headers import SERIALS, SOURCE_AE, STATIONS, gmc_number
from deployments.demo_hospital.instances import instances
from deployments.demo_hospital.population import (
    DEPARTMENT,
    HOSPITAL,
    HOSPITAL_ADDRESS,
    OTHER_HOSPITALS,
    Patient,
    Population,
    populate,
)
from deployments.demo_hospital.record import write_csv, write_labelled_reports, write_record
from deployments.demo_hospital.serving import running
from safelight.errors import StorageFull, StorageUnwritable
from safelight.model import Reason, RequestState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

#: Raised whenever the same seed and day give other files than before.
VERSION: Final = 4
PRIMARY_AE: Final = "DEMOPACS"
SECONDARY_AE: Final = "DEMOVNA"
PROJECT: Final = "demo-hospital"
_MARKER: Final = "hospital.json"
_PLANTED_UIDS: Final = ("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "DeviceUID", "IrradiationEventUID")
_OWN_FOLDERS: Final = ("archives", "deliveries", "record", "opt-out", "csv")


@dataclass(frozen=True)
class ArchiveAddress:
    """Where an archive listens (fits safelight.model.DicomPeer)."""

    ae_title: str
    host: str
    port: int


@dataclass
class Hospital:
    """A demo hospital that was built.

    Args:
        folder: where it is.
        seed: what it was drawn from.
        day: the day on which it was built; its dates count back from there.
        contents: how much there is, and the UIDs in the files.
    """

    folder: Path
    seed: int
    day: date
    contents: dict[str, Any]
    primary: ArchiveAddress = ArchiveAddress(PRIMARY_AE, "127.0.0.1", 0)
    secondary: ArchiveAddress = ArchiveAddress(SECONDARY_AE, "127.0.0.1", 0)

    @property
    def deliveries(self) -> Path:
        """The folder in which each extract is a subfolder."""
        return self.folder / "deliveries"

    @property
    def record(self) -> Path:
        """The folder with patients.jsonl and site.json."""
        return self.folder / "record"

    @property
    def opt_out(self) -> Path:
        """The folder with the opt-out answer."""
        return self.folder / "opt-out"

    @property
    def labelled_reports(self) -> Path:
        """A labelled set on which the report de-identification can be measured."""
        return self.folder / "record" / "labelled.jsonl"

    @property
    def csv_file(self) -> Path:
        """A cohort as CSV: two rows for two series of one study, bad rows, and rows of another project."""
        return self.folder / "csv" / "cohort.csv"

    @cached_property
    def population(self) -> Population:
        """Everybody the hospital knows."""
        return _people(self.seed, self.day)

    @cached_property
    def studies(self) -> tuple[Study, ...]:
        """All studies that the extracts ask for."""
        return tuple(study for study in self._all_studies if study.extract)

    @cached_property
    def _all_studies(self) -> tuple[Study, ...]:
        return plan(self.population, seed=self.seed, today=self.day)

    @cached_property
    def expected(self) -> dict[int, Expected]:
        """The outcome of each request that is entered, by procedure_occurrence_id."""
        filtered = self.contents["filtered"]
        return {s.procedures[0]: expected_of(s, filtered=filtered.get(str(s.number), 0)) for s in self.studies}

    @property
    def expected_rows(self) -> dict[Reason, int]:
        """How many rows of both extracts are set aside, by reason."""
        counts = Counter(reason for rows in BAD_ROWS.values() for _, _, reason in rows)
        counts[Reason.DUPLICATE_ROW] += sum(len(study.procedures) - 1 for study in self.studies)
        return dict(counts)

    @property
    def expected_outcomes(self) -> dict[RequestState, int]:
        """How many requests end in each state."""
        return dict(Counter(expected.state for expected in self.expected.values()))

    def canaries(self) -> list[str]:
        """Return every identifying text that the demo plants anywhere, for leak tests: sorted, none below 5 characters."""
        found: set[str] = {HOSPITAL, "Saltmarsh", HOSPITAL_ADDRESS, "Quillfeather", DEPARTMENT, SOURCE_AE}
        found |= {*OTHER_HOSPITALS, *STATIONS.values(), *SERIALS.values(), *self.contents["uids"]}
        for patient in self.population.patients:
            found |= patient.canaries()
        for clinician in self.population.staff:
            found |= {clinician.surname, clinician.given, clinician.surname.upper()}
        for study in self._all_studies:
            found |= {study.uid, study.asked_uid, study.accession, f"ADM{study.accession[-6:]}7"}
            found |= {str(gmc_number(study.radiologist)), str(gmc_number(study.patient.referrer))}
        return sorted(text for text in found if len(text) >= SHORTEST)

    def leaks(self, folder: Path) -> dict[str, list[str]]:
        """Search what a run has written for canaries; see ``Canaries.search``. Empty when nothing leaked."""
        return Canaries(self.canaries()).search(folder)

    def describe(self) -> str:
        """Say in one line what there is."""
        studies, patients = len(self.studies), len(self.population.patients)
        size = self.contents["bytes"] / 1e6
        return (
            f"{patients} patients, {studies} studies asked for in 2 extracts, "
            f"{self.contents['instances']} instances in 2 archives ({size:.0f} MB), seed {self.seed}"
        )

    def refresh_opt_out(self, now: datetime) -> None:
        """Let the opt-out answer have arrived now, as if it had been asked for again."""
        for path in self.opt_out.glob("*.dat"):
            os.utime(path, (now.timestamp(), now.timestamp()))

    @contextmanager
    def start(
        self, *, receiver_ae_title: str = "SAFELIGHT", receiver_port: int = 0, clients: tuple[str, ...] = ()
    ) -> Iterator[Hospital]:
        """Serve both archives on free ports of the loopback address until the block ends.

        They run in a process of their own, so that they do not compete with the pipeline for Python's lock, and which
        ends with this one whatever happens.

        Args:
            receiver_ae_title: AE title of our storage SCP, as C-MOVE destination and as calling AE title.
            receiver_port: its port on loopback; 0 where nothing is to be moved.
            clients: further calling AE titles that the archives know.

        Raises:
            ConfigurationError: the archives did not start.
        """
        command = [sys.executable, "-m", "deployments.demo_hospital", "serve", str(self.folder.resolve())]
        command += ["--until-input-ends", "--destination", f"{receiver_ae_title}=127.0.0.1:{receiver_port}"]
        for client in (receiver_ae_title, *clients):
            command += ["--client", client]
        root = Path(__file__).resolve().parents[2]
        before = self.primary, self.secondary
        with running(command, cwd=root) as ports:
            self.primary = ArchiveAddress(PRIMARY_AE, "127.0.0.1", ports["primary"])
            self.secondary = ArchiveAddress(SECONDARY_AE, "127.0.0.1", ports["secondary"])
            try:
                yield self
            finally:
                self.primary, self.secondary = before


def build_hospital(folder: Path, *, seed: int, today: date, scale: float = 1.0) -> Hospital:
    """Build the hospital, or return the one that is there already.

    The same seed, day and scale give the same bytes. What was built before with the same seed is reused, whatever the day:
    a demo that is run again next week must meet the same studies. About 5 s and 410 MB.

    Args:
        folder: where to put it; only the hospital's own subfolders are touched.
        seed: what everything is drawn from.
        today: all dates lie before this day.
        scale: shrinks the generated images, for quick tests.

    Raises:
        StorageFull: the disk has too little room.
        StorageUnwritable: the folder can't be written.
    """
    try:
        return _built(folder, seed=seed, today=today, scale=scale)
    except OSError as error:
        # pydicom raises the error anew with the element's name, and only its context keeps the number.
        numbers = {error.errno, getattr(error.__context__, "errno", None)}
        if numbers & {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StorageFull(
                "The disk has no room for the demo hospital.", remedy="Free 1 GB, or choose another folder."
            ) from None
        raise StorageUnwritable(
            f"The demo hospital's folder can't be written ({type(error).__name__}).", remedy="Check its path and owner."
        ) from None


def _built(folder: Path, *, seed: int, today: date, scale: float) -> Hospital:
    marker = folder / _MARKER
    wanted = {"version": VERSION, "seed": seed, "scale": scale}
    if marker.is_file():
        built = json.loads(marker.read_text(encoding="utf-8"))
        if built["made_from"] == wanted:
            return Hospital(folder, seed, date.fromisoformat(built["day"]), built["contents"])
        marker.unlink()
    for name in _OWN_FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    population = _people(seed, today)
    studies = plan(population, seed=seed, today=today)
    contents = _write_archives(folder / "archives", studies, seed=seed, scale=scale)
    write_record(folder, population, today)
    for number in (1, 2):
        chosen = [study for study in studies if study.extract == number]
        write_extract(folder / "deliveries" / f"extract-{number}", chosen, number=number, seed=seed, today=today)
    write_labelled_reports(folder / "record" / "labelled.jsonl", studies, seed=seed)
    write_csv(folder / "csv" / "cohort.csv", studies, project=PROJECT, today=today)
    # Written last and in one step: whoever finds it finds everything.
    part = marker.with_suffix(".part")
    part.write_text(json.dumps({"made_from": wanted, "day": today.isoformat(), "contents": contents}), encoding="utf-8")
    part.replace(marker)
    return Hospital(folder, seed, today, contents)


def _people(seed: int, today: date) -> Population:
    population = populate(seed=seed, today=today)
    patients = [_known(index, patient) for index, patient in enumerate(population.patients)]
    return Population(tuple(patients), population.staff)


def _known(index: int, patient: Patient) -> Patient:
    return replace(
        patient,
        recorded=index not in casebook.WITHOUT_RECORD,
        opted_in=index not in casebook.OPTED_OUT,
        numbered=index not in casebook.WITHOUT_NHS_NUMBER,
    )


def _write_archives(folder: Path, studies: tuple[Study, ...], *, seed: int, scale: float) -> dict[str, Any]:
    uids: set[str] = set()
    size = count = 0
    filtered: Counter[int] = Counter()
    for name in ("primary", "secondary"):
        (folder / name).mkdir(parents=True)
    for study in studies:
        if not study.archive:
            continue
        for dataset in instances(study, seed=seed, scale=scale):
            path = folder / study.archive / f"{count // 100:02d}" / f"{count:06d}.dcm"
            path.parent.mkdir(exist_ok=True)
            dcmwrite(path, dataset, enforce_file_format=True)
            uids |= {str(dataset[keyword].value) for keyword in _PLANTED_UIDS if keyword in dataset}
            uids.add(str(dataset.ReferencedStudySequence[0].ReferencedSOPInstanceUID))
            filtered[study.number] += study.case is Case.LOCALISER and int(dataset.SeriesNumber) == 1
            size += path.stat().st_size
            count += 1
    return {
        "instances": count,
        "bytes": size,
        "uids": sorted(uids),
        "filtered": {str(number): some for number, some in sorted(filtered.items()) if some},
    }
