"""Two files of one SOP instance UID: the first in order comes out; another with other content is set aside."""

from __future__ import annotations

import filecmp
import shutil
from dataclasses import replace
from pathlib import Path

from safelight.dicom.engine import Admission, DeidEngine, Header
from safelight.model import InstanceOutcome, InstanceResult, KnownIdentifiers, Reason


class DuplicateGuard:
    """De-identifies the files of one run so that none overwrites another's output.

    Files have to come in the same order in every run. Memory: one path for each output.

    Args:
        engine: the engine.
        folder: where outputs go.
    """

    def __init__(self, engine: DeidEngine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._first: set[tuple[str, str]] = set()

    def deidentify(
        self, source: Path, *, known: KnownIdentifiers | None = None, admit: Admission | None = None
    ) -> InstanceResult:
        """De-identify one file; a second copy gives the first one's output, other content is set aside."""
        spare = self._folder / "duplicates.part"
        seen = False

        def note(header: Header) -> Reason | None:
            nonlocal seen
            reason = admit(header) if admit else None
            key = (header["StudyInstanceUID"], header["SOPInstanceUID"])
            seen = key in self._first
            return reason or (Reason.DUPLICATE_INSTANCE if seen else None)

        result = self._engine.deidentify(source, self._folder, known=known, admit=note)
        if result.outcome is InstanceOutcome.WRITTEN:
            self._first.add((result.study_instance_uid, result.sop_instance_uid))
            return result
        if result.reason is not Reason.DUPLICATE_INSTANCE or not seen:
            return result
        again = self._engine.deidentify(source, spare, known=known, admit=admit)
        try:
            if again.outcome is not InstanceOutcome.WRITTEN:
                return again
            kept = self._folder / again.pseudo_study_instance_uid / f"{again.pseudo_sop_instance_uid}.dcm"
            same = filecmp.cmp(again.path, kept, shallow=False)
            return replace(again, path=str(kept)) if same else result
        finally:
            shutil.rmtree(spare, ignore_errors=True)
            self._engine.forget_folders()
