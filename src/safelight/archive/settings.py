"""An archive as a project may use it, within what its manager allows."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from safelight.archive.budget import Budget, Hours, Load


class Push(BaseModel):
    """Who may send studies for the project unasked."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    receiver: str = Field(description="Block of the storage node that senders call: of this project and no other.")
    senders: tuple[str, ...] = Field(min_length=1, description="Blocks of the DICOM nodes that may send.")
    quiet_seconds: float = Field(
        default=120, gt=0, le=86400, description="A study is complete when nothing more of it came for so long."
    )
    then: str = Field(
        default="nightly-batch/cohort", description="Deployment that is started for the project; empty: the nightly batch."
    )


class ArchiveUse(BaseModel):
    """One archive that a project may ask, in order of preference."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    block: str = Field(description="Block of the DICOM node, or of the DICOMweb server.")
    budget: Budget = Budget()
    hours: Hours = Hours()
    load: Load = Load()
    retrieve: Literal["c-move", "c-get", "dicomweb"] = Field(
        default="c-move",
        description="How it is asked and studies come: C-FIND and C-MOVE to our receiver, C-FIND and C-GET on our own "
        "association, or QIDO-RS and WADO-RS; then the block is of a DICOMweb server.",
    )
    accession_alone: bool = Field(default=False, description="Ask by accession number without the patient's id, too.")
    ask_for_cached: bool = Field(
        default=False,
        description="Ask whether a study that the raw cache has whole has grown. By default it costs the archive nothing.",
    )
    attempts: int = Field(default=3, ge=1, le=20, description="Attempts an operation, with exponential backoff.")
    move_timeout_seconds: float = Field(default=300, gt=0, description="Silence in a retrieval after which it has failed.")
    timeout_seconds: float = Field(default=60, gt=0, description="Silence on anything else after which it has failed.")
    settle_seconds: float = Field(
        default=2.0, ge=0, le=300, description="Wait for instances that come after the archive said that it is done."
    )
    information_model: Literal["study", "patient"] = Field(
        default="study", description="Query/Retrieve root: 'patient' for an archive that offers no Study Root."
    )
    image_query_needs_series: bool = Field(
        default=True,
        description="Ask for instances series by series, as the standard says; false saves queries where it can.",
    )
    result_cap: int | None = Field(
        default=None,
        ge=2,
        description="It gives no more answers than this to one query, and says nothing: a search for studies is split by "
        "date until each answer is below it, and a series or study that reaches it is set aside as incomplete.",
    )
    counts_are_right: bool = Field(
        default=True,
        description="Its Number of Study Related Instances counts what can be retrieved: fewer instances than that in its "
        "own list are set aside as incomplete. False for an archive that counts hidden objects, too.",
    )
    character_set: str = Field(
        default="", description="Specific Character Set of the archive where its answers don't say; empty: ASCII."
    )
    open_after_failures: int = Field(
        default=5, ge=1, le=1000, description="So many studies failed within the window, at least, and it is left alone."
    )
    open_at_share: float = Field(
        default=0.5, gt=0, le=1, description="And these are such a share of all studies within the window, at least."
    )
    window_seconds: float = Field(default=300, gt=0, le=86400, description="How far back failures are counted.")
    rest_seconds: float = Field(default=60, gt=0, le=86400, description="How long an archive that failed is left alone.")
