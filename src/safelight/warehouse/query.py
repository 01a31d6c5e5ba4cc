"""What may be asked of a warehouse: the columns of a table or view that has a plain name, or of a reviewed query.

Configuration never becomes part of a statement as text: names go through the dialect's quoting, people are bound values, and
a query is a file of ``profiles/sql``, which is reviewed and must be one SELECT that reads and does nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlglot
from sqlalchemy import column, false, select, table, text
from sqlalchemy.sql.elements import quoted_name
from sqlglot import exp
from sqlglot.errors import SqlglotError

from safelight.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from sqlalchemy.sql import FromClause, Select

#: A table or view, with schema and on SQL Server with database; or a file of profiles/sql.
NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,127}(\.[A-Za-z_][A-Za-z0-9_]{0,127}){0,2}|[a-z0-9][a-z0-9-]{0,63}\.sql"
#: Dialect of SQLAlchemy -> of sqlglot.
_DIALECTS: Final = {"postgresql": "postgres", "mssql": "tsql"}
_CHANGES: Final = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock, exp.Set, exp.Drop, exp.Alter, exp.TruncateTable)
#: Functions that reach out of the database, or change it, from inside a SELECT.
_REACHING: Final = re.compile(
    r"open(rowset|query|datasource|xml)|dblink\w*|(pg|lo|xp|sp|fn)_\w+|set_config|(next|set)val|(query|cursor|table)_to_xml\w*",
    re.IGNORECASE,
)
_REMEDY: Final = "One SELECT without parameters, locks, INTO or a semicolon inside; the columns have the names of the CDM."


@dataclass(frozen=True)
class Relation:
    """A table, view or reviewed query, by the name that the configuration gives it."""

    name: str
    query: str = ""

    def select(self, columns: Sequence[str], *, people: Collection[str] = (), key: str = "person_id") -> Select[Any]:
        """Return the statement that reads these columns; of some people only, where ``people`` is not empty."""
        source = self._source([*columns, key])
        statement = select(*(source.c[name] for name in columns))
        return statement.where(source.c[key].in_(list(people))) if people else statement

    def describe(self) -> Select[Any]:
        """Return a statement that gives no row, and whose result names all columns."""
        return select(text("*")).select_from(self._source([])).where(false())

    def _source(self, columns: Sequence[str]) -> FromClause:
        named: list[Any] = [column(name) for name in dict.fromkeys(columns)]
        if self.query:
            # A colon would be taken for a parameter of ours; a last line that is a comment must end.
            return text(f"{self.query}\n".replace(":", r"\:")).columns(*named).subquery("reviewed")
        *schema, name = self.name.split(".")
        return table(name, *named, schema=quoted_name(".".join(schema), quote=None) if schema else None)


@dataclass(frozen=True)
class Relations:
    """Finds relations by name; queries are files of ``folder`` in one SQL dialect.

    Args:
        folder: of reviewed queries: ``profiles/sql``.
        dialect: ``postgresql`` or ``mssql``.
    """

    folder: Path
    dialect: str

    def find(self, name: str) -> Relation:
        """Return the relation of that name.

        Raises:
            ConfigurationError: not a plain name, or a file that is missing or does more than read.
        """
        if not re.fullmatch(NAME, name):
            raise ConfigurationError(
                "A source is the name of a table or view, or of a file of profiles/sql.",
                remedy="Such as 'omop.measurement' or 'emap-measurement.sql'.",
            )
        if not name.endswith(".sql"):
            return Relation(name)
        try:
            query = (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(
                f"There is no query '{name}' in profiles/sql.", remedy="Add it by a pull request."
            ) from None
        return Relation(name, check_query(query, name, self.dialect))


def check_query(query: str, name: str, dialect: str) -> str:
    """Return the query as it may be used inside a statement. Raises ConfigurationError unless it is one that only reads."""
    try:
        statements = sqlglot.parse(query, dialect=_DIALECTS[dialect])
    except (SqlglotError, RecursionError):
        raise ConfigurationError(f"'{name}' is not SQL as this database speaks it.", remedy=_REMEDY) from None
    found = statements[0] if len(statements) == 1 else None
    if not isinstance(found, exp.Query) or any(found.find_all(*_CHANGES, exp.Placeholder, exp.Parameter)):
        raise ConfigurationError(f"'{name}' does more than read, or is more than one statement.", remedy=_REMEDY)
    if any(_REACHING.fullmatch(called.name) for called in found.find_all(exp.Anonymous)):
        raise ConfigurationError(f"'{name}' calls a function that does more than read.", remedy=_REMEDY)
    return query.strip().removesuffix(";")
