"""Texts through several processes: bounded in memory, in order, the language model loaded once in each."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final, Literal

from safelight.errors import PermanentError, SafelightError
from safelight.model import KnownIdentifiers, Reason
from safelight.text.deidentifier import CleanText, TextDeidentifier
from safelight.text.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date

#: Texts handed over at once, and how many such bundles may wait for each process.
_BUNDLE: Final = 16
_WAITING: Final = 3


@dataclass(frozen=True)
class Setup:
    """How texts are de-identified; the same in every process."""

    site: Site
    ner: tuple[str, ...] = ("spacy",)
    dates: Literal["shift", "redact"] = "shift"
    max_characters: int = 100_000

    def fingerprint(self) -> str:
        """Return the SHA-256 of everything that decides the output; builds the de-identifier (about a second)."""
        parts = (self.build().fingerprint(), self.dates, str(self.max_characters))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def build(self) -> TextDeidentifier:
        """Return the de-identifier of this configuration: built once a process."""
        return _build(self)


@lru_cache(maxsize=2)
def _build(setup: Setup) -> TextDeidentifier:
    return TextDeidentifier(setup.site, ner=setup.ner, max_characters=setup.max_characters)


@dataclass(frozen=True)
class Job:
    """One text to de-identify. ``shift_days`` is that of the patient."""

    text: str = field(repr=False)
    known: KnownIdentifiers | None = field(repr=False)
    shift_days: int = field(repr=False)
    study_date: date | None = field(default=None, repr=False)


def run(jobs: Iterable[Job], *, setup: Setup, workers: int = 1) -> Iterator[CleanText]:
    """Yield what became of each text, in order.

    With one worker everything happens in this process. Memory is that of ``workers`` language models and a few dozen
    texts, however many there are. A text on which a rule fails is quarantined as an internal error, never passed.

    Raises:
        PermanentError: a worker process died (out of memory, for instance).
    """
    if workers <= 1:
        deidentifier = setup.build()
        for job in jobs:
            yield _one(deidentifier, setup, job)
        return
    context = multiprocessing.get_context("spawn")  # the parent may hold threads and connections
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(setup,)) as pool:
        yield from _bounded(pool, jobs, workers * _WAITING)


def _bounded(pool: ProcessPoolExecutor, jobs: Iterable[Job], limit: int) -> Iterator[CleanText]:
    waiting: deque[Future[list[CleanText]]] = deque()
    bundle: list[Job] = []
    try:
        for job in jobs:
            bundle.append(job)
            if len(bundle) == _BUNDLE:
                waiting.append(pool.submit(_bundle, bundle))
                bundle = []
            if len(waiting) >= limit:
                yield from waiting.popleft().result()
        if bundle:
            waiting.append(pool.submit(_bundle, bundle))
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool:
        raise PermanentError(
            "A worker process ended before its texts were done.", remedy="Give fewer workers, or more memory (1 GB each)."
        ) from None


_worker: list[tuple[TextDeidentifier, Setup]] = []


def _start(setup: Setup) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker[:] = [(setup.build(), setup)]


def _end_with_parent() -> None:
    """End this process when the one that started it was killed: nobody else would, and it holds a language model."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _bundle(jobs: list[Job]) -> list[CleanText]:
    deidentifier, setup = _worker[0]
    return [_one(deidentifier, setup, job) for job in jobs]


def _one(deidentifier: TextDeidentifier, setup: Setup, job: Job) -> CleanText:
    try:
        return deidentifier.deidentify(
            job.text, job.known, dates=setup.dates, shift_days=job.shift_days, study_date=job.study_date
        )
    except SafelightError:
        raise
    except Exception:  # noqa: BLE001  one text must not stop the batch, and the cause could quote it
        return CleanText("", {}, (Reason.INTERNAL_ERROR,))


def progress(results: Iterable[CleanText], report: Callable[[int], None], every: int = 100) -> Iterator[CleanText]:
    """Pass results on, and tell how many there were."""
    count = 0
    for count, result in enumerate(results, 1):
        yield result
        if count % every == 0:
            report(count)
    report(count)
