"""A research project: one YAML file whose settings the stages own. Only projects in the repository run."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from safelight.archive.settings import ArchiveUse, Push
from safelight.cohort.settings import CohortSource
from safelight.dicom.filters import ImageFilters
from safelight.errors import ApprovalExpired, ConfigurationError, UnknownProject
from safelight.records.settings import RecordSource
from safelight.release.policy import ReleasePolicy
from safelight.release.settings import Destinations
from safelight.reports.policy import ReportPolicy
from safelight.yamlfile import load_yaml

if TYPE_CHECKING:
    from pathlib import Path

SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Approval(BaseModel):
    """Who allowed the project, and until when. The last day is included."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    reference: str = Field(min_length=1)
    expires: date
    opt_out_exemption: str = Field(default="", description="Legal ground, where the national opt-out does not apply.")


class DeidChoice(BaseModel):
    """The de-id profile and what this project changes in it (same shape as the profile file; later wins)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    profile: str
    overrides: dict[str, Any] = {}
    max_shift_days: int = Field(default=365, ge=1, le=3650)
    shift_scope: str = Field(default="patient", pattern="^(patient|study)$")


class SiteBlocks(BaseModel):
    """Blocks of the hospital's own parts; the defaults are what bootstrap registers."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    link_database: str = "link-database"
    raw_cache: str = "raw-cache"
    work: str = "work"
    receiver: str = "storage-receiver"
    pseudonym_key: str = Field(default="", description="Default: pseudonym-key-<slug>.")
    signing_key: str = Field(default="release-signing-key", description="Key that signs the manifests of releases.")


class Retention(BaseModel):
    """How long de-identified copies stay in the work folder after they were exported."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    work_days: int = Field(default=30, ge=0)


class Project(BaseModel):
    """One research project, checked. YAML names blocks; secrets live only in blocks."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    slug: str
    title: str = Field(min_length=1)
    approval: Approval
    cohort: CohortSource
    archives: tuple[ArchiveUse, ...] = Field(min_length=1)
    push: Push | None = None
    deid: DeidChoice
    filters: ImageFilters
    records: tuple[RecordSource, ...] = Field(
        default=(RecordSource(),), description="Where record tables and notes come from; by default, with the deliveries."
    )
    reports: ReportPolicy = ReportPolicy(include=False)
    destinations: Destinations
    release: ReleasePolicy = ReleasePolicy()
    retention: Retention = Retention()
    site: SiteBlocks = SiteBlocks()

    @property
    def key_block(self) -> str:
        """Name of the block that holds the project's key and salt."""
        return self.site.pseudonym_key or f"pseudonym-key-{self.slug}"

    def check_approval(self, today: date) -> None:
        """Raise ApprovalExpired when the approval has ended."""
        if today > self.approval.expires:
            raise ApprovalExpired(
                f"The approval of project '{self.slug}' ended on {self.approval.expires}.",
                remedy="Enter the renewed approval in its file, or retire the project.",
            )

    def fingerprint(self) -> str:
        """Return the SHA-256 of the settings in canonical JSON, in hexadecimal."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def project_slugs(folder: Path) -> list[str]:
    """Return the slugs of all projects in the folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_project(folder: Path, slug: str) -> Project:
    """Load ``<folder>/<slug>.yaml``.

    Raises:
        UnknownProject: no such file; the message lists those there are.
        ConfigurationError: the file is wrong; with file, line and what is allowed.
    """
    path = folder / f"{slug}.yaml"
    if not SLUG.fullmatch(slug) or not path.is_file():
        shown = f"'{slug}'" if SLUG.fullmatch(slug) else "of that name"
        raise UnknownProject(
            f"There is no project {shown}.", remedy=f"Projects here: {', '.join(project_slugs(folder)) or 'none'}."
        )
    file = load_yaml(path)
    project = file.validate(Project, file.data)
    if project.slug != slug:
        file.refuse(f"The slug must be the file's name, '{slug}'.", at=("slug",))
    if project.cohort.opt_out is None and not project.approval.opt_out_exemption:
        raise ConfigurationError(
            "The project has no opt-out check.",
            remedy="Give cohort.opt_out, or approval.opt_out_exemption with the legal ground.",
            file=path.name,
            line=file.line(("cohort",)),
        )
    for pattern in project.filters.manufacturers:
        try:
            re.compile(pattern.regex)
        except re.error:
            file.refuse("A manufacturer's regex is not valid.", at=("filters", "manufacturers"))
    return project
