"""The national data opt-out: the answer that NHS MESH sends back lists the NHS numbers that may be used.

Who is not on it is excluded. An answer that is missing, malformed or too old stops the project: there is no way to go on.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from safelight.errors import OptOutUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_LINE: Final = re.compile(rb"(\d{10}),")
_BLANKS: Final = re.compile(r"[\s-]")
_CLOCK_SKEW: Final = timedelta(days=1)


@dataclass(frozen=True)
class OptOutAnswer:
    """One answer. ``answered_at`` is when its file was written; ``sha256`` is of the file's bytes."""

    file: str
    answered_at: datetime
    sha256: str
    numbers: frozenset[str] = field(repr=False)

    def allowed(self, nhs_number: str) -> bool:
        """Tell whether the patient of this NHS number may be used; blanks and hyphens in it don't count."""
        return _BLANKS.sub("", nhs_number) in self.numbers


def is_nhs_number(text: str) -> bool:
    """Tell whether the text is ten digits with the right check digit (NHS Data Dictionary: modulus 11)."""
    if len(text) != 10 or not text.isascii() or not text.isdigit():
        return False
    check = 11 - sum(int(digit) * weight for digit, weight in zip(text, range(10, 1, -1), strict=False)) % 11
    return check % 11 == int(text[9])


def read_opt_out_answer(folder: Path, *, max_age_days: int, now: datetime) -> OptOutAnswer:
    """Read the newest ``.dat`` file: one NHS number a line, each with a trailing comma, ended by LF.

    Args:
        folder: where MESH puts its answers.
        max_age_days: an answer written longer ago is too old.
        now: the time, aware.

    Raises:
        OptOutUnavailable: missing, empty, malformed (with the line's number), too old, or from the future.
    """
    path, answered_at = _newest(folder)
    age = now - answered_at
    if age > timedelta(days=max_age_days):
        raise OptOutUnavailable(
            f"The newest opt-out answer is {age.days} days old; at most {max_age_days} are allowed.",
            remedy="Send a new list to the opt-out service and wait for its answer.",
        )
    if age < -_CLOCK_SKEW:
        raise OptOutUnavailable(
            "The newest opt-out answer is from the future.", remedy="Check the clocks, and how the file was copied."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OptOutUnavailable(f"The opt-out answer can't be read ({type(error).__name__}).") from None
    return OptOutAnswer(path.name, answered_at, hashlib.sha256(content).hexdigest(), _numbers(content))


def _newest(folder: Path) -> tuple[Path, datetime]:
    try:
        found = [
            (path.stat().st_mtime, path.name, path)
            for path in folder.iterdir()
            if path.suffix.lower() == ".dat" and path.is_file() and not path.name.startswith(".")
        ]
    except OSError as error:
        raise OptOutUnavailable(
            f"The folder of opt-out answers can't be read ({type(error).__name__}).", remedy="Check the project's block."
        ) from None
    if not found:
        raise OptOutUnavailable(
            "There is no opt-out answer (.dat).", remedy="Send the list to the opt-out service and wait for its answer."
        )
    written, _, path = max(found)
    return path, datetime.fromtimestamp(written, UTC)


def _numbers(content: bytes) -> frozenset[str]:
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if not lines:
        # Nobody may be used, or the file never arrived whole: no one can tell, so a person has to look.
        raise _malformed(1)
    numbers = set()
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        text = match[1].decode("ascii") if match else ""
        if not is_nhs_number(text):
            raise _malformed(number)
        numbers.add(text)
    return frozenset(numbers)


def _malformed(line: int) -> OptOutUnavailable:
    return OptOutUnavailable(
        f"The opt-out answer is malformed in line {line}.",
        remedy="Each line is one NHS number and a comma, ended by LF. Fetch the answer again.",
    )
