"""Looks for planted identifiers in whatever a run has written: DICOM, Parquet, databases, logs, file names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Shorter texts are not searched for: they occur by themselves.
SHORTEST: Final = 5
_RUN: Final = re.compile(rb"[\x20-\x7e\x80-\xff]{%d,}" % SHORTEST)
#: Without what is no letter, or the background of an image would be read as text.
_WIDE_RUN: Final = re.compile(rb"(?:[\x20-\x7e\xc0-\xff]\x00){%d,}" % SHORTEST)


class Canaries:
    """Searches bytes for texts, in any case, as UTF-8, Latin-1 or UTF-16.

    A text of digits counts only where no further digit touches it: a UID of 39 digits holds any seven by chance.
    Only what could be text is compared: a file of 10 MB takes 0.5 s.

    Args:
        texts: what to look for.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = {text.casefold(): text for text in sorted(texts) if len(text) >= SHORTEST}
        self._numbers = {text: re.compile(rf"(?<![0-9]){text}(?![0-9])") for text in self._texts if text.isdigit()}

    def find(self, data: bytes) -> list[str]:
        """Return the texts that occur in the data, sorted; of texts that differ in case only, one."""
        runs = b"\n".join(set(_RUN.findall(data)))
        wide = b"\n".join({run.replace(b"\0", b"") for run in _WIDE_RUN.findall(data)})
        readings = [runs.decode("latin-1"), wide.decode("latin-1")]
        if not runs.isascii():
            readings.append(runs.decode("utf-8", "ignore"))
        text = "\n".join(readings).casefold()
        return sorted(
            one
            for folded, one in self._texts.items()
            if folded in text and (folded not in self._numbers or self._numbers[folded].search(text))
        )

    def search(self, folder: Path) -> dict[str, list[str]]:
        """Search all files below a folder, and their names. Parquet is decompressed first.

        Returns:
            For each file in which something was found, relative to the folder: the texts.
        """
        found = {}
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            leaked = set(self.find(name.encode()))
            if path.suffix == ".parquet":
                table = pq.read_table(path, partitioning=None)
                leaked |= set(self.find(f"{table.schema} {table.to_pylist()}".encode()))
            if path.is_file():
                leaked |= set(self.find(path.read_bytes()))
            if leaked:
                found[name] = sorted(leaked)
        return found
