"""Instances on their way to disk: what is let in while the disk fills."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from safelight.archive import RawCache
from safelight.archive.intake import OUT_OF_RESOURCES, SUCCESS, Expectation, Intake
from tests.archive.studies import CT, Study

MEGABYTE = 1024 * 1024
STUDY = Study(1, series=(1,), kilobytes=16 * 1024)


@contextmanager
def expecting(intake: Intake, cache: RawCache) -> Iterator[Expectation]:
    folder = cache.study_folder(STUDY.uid)
    expectation = Expectation(
        STUDY.uid,
        folder,
        name_of=cache.file_name,
        is_patient=lambda _identity: True,
        series_uids=frozenset(),
        clock=time.monotonic,
    )
    with intake.expect(expectation):
        yield expectation


@pytest.mark.parametrize("full", [True, False])
def test_the_reserve_holds_while_an_instance_arrives(cache: RawCache, full: bool) -> None:
    """The disk is used up by others when 6 of its 16 MB have come."""
    intake = Intake(cache.spool)
    content, most = STUDY.file(0, 0), 0
    for _ in range(2):
        intake._reserve = 0
        with expecting(intake, cache) as expectation:
            part = intake.begin("ARCHIVE")
            for start in range(0, len(content), MEGABYTE):
                if full and start == 6 * MEGABYTE:
                    intake._reserve = 1 << 62
                part.write(content[start : start + MEGABYTE])
                most = max(most, *(path.stat().st_size for path in cache.spool.rglob("*.part")), 0)
            assert intake.finish(part, CT, STUDY.sop_uid(0, 0)) == (OUT_OF_RESOURCES if full else SUCCESS)
            assert expectation.storage_failed == full
        assert not list(cache.spool.rglob("*.part"))
    assert most <= 10 * MEGABYTE if full else most == len(content)
    intake.close()
