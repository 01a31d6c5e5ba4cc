"""Values that stand where one has to stand and the real one may not (PS3.15 action D)."""

from __future__ import annotations

from typing import Final

#: Dummy values by VR, legal everywhere (PS3.15 E.1.1: "consistent with the VR").
DUMMIES: Final[dict[str, str | int]] = {
    "AE": "ANON", "AS": "000Y", "CS": "ANON", "DA": "19000101", "DS": "0", "DT": "19000101000000", "FD": 0, "FL": 0,
    "IS": "0", "LO": "Removed", "LT": "Removed", "PN": "ANON", "SH": "Removed", "SL": 0, "SS": 0, "ST": "Removed",
    "TM": "000000", "UC": "Removed", "UL": 0, "US": 0, "UT": "Removed", "UR": "urn:removed",
}  # fmt: skip
