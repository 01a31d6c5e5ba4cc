"""What the steps of a release share: what they need to know and to call, and what they tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from safelight.link import LinkDatabase, Request, StageCounts
from safelight.model import InstanceResult
from safelight.release.destination import Destination
from safelight.release.inspection import Verifier
from safelight.release.lake import Lake
from safelight.release.manifest import Terms
from safelight.release.parquet import ParquetDelivery
from safelight.release.policy import ReleasePolicy
from safelight.release.signing import SigningKey

Row = Mapping[str, Any]


class ImageRows(Protocol):
    """Rows of one request's images."""

    image_occurrence: list[dict[str, Any]]
    dicom_instance: list[dict[str, Any]]


class Images(Protocol):
    """Reads the rows of a request from its files; how researchers reach a series is entered when it was sent."""

    def __call__(self, request: Request, files: Sequence[Path]) -> ImageRows:
        """Return the rows of the files."""
        ...


@dataclass(frozen=True)
class StagedTable:
    """Rows for one table of the lake, as the stages before left them.

    ``origin`` tells one file from the others of the project: ``notes/<delivery>``, ``records/<delivery>/<table>``.
    """

    table: str
    origin: str
    path: Path


@dataclass(frozen=True)
class Export:
    """What preparing and sending need to know and to call.

    Args:
        project: slug.
        database: the link database.
        lake: where tables go.
        destinations: where DICOM goes; their names differ.
        parquet: where tables go as files; made in the folder ``parquet`` beside ``pending``.
        terms: the rules of the release.
        policy: who lets a release go.
        key: signs manifests.
        verifier: makes what looks for identifiers in all that is about to leave; called when there is something.
        images: reads rows from verified files.
        outcome: makes the row of a request's outcome.
        work: folder of the verified output; relative paths of instances are below it.
        pending: folder of the release that is prepared and not sent yet.
        manifests: folder of manifests.
        clock: the time, aware.
        worker: name under which requests are leased.
        lease: how long.
        tables: staged notes and record rows.
        record_tables: names of the record tables that the profile lets leave.
        title: of the project, for the datasheet.
        on_progress: called with requests done and instances delivered so far.
        sleep: waits, in seconds, for requests that another worker holds: one that was killed holds them until its lease
            ends, and they belong to this release.
    """

    project: str
    database: LinkDatabase
    lake: Lake
    destinations: Sequence[Destination]
    terms: Terms
    policy: ReleasePolicy
    key: SigningKey
    verifier: Callable[[], Verifier]
    images: Images
    outcome: Callable[[Request, Sequence[InstanceResult]], Row]
    work: Path
    pending: Path
    manifests: Path
    clock: Callable[[], datetime]
    worker: str
    lease: timedelta
    tables: Sequence[StagedTable] = ()
    record_tables: Sequence[str] = ()
    title: str = ""
    parquet: Sequence[ParquetDelivery] = ()
    on_progress: Callable[[int, int], None] | None = None
    sleep: Callable[[float], None] = time.sleep


@dataclass
class ExportResult:
    """What sending did. ``refused``: destination -> instances it refused. No release: nothing was sent.

    ``waiting`` says in words why a prepared release was not sent; empty where there was none, or it was.
    """

    counts: StageCounts
    release_id: str | None
    instances: int
    refused: dict[str, int]
    waiting: str = ""
