"""What a library finds odd in an archive's answer is quoted nowhere."""

from __future__ import annotations

import logging
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from pynetdicom.dsutils import decode

from safelight.dimse import library

#: Specific Character Set, of a kind that nobody knows.
ODD = struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", 10) + b"CANARYSET "


def test_an_odd_answer_is_quoted_nowhere(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        for _ in range(2):
            library.prepare()
            with ThreadPoolExecutor(4) as pool:
                for answer in pool.map(lambda _: decode(BytesIO(ODD), False, True, False), range(20)):
                    assert 0x00080005 in answer
    written = capfd.readouterr()
    assert (caplog.text, shown, written.out, written.err) == ("", [], "", "")


def test_a_filter_is_set_once() -> None:
    library.prepare()
    before = list(warnings.filters)
    library.prepare()
    assert list(warnings.filters) == before
