"""Types of flow parameters: they become the forms of the Prefect UI. Opaque words only; nothing about a patient."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from safelight.project import project_slugs

CHECKOUT: Final = Path(__file__).resolve().parents[1]


def profiles_folder() -> Path:
    """Return the folder of profiles and projects: the checkout's, or SAFELIGHT_PROFILES."""
    return Path(os.environ.get("SAFELIGHT_PROFILES", CHECKOUT / "profiles"))


ProjectSlug = Annotated[
    str,
    Field(
        title="Project",
        description="A project of profiles/projects.",
        # A list to pick from. The stage checks again: the list is as old as the deployment.
        json_schema_extra={"enum": [*project_slugs(profiles_folder() / "projects")]},
    ),
]
DeliveryName = Annotated[
    str,
    Field(
        title="Delivery",
        description="Name of one delivery in the project's cohort folder. Empty: all that are there.",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
    ),
]
LabelledSet = Annotated[
    str,
    Field(
        title="Labelled set",
        description="Name of one labelled set in the project's folder, without .jsonl. Empty: all that are there.",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
    ),
]
Answerable = Annotated[
    str,
    Field(
        title="Who",
        description="Who answers for the result: a role, or a member of staff.",
        pattern=r"^[\w .,'()/-]{2,80}$",
    ),
]
Pseudonym = Annotated[
    str,
    Field(
        title="Pseudonym",
        description="Of a patient who withdrew, or of one of their studies. Never a number of the hospital. "
        "Empty: take back what is left of everybody who has opted out since.",
        # A pseudonym's own form, so that no number of the hospital can be entered by mistake.
        pattern=r"^(2\.25\.[0-9]{20,39}|[A-Za-z0-9+/]{64})?$",
    ),
]
BatchSize = Annotated[int, Field(title="Batch size", description="Requests a task works on at once.", ge=1, le=1000)]
AskAgain = Annotated[
    tuple[Literal["failed", "not_found", "rejected", "quarantined"], ...],
    Field(
        title="Ask again for",
        description="Set-aside requests to start over: after a repair, a new profile, or when a missing study has arrived.",
    ),
]
LookedAt = Annotated[
    int,
    Field(title="Requests", description="Requests to look at, spread evenly; each costs two queries.", ge=1, le=1_000_000),
]
PreflightToo = Annotated[
    bool,
    Field(title="Pre-flight", description="Also ask the archives what retrieving the requests would bring and take."),
]
ListenMinutes = Annotated[
    float, Field(title="Minutes", description="How long to listen. 0: until the run is cancelled.", ge=0, le=525_600)
]
ProjectSlugs = Annotated[
    tuple[ProjectSlug, ...],
    Field(title="Projects", description="Projects to run, in this order. None: all whose approval is in force."),
]
