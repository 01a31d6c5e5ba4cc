"""Where a project's records and notes come from, when they do not come with its deliveries."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from safelight.records.cdm import CDM
from safelight.warehouse.query import NAME


class RecordSource(BaseModel):
    """One place with tables of the OMOP CDM, about people of the cohort and others."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["delivery", "files", "sql"] = Field(
        default="delivery",
        description="delivery: the tables that come with each delivery. files: TABLE.csv or TABLE.parquet in a folder. "
        "sql: tables or views of a warehouse.",
    )
    block: str = Field(default="", description="Block of the folder (files) or of the warehouse (sql).")
    tables: dict[str, str] = Field(
        default={},
        description="sql: table of the CDM -> table or view that has its columns, such as omop.measurement; or a reviewed "
        "query of profiles/sql, such as emap-measurement.sql. 'note' is allowed.",
    )

    @model_validator(mode="after")
    def _complete(self) -> RecordSource:
        if bool(self.block) == (self.kind == "delivery"):
            raise ValueError("'block' is for files and sql, and they need it")
        if bool(self.tables) != (self.kind == "sql"):
            raise ValueError("'tables' is for sql, and it needs them")
        if odd := sorted(set(self.tables) - set(CDM) - {"note"}):
            raise ValueError(f"the CDM has no table about a person that is called {', '.join(odd)}")
        if odd := sorted(table for table, name in self.tables.items() if not re.fullmatch(NAME, name)):
            raise ValueError(f"the source of {', '.join(odd)} is not the name of a table, view or file of profiles/sql")
        return self
