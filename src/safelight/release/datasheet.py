"""The datasheet of a release: what is in it, what was left out and why, what it can't say, and how few people share a cell.

Two documents come out. The *datasheet* goes with the data, and shows no count of fewer people than the threshold. The
*governance* page has every such cell as it is; whoever approves the release reads it, and it stays in the hospital.

Sources: Gebru et al., "Datasheets for Datasets" (questions on composition); Sweeney, "k-anonymity" (2002).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from safelight.errors import IntegrityError
from safelight.release.page import Section, as_html, as_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

THRESHOLD: Final = 5
#: The governance page lists so many small cells, the smallest first, and says how many more there are.
LISTED: Final = 500
#: Nothing is fetched, and nothing is written to a disk.
_ENGINE: Final[dict[str, Any]] = {
    "memory_limit": "512MB",
    "threads": 2,
    "autoinstall_known_extensions": "false",
    "temp_directory": "",
}
_PERSON: Final = ("gender_concept_id", "year_of_birth", "race_concept_id", "ethnicity_concept_id")
_IMAGE: Final = ("modality", "anatomic_site", "study_year")
_NO_IMAGES: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("person_id", "image_study_uid", "modality", "anatomic_site")),
        *((name, pa.string()) for name in ("manufacturer", "manufacturer_model_name", "procedure_occurrence_id")),
        ("image_occurrence_date", pa.date32()),
        ("instances", pa.int64()),
    ]
)
_MEASURES: Final = ("people", "studies", "series", "instances")
_COUNTS: Final = (
    "count(DISTINCT person_id)::BIGINT, count(DISTINCT image_study_uid)::BIGINT, "
    "count(*)::BIGINT, coalesce(sum(instances), 0)::BIGINT"
)


@dataclass(frozen=True)
class Heading:
    """What the datasheet is of. ``created`` is aware; empty text is left out."""

    project: str
    title: str
    created: datetime
    release_id: str = ""
    approval: str = ""
    profile: str = ""
    profile_fingerprint: str = ""
    software_version: str = ""


@dataclass(frozen=True)
class Anonymity:
    """How the people of a release spread over the combinations of some quasi-identifiers.

    ``smallest`` is the k of k-anonymity: the fewest people who share one combination (0: there is nobody).
    ``small`` holds combinations of fewer than the threshold, each with its number of people, the smallest first.
    """

    of: str
    columns: tuple[str, ...]
    cells: int
    smallest: int
    small_cells: int
    small: tuple[tuple[tuple[str, ...], int], ...] = field(repr=False)


@dataclass(frozen=True)
class Datasheet:
    """A datasheet, ready to be written.

    ``markdown`` and ``html`` may go with the data. ``governance`` (Markdown) is for the approver's eyes and must never
    be put into the lake or sent to a destination. The numbers are for an approval form and for limits of automatic
    release: ``smallest_cell`` is the fewest people who share one combination of all quasi-identifiers, ``small_cells``
    how many combinations are below the threshold; ``counts`` has people, studies, series, instances, notes, requests,
    exported, and a count for each state in which requests were set aside.
    """

    markdown: str = field(repr=False)
    html: str = field(repr=False)
    governance: str = field(repr=False)
    smallest_cell: int
    small_cells: int
    counts: dict[str, int]


def datasheet(tables: Mapping[str, Any], heading: Heading, *, threshold: int = THRESHOLD) -> Datasheet:
    """Describe a release from its tables.

    Each table is read a few times, a few columns each, in at most half a gigabyte whatever its size. The same tables and
    heading give the same documents to the byte.

    Args:
        tables: name -> ``pyarrow`` table or dataset, as in the lake (``Lake.open(...).to_pyarrow_dataset()``) or as
            prepared. Those that describe a release here: ``image_occurrence``, ``person``, ``note``,
            ``request_outcome``; of every other one the rows are counted. A table that is missing counts as empty.
        heading: what it is of.
        threshold: counts of fewer people are not shown in the datasheet.

    Raises:
        IntegrityError: a table lacks a column, or can't be read.
    """
    with duckdb.connect(config=_ENGINE) as engine:
        engine.execute("SET enable_progress_bar = false")  # it would draw on the terminal of whoever calls
        try:
            return _Sheet(engine, tables, heading, threshold).made()
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            # Their text may quote a value.
            raise IntegrityError(
                f"The tables of the release can't be described ({type(error).__name__}).",
                remedy="Look at 'image_occurrence', 'person', 'note' and 'request_outcome': a column or file is missing.",
            ) from None


class _Sheet:
    """The figures of one release, and the sections that tell them."""

    def __init__(self, engine: Any, tables: Mapping[str, Any], heading: Heading, threshold: int) -> None:  # noqa: ANN401
        self._engine = engine
        self._tables = dict(sorted(tables.items()))
        self._heading = heading
        self._threshold = threshold
        self._images = engine.from_arrow(tables.get("image_occurrence", _NO_IMAGES.empty_table()))

    @property
    def _person(self) -> Any:  # noqa: ANN401
        return self._engine.from_arrow(self._tables["person"])

    def made(self) -> Datasheet:
        """Return the documents and their numbers."""
        states = self._states()
        anonymity = self._anonymity()
        people, studies, series, instances = self._images.aggregate(_COUNTS).fetchone()
        if "person" in self._tables:
            # A person may come with several deliveries.
            people = self._person.aggregate("count(DISTINCT person_id)::BIGINT").fetchone()[0]
        counts = {"people": people, "studies": studies, "series": series, "instances": instances}
        counts["notes"] = self._rows("note")
        counts["requests"] = sum(count for _, _, count in states)
        counts["exported"] = 0
        for state, _, count in states:
            counts[state] = counts.get(state, 0) + count
        sections = [
            self._of(counts),
            *self._by(),
            self._outcomes(states),
            self._record(),
            self._completeness(),
            self._k_anonymity(anonymity),
            self._limits(counts),
        ]
        smallest = [found.smallest for found in anonymity if found.smallest]
        return Datasheet(
            as_markdown(f"Datasheet: {self._heading.title}", sections),
            as_html(f"Datasheet: {self._heading.title}", sections),
            as_markdown(f"For governance only: {self._heading.title}", self._for_governance(anonymity)),
            min(smallest, default=0),
            sum(found.small_cells for found in anonymity),
            counts,
        )

    def _rows(self, table: str) -> int:
        found = self._tables.get(table)
        if found is None:
            return 0
        return int(found.num_rows if isinstance(found, pa.Table) else found.count_rows())

    def _states(self) -> list[tuple[str, str, int]]:
        if "request_outcome" not in self._tables:
            return []
        found = self._engine.from_arrow(self._tables["request_outcome"])
        grouped = found.aggregate("state, coalesce(reason, '') AS reason, count(*)::BIGINT", "state, reason")
        return sorted(grouped.fetchall(), key=lambda row: (row[0] != "exported", row[0], -row[2], row[1]))

    def _of(self, counts: Mapping[str, int]) -> Section:
        heading = self._heading
        facts = [
            ("project", heading.project),
            ("release", heading.release_id),
            ("made", heading.created.isoformat()),
            ("approval", heading.approval),
            ("de-id profile", heading.profile),
            ("its fingerprint", heading.profile_fingerprint),
            ("software", heading.software_version),
            *((name, f"{counts[name]:,}") for name in (*_MEASURES, "notes", "requests", "exported")),
        ]
        return Section("The release", "", ("what", "value"), tuple((name, value) for name, value in facts if value), 2)

    def _by(self) -> list[Section]:
        year = "coalesce(CAST(year(image_occurrence_date) AS VARCHAR), 'not given')"
        given = "coalesce({0}, 'not given')"
        return [
            self._group("Modality", ("modality",), (given.format("modality"),)),
            self._group("Year of the study (shifted)", ("year",), (year,)),
            self._group("Body part", ("body part",), (given.format("anatomic_site"),)),
            self._group(
                "Device",
                ("manufacturer", "model"),
                (given.format("manufacturer"), given.format("manufacturer_model_name")),
            ),
        ]

    def _group(self, title: str, names: Sequence[str], expressions: Sequence[str]) -> Section:
        labels = ", ".join(f'{expression} AS "{name}"' for name, expression in zip(names, expressions, strict=True))
        rows = self._images.aggregate(f"{labels}, {_COUNTS}", ", ".join(expressions)).fetchall()
        order = sorted(
            rows, key=lambda row: row[: len(names)] if title.startswith("Year") else (-row[-2], *row[: len(names)])
        )
        shown = _hide([(tuple(row[: len(names)]), row[len(names) :]) for row in order], self._threshold)
        return Section(title, "", (*names, *_MEASURES), tuple(shown), len(names), "series")

    def _outcomes(self, states: Sequence[tuple[str, str, int]]) -> Section:
        rows = tuple((state, reason or "-", f"{count:,}") for state, reason, count in states)
        return Section(
            "What was asked for, and what became of it",
            "Each study that was asked for counts once; the reasons are codes of the runbook.",
            ("outcome", "reason", "requests"),
            rows,
            2,
            "requests",
        )

    def _record(self) -> Section:
        rows = tuple((name, f"{self._rows(name):,}") for name in self._tables)
        return Section("Tables", "", ("table", "rows"), rows)

    def _completeness(self) -> Section:
        total = self._rows("image_occurrence")
        columns = ("image_occurrence_date", "modality", "anatomic_site", "manufacturer", "manufacturer_model_name")
        filled = self._images.aggregate(", ".join(f"count({name})" for name in columns)).fetchone()
        shares = [f"{100 * count / total:.1f} %" if total else "-" for count in filled]
        rows = tuple(zip(columns, shares, strict=True))
        return Section("Completeness of the series", "", ("column of image_occurrence", "series with a value"), rows)

    def _anonymity(self) -> list[Anonymity]:
        year = "CAST(year(image_occurrence_date) AS BIGINT) AS study_year"
        images = self._images.project(f"person_id, modality, anatomic_site, {year}")
        person = self._tables.get("person")
        if person is None:
            return [self._cells("images", images, _IMAGE)]
        known = [name for name in _PERSON if name in person.schema.names]
        people = self._person.project(", ".join(["person_id", *known]))
        both = people.join(images, "person_id", how="right").project(", ".join([*known, "person_id", *_IMAGE]))
        return [self._cells("people", people, known), self._cells("people and images", both, (*known, *_IMAGE))]

    def _cells(self, of: str, relation: Any, columns: Sequence[str]) -> Anonymity:  # noqa: ANN401
        if not columns:
            return Anonymity(of, (), 0, 0, 0, ())
        names = ", ".join(columns)
        cells = relation.aggregate(f"{names}, count(DISTINCT person_id)::BIGINT AS in_cell", names)
        few = cells.filter(f"in_cell < {self._threshold:d}")
        count, smallest = cells.aggregate("count(*), coalesce(min(in_cell), 0)::BIGINT").fetchone()
        small_cells = few.aggregate("count(*)").fetchone()[0]
        listed = few.order(f"in_cell, {names}").limit(LISTED).fetchall()
        small = tuple((tuple("-" if value is None else str(value) for value in row[:-1]), row[-1]) for row in listed)
        return Anonymity(of, tuple(columns), count, smallest, small_cells, small)

    def _k_anonymity(self, anonymity: Sequence[Anonymity]) -> Section:
        rows = tuple(
            (found.of, ", ".join(found.columns), f"{found.cells:,}", self._k(found.smallest), f"{found.small_cells:,}")
            for found in anonymity
        )
        return Section(
            "People who can't be told apart",
            "k is the fewest people who share one combination of these columns. Whoever knows these facts about somebody "
            "can narrow the search down to that many; a small k is a reason to keep the data where access is controlled.",
            ("of", "columns", "combinations", "k", f"combinations of fewer than {self._threshold} people"),
            rows,
            2,
        )

    def _k(self, smallest: int) -> str:
        return f"{smallest:,}" if smallest >= self._threshold or not smallest else f"fewer than {self._threshold}"

    def _limits(self, counts: Mapping[str, int]) -> Section:
        series, requests = counts["series"], counts["requests"]
        reported = 0
        if "note" in self._tables and series:
            notes = self._engine.from_arrow(self._tables["note"]).project("procedure_occurrence_id AS of_note").distinct()
            joined = (
                self._images.project("procedure_occurrence_id").distinct().join(notes, "procedure_occurrence_id = of_note")
            )
            reported = joined.aggregate("count(*)").fetchone()[0]
        limits = [
            f"A count of fewer than {self._threshold} people is shown as under {self._threshold}; where only one count "
            "of a table would be, the next smallest is hidden with it.",
            "Dates are shifted by whole days, the same for all dates of a person: intervals hold, while weekdays, seasons "
            "and the order of events of different people do not, and the first and last year are blurred.",
            "Free text was cleaned by software. It may still hold what identifies somebody: report it, do not use it.",
            "De-identified is not anonymous. Linking these data to others, or looking for a person in them, is not allowed.",
        ]
        if requests:
            left = requests - counts["exported"]
            limits.append(
                f"Of {requests:,} studies that were asked for so far, {100 * left / requests:.1f} % are in no release."
            )
        if series:
            procedures = self._images.aggregate("count(DISTINCT procedure_occurrence_id)").fetchone()[0]
            limits.append(f"Of the imaging procedures, {100 * reported / procedures:.1f} % have a report in 'note'.")
        if "person" not in self._tables:
            limits.append("There is no table 'person': people are known only by their images.")
        return Section("Known limits", "\n\n".join(limits))

    def _for_governance(self, anonymity: Sequence[Anonymity]) -> list[Section]:
        sections = [
            Section(
                "Keep this page in the hospital",
                "It lists small cells: facts that few people share. It is for whoever approves the release.",
                ("what", "value"),
                (("project", self._heading.project), ("release", self._heading.release_id or "not made yet")),
                2,
            ),
        ]
        for found in anonymity:
            more = found.small_cells - len(found.small)
            sections.append(
                Section(
                    f"Small cells of {found.of}",
                    f"k = {found.smallest}; {found.small_cells:,} of {found.cells:,} combinations are of fewer than "
                    f"{self._threshold} people." + (f" {more:,} more are not listed." if more else ""),
                    (*found.columns, "people"),
                    tuple((*values, str(count)) for values, count in found.small),
                    len(found.columns),
                )
            )
        return sections


def _hide(rows: Sequence[tuple[tuple[str, ...], Sequence[int]]], threshold: int) -> list[tuple[str, ...]]:
    """Write the counts; a row whose first count is below the threshold shows none.

    One hidden row never stands alone, or the total would give it away.
    """
    hidden = {place for place, (_, counts) in enumerate(rows) if counts[0] < threshold}
    if len(hidden) == 1 and len(rows) > 1:
        hidden.add(min((place for place in range(len(rows)) if place not in hidden), key=lambda place: rows[place][1][0]))
    return [
        (*labels, *(f"under {threshold}" if place in hidden and counts[0] < threshold else "hidden" for _ in counts))
        if place in hidden
        else (*labels, *(f"{count:,}" for count in counts))
        for place, (labels, counts) in enumerate(rows)
    ]
