"""One delivery of a cohort: what it asks for, what of it can't be used, and which deliveries there are."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from safelight.errors import ExtractInvalid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from safelight.link import SetAsideRow
    from safelight.model import StudyRequest

OMOP_ES: Final = "omop-es"
CSV: Final = "csv"
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class ExtractInfo:
    """What a delivery is. ``sha256`` is its identity: over all its files, by name.

    ``source`` is what the delivery says of its origin; ``layout`` is ``single``, ``batched`` or ``csv``.
    """

    project: str
    name: str
    sha256: str
    generated: datetime
    source: str
    layout: str


@dataclass(frozen=True)
class Delivery:
    """A delivery, read and checked.

    Each row that asks for something is either in ``requests`` or in ``set_aside``; in a CSV file, rows of other projects
    are counted in ``other_projects``. ``persons`` gives the MRN of each ``person_id``.
    """

    info: ExtractInfo
    requests: tuple[StudyRequest, ...] = field(repr=False)
    set_aside: tuple[SetAsideRow, ...]
    persons: Mapping[str, str] = field(default_factory=dict, repr=False)
    other_projects: int = 0

    def reasons(self) -> dict[str, int]:
        """Return reason -> rows set aside."""
        return dict(sorted(Counter(row.reason.value for row in self.set_aside).items()))


def delivery_names(folder: Path, kind: str, *, only: str = "") -> list[str]:
    """Return the names of the deliveries in a cohort folder, sorted: subfolders (OMOP-ES) or ``.csv`` files.

    Args:
        folder: the cohort folder.
        kind: ``omop-es`` or ``csv``.
        only: return just this one.

    Raises:
        ExtractInvalid: the folder can't be read, or there is no delivery of the name ``only``.
    """
    try:
        entries = sorted(folder.iterdir())
        found = [path.name for path in entries if not path.name.startswith(".") and _is_delivery(path, kind)]
    except OSError as error:
        raise ExtractInvalid(
            f"The cohort folder can't be read ({type(error).__name__}).", remedy="Check the project's cohort block."
        ) from None
    if not only:
        return found
    if only not in found:
        raise ExtractInvalid(
            "There is no delivery of that name in the cohort folder.",
            remedy=f"There are {len(found)}; leave the name empty to read them all.",
        )
    return [only]


def _is_delivery(path: Path, kind: str) -> bool:
    return path.is_dir() if kind == OMOP_ES else path.is_file() and path.suffix.lower() == ".csv"


def open_delivery(path: Path, kind: str, *, project: str, projects: Collection[str] | None = None) -> Delivery:
    """Read and check one delivery.

    Args:
        path: an OMOP-ES folder or a CSV file.
        kind: ``omop-es`` or ``csv``.
        project: the slug of the project that asks.
        projects: slugs of all projects there are; a CSV row of any other is set aside as unknown_project.

    Raises:
        ExtractInvalid: it can't be read as a cohort at all.
    """
    # Imported late: each reader needs this module's classes.
    from safelight.cohort.csv_file import read_csv
    from safelight.cohort.omop import read_omop_es

    if kind == OMOP_ES:
        return read_omop_es(path, project=project)
    return read_csv(path, project=project, projects=projects)


def fingerprint(files: Iterable[tuple[str, Path]]) -> str:
    """Return SHA-256 over files in the order of their names: each by its name, its size and its bytes.

    Reads each file once, a megabyte at a time.

    Raises:
        ExtractInvalid: a file can't be read.
    """
    total = hashlib.sha256()
    for name, path in sorted(files):
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        except OSError as error:
            raise ExtractInvalid(f"A file of the delivery can't be read ({type(error).__name__}).") from None
        encoded = name.encode("utf-8", "surrogateescape")
        total.update(b"%d:%s:%d:%s" % (len(encoded), encoded, size, digest.digest()))
    return total.hexdigest()
