"""What the manager of an archive allows: how much, when, and how we make way when the archive slows."""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

DayKind = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]
#: In the order of ``date.weekday``; the last one stands for a bank holiday, whatever day of the week it is.
DAY_KINDS: Final[tuple[DayKind, ...]] = get_args(DayKind)
_MINUTES_A_DAY: Final = 24 * 60


class Budget(BaseModel):
    """What the archive's manager allows. Initial values: the orchestrator's limits can be changed while a batch runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    operations_per_second: float = Field(default=2.0, gt=0, le=1000, description="C-FIND, C-MOVE, C-GET, C-ECHO together.")
    associations: int = Field(default=2, ge=1, le=50, description="Associations in flight at once.")
    megabytes_per_second: float = Field(default=100.0, gt=0, le=10_000, description="Of what the archive sends us.")


class Load(BaseModel):
    """How the rate follows the archive's own speed, between the budget and ``least_share`` of it.

    An answer, or an instance, that takes ``slow`` times as long as usual makes the rate ``back_off`` times what it was;
    while answers come as quickly as usual, it grows by ``step`` of the budget a second.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    least_share: float = Field(default=0.1, gt=0, le=1, description="Share of the budget that is always left; 1: all of it.")
    slow: float = Field(default=1.5, gt=1, le=10, description="So many times its usual time, and the archive is slow.")
    unnoticed_seconds: float = Field(
        default=0.05, ge=0, le=10, description="A delay below this is nobody's to notice, however many times it is."
    )
    back_off: float = Field(default=0.5, gt=0, lt=1, description="The rate is multiplied by this when it is slow.")
    step: float = Field(default=0.05, gt=0, le=1, description="Share of the budget that comes back each second.")


class Period(BaseModel):
    """A time of day on some days. It belongs to the day on which it opens, and may end on the next."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    days: tuple[DayKind, ...] = Field(default=DAY_KINDS, min_length=1, description="Days on which it opens.")
    opens: str = Field(
        default="00:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Time of day on the clock of the time zone."
    )
    closes: str = Field(
        default="24:00",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$",
        description="When it ends; on the next day where that is no later than 'opens'.",
    )
    operations_per_second: float | None = Field(
        default=None, gt=0, le=1000, description="A lower rate than the budget's in this period."
    )

    @field_validator("opens", "closes", mode="before")
    @classmethod
    def _as_yaml_reads_it(cls, value: Any) -> Any:  # noqa: ANN401  what a file holds
        # YAML 1.1 takes 20:00 without quotes for a number in base 60: 1200.
        if type(value) is int and 0 <= value <= _MINUTES_A_DAY:
            return f"{value // 60:02}:{value % 60:02}"
        return value

    @property
    def begin(self) -> int:
        """Minutes from midnight to where it opens."""
        return _minutes(self.opens)

    @property
    def end(self) -> int:
        """Minutes from the midnight before it opens to where it closes; more than 1440 on the next day."""
        end = _minutes(self.closes)
        return end if end > self.begin else end + _MINUTES_A_DAY


class Hours(BaseModel):
    """When an archive may be asked. Where periods overlap, the first in the list counts. Default: always."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    time_zone: str = Field(default="Europe/London", description="Name of the IANA time zone whose clock counts.")
    holidays: tuple[date, ...] = Field(default=(), description="Bank holidays: days of the kind 'holiday' and no other.")
    periods: tuple[Period, ...] = Field(default=(Period(),), min_length=1, description="When the archive may be asked.")

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError):
            message = "there is no such time zone; write it as Europe/London"
            raise ValueError(message) from None
        return value


def _minutes(time_of_day: str) -> int:
    hours, minutes = time_of_day.split(":")
    return int(hours) * 60 + int(minutes)
