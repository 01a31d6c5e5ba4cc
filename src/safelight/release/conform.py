"""Bring rows into a table's schema without changing any value: what does not fit is refused.

delta-rs casts silently (1.7 becomes 1 in an integer column, the text "7" becomes a number, and one time without a zone
turns the whole table into a newer protocol), so nothing reaches it that is not already exactly right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from safelight.errors import IntegrityError
from safelight.release.schemas import AS_OF, ROW_HASH, TableSchema

#: Python types of the values of a row, by Arrow type. ``bool`` is an ``int`` to Python, and is never meant as one.
_PYTHON: Final[dict[Any, tuple[type, ...]]] = {
    pa.string(): (str,),
    pa.int64(): (int,),
    pa.int32(): (int,),
    pa.float64(): (float, int),
    pa.bool_(): (bool,),
}
#: Arrow types that hold the same values in another layout.
_SAME: Final[dict[Any, tuple[Any, ...]]] = {
    pa.string(): (pa.large_string(), pa.string_view(), pa.null()),
    pa.int64(): (pa.int32(), pa.int16(), pa.int8(), pa.uint32(), pa.uint16(), pa.uint8(), pa.null()),
    pa.int32(): (pa.int16(), pa.int8(), pa.uint16(), pa.uint8(), pa.null()),
    pa.float64(): (pa.float32(), pa.null()),
    pa.bool_(): (pa.null(),),
    pa.date32(): (pa.null(),),
    pa.timestamp("us", "UTC"): (pa.timestamp("ms", "UTC"), pa.timestamp("s", "UTC"), pa.null()),
}
#: Rows as they are handed in: an Arrow table or batch, or mappings from column to value.
Rows: TypeAlias = "pa.Table | pa.RecordBatch | Sequence[Mapping[str, Any]]"


def conform(rows: Rows, table: TableSchema) -> pa.Table:
    """Return the rows in exactly the table's columns.

    Raises:
        IntegrityError: a column is missing or too many, of another type, or empty where it must not be. It names table
            and column and shows no value.
    """
    if isinstance(rows, pa.RecordBatch):
        rows = pa.Table.from_batches([rows])
    if not isinstance(rows, pa.Table):
        return _from_rows(rows, table)
    _same_columns(rows.column_names, table)
    columns = []
    for field in table.columns:
        column = rows.column(field.name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if column.type != field.type:
            if column.type not in _SAME[field.type]:
                raise _misfit(table, field.name, f"{column.type} instead of {field.type}")
            column = column.cast(field.type, safe=True)
        if not field.nullable and column.null_count:
            raise _misfit(table, field.name, "empty where it must not be")
        columns.append(column)
    return pa.table(columns, schema=table.columns)


def _from_rows(rows: Sequence[Mapping[str, Any]], table: TableSchema) -> pa.Table:
    columns = []
    for row in rows:
        _same_columns(row, table)
    for field in table.columns:
        values = [row[field.name] for row in rows]
        allowed = _PYTHON.get(field.type)
        for value in values:
            if value is None:
                if not field.nullable:
                    raise _misfit(table, field.name, "empty where it must not be")
            elif (isinstance(value, bool) and field.type != pa.bool_()) or (allowed and not isinstance(value, allowed)):
                raise _misfit(table, field.name, f"{type(value).__name__} instead of {field.type}")
            elif isinstance(value, datetime) and (value.tzinfo is None or field.type == pa.date32()):
                raise _misfit(table, field.name, "a time without a zone, or in place of a date")
        try:
            columns.append(pa.array(values, field.type))
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            raise _misfit(table, field.name, f"not {field.type}") from None
    return pa.table(columns, schema=table.columns)


def _same_columns(names: Iterable[str], table: TableSchema) -> None:
    given, wanted = set(names), set(table.columns.names)
    if given != wanted:
        odd = ", ".join(sorted(given ^ wanted))
        raise IntegrityError(f"Rows for table '{table.name}' have other columns than the table: {odd}.")


def _misfit(table: TableSchema, column: str, how: str) -> IntegrityError:
    return IntegrityError(
        f"Column '{column}' of table '{table.name}' can't be written: {how}.",
        remedy="Nothing was written from this batch; the source or its rule has to change.",
    )


def with_row_hash(rows: pa.Table) -> pa.Table:
    """Append ``row_hash``: BLAKE2b-128 over all columns but ``extract_datetime``, each as length and text.

    Time: about 2 µs a row of ten columns.
    """
    parts: list[Any] = []
    for name in rows.column_names:
        if name != AS_OF:
            text = _as_text(rows.column(name))
            length = pc.cast(pc.binary_length(text), pa.string())
            parts.append(pc.coalesce(pc.binary_join_element_wise(length, text, ":"), pa.scalar("-")))
    joined = pc.binary_join_element_wise(*parts, "")
    digests = [hashlib.blake2b(value.encode(), digest_size=16).hexdigest() for value in joined.to_pylist()]
    return rows.append_column(ROW_HASH, pa.chunked_array([pa.array(digests, pa.string())]))


def _as_text(column: Any) -> Any:  # noqa: ANN401  pyarrow has no types
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    return column.cast(pa.string())


def in_chunks(batches: Iterable[Rows], table: TableSchema, size: int) -> Iterator[pa.Table]:
    """Gather the batches, conformed, into tables of at most ``size`` rows; none is empty."""
    held: list[pa.Table] = []
    count = 0
    for rows in batches:
        part = conform(rows, table)
        while part.num_rows:
            take = part.slice(0, size - count)
            held.append(take)
            count += take.num_rows
            part = part.slice(take.num_rows)
            if count == size:
                yield pa.concat_tables(held).combine_chunks()
                held, count = [], 0
    if count:
        yield pa.concat_tables(held).combine_chunks()
