"""De-identifies a file or a folder tree without a database: what a reviewer rehearses a profile with."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Final, Literal

from safelight.dicom.duplicates import DuplicateGuard
from safelight.dicom.engine import DeidEngine
from safelight.dicom.rules import DicomRules
from safelight.dicom.verification import verify_file
from safelight.errors import ConfigurationError, TransientError
from safelight.model import InstanceOutcome, InstanceResult, KnownIdentifiers, Reason
from safelight.pseudonym import Pseudonymizer
from safelight.text import IdentifierMatcher, Site
from safelight.text.elements import ElementCleaner

#: Most and least files handed to a worker at a time: handing over costs as much as an instance, and who has got the last
#: files is waited for, so pieces become smaller towards the end.
CHUNK: Final = 64
SMALLEST: Final = 4
#: A worker was killed: at its work, or while it was told what to work with.
_KILLED: Final = (BrokenProcessPool, BrokenPipeError)


@dataclass(frozen=True)
class FolderJob:
    """One run over a tree: everything that a worker needs to build its engine.

    Args:
        rules: the profile's DICOM rules.
        pseudonymizer: the project's pseudonyms.
        output: where outputs go.
        shift_scope: ``patient`` or ``study``.
        known: what is known of patients, by PatientID; outputs of these are verified against it.
        site: the hospital's own knowledge; with it long texts and content items are cleaned as reports are.
        report_dates: what becomes of dates in such texts: ``shift`` or ``redact``.
    """

    rules: DicomRules
    pseudonymizer: Pseudonymizer
    output: Path
    shift_scope: str = "patient"
    known: Mapping[str, KnownIdentifiers] | None = None
    site: Site | None = None
    report_dates: Literal["shift", "redact"] = "shift"

    def engine(self) -> DeidEngine:
        """Build the engine."""
        return DeidEngine(
            self.rules,
            self.pseudonymizer,
            shift_scope=self.shift_scope,
            clean_text=self._clean if self.site else None,
            lookup=self.known.get if self.known else None,
        )

    def _clean(self, text: str, known: KnownIdentifiers | None, days: int) -> str:
        return _cleaner(self.site or Site(), self.report_dates)(text, known, days)


@lru_cache(maxsize=1)
def _cleaner(site: Site, dates: Literal["shift", "redact"]) -> ElementCleaner:
    # At the first text that needs it: most images have none, and the language model takes seconds.
    from safelight.text.deidentifier import TextDeidentifier

    return ElementCleaner(TextDeidentifier(site), dates=dates)


def list_files(source: Path) -> list[Path]:
    """Return the file, or all files below the folder in a fixed order; links to folders are not followed.

    Raises:
        ConfigurationError: a folder can't be read, so that files would be passed over.
    """
    if not source.is_dir():
        return [source]
    found = []

    def refuse(error: OSError) -> None:
        # Its name may identify somebody.
        message = f"A folder of the input can't be read ({type(error).__name__})."
        raise ConfigurationError(message, remedy="Check owners and modes.") from None

    for parent, folders, names in os.walk(source, onerror=refuse):
        folders.sort()
        found += [Path(parent, name) for name in names]
    # Pipes and links to nothing are listed, too: whatever was there is accounted for.
    return sorted(found)


def deidentify_files(files: list[Path], job: FolderJob, *, workers: int = 1) -> Iterator[tuple[int, InstanceResult]]:
    """De-identify files in several processes; give each file's place in the list and what became of it.

    In the files' order, but those that repeat an earlier one's SOP instance UID come last: the first of them comes out.
    Memory: about a hundred bytes for each output.

    Raises:
        TransientError: a file can't be read a second time.
    """
    firsts: dict[int, int] = {}
    told: set[int] = set()
    repeated: set[int] = set()
    for place, result in deidentify_in_turn(files, job, workers=workers):
        if result.outcome is InstanceOutcome.WRITTEN:
            # Two that have the same number by chance are looked at once more, and both come out.
            first = firsts.setdefault(hash((result.study_instance_uid, result.sop_instance_uid)), place)
            if first != place:
                told.add(first)
                repeated.add(place)
                continue
        yield place, result
    if not repeated:
        return
    engine = job.engine()
    guard = DuplicateGuard(engine, job.output)
    check = _Check(job, engine)
    for place in sorted(told | repeated):
        result = check(guard.deidentify(files[place]))
        if place in repeated:
            yield place, result
        elif result.outcome is not InstanceOutcome.WRITTEN:
            raise TransientError("A file has changed while the folder was read.", remedy="Do it again.")


def worker_context() -> BaseContext:
    """Return what starts workers: this process itself, or one that has imported this module once for all of them.

    Forked from this one they are at work at once. But where it has threads, they would share its locks in whatever state
    they are.
    """
    if threading.active_count() == 1:
        return multiprocessing.get_context("fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def deidentify_in_turn(files: list[Path], job: FolderJob, *, workers: int = 1) -> Iterator[tuple[int, InstanceResult]]:
    """Give the results in the files' order as they come; of files that share a SOP instance UID one stays, any of them.

    A worker that is killed, by a file or from outside, costs nothing but time: its chunk is done again file by file.
    """
    pieces = list(_pieces(len(files), workers))
    if workers <= 1 or len(files) <= 1:
        run = _Worker(job)
        for piece in pieces:
            yield from enumerate(run(files[piece]), piece.start)
        return
    while pieces:
        try:
            for results in _pooled([files[piece] for piece in pieces], job, workers):
                yield from enumerate(results, pieces.pop(0).start)
        except _KILLED:
            piece = pieces.pop(0)
            yield from enumerate(_each_apart(files[piece], job), piece.start)


def _pieces(count: int, workers: int) -> Iterator[slice]:
    start = 0
    while start < count:
        size = max(SMALLEST, min(CHUNK, (count - start) // (4 * max(1, workers))))
        yield slice(start, start + size)
        start += size


def _pooled(chunks: list[list[Path]], job: FolderJob, workers: int) -> Iterator[list[InstanceResult]]:
    context = worker_context()
    if context.get_start_method() == "fork":
        # Once, for all workers.
        _start(job)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(job,)) as pool:
        # As text: a path takes ten times as long to hand over, which the workers' cores would wait for.
        yield from pool.map(_run, ([os.fspath(path) for path in chunk] for chunk in chunks))


def _each_apart(files: list[Path], job: FolderJob) -> Iterator[InstanceResult]:
    """De-identify each file in a process of its own: a worker was killed over one of them, or from outside."""
    for path in files:
        try:
            (results,) = _pooled([[path]], job, 1)
        except _KILLED:
            yield InstanceResult(InstanceOutcome.SET_ASIDE, Reason.INTERNAL_ERROR)
        else:
            yield from results


class _Worker:
    def __init__(self, job: FolderJob) -> None:
        self.job = job
        self._engine = job.engine()
        self._output = job.output
        self._check = _Check(job, self._engine)

    def __call__(self, files: list[Path]) -> list[InstanceResult]:
        return [self._check(self._engine.deidentify(path, self._output)) for path in files]


class _Check:
    """Verifies outputs of patients of whom something is known, and takes back those that still show it."""

    def __init__(self, job: FolderJob, engine: DeidEngine) -> None:
        self._known = job.known or {}
        self._engine = engine
        self._matchers: dict[str, IdentifierMatcher] = {}

    def __call__(self, result: InstanceResult) -> InstanceResult:
        if not self._known or result.outcome is not InstanceOutcome.WRITTEN:
            return result
        patient = self._engine.last_patient
        known = self._known.get(patient)
        if known is None:
            return result
        if patient not in self._matchers:
            if len(self._matchers) > 64:
                self._matchers.clear()
            self._matchers[patient] = IdentifierMatcher([known])
        if not verify_file(Path(result.path), self._matchers[patient]):
            return result
        Path(result.path).unlink(missing_ok=True)
        return replace(result, outcome=InstanceOutcome.SET_ASIDE, reason=Reason.RESIDUAL_IDENTIFIER, path="")


_worker: _Worker | None = None


def _start(job: FolderJob) -> None:
    global _worker
    if _worker is None or _worker.job is not job:
        _worker = _Worker(job)


def _run(files: list[str]) -> list[InstanceResult]:
    assert _worker is not None  # noqa: S101  the pool has run the initializer
    return _worker([Path(name) for name in files])
