"""Rows of ``image_occurrence`` and ``dicom_instance``, read from the de-identified files and from nothing else.

What a row says is what the delivered file says, so the tables can't know more than the images.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pydicom

from safelight.errors import IntegrityError
from safelight.link import Request
from safelight.pseudonym import Pseudonymizer

Row = dict[str, Any]
_CHUNK: Final = 1 << 20
_TEXTS: Final = (
    "SOPClassUID",
    "Modality",
    "BodyPartExamined",
    "ViewPosition",
    "Manufacturer",
    "ManufacturerModelName",
    "PhotometricInterpretation",
)
_INTEGERS: Final = ("SeriesNumber", "InstanceNumber", "Rows", "Columns", "NumberOfFrames", "BitsStored")
_NUMBERS: Final = ("SliceThickness", "KVP", "MagneticFieldStrength")
_READ: Final = (
    *("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "StudyDate", "SeriesDescription", "ImageType"),
    *("Laterality", "ImageLaterality", "PixelSpacing", "ImagerPixelSpacing"),
    *_TEXTS,
    *_INTEGERS,
    *_NUMBERS,
)


@dataclass
class ImageRows:
    """Rows of both tables for one request."""

    image_occurrence: list[Row] = field(default_factory=list)
    dicom_instance: list[Row] = field(default_factory=list)


def image_rows(
    files: Iterable[Path],
    request: Request,
    pseudonymizer: Pseudonymizer,
    *,
    locations: Mapping[str, Mapping[str, str]] | None = None,
) -> ImageRows:
    """Read the delivered files of one request.

    Reads each file once, up to its pixels by pydicom and all of it for its digest; memory is flat.

    Args:
        files: the de-identified files.
        request: whose they are.
        pseudonymizer: of the project.
        locations: pseudonymous series UID -> ``wadors_uri`` and ``local_path``, as the destinations tell.

    Returns:
        one row a series and one row an instance, in the order of their UIDs.

    Raises:
        IntegrityError: a file can't be read, or is of another study than the rest.
    """
    # A cohort without person ids brings no record to join: its people are known by their patient pseudonym.
    person = (
        pseudonymizer.secure_hash(request.person_id, "person") if request.person_id.strip() else request.pseudo_patient_id
    )
    procedure = pseudonymizer.secure_hash(str(request.procedure_occurrence_id), "procedure")
    rows = ImageRows()
    series: dict[str, list[tuple[Row, str | None]]] = {}
    for path in files:
        row, description = _instance(path, person)
        series.setdefault(row["SeriesInstanceUID"], []).append((row, description))
    if len({row["StudyInstanceUID"] for members in series.values() for row, _ in members}) > 1:
        raise IntegrityError("The output of one request holds more than one study.")
    for uid in sorted(series):
        members = sorted(series[uid], key=lambda member: str(member[0]["SOPInstanceUID"]))
        rows.dicom_instance += [row for row, _ in members]
        first, description = members[0]
        location = (locations or {}).get(uid, {})
        rows.image_occurrence.append(
            {
                "image_occurrence_id": pseudonymizer.secure_hash(f"{procedure} {uid}", "image"),
                "person_id": person,
                "procedure_occurrence_id": procedure,
                "image_occurrence_date": first["StudyDate"],
                "image_study_uid": first["StudyInstanceUID"],
                "image_series_uid": uid,
                "modality": first["Modality"],
                "anatomic_site": first["BodyPartExamined"],
                "series_description": description,
                "series_number": first["SeriesNumber"],
                "manufacturer": first["Manufacturer"],
                "manufacturer_model_name": first["ManufacturerModelName"],
                "instances": len(members),
                "wadors_uri": location.get("wadors_uri"),
                "local_path": location.get("local_path"),
            }
        )
    return rows


def _instance(path: Path, person: str) -> tuple[Row, str | None]:
    try:
        data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_READ))
        digest, size = _digest(path)
        spacing = [_number(value) for value in (data.get("PixelSpacing") or data.get("ImagerPixelSpacing") or ())]
        spacing = spacing if len(spacing) == 2 else [None, None]
        row: Row = {
            "SOPInstanceUID": str(data.SOPInstanceUID),
            "SeriesInstanceUID": str(data.SeriesInstanceUID),
            "StudyInstanceUID": str(data.StudyInstanceUID),
            "person_id": person,
            "TransferSyntaxUID": str(data.file_meta.TransferSyntaxUID),
            "ImageType": _text(data.get("ImageType")),
            "StudyDate": _date(data.get("StudyDate")),
            "Laterality": _text(data.get("Laterality")) or _text(data.get("ImageLaterality")),
            **{keyword: _text(data.get(keyword)) for keyword in _TEXTS},
            **{keyword: _integer(data.get(keyword)) for keyword in _INTEGERS},
            **{keyword: _number(data.get(keyword)) for keyword in _NUMBERS},
            "PixelSpacingRow": spacing[0],
            "PixelSpacingColumn": spacing[1],
            "bytes": size,
            "sha256": digest,
        }
        return row, _text(data.get("SeriesDescription"))
    except Exception as error:  # noqa: BLE001  pydicom raises many kinds, with the file's content in their text
        raise IntegrityError(
            f"An output file that was verified can't be read ({type(error).__name__}).",
            remedy="De-identify the study again: 'requeue' its request.",
        ) from None


def _digest(path: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _text(value: Any) -> str | None:  # noqa: ANN401  what pydicom gives
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    return "\\".join(str(item) for item in value) or None


def _integer(value: Any) -> int | None:  # noqa: ANN401
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _number(value: Any) -> float | None:  # noqa: ANN401
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _date(value: Any) -> date | None:  # noqa: ANN401
    text = str(value or "").strip().replace(".", "")
    try:
        return datetime.strptime(text, "%Y%m%d").date() if len(text) == 8 else None  # noqa: DTZ007  DA has no zone
    except ValueError:
        return None
