"""The tables of the lake: an explicit Arrow schema for each, with a comment on every table and column.

Record tables (``person``, ``measurement``, ...) have the columns that the de-id profile lists; they bring the same
description along in the metadata of their Arrow schema (`TableSchema.from_arrow`). The others are fixed and stand here,
named after the OMOP CDM and its imaging extension; columns of ``dicom_instance`` are keywords of DICOM (PS3.6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from safelight.errors import ConfigurationError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: What Synapse serverless SQL, Spark 3.4, Fabric, DuckDB and Polars all read at reader version 1.
ALLOWED_TYPES: Final = (
    pa.string(),
    pa.int64(),
    pa.int32(),
    pa.float64(),
    pa.bool_(),
    pa.date32(),
    pa.timestamp("us", "UTC"),
)
#: Digest of a row's content: tells a changed row from an unchanged one.
ROW_HASH: Final = pa.field(
    "row_hash", pa.string(), nullable=False, metadata={"comment": "Digest of the row, to see changes."}
)
#: Column that says which delivery a row came from; an older delivery never overwrites a newer one.
AS_OF: Final = "extract_datetime"


@dataclass(frozen=True)
class TableSchema:
    """One table: its name, comment, the column that is its key, and its columns without ``row_hash``."""

    name: str
    comment: str
    key: str
    columns: pa.Schema

    def __post_init__(self) -> None:
        """Refuse what some reader of the lake could not read. Raises ConfigurationError."""
        names = [field.name for field in self.columns]
        wrong = [name for name in (self.name, *names) if not _NAME.fullmatch(name)]
        wrong += [field.name for field in self.columns if field.type not in ALLOWED_TYPES]
        wrong += [field.name for field in self.columns if not comment_of(field)]
        if wrong or not self.comment or self.key not in names or len({name.lower() for name in names}) < len(names):
            raise ConfigurationError(
                f"The schema of table '{self.name}' can't be used: {', '.join(wrong) or 'key, comment or double column'}.",
                remedy="A column needs a plain name, a comment and a type that all readers of the lake know.",
            )

    @classmethod
    def from_arrow(cls, name: str, schema: pa.Schema) -> TableSchema:
        """Take the description from the schema's own metadata: ``comment`` and ``key``."""
        found = schema.metadata or {}
        # A file format may have left notes of its own in the metadata of a column.
        columns = pa.schema([field.with_metadata({"comment": comment_of(field)}) for field in schema])
        return cls(name, found.get(b"comment", b"").decode(), found.get(b"key", b"").decode(), columns)

    @property
    def stored(self) -> pa.Schema:
        """The schema as it is stored, with ``row_hash`` at the end."""
        return self.columns.append(ROW_HASH)


def comment_of(field: pa.Field) -> str:
    """Return the comment of a column, or empty text."""
    return str((field.metadata or {}).get(b"comment", b"").decode())


_TYPES: Final[dict[str, Any]] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "time": pa.timestamp("us", "UTC"),
}


def _table(name: str, comment: str, key: str, columns: str) -> TableSchema:
    fields = []
    for line in filter(None, columns.strip().splitlines()):
        column, kind, text = (part.strip() for part in line.split("|"))
        required = kind.endswith("!")
        fields.append(pa.field(column, _TYPES[kind.rstrip("!")], nullable=not required, metadata={"comment": text}))
    return TableSchema(name, comment, key, pa.schema(fields))


