"""Verification of a release: looking for everybody in everything

The same files and notes, with more and more patients known: the cost is that of the text. Each number of patients is
measured in a process of its own, so that its peak memory is its own. Times are CPU times.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_PATIENTS = (100, 1_000, 10_000)
_FILES = 200
_NOTES = 2_000
_PIXELS = 512 * 512 * 2


def main() -> list[dict[str, Any]]:
    """Measure each number of patients; returns seconds, milliseconds a file and a note, and peak memory in MB."""
    found = []
    for patients in _PATIENTS:
        done = subprocess.run(
            [sys.executable, "-m", "bench.bench_inspection", str(patients)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        found.append({"patients": patients, **json.loads(done.stdout)})
    return found


def _patients(count: int) -> list[Any]:
    """Invented people: names of two syllables or more, numbers of the usual lengths."""
    from safelight.model import Address, KnownIdentifiers

    rng = random.Random(1)
    syllables = ("mar", "len", "tho", "bri", "wat", "son", "ker", "olu", "seg", "dan", "vel", "qui", "nor", "has", "ibe")

    def name(size: int) -> str:
        return "".join(rng.choice(syllables) for _ in range(size)).title()

    return [
        KnownIdentifiers(
            mrn=str(rng.randrange(10**7, 10**8)),
            nhs_number=str(rng.randrange(4 * 10**9, 5 * 10**9)),
            accession=f"RRV{rng.randrange(10**7):07d}",
            study_uid=f"1.2.826.{rng.randrange(10**18)}.{number}",
            given=name(2),
            middle=name(2),
            surname=name(3),
            dob=date(1950, 1, 2),
            phone=f"07{rng.randrange(10**9):09d}",
            address=Address(line1=f"{rng.randrange(1, 300)} {name(2)} Street", postcode="LS9 7TF"),
            other_ids=(f"OPX{number:08d}",),
        )
        for number in range(count)
    ]


def _write(folder: Path) -> list[Path]:
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset

    paths = []
    for number in range(_FILES):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID = pydicom.uid.ExplicitVRLittleEndian, f"2.25.{number + 1}"
        meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
        data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, f"2.25.{number + 1}"
        data.StudyInstanceUID = f"2.25.{10**20 + number}"
        for element in range(60):
            data.private_block(0x0019, "VENDOR", create=True).add_new(element, "LO", f"value {element} of a protocol")
        data.Rows = data.Columns = 512
        data.BitsAllocated, data.SamplesPerPixel, data.PixelRepresentation = 16, 1, 0
        data.BitsStored, data.HighBit, data.PhotometricInterpretation = 16, 15, "MONOCHROME2"
        data.PixelData = bytes(_PIXELS)
        paths.append(folder / f"2.25.{number + 1}.dcm")
        data.save_as(paths[-1], enforce_file_format=True)
    return paths


def _measure(count: int) -> dict[str, Any]:
    from safelight.link import Request
    from safelight.model import RequestState
    from safelight.release.identifiers import IdentifierIndex
    from safelight.release.inspection import KnownPatients

    people = _patients(count)
    request = Request(
        **dict.fromkeys(("accession_number", "study_uid", "person_id", "participant_id", "nhs_number", "archive"), ""),
        **dict.fromkeys(("located_study_uid", "pseudo_study_uid", "pseudo_patient_id"), ""),
        **dict.fromkeys(("id", "attempts", "procedure_occurrence_id", "announced", "received", "extract_id"), 0),
        **{"project": "bench", "state": RequestState.VERIFIED, "reason": None, "mrn": people[0].mrn},
        **{"series_uids": (), "study_date": date(2020, 2, 3)},
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    known = KnownPatients(IdentifierIndex())
    for person in people:
        known.by_mrn[person.mrn] = known.index.add(person)
    built = time.process_time() - begin
    with tempfile.TemporaryDirectory() as folder:
        paths = _write(Path(folder))
        begin = time.process_time()
        assert not any(known.instance(path, request, ()) for path in paths)
        files = time.process_time() - begin
    text = "Heart size is normal. No consolidation or effusion. Compared with 14/05/2019, nodule of 4.5 mm. " * 10
    begin = time.process_time()
    assert not any(known.index.find(f"{number} {text}").kinds for number in range(_NOTES))
    notes = time.process_time() - begin
    return {
        "built in CPU s": round(built, 2),
        "CPU ms a file of 0.5 MB": round(1000 * files / _FILES, 2),
        "CPU ms a note of 1,000 characters": round(1000 * notes / _NOTES, 2),
        "MB more": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024),
    }


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]))))
