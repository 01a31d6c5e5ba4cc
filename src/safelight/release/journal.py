"""What was already sent in an export that has not ended: a text file, so that a killed export does not send it again.

It is an aid and not the truth: lost, it costs a second sending, which leaves one copy as well. One line an instance:
destination, SOP Instance UID, size and modification time of the file that was sent. A line that a kill cut short, or
about a file that has changed since, counts for nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safelight.release.destination import OutputFile, output_is_gone
from safelight.release.faults import folder_fault


@dataclass
class Journal:
    """The journal of one project's export at ``path``."""

    path: Path
    _lines: set[str] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        """Read what an earlier export left."""
        try:
            text = self.path.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return
        except OSError as error:
            raise folder_fault(error, "the work folder") from None
        self._lines.update(line for line in text.split("\n")[:-1] if line)

    def split(self, destination: str, files: Sequence[OutputFile]) -> tuple[list[OutputFile], list[OutputFile]]:
        """Return the files that are still to be sent there, and those that were."""
        sent = [_line(destination, file) in self._lines for file in files]
        pairs = list(zip(files, sent, strict=True))
        return [file for file, done in pairs if not done], [file for file, done in pairs if done]

    def add(self, destination: str, files: Iterable[OutputFile]) -> None:
        """Write down what was sent, on the disk before this returns."""
        self._append([_line(destination, file) for file in files])

    def _append(self, lines: Sequence[str]) -> None:
        if not lines:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="ascii") as file:
                # The first newline ends a line that a kill cut short.
                file.write("\n" + "\n".join(lines) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise folder_fault(error, "the work folder") from None
        self._lines.update(lines)

    def clear(self) -> None:
        """Forget everything: the export has ended."""
        self.path.unlink(missing_ok=True)
        self._lines.clear()


def _line(destination: str, file: OutputFile) -> str:
    try:
        status = file.path.stat()
    except OSError:
        raise output_is_gone() from None
    return f"{destination} {file.sop_uid} {status.st_size} {status.st_mtime_ns}"
