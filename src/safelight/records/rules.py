"""The ``records:`` section of a de-id profile: which columns of which tables may leave, and changed how.

A table or column that is not listed is removed. What can't be right is refused when the profile loads: an unknown table
or column, an operation that does not fit the column's type, a table without its keys, and ``keep`` or ``hash`` on a
column that may hold an identifier, unless the rule gives its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

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
    Remove,
    SecureHash,
    Uid,
    parse_operation,
)
from safelight.records.cdm import CDM, CdmTable, Column, Kind
from safelight.yamlfile import Key, YamlFile

_ALWAYS: Final = (Empty, Remove)
#: What may be done to a column of each kind.
FITTING: Final[dict[Kind, tuple[type[Operation], ...]]] = {
    "id": (SecureHash, *_ALWAYS),
    "concept": (Keep, Fixed, Map, *_ALWAYS),
    "integer": (Keep, Fixed, NumRange, Map, *_ALWAYS),
    "quasi": (Keep, Fixed, NumRange, *_ALWAYS),
    "number": (Keep, Fixed, NumRange, *_ALWAYS),
    "date": (DateShift, DateFloor, Keep, *_ALWAYS),
    "datetime": (DateShift, DateFloor, Keep, *_ALWAYS),
    "text": (SecureHash, Hash, Uid, Map, Fixed, CleanText, Keep, *_ALWAYS),
}
#: Kinds of column that may point at a person as they are: kept only with a reason that a reviewer can read.
_RISKY: Final[dict[Kind, str]] = {
    "quasi": "it is part of the date of birth",
    "date": "it is a real date",
    "datetime": "it is a real date",
    "text": "it may hold names, numbers or free text",
}


@dataclass(frozen=True)
class TableRules:
    """The rules of one table: operation by column, in the order of the CDM. ``remove`` is not among them."""

    table: CdmTable
    columns: Mapping[str, Operation]

    @property
    def name(self) -> str:
        """The table's name in lower case."""
        return self.table.name

    @property
    def needs_clean_text(self) -> bool:
        """Whether a rule wants the text de-identifier."""
        return any(isinstance(operation, CleanText) for operation in self.columns.values())


@dataclass(frozen=True)
class RecordRules:
    """All record rules of a profile, by table name. No table: no record rows leave."""

    tables: Mapping[str, TableRules]

    @classmethod
    def parse(cls, file: YamlFile, section: Mapping[str, Any] | None, at: Key = ("records",)) -> RecordRules:
        """Read the section.

        Args:
            file: the file it stands in, for messages.
            section: table name -> column name -> rule. None or empty: no rows leave.
            at: where the section stands in the file.

        Raises:
            ConfigurationError: with file, line and what is allowed.
        """
        if section is None:
            return cls({})
        if not isinstance(section, Mapping):
            file.refuse("'records' must be a mapping of tables.", at=at, remedy=f"Tables: {', '.join(sorted(CDM))}.")
        tables: dict[str, TableRules] = {}
        for name, columns in section.items():
            here = (*at, name)
            if name == "note":
                file.refuse("Notes are not records.", at=here, remedy="The profile's 'reports' section governs them.")
            if name not in CDM:
                file.refuse(f"There is no table '{name}'.", at=here, remedy=f"Use one of: {', '.join(sorted(CDM))}.")
            if not isinstance(columns, Mapping) or not columns:
                file.refuse(f"'{name}' must be a mapping of columns to rules.", at=here)
            tables[name] = _parse_table(file, CDM[name], columns, here)
        return cls(tables)

    def describe(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return table -> column -> rule as plain data: for people, and canonical for a fingerprint."""
        return {
            name: {column: operation.model_dump(mode="json") for column, operation in rules.columns.items()}
            for name, rules in sorted(self.tables.items())
        }


def _parse_table(file: YamlFile, table: CdmTable, section: Mapping[str, Any], at: Key) -> TableRules:
    found: dict[str, Operation] = {}
    for name, rule in section.items():
        here = (*at, name)
        if name not in table.columns:
            file.refuse(
                f"Table '{table.name}' has no column '{name}'.", at=here, remedy=f"Columns: {', '.join(table.columns)}."
            )
        operation = parse_operation(rule, file, here)
        _check(file, table.columns[name], operation, here)
        if not isinstance(operation, Remove):
            found[name] = operation
    for name in dict.fromkeys((table.key, "person_id")):
        if not isinstance(found.get(name), SecureHash):
            file.refuse(
                f"Table '{table.name}' must list '{name}' as secure-hash: without it rows can't be told apart or joined.",
                at=(*at, name),
                remedy=f"Add '{name}: secure-hash'.",
            )
    return TableRules(table, {name: found[name] for name in table.columns if name in found})


def _check(file: YamlFile, column: Column, operation: Operation, at: Key) -> None:
    fitting = FITTING[column.kind]
    if not isinstance(operation, fitting):
        allowed = ", ".join(sorted(kind.model_fields["op"].default for kind in fitting))
        file.refuse(
            f"'{operation.op}' does not fit column '{column.name}' ({column.kind}).", at=at, remedy=f"Use one of: {allowed}."
        )
    if isinstance(operation, Keep | Hash) and column.kind in _RISKY and not operation.reason.strip():
        file.refuse(
            f"'{operation.op}' on column '{column.name}' needs a reason: {_RISKY[column.kind]}.",
            at=at,
            remedy=f"Use another operation, or write {{op: {operation.op}, reason: ...}}.",
        )
    if isinstance(operation, SecureHash) and column.domain and operation.domain not in ("", column.domain):
        file.refuse(
            f"Column '{column.name}' must keep the domain '{column.domain}': it joins other tables by it.",
            at=(*at, "domain"),
        )
    if isinstance(operation, SecureHash) and column.kind == "text" and not operation.domain:
        file.refuse(
            f"secure-hash on column '{column.name}' needs a domain.",
            at=at,
            remedy="Such as {op: secure-hash, domain: patient}.",
        )
    numeric = column.kind in ("concept", "integer", "quasi")
    if isinstance(operation, Fixed) and not _fits(column.kind, operation.value):
        file.refuse(f"The fixed value does not fit column '{column.name}' ({column.kind}).", at=(*at, "value"))
    if isinstance(operation, NumRange) and numeric:
        for name in ("min", "max"):
            bound = getattr(operation, name)
            if bound is not None and not float(bound).is_integer():
                file.refuse(f"Column '{column.name}' holds whole numbers; '{name}' is not one.", at=(*at, name))
    if isinstance(operation, Map) and numeric and not all(_is_integer(value) for value in operation.table().values()):
        file.refuse(f"Column '{column.name}' holds whole numbers; a value of the map is not one.", at=(*at, "values"))


def _fits(kind: Kind, value: str | float) -> bool:
    if kind == "text":
        return isinstance(value, str)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_integer(text: str) -> bool:
    return text.strip().lstrip("+-").isdecimal()
