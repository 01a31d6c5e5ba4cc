"""Builds the domain's objects for one project from its YAML file and the blocks that it names.

The only place that knows both sides. Everything is built when first asked for, so that a stage loads what it needs, and
all that can be wrong with the settings is found before the first archive query.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from prefect.blocks.core import Block

from blocks import (
    AzureBlobContainer,
    DeltaLake,
    DicomNode,
    DicomwebServer,
    FtpsServer,
    LinkStore,
    LocalFolder,
    PseudonymKeyFile,
    PseudonymKeyVault,
    StorageNode,
)
from blocks.pseudonym_keys import KeyUnreadable
from safelight.errors import ConfigurationError, KeyUnavailable, StorageUnwritable
from safelight.link import LinkDatabase
from safelight.model import RequestState
from safelight.profile import DeidProfile, load_profile
from safelight.project import Project, load_project
from safelight.pseudonym import ProjectKey, Pseudonymizer
from safelight.release.signing import SigningKey
from tasks.parameters import profiles_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

B = TypeVar("B", bound=Block)
#: Kind of a destination -> the block that says where it is.
DESTINATION_BLOCKS: dict[str, type[Block]] = {
    "folder": LocalFolder,
    "dicomweb": DicomwebServer,
    "blob": AzureBlobContainer,
    "ftps": FtpsServer,
    "c-store": DicomNode,
}


def now() -> datetime:
    """Return the time: the one clock of all tasks. The domain gets it as an argument."""
    return datetime.now(UTC)


def load_block(kind: type[B], name: str) -> B:
    """Load a block document. Raises ConfigurationError that says what to register."""
    try:
        block = kind.load(name)
    except ValueError:
        raise ConfigurationError(
            f"There is no block '{name}' of type '{kind.get_block_type_slug()}'.",
            remedy="Create it in the Prefect UI under Blocks, or run 'python -m deployments.bootstrap'.",
        ) from None
    assert isinstance(block, kind)  # noqa: S101  Prefect looked it up by this type
    return block


def _key(name: str) -> tuple[bytes, bytes]:
    """Return key and salt of a block. Raises KeyUnavailable."""
    kinds: tuple[type[PseudonymKeyVault] | type[PseudonymKeyFile], ...] = (PseudonymKeyVault, PseudonymKeyFile)
    for kind in kinds:
        try:
            return load_block(kind, name).read()
        except ConfigurationError:
            continue
        except KeyUnreadable as error:
            raise KeyUnavailable(str(error), remedy=f"Check the block '{name}' and what it points to.") from None
    raise KeyUnavailable(
        f"There is no block '{name}' with a key.",
        remedy=f"Create one of type '{PseudonymKeyVault.get_block_type_slug()}' of that name.",
    )


class ProjectRun:
    """What the stages need for one project. Nothing in here changes the archive or the outputs by being built."""

    def __init__(self, slug: str, *, approved: bool = True) -> None:
        self.project: Project = load_project(profiles_folder() / "projects", slug)
        if approved:
            self.project.check_approval(now().date())

    @cached_property
    def profile(self) -> DeidProfile:
        """The resolved de-id profile."""
        deid = self.project.deid
        return load_profile(profiles_folder() / "deid", deid.profile, overrides=deid.overrides)

    @cached_property
    def database(self) -> LinkDatabase:
        """The link database, its schema at the version of this code."""
        url = load_block(LinkStore, self.project.site.link_database).url.get_secret_value()
        database = LinkDatabase(url, clock=now)
        database.check()
        return database

    @cached_property
    def pseudonymizer(self) -> Pseudonymizer:
        """The project's pseudonyms."""
        return Pseudonymizer(ProjectKey(*_key(self.project.key_block)), max_days=self.project.deid.max_shift_days)

    @cached_property
    def signing_key(self) -> SigningKey:
        """The key that signs releases."""
        return SigningKey(_key(self.project.site.signing_key)[0])

    @cached_property
    def cohort_folder(self) -> Path:
        """Where deliveries arrive."""
        return self.folder(self.project.cohort.folder)

    @cached_property
    def record_folder(self) -> Path:
        """The patient and staff record."""
        return self.folder(self.project.cohort.patient_record)

    @cached_property
    def work(self) -> Path:
        """De-identified work in progress of this project."""
        return self.writable(self.project.site.work) / self.project.slug

    def people(self) -> dict[str, str]:
        """Return person_id -> MRN of everybody in the cohort who may be used."""
        states = [state for state in RequestState if state is not RequestState.OPTED_OUT]
        found = self.database.find(self.project.slug, states)
        return {request.person_id: request.mrn for request in found if request.person_id}

    def studies(self) -> dict[int, str]:
        """Return procedure_occurrence_id -> Study Instance UID of every study that is asked for by one."""
        found = self.database.find(self.project.slug, list(RequestState))
        return {r.procedure_occurrence_id: r.located_study_uid or r.study_uid for r in found if r.procedure_occurrence_id}

    def folder(self, block: str) -> Path:
        """Return the path of a folder block. Raises ConfigurationError when there is no such folder."""
        path = load_block(LocalFolder, block).path
        if not path.is_dir():
            raise ConfigurationError(
                f"The folder of block '{block}' is not there.", remedy="Mount or create it, or correct the block."
            )
        return path

    def writable(self, block: str) -> Path:
        """Return the path of a folder block that this run may write to."""
        path = load_block(LocalFolder, block).path
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe = path / ".writable"
            probe.write_bytes(b"")
            probe.unlink()
            free = shutil.disk_usage(path).free
        except OSError as error:
            raise StorageUnwritable(
                f"The folder of block '{block}' can't be written ({type(error).__name__}).",
                remedy="Check its path, owner and free space.",
            ) from None
        if free < 64 << 20:
            raise StorageUnwritable(
                f"The disk of block '{block}' has less than 64 MB left.", remedy="Make room, or correct the block."
            )
        return path

    def close(self) -> None:
        """Let the database connections go."""
        if "database" in self.__dict__:
            self.database.close()

    def check(self) -> None:
        """Build everything that can be wrong before an archive is asked. Raises PermanentError."""
        _ = self.profile, self.signing_key, self.record_folder, self.work
        self.database.check_key(self.project.slug, self.pseudonymizer)
        if self.project.cohort.kind != "sql":
            _ = self.cohort_folder
        self.writable(self.project.site.raw_cache)
        if any(use.retrieve == "c-move" for use in self.project.archives):
            load_block(StorageNode, self.project.site.receiver)
        if push := self.project.push:
            load_block(StorageNode, push.receiver)
            for sender in push.senders:
                load_block(DicomNode, sender)
        for use in self.project.archives:
            load_block(DicomwebServer if use.retrieve == "dicomweb" else DicomNode, use.block)
        if self.project.reports.validation:
            self.writable(self.project.reports.validation.folder)
        load_block(DeltaLake, self.project.destinations.lake)
        for dicom in self.project.destinations.dicom:
            load_block(DESTINATION_BLOCKS[dicom.kind], dicom.block)
        for tables in self.project.destinations.parquet:
            load_block(DESTINATION_BLOCKS[tables.kind], tables.block)


@contextmanager
def open_run(slug: str, *, approved: bool = True) -> Iterator[ProjectRun]:
    """Open a project for one task. ``approved`` False: also after its approval has ended, to take back what left."""
    run = ProjectRun(slug, approved=approved)
    try:
        yield run
    finally:
        run.close()
