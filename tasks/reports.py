"""Reports and notes into clean texts, or into quarantine with a reason."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from prefect import task

from safelight.reports.batch import deidentify_notes, scope_by_study
from safelight.reports.staging import stage_notes
from safelight.reports.workers import Setup
from safelight.text import load_site
from safelight.text.elements import ElementCleaner
from tasks.policies import RETRYING
from tasks.sources import open_source
from tasks.wiring import open_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from safelight.model import KnownIdentifiers
    from safelight.reports.omop import Note
    from safelight.text.deidentifier import TextDeidentifier
    from tasks.wiring import ProjectRun


@lru_cache(maxsize=2)
def _built(site: Path, changed: float, ner: tuple[str, ...], max_characters: int) -> TextDeidentifier:  # noqa: ARG001
    # Imported late: the language model takes seconds, and most stages need none.
    from safelight.text.deidentifier import TextDeidentifier

    return TextDeidentifier(load_site(site), ner=ner, max_characters=max_characters)


def text_deidentifier(run: ProjectRun) -> TextDeidentifier:
    """Return the project's text de-identifier; built once a process, and again when the site's file changed."""
    site = run.record_folder
    changed = max((path.stat().st_mtime for path in site.glob("site.*")), default=0.0)
    return _built(site, changed, run.project.reports.ner, run.project.reports.max_characters)


def text_cleaner(run: ProjectRun) -> Callable[[str, KnownIdentifiers | None, int], str]:
    """Return what cleans a long text element of an image. It rejects a text that it can't clean."""

    def clean(text: str, known: KnownIdentifiers | None, shift_days: int) -> str:
        # Built at the first long text: most images have none, and the language model takes seconds.
        return ElementCleaner(text_deidentifier(run), dates=run.profile.report_dates)(text, known, shift_days)

    return clean


def report_setup(run: ProjectRun) -> Setup:
    """Return how the project's reports are de-identified: what a validation measures, and what its record is for."""
    policy = run.project.reports
    return Setup(load_site(run.record_folder), policy.ner, run.profile.report_dates, policy.max_characters)


@task(task_run_name="reports-of-{source}", **RETRYING)
def deidentify_delivery_reports(project: str, source: str) -> dict[str, int]:
    """De-identify the notes of one delivery or other source into the work folder. Returns counts by name."""
    with open_run(project) as run, open_source(run, source) as found:
        if not run.project.reports.include:
            return {}
        people = run.people()
        outside = 0

        def of_the_cohort() -> Iterator[Note]:
            nonlocal outside
            for note in found.notes:
                if note.person_id in people:
                    yield note
                else:
                    outside += 1

        setup = report_setup(run)
        configuration = setup.fingerprint()
        results = deidentify_notes(
            of_the_cohort(),
            setup=setup,
            pseudonymizer=run.pseudonymizer,
            known=lambda person_id: run.database.patient(project, people[person_id]),
            fingerprint=configuration,
            shift_scope=scope_by_study(run.studies()) if run.project.deid.shift_scope == "study" else None,
        )
        path = run.work / "notes" / f"{source}.parquet"
        staged = stage_notes(results, path, generated=found.generated, configuration=configuration)
        return {
            "notes released": staged.released,
            "notes of people outside the cohort": outside,
            **{f"notes quarantined ({reason})": count for reason, count in staged.quarantined.items()},
        }
