"""De-identify one record table: the columns that the profile lists, of the cohort's people, as Arrow batches.

The rows keep the order of the delivery. Each row that is read is delivered or set aside with a reason; `TableCounts`
balances. Memory is one batch; the cost is about 10 µs a row of ten columns, most of it keyed hashing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from safelight.errors import ConfigurationError, ExtractInvalid, IntegrityError, StudyRejected
from safelight.model import KnownIdentifiers, Reason
from safelight.operation import (
    CleanText,
    DateFloor,
    DateShift,
    Empty,
    Fixed,
    Hash,
    Keep,
    Map,
    NumRange,
    Operation,
    SecureHash,
    Uid,
)
from safelight.pseudonym import Pseudonymizer, plain_hash
from safelight.records.cdm import Column
from safelight.records.columns import TYPES, Read, floor_column, map_unique, read_column, shift_column
from safelight.records.content import pointing
from safelight.records.rules import RecordRules, TableRules
from safelight.records.source import TableRows

#: Text, what is known of the patient, date shift in days -> clean text. Raises StudyRejected where it can't vouch for it.
CleanTextFunction = Callable[[str, KnownIdentifiers | None, int], str]
AS_OF: Final = pa.field(
    "extract_datetime",
    pa.timestamp("us", "UTC"),
    nullable=False,
    metadata={"comment": "When the delivery that the row came from was generated (UTC)."},
)


@dataclass
class TableCounts:
    """What became of the rows: ``read == delivered + sum(set_aside.values())``."""

    read: int = 0
    delivered: int = 0
    set_aside: Counter[Reason] = field(default_factory=Counter)

    def check(self) -> None:
        """Raise IntegrityError when the counts do not balance."""
        if self.read != self.delivered + sum(self.set_aside.values()):
            raise IntegrityError("Rows that were read are neither delivered nor set aside.")


@dataclass(frozen=True)
class Person:
    """What de-identification needs of one person of the cohort."""

    pseudonym: str
    shift: int
    mrn: str = field(repr=False)


class DeidentifiedTable:
    """The batches of one table: iterate once, then look at ``counts``. ``schema`` describes them, comments and all."""

    def __init__(
        self,
        rows: TableRows,
        rules: TableRules,
        pseudonymizer: Pseudonymizer,
        *,
        mrn_of: Callable[[str], str | None],
        generated: datetime,
        clean_text: CleanTextFunction | None = None,
        known_of: Callable[[str], KnownIdentifiers | None] | None = None,
    ) -> None:
        if generated.tzinfo is None:
            raise ValueError("the time at which a delivery was generated needs a zone")
        if rules.needs_clean_text and clean_text is None:
            raise ConfigurationError(
                f"The profile asks for clean-text in table '{rules.name}', and there is no report de-identifier.",
                remedy="Give the project a report policy with language models, or use another operation.",
            )
        self.counts = TableCounts()
        self.schema = table_schema(rules)
        self._source = rows
        self._rules = rules
        self._pseudonymizer = pseudonymizer
        self._mrn_of = mrn_of
        self._generated = pa.scalar(generated, AS_OF.type)
        self._clean_text = clean_text
        self._known_of = known_of
        self._people: dict[str, Person | None] = {}

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of delivered rows, in ``schema``. Raises ExtractInvalid when a source can't be read."""
        self.counts = TableCounts()
        for batch in self._source.batches(list(self._rules.columns)):
            columns = {name: batch.column(name) for name in batch.schema.names}
            for name in dict.fromkeys((self._rules.table.key, "person_id")):
                if name not in columns:
                    raise ExtractInvalid(
                        f"The source of table '{self._rules.name}' has no column '{name}'.",
                        remedy="Without it rows can't be told apart or joined: correct the delivery or view.",
                    )
            yield from self._batch(columns, batch.num_rows)
        self.counts.check()

    def _batch(self, columns: Mapping[str, Any], rows: int) -> Iterator[pa.RecordBatch]:
        self.counts.read += rows
        ids, bad_ids = read_column(columns["person_id"], "id")
        key, bad_key = read_column(columns[self._rules.table.key], "id")
        coded = ids.dictionary_encode()
        people = [self._person(value) for value in coded.dictionary.to_pylist()]
        belongs = _take([person is not None for person in people], pa.bool_(), coded.indices, rows)
        missing = pc.and_(pc.or_(pc.is_null(ids), pc.is_null(key)), pc.invert(pc.or_(bad_ids, bad_key)))
        outside = pc.and_(pc.invert(pc.fill_null(belongs, False)), pc.is_valid(ids))
        aside = _Aside(rows)
        aside.mark(pc.or_(bad_ids, bad_key), Reason.BAD_VALUE)
        aside.mark(missing, Reason.MISSING_IDENTIFIER)
        aside.mark(outside, Reason.UNMATCHED_PERSON)
        days = _take([person.shift if person else None for person in people], pa.int32(), coded.indices, rows)
        mrns = [person.mrn if person else None for person in people]
        out = []
        for name, operation in self._rules.columns.items():
            column = self._rules.table.columns[name]
            if name == "person_id":
                pseudonyms = [person.pseudonym if person else None for person in people]
                out.append(_take(pseudonyms, pa.string(), coded.indices, rows))
                continue
            values, bad = read_column(columns.get(name, pa.nulls(rows)), column.kind)
            aside.mark(bad, Reason.BAD_VALUE)
            if isinstance(operation, CleanText):
                out.append(self._cleaned(values, _take(mrns, pa.string(), coded.indices, rows), days, aside))
            else:
                if isinstance(operation, Keep) and column.kind in ("text", "integer", "number"):
                    aside.mark(pointing(values), Reason.RESIDUAL_IDENTIFIER)
                values, bad = self._change(values, column, operation, days)
                aside.mark(bad, Reason.BAD_VALUE)
                out.append(values)
        self.counts.set_aside.update(aside.counts)
        good = pc.invert(aside.mask)
        delivered = rows - sum(aside.counts.values())
        self.counts.delivered += delivered
        if delivered:
            kept = [column.filter(good) for column in out]
            yield pa.record_batch([*kept, pa.repeat(self._generated, delivered)], schema=self.schema)

    def _person(self, person_id: str) -> Person | None:
        if person_id not in self._people:
            mrn = self._mrn_of(person_id)
            self._people[person_id] = (
                Person(
                    self._pseudonymizer.secure_hash(person_id, "person"),
                    self._pseudonymizer.date_shift(mrn.strip()),
                    mrn.strip(),
                )
                if mrn and mrn.strip()
                else None
            )
        return self._people[person_id]

    def _change(self, values: Any, column: Column, operation: Operation, days: Any) -> Read:  # noqa: ANN401
        good = pa.repeat(pa.scalar(False), len(values))
        match operation:
            case Keep():
                return values, good
            case SecureHash():
                domain = operation.domain or column.domain
                return map_unique(values, lambda value: self._pseudonymizer.secure_hash(value, domain)), good
            case Hash():
                return map_unique(values, plain_hash), good
            case Uid():
                return map_unique(values, self._pseudonymizer.uid), good
            case DateShift():
                return shift_column(values, days)
            case DateFloor():
                return floor_column(values), good
            case NumRange():
                return _clamp(values, operation), good
            case Fixed():
                return pa.repeat(pa.scalar(operation.value, TYPES[column.kind]), len(values)), good
            case Map():
                table = operation.table()
                mapped = map_unique(values.cast(pa.string()), lambda value: table.get(value.strip().casefold()))
                return mapped.cast(TYPES[column.kind]), good
            case Empty():
                return pa.nulls(len(values), TYPES[column.kind]), good
        raise ConfigurationError(f"The operation '{operation.op}' is not for record columns.")

    def _cleaned(self, values: Any, mrns: Any, days: Any, aside: _Aside) -> Any:  # noqa: ANN401
        assert self._clean_text is not None  # noqa: S101  checked when the table was opened
        texts: list[str | None] = []
        refused: list[Reason | None] = []
        rows = zip(values.to_pylist(), mrns.to_pylist(), days.to_pylist(), aside.mask.to_pylist(), strict=True)
        for text, mrn, shift, gone in rows:
            clean, wrong = None, None
            if text is not None and not gone:
                try:
                    clean = self._clean_text(text, self._known_of(mrn) if self._known_of else None, shift)
                except StudyRejected as rejected:
                    wrong = rejected.reason
            texts.append(clean)
            refused.append(wrong)
        for reason in sorted(set(filter(None, refused))):
            aside.mark(pa.array([one is reason for one in refused], pa.bool_()), reason)
        return pa.array(texts, pa.string())


