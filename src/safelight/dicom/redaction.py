"""Where text is taken out of pixels: the place for OCR, device regions or a person's boxes. The product brings none yet.

A profile asks for it (``pixels: {burned_in: redact}``) and whoever builds the engine gives a redactor; without one, such
instances are withheld. Frames that nobody can look into (compressed, packed bits, floats) are withheld in any case.
"""

from __future__ import annotations

import os
from typing import Protocol

from safelight.dicom.pixels import Layout, clear_unused, write_all
from safelight.errors import StudyRejected
from safelight.model import Reason


class PixelRedactor(Protocol):
    """Takes text out of pixels."""

    def redact(self, frame: bytes, layout: Layout) -> bytes:
        """Return the frame (samples in little endian, as many bytes) with its text painted over.

        Raises:
            StudyRejected: the frame can't be cleaned.
        """
        ...


def write_redacted(source: int, target: int, offset: int, layout: Layout, redactor: PixelRedactor) -> None:
    """Write all frames as the redactor gives them back; memory holds one frame.

    Args:
        source: descriptor of the input.
        target: descriptor of the output, positioned after the header.
        offset: where the frames start in the input.
        layout: how they lie there.
        redactor: what paints over text.

    Raises:
        StudyRejected: cut off, not of whole bytes, or the redactor gives back another size.
    """
    size, rest = divmod(layout.length, layout.frames)
    if rest or layout.allocated not in (8, 16):
        raise StudyRejected(Reason.BURNED_IN)
    for number in range(layout.frames):
        frame = os.pread(source, size, offset + number * size)
        if len(frame) != size:
            raise StudyRejected(Reason.TRUNCATED)
        clean = redactor.redact(clear_unused(frame, layout) if layout.masks else frame, layout)
        if len(clean) != size:
            raise StudyRejected(Reason.BURNED_IN)
        write_all(target, clean)
