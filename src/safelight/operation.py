"""The verbs of a de-id profile: what a rule may do, with its arguments. DICOM, record columns and text share them.

How an operation acts on a value of a given type is the business of the stage that owns the type (`dicom`, `records`);
here is what may be said, and the arithmetic on dates and numbers that all agree on.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from safelight.errors import ConfigurationError
from safelight.yamlfile import Key, YamlFile


class Operation(BaseModel):
    """One rule's verb. ``reason`` says why a risky rule is there; reviewers read it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    op: str
    reason: str = ""
    #: PS3.15 Table E.1-1a action that it amounts to.
    action_code: ClassVar[str] = ""


class Keep(Operation):
    """Leave the value as it is; in a sequence, its items follow the same rules."""

    op: Literal["keep"] = "keep"
    action_code: ClassVar[str] = "K"


class Fixed(Operation):
    """Write a fixed value."""

    op: Literal["fixed"] = "fixed"
    value: str | int | float
    action_code: ClassVar[str] = "D"


class DateFloor(Operation):
    """Go back to 1 January of the year; a date-time keeps its form with the time at zero."""

    op: Literal["date-floor"] = "date-floor"
    action_code: ClassVar[str] = "C"


class DateShift(Operation):
    """Shift by the scope's whole days; the time of day stays."""

    op: Literal["date-shift"] = "date-shift"
    action_code: ClassVar[str] = "C"


class NumRange(Operation):
    """Put a number between a floor and a ceiling."""

    op: Literal["num-range"] = "num-range"
    min: float | None = None
    max: float | None = None
    action_code: ClassVar[str] = "C"

    @model_validator(mode="after")
    def _order(self) -> NumRange:
        if self.min is None and self.max is None:
            raise ValueError("num-range needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("num-range has min above max")
        return self


class Hash(Operation):
    """Unkeyed BLAKE2b: only for values that identify nobody."""

    op: Literal["hash"] = "hash"
    action_code: ClassVar[str] = "D"


class SecureHash(Operation):
    """The project's keyed pseudonym. ``domain`` is the kind of identifier; by default the element's or column's own."""

    op: Literal["secure-hash"] = "secure-hash"
    domain: str = Field(default="", max_length=16, pattern=r"^[a-z0-9-]*$")
    action_code: ClassVar[str] = "D"


class Uid(Operation):
    """The project's pseudonym of a UID; the same for every reference to it."""

    op: Literal["uid"] = "uid"
    action_code: ClassVar[str] = "U"


class Empty(Operation):
    """Keep the element with no value."""

    op: Literal["empty"] = "empty"
    action_code: ClassVar[str] = "Z"


class Remove(Operation):
    """Take the element or column away, as if it were not listed."""

    op: Literal["remove"] = "remove"
    action_code: ClassVar[str] = "X"


class CleanText(Operation):
    """Run the report de-identifier over the text."""

    op: Literal["clean-text"] = "clean-text"
    action_code: ClassVar[str] = "C"


class Map(Operation):
    """A closed list of values, compared without case and outer space; any other value is removed."""

    op: Literal["map"] = "map"
    values: dict[str, str] | tuple[str, ...]
    action_code: ClassVar[str] = "C"

    def table(self) -> dict[str, str]:
        """Return the map from casefolded input to output."""
        pairs = self.values.items() if isinstance(self.values, dict) else ((value, value) for value in self.values)
        return {source.strip().casefold(): target for source, target in pairs}


class Vocabulary(Operation):
    """Keep the words that devices write about themselves; any other word of the text goes."""

    op: Literal["vocabulary"] = "vocabulary"
    action_code: ClassVar[str] = "C"


AnyOperation = Annotated[
    Union[  # noqa: UP007
        Keep, Fixed, DateFloor, DateShift, NumRange, Hash, SecureHash, Uid, Empty, Remove, CleanText, Map, Vocabulary
    ],
    Field(discriminator="op"),
]
_ADAPTER: Final[TypeAdapter[AnyOperation]] = TypeAdapter(AnyOperation)
OPERATIONS: Final[dict[str, type[Operation]]] = {
    kind.model_fields["op"].default: kind
    for kind in (
        Keep,
        Fixed,
        DateFloor,
        DateShift,
        NumRange,
        Hash,
        SecureHash,
        Uid,
        Empty,
        Remove,
        CleanText,
        Map,
        Vocabulary,
    )
}


def parse_operation(rule: Any, file: YamlFile, at: Key) -> Operation:  # noqa: ANN401  what a YAML file holds
    """Read ``keep`` or ``{op: num-range, min: 18}``.

    Raises:
        ConfigurationError: with file, line and what is allowed.
    """
    if isinstance(rule, str):
        rule = {"op": rule}
    if not isinstance(rule, dict) or "op" not in rule:
        file.refuse("A rule is an operation's name or a mapping with 'op'.", at=at, remedy=_allowed())
    if rule["op"] not in OPERATIONS:
        file.refuse(f"There is no operation '{rule['op']}'.", at=(*at, "op"), remedy=_allowed())
    try:
        return _ADAPTER.validate_python(rule)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        raise ConfigurationError(
            f"The operation '{rule['op']}' {where + ': ' if where else ''}{first['msg'].lower()}.",
            remedy=f"It takes: {', '.join(sorted(set(OPERATIONS[rule['op']].model_fields) - {'op'}))}.",
            file=file.path.name,
            line=file.line(at),
        ) from None


def _allowed() -> str:
    return f"Use one of: {', '.join(sorted(OPERATIONS))}."


def floor_date(value: date) -> date:
    """Return 1 January of the year."""
    return value.replace(month=1, day=1)


def shift_date(value: date, days: int) -> date | None:
    """Return the date moved by whole days, or None where the calendar ends (years 1 to 9999)."""
    try:
        return value + timedelta(days=days)
    except OverflowError:
        return None


def clamp(value: float, low: float | None, high: float | None) -> float:
    """Return the number put between floor and ceiling. Raises ValueError on NaN and infinity."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("not a finite number")
    if low is not None and value < low:
        return low
    if high is not None and value > high:
        return high
    return value