class _Aside:
    """Which rows of a batch are set aside; the first reason counts."""

    def __init__(self, rows: int) -> None:
        self.mask: Any = pa.repeat(pa.scalar(False), rows)
        self.counts: Counter[Reason] = Counter()

    def mark(self, rows: Any, reason: Reason) -> None:  # noqa: ANN401
        fresh = pc.and_(rows, pc.invert(self.mask))
        count = pc.sum(fresh).as_py() or 0
        if count:
            self.counts[reason] += count
            self.mask = pc.or_(self.mask, fresh)


def _take(values: list[Any], kind: Any, indices: Any, rows: int) -> Any:  # noqa: ANN401
    return pa.array(values, kind).take(indices) if values else pa.nulls(rows, kind)


def _clamp(values: Any, operation: NumRange) -> Any:  # noqa: ANN401
    if operation.min is not None:
        values = pc.max_element_wise(values, pa.scalar(operation.min).cast(values.type), skip_nulls=False)
    if operation.max is not None:
        values = pc.min_element_wise(values, pa.scalar(operation.max).cast(values.type), skip_nulls=False)
    return values


def table_schema(rules: TableRules) -> pa.Schema:
    """Return the Arrow schema of what leaves: types and comments of the columns, comment and key of the table."""
    required = {rules.table.key, "person_id"}
    fields = [
        pa.field(
            name,
            TYPES[rules.table.columns[name].kind],
            nullable=name not in required,
            metadata={"comment": rules.table.columns[name].comment},
        )
        for name in rules.columns
    ]
    return pa.schema([*fields, AS_OF], metadata={"comment": rules.table.comment, "key": rules.table.key})


