"""Write docs/data-dictionary.md from the schemas that the lake is made with.

    .venv/bin/python -m deployments.data_dictionary

A test fails when the page is not what the code says.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from safelight.profile import load_profile
from safelight.project import load_project, project_slugs
from safelight.records.tables import table_schema
from safelight.release.schemas import TABLES, TableSchema, comment_of

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "data-dictionary.md"
TYPES = {
    pa.string(): "text",
    pa.int64(): "integer",
    pa.int32(): "integer",
    pa.float64(): "number",
    pa.bool_(): "true or false",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "time, UTC",
}
INTRODUCTION = """\
# Data dictionary

Made from the schemas in the code by `.venv/bin/python -m deployments.data_dictionary`; do not edit.

Each project has a folder of Delta tables, `<lake>/<project>/<table>`. They are written for Delta reader version 1, so
Synapse serverless SQL, Synapse Spark, Fabric, DuckDB, Polars and pandas read them. The same comments are in the tables
themselves.

## How to join

| to go from | to | by |
|---|---|---|
| any table | any other table of the same person | `person_id` |
| images (`image_occurrence`) | the report on them (`note`) | `procedure_occurrence_id` |
| images (`image_occurrence`) | their instances (`dicom_instance`) | `image_series_uid` = `SeriesInstanceUID` |
| an instance (`dicom_instance`) | its file | `SOPInstanceUID`: all UIDs are those in the file and on the DICOMweb server |
| a study that you miss | what became of it (`request_outcome`) | `procedure_occurrence_id` |

Keys are pseudonyms: stable within a project, in every delivery; another project's are others, and can't be joined to
them. All dates of a person are shifted by the same number of days (unless the project says `shift_scope: study`), so
intervals are true, while seasons, weekdays and ages at a date are not exact. An empty value means that nothing was
there or that it was not allowed to leave.

```sql
-- DuckDB; in Synapse, OPENROWSET(BULK '<path>', FORMAT = 'DELTA') stands for delta_scan('<path>')
SELECT i.modality, count(*) AS series, count(DISTINCT n.note_id) AS reports
FROM delta_scan('<lake>/<project>/image_occurrence') i
LEFT JOIN delta_scan('<lake>/<project>/note') n USING (procedure_occurrence_id)
GROUP BY i.modality;
```
"""
RECORDS = """\
# Tables of the record

Named after the OMOP CDM 5.4. Which tables and columns leave is what the project's de-id profile lists; below is what
the profiles of the projects in this repository list. The last column is the profile's rule.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(render())
    print(f"Wrote {PAGE.relative_to(ROOT)}")


def render() -> str:
    """Return the page as it must be."""
    parts = [INTRODUCTION, "## Tables of images, reports and releases\n"]
    parts += [_section(table) for table in TABLES.values()]
    parts.append(f"#{RECORDS}")
    for name, slugs in _profiles().items():
        rules = load_profile(ROOT / "profiles" / "deid", name).records
        parts.append(f"Profile `{name}` (projects: {', '.join(slugs)}):\n")
        for table, columns in sorted(rules.tables.items()):
            schema = TableSchema.from_arrow(table, table_schema(columns))
            parts.append(_section(schema, {column: operation.op for column, operation in columns.columns.items()}))
    return "\n".join(parts)


def _profiles() -> dict[str, list[str]]:
    used: dict[str, list[str]] = {}
    folder = ROOT / "profiles" / "projects"
    for slug in project_slugs(folder):
        used.setdefault(load_project(folder, slug).deid.profile, []).append(slug)
    return dict(sorted(used.items()))


def _section(table: TableSchema, rules: dict[str, str] | None = None) -> str:
    lines = [f"### {table.name}\n", f"{table.comment} Key: `{table.key}`.\n"]
    lines.append(f"| column | type | |{' rule |' if rules else ''}")
    lines.append(f"|---|---|---|{'---|' if rules else ''}")
    for field in table.stored:
        kind = TYPES[field.type] + ("" if field.nullable else ", always there")
        rule = f" {rules.get(field.name, '')} |" if rules else ""
        lines.append(f"| {field.name} | {kind} | {comment_of(field)} |{rule}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
