"""Who lets a release go: a person, or the limits that a project declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from safelight.release.policy import ReleasePolicy

#: Who is named as the approver where no person was asked.
AUTOMATIC: Final = "automatic, within the project's limits"


def exceeded(policy: ReleasePolicy, counts: Mapping[str, int]) -> list[str]:
    """Return, in words, why a release of these counts needs a person; nothing when it needs none."""
    if policy.approval == "required":
        return ["the project asks for a person's approval"]
    limits, words = policy.limits, []
    looked_at = counts["studies"] + counts["studies_quarantined"]
    if limits.max_studies is not None and counts["studies"] > limits.max_studies:
        words.append(f"{counts['studies']} studies, and the limit is {limits.max_studies}")
    if counts["studies_quarantined"] > limits.max_quarantined_share * looked_at:
        words.append(
            f"verification stopped {counts['studies_quarantined']} of {looked_at} studies, "
            f"and the limit is a share of {limits.max_quarantined_share}"
        )
    if counts["rows_withheld"] > limits.max_withheld_rows:
        words.append(f"verification withheld {counts['rows_withheld']} rows, and the limit is {limits.max_withheld_rows}")
    if limits.min_cell and counts["smallest_cell"] and counts["smallest_cell"] < limits.min_cell:
        words.append(f"a combination of {counts['smallest_cell']} people, and the limit is {limits.min_cell}")
    return words


@dataclass(frozen=True)
class Decision:
    """What was decided on one prepared release, by whom and when (aware). ``reason`` stays in the hospital."""

    release_id: str
    approved: bool
    by: str
    at: datetime
    reason: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {**self.__dict__, "at": self.at.isoformat()}

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Decision:
        """Return what ``as_data`` gave."""
        return cls(**{**data, "at": datetime.fromisoformat(data["at"])})