def deidentify_table(
    rows: TableRows,
    table: str,
    rules: RecordRules,
    pseudonymizer: Pseudonymizer,
    *,
    mrn_of: Callable[[str], str | None],
    generated: datetime,
    clean_text: CleanTextFunction | None = None,
    known_of: Callable[[str], KnownIdentifiers | None] | None = None,
) -> DeidentifiedTable:
    """De-identify a table that the rules list.

    Args:
        rows: its rows, from wherever they come.
        table: its name in lower case.
        rules: of the profile.
        pseudonymizer: of the project.
        mrn_of: the MRN of a person of the cohort (ids as text, "4"), or None for anybody else.
        generated: when the delivery was generated, aware; a later delivery wins over an earlier one in the lake.
        clean_text: the text de-identifier, where a rule asks for it.
        known_of: what the hospital knows of a patient, by MRN.

    Raises:
        ConfigurationError: the rules do not list the table, or ask for a text de-identifier that is not given.
    """
    if table not in rules.tables:
        raise ConfigurationError(
            f"The profile lets nothing of table '{table}' leave.", remedy="List its columns under 'records'."
        )
    return DeidentifiedTable(
        rows,
        rules.tables[table],
        pseudonymizer,
        mrn_of=mrn_of,
        generated=generated,
        clean_text=clean_text,
        known_of=known_of,
    )
