"""What is known of the instance in hand while it is read, and the guesses that spare reading it twice."""

from __future__ import annotations

from typing import Final, NamedTuple

from safelight.model import InstanceOutcome, InstanceResult, Reason

SOP_CLASS: Final = 0x00080016
SOP_INSTANCE: Final = 0x00080018
STUDY: Final = 0x0020000D
SERIES: Final = 0x0020000E


class DataSet(NamedTuple):
    """An open data set in little endian.

    Args:
        source: descriptor of its file.
        size: bytes of the file.
        start: offset of the first element.
        syntax: transfer syntax.
        inflated: whether it came out of a deflate stream.
    """

    source: int
    size: int
    start: int
    syntax: str
    inflated: bool = False


class Found:
    """What is known of the instance so far, for the link database."""

    __slots__ = ("series", "size", "sop", "study")

    def __init__(self) -> None:
        self.size = 0
        self.study = self.series = self.sop = ""

    def take(self, noted: dict[int, bytes]) -> None:
        """Remember the UIDs as the file has them."""
        self.study, self.series, self.sop = (
            noted.get(tag, b"").decode("latin-1").strip(" \0") for tag in (STUDY, SERIES, SOP_INSTANCE)
        )

    def aside(self, reason: Reason) -> InstanceResult:
        """Return the result of an instance that does not come out."""
        return InstanceResult(
            outcome=InstanceOutcome.SET_ASIDE,
            reason=reason,
            bytes_in=self.size,
            study_instance_uid=self.study,
            series_instance_uid=self.series,
            sop_instance_uid=self.sop,
        )


def peek(data: bytes, start: int, tag: bytes, implicit: bool | None) -> bytes:
    """Return what looks like an element's short value in the first window; only a guess."""
    at = data.find(tag, start)
    if at < 0:
        return b""
    explicit = data[at + 4 : at + 6].isalpha() if implicit is None else not implicit
    length = int.from_bytes(data[at + 6 : at + 8] if explicit else data[at + 4 : at + 8], "little")
    return data[at + 8 : at + 8 + length] if length <= 1024 else b""
