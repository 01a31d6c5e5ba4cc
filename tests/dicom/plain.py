"""The same profile, done slowly and plainly with pydicom: what the engine is compared with."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from safelight.dicom.address import Address
from safelight.dicom.rules import DicomRules
from safelight.operation import Fixed, Map, NumRange, Operation
from safelight.pseudonym import VR_LIMITS, Pseudonymizer, plain_hash

DOMAINS = {"PatientID": "patient", "AccessionNumber": "accession", "StudyID": "study", "PatientName": "patient"}


class PlainDeidentifier:
    """Applies rules element by element to legal data sets of standard elements."""

    def __init__(self, rules: DicomRules, pseudonymizer: Pseudonymizer) -> None:
        self.rules = rules
        self.pseudonymizer = pseudonymizer

    def run(self, dataset: Dataset) -> Dataset:
        self.days = self.pseudonymizer.date_shift(dataset.PatientID)
        self.big = dataset.original_encoding[1] is False
        return self.level(dataset)

    def level(self, dataset: Dataset) -> Dataset:
        out = Dataset()
        for element in dataset:
            operation = self.rules.operation(Address(int(element.tag)))
            if operation is None or operation.op == "remove":
                continue
            if element.VR == "SQ":
                out.add(DataElement(element.tag, "SQ", [self.level(item) for item in element.value]))
                continue
            value = self.change(element, operation)
            if value is not None:
                out.add(DataElement(element.tag, element.VR, value))
        return out

    def change(self, element: DataElement, operation: Operation) -> Any:
        if operation.op == "keep":
            width = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}.get(element.VR, 1) if self.big else 1
            # pydicom hands binary values over in the order of the file.
            value = element.value
            return b"".join(value[at : at + width][::-1] for at in range(0, len(value), width)) if width > 1 else value
        if operation.op == "empty":
            return ""
        if isinstance(operation, Fixed):
            return operation.value
        if element.value in (None, "") or element.VM == 0:
            return ""
        values = list(element.value) if isinstance(element.value, MultiValue) else [element.value]
        new = [self.one(str(element.VR), element.keyword, value, operation) for value in values]
        if all(value is None for value in new):
            return None
        return [("" if value is None else value) for value in new] if len(new) > 1 else new[0]

    def one(self, vr: str, keyword: str, value: Any, operation: Operation) -> Any:
        if operation.op in {"date-shift", "date-floor"}:
            text = str(value)
            day = date(int(text[:4]), int(text[4:6] or 1), int(text[6:8] or 1))
            if operation.op == "date-floor":
                rest = "".join("0" if char.isdigit() else char for char in text[8:].split("+")[0])
                zone = "+" + text.split("+")[1] if "+" in text else ""
                return f"{day.year:04d}0101{rest}{zone}"
            return (day + timedelta(self.days)).strftime("%Y%m%d").rjust(8, "0") + text[8:]
        if operation.op == "uid":
            return self.pseudonymizer.uid(str(value))
        if operation.op == "hash":
            return plain_hash(str(value), 48 if VR_LIMITS[vr] >= 64 else 12)
        if operation.op == "secure-hash":
            domain = DOMAINS.get(keyword) or f"{Address(0).tag:08x}"
            return self.pseudonymizer.secure_hash(str(value), domain, limit=min(64, VR_LIMITS[vr]))
        if isinstance(operation, Map):
            return operation.table().get(str(value).strip().casefold())
        assert isinstance(operation, NumRange)
        if vr == "AS":
            years = int(value[:3]) / {"D": 365.25, "W": 365.25 / 7, "M": 12, "Y": 1}[value[3]]
            low, high = operation.min or 0, operation.max or 999
            return value if low <= years <= high else f"{int(min(max(years, low), high)):03d}Y"
        low = operation.min if operation.min is not None else value
        high = operation.max if operation.max is not None else value
        clamped = min(max(value, low), high)
        return int(clamped) if isinstance(value, int) else clamped