_FIXED: Final = (
    _table(
        "image_occurrence",
        "Series of images, one row for each series of a requested procedure: the link between record and DICOM.",
        "image_occurrence_id",
        """
image_occurrence_id | text! | Key of the row.
person_id | text! | Pseudonym of the person; joins all tables.
procedure_occurrence_id | text! | Pseudonym of the procedure that asked for the images.
image_occurrence_date | date | Date of the study, shifted by the person's own days.
image_study_uid | text! | Pseudonym of the study (StudyInstanceUID in the delivered files).
image_series_uid | text! | Pseudonym of the series (SeriesInstanceUID in the delivered files).
modality | text | Modality of the series (0008,0060).
anatomic_site | text | Body part examined (0018,0015).
series_description | text | Description of the series, cleaned (0008,103E).
series_number | integer | Number of the series (0020,0011).
manufacturer | text | Manufacturer of the equipment (0008,0070).
manufacturer_model_name | text | Model of the equipment (0008,1090).
instances | integer! | Instances of the series that were delivered.
wadors_uri | text | Address of the series by WADO-RS, where there is a DICOMweb destination.
local_path | text | Folder of the series at a destination that is a folder or a blob container, where there is one.
""",
    ),
    _table(
        "dicom_instance",
        "Delivered DICOM instances, one row each, with the elements worth querying. All values are as delivered.",
        "SOPInstanceUID",
        """
SOPInstanceUID | text! | Pseudonym of the instance (0008,0018).
SeriesInstanceUID | text! | Pseudonym of the series (0020,000E).
StudyInstanceUID | text! | Pseudonym of the study (0020,000D).
person_id | text! | Pseudonym of the person; joins all tables.
SOPClassUID | text! | Kind of instance (0008,0016).
TransferSyntaxUID | text! | Encoding of the file (0002,0010).
Modality | text | Modality (0008,0060).
ImageType | text | Original or derived, primary or secondary, and more; values joined by a backslash (0008,0008).
StudyDate | date | Date of the study, shifted (0008,0020).
SeriesNumber | integer | Number of the series (0020,0011).
InstanceNumber | integer | Number of the instance in the series (0020,0013).
BodyPartExamined | text | Body part examined (0018,0015).
ViewPosition | text | View of a projection radiograph (0018,5101).
Laterality | text | Side of the body (0020,0060) or of the image (0020,0062).
Manufacturer | text | Manufacturer of the equipment (0008,0070).
ManufacturerModelName | text | Model of the equipment (0008,1090).
Rows | integer | Height in pixels (0028,0010).
Columns | integer | Width in pixels (0028,0011).
NumberOfFrames | integer | Frames (0028,0008).
BitsStored | integer | Bits stored for each sample (0028,0101).
PhotometricInterpretation | text | How sample values are to be shown (0028,0004).
PixelSpacingRow | number | Distance between rows in mm: first value of (0028,0030), else of (0018,1164).
PixelSpacingColumn | number | Distance between columns in mm: second value of the same element.
SliceThickness | number | Thickness of the slice in mm (0018,0050).
KVP | number | Peak kilovoltage of the X-ray tube (0018,0060).
MagneticFieldStrength | number | Field strength in tesla (0018,0087).
bytes | integer! | Size of the delivered file in bytes.
sha256 | text! | SHA-256 of the delivered file, in hexadecimal.
""",
    ),
    _table(
        "note",
        "Radiology reports and clinical notes, de-identified, one row each.",
        "note_id",
        """
note_id | text! | Pseudonym of the note.
person_id | text! | Pseudonym of the person; joins all tables.
procedure_occurrence_id | text | Pseudonym of the procedure that the note is about; joins image_occurrence.
note_date | date | Date of the note, shifted by the person's own days.
note_title | text | Title of the note, de-identified.
note_text | text | Text of the note, de-identified.
extract_datetime | time! | When the delivery that the row came from was generated (UTC).
""",
    ),
    _table(
        "request_outcome",
        "What became of each study that was asked for, one row each: counts and reasons, no identifiers.",
        "request_key",
        """
request_key | text! | Key of the request; it joins nothing else.
procedure_occurrence_id | text | Pseudonym of the procedure; empty where the person opted out.
image_study_uid | text | Pseudonym of the study, once exported.
state | text! | exported, opted_out, not_found, rejected, quarantined, failed, or the stage that was reached.
reason | text | Why it was set aside.
instances_announced | integer! | Instances that the archive announced.
instances_received | integer! | Instances that were received.
instances_written | integer! | Instances that passed de-identification.
instances_set_aside | integer! | Instances that were set aside.
""",
    ),
    _table(
        "release",
        "Releases, one row each, with the manifest that proves what left.",
        "release_id",
        """
release_id | text! | Key of the release: digest of what it holds.
created | time! | When the release was made (UTC).
requests | integer! | Requests whose data left.
studies | integer! | Studies that left.
instances | integer! | Instances that left.
bytes | integer! | Their size in bytes.
profile_fingerprint | text! | Fingerprint of the de-id profile.
project_fingerprint | text! | Fingerprint of the project's settings.
software_version | text! | Version of Safelight.
manifest_sha256 | text! | SHA-256 of the manifest file, in hexadecimal.
manifest | text! | The manifest as JSON, without its list of files; its signature holds without them.
approved_by | text | Who let the release go.
public_key | text | Public key (Ed25519, base64) that the manifest was signed for.
""",
    ),
    _table(
        "data_dictionary",
        "What each column of each table means: the comments of the tables, for engines that do not show them.",
        "column_key",
        """
column_key | text! | Key of the row: table and column.
table_name | text! | Name of the table.
table_comment | text! | What a row of the table is.
column_name | text! | Name of the column.
position | integer! | Place of the column in its table, from 1.
type | text! | Type of the values.
always_there | text! | yes where every row has a value.
is_key | text! | yes for the column that is the table's key.
column_comment | text! | What the values mean.
""",
    ),
)


def describe(table: TableSchema) -> list[dict[str, Any]]:
    """Return the rows of ``data_dictionary`` for one table. Serverless SQL shows no comments, so they are rows as well."""
    return [
        {
            "column_key": f"{table.name}.{field.name}",
            "table_name": table.name,
            "table_comment": table.comment,
            "column_name": field.name,
            "position": position,
            "type": str(field.type),
            "always_there": "no" if field.nullable else "yes",
            "is_key": "yes" if field.name == table.key else "no",
            "column_comment": comment_of(field),
        }
        for position, field in enumerate(table.stored, start=1)
    ]


#: Every fixed table by name.
TABLES: Final[dict[str, TableSchema]] = {table.name: table for table in _FIXED}
