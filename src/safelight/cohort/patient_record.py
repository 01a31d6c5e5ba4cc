"""The hospital's patient record, as far as a project may see it: ``patients.jsonl``, one patient a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from safelight.errors import ExtractInvalid
from safelight.model import KnownIdentifiers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE: Final = "patients.jsonl"
#: A record is a few kilobytes; a line without end must not fill the memory.
_LONGEST_LINE: Final = 1 << 20


def read_patient_record(folder: Path) -> Iterator[KnownIdentifiers]:
    """Stream the patient record. Blank lines don't count; unknown keys are ignored; MRNs come stripped.

    Raises:
        ExtractInvalid: the file is missing, or a line is no patient; the message names the line's number only.
    """
    try:
        with (folder / FILE).open("rb") as stream:
            number = 0
            while line := stream.readline(_LONGEST_LINE + 1):
                number += 1
                content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if content.strip():
                    yield _patient(content, number)
    except OSError as error:
        raise ExtractInvalid(
            f"The patient record '{FILE}' can't be read ({type(error).__name__}).",
            remedy="Check the folder that the project's patient_record block names.",
        ) from None


def _patient(line: bytes, number: int) -> KnownIdentifiers:
    try:
        if len(line) > _LONGEST_LINE:
            raise ValueError("too long")
        found = KnownIdentifiers.model_validate_json(line)
    except (ValidationError, ValueError):
        raise _bad(number) from None
    mrn = found.mrn.strip()
    if not mrn:
        raise _bad(number)
    return found if mrn == found.mrn else found.model_copy(update={"mrn": mrn})


def _bad(number: int) -> ExtractInvalid:
    return ExtractInvalid(
        f"Line {number} of '{FILE}' is not a patient.", remedy='Each line is a JSON object with at least "mrn".'
    )
