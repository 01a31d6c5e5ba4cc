"""A column of a record table: read strictly into its type, then changed by its operation. Whole columns at a time.

Deliveries give ids as doubles, all-null columns as booleans, and times without a zone. What can't be read exactly is
marked bad, so that its row is set aside and counted: nothing is rounded, parsed by guess or dropped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from safelight.records.cdm import Kind

#: Arrow type in which a column of each kind leaves.
TYPES: Final[dict[Kind, Any]] = {
    "id": pa.string(),
    "concept": pa.int64(),
    "integer": pa.int64(),
    "quasi": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", "UTC"),
    "text": pa.string(),
}
_EXACT: Final = 2**53
_WHOLE: Final = re.compile(r"([+-]?[0-9]{1,19})(?:\.0*)?")
_DAY_US: Final = 86_400_000_000
_FIRST_DAY = (date.min - date(1970, 1, 1)).days
_LAST_DAY = (date.max - date(1970, 1, 1)).days
#: A column and the mask of rows in which it could not be read.
Read = tuple[Any, Any]


def read_column(column: Any, kind: Kind) -> Read:  # noqa: ANN401  pyarrow has no types
    """Return the column in the type of its kind, and a boolean array that marks unreadable values.

    A value that is missing is null and not bad; NaN is missing, too.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type) or column.null_count == len(column):
        return pa.nulls(len(column), TYPES[kind]), _none(len(column))
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    readers: dict[Kind, Callable[[Any], Read]] = {
        "id": _identifier,
        "text": _text,
        "number": _number,
        "date": _date,
        "datetime": _time,
    }
    return readers.get(kind, _integer)(column)


def _none(size: int) -> Any:  # noqa: ANN401
    return pa.array(np.zeros(size, bool))


def _all_bad(column: Any, kind: Kind) -> Read:  # noqa: ANN401
    return pa.nulls(len(column), TYPES[kind]), pc.is_valid(column)


def _text(column: Any) -> Read:  # noqa: ANN401
    if pa.types.is_string(column.type):
        text = pc.utf8_trim_whitespace(column)
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text), _none(len(column))
    if pa.types.is_integer(column.type):
        return column.cast(pa.string()), _none(len(column))
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        whole, bad = _integer(column)
        return whole.cast(pa.string()), bad
    return _all_bad(column, "text")


def _identifier(column: Any) -> Read:  # noqa: ANN401
    text, bad = _text(column)
    # A data frame with a gap in it writes whole numbers as 4.0, to a file of text as well.
    return pc.replace_substring_regex(text, r"^([0-9]+)\.0+$", r"\1"), bad


def _integer(column: Any) -> Read:  # noqa: ANN401
    if pa.types.is_integer(column.type) and column.type != pa.uint64():
        return column.cast(pa.int64()), _none(len(column))
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
        good = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), float(_EXACT)))
        return _split(column, good, pa.int64())
    return _each(column, pa.int64(), _whole)


def _number(column: Any) -> Read:  # noqa: ANN401
    if pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
        return column.cast(pa.float64(), safe=False), _none(len(column))
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
        return _split(column, pc.is_finite(column), pa.float64())
    return _each(column, pa.float64(), _finite)


def _date(column: Any) -> Read:  # noqa: ANN401
    if pa.types.is_date32(column.type):
        return column, _none(len(column))
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return column.cast(pa.date32(), safe=False), _none(len(column))
    return _each(column, pa.date32(), lambda value: date.fromisoformat(str(value).strip()))


def _time(column: Any) -> Read:  # noqa: ANN401
    if pa.types.is_timestamp(column.type):
        # A delivery's times are UTC whether they say so or not; its nanoseconds are always zero.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        moment = column.cast(pa.int64()).cast(TYPES["datetime"])
        return moment, _none(len(column))
    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us")).cast(pa.int64()).cast(TYPES["datetime"]), _none(len(column))
    return _each(column, TYPES["datetime"], _aware)


def _split(column: Any, good: Any, kind: Any) -> Read:  # noqa: ANN401
    bad = pc.and_(pc.is_valid(column), pc.invert(pc.fill_null(good, False)))
    return pc.if_else(bad, pa.scalar(None, column.type), column).cast(kind), bad


def _each(column: Any, kind: Any, read: Callable[[Any], Any]) -> Read:  # noqa: ANN401
    if not pa.types.is_string(column.type):
        return pa.nulls(len(column), kind), pc.is_valid(column)
    values: list[Any] = []
    bad: list[bool] = []
    for text in column.to_pylist():
        value = None
        wrong = False
        if text is not None and text.strip():
            try:
                value = pa.scalar(read(text), kind).as_py()
            except (ValueError, OverflowError, pa.ArrowException):
                wrong = True
        values.append(value)
        bad.append(wrong)
    return pa.array(values, kind), pa.array(bad, pa.bool_())


def _whole(text: str) -> int:
    found = _WHOLE.fullmatch(text.strip())
    if not found:
        raise ValueError("not a whole number")
    return int(found[1])


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or "_" in text:
        raise ValueError("not finite")
    return number


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def map_unique(column: Any, change: Callable[[str], str | None]) -> Any:  # noqa: ANN401
    """Return the text column with each distinct value changed once."""
    coded = column.dictionary_encode()
    values = pa.array([change(value) for value in coded.dictionary.to_pylist()], pa.string())
    return values.take(coded.indices) if len(values) else pa.nulls(len(column), pa.string())


def shift_column(column: Any, days: Any) -> Read:  # noqa: ANN401
    """Shift dates or times by each row's whole days; what leaves the calendar (years 1 to 9999) is bad."""
    if pa.types.is_date32(column.type):
        moved = pc.add(column.cast(pa.int32()), days.cast(pa.int32()))
        low, high = _FIRST_DAY, _LAST_DAY
    else:
        moved = pc.add(column.cast(pa.int64()), pc.multiply(days.cast(pa.int64()), _DAY_US))
        low, high = _FIRST_DAY * _DAY_US, (_LAST_DAY + 1) * _DAY_US - 1
    good = pc.and_(pc.greater_equal(moved, low), pc.less_equal(moved, high))
    bad = pc.and_(pc.is_valid(column), pc.invert(pc.fill_null(good, False)))
    return pc.if_else(bad, pa.scalar(None, moved.type), moved).cast(column.type), bad


def floor_column(column: Any) -> Any:  # noqa: ANN401
    """Go back to 1 January, 00:00."""
    return (
        pc.floor_temporal(column.cast(pa.timestamp("us")), unit="year").cast(pa.int64()).cast(pa.timestamp("us", "UTC"))
        if not pa.types.is_date32(column.type)
        else pc.floor_temporal(column, unit="year").cast(pa.date32())
    )
