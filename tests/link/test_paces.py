"""The pace of an archive: one change at a time, by whichever worker comes first."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from safelight.link import ArchivePace, LinkDatabase


def test_of_workers_that_change_the_same_pace_one_does(another: Callable[[], LinkDatabase]) -> None:
    database = another()
    assert database.archive_paces("main") == []
    start = ArchivePace()
    with ThreadPoolExecutor(8) as pool:
        changed = list(
            pool.map(
                lambda worker: database.change_pace("main", after=start, to=ArchivePace(0, 0.5, f"{worker}", {"find": 0.1})),
                range(8),
            )
        )
    assert changed.count(True) == 1
    (pace,) = database.archive_paces("main", last=10)
    assert (pace.number, pace.share, pace.cause, pace.usual) == (1, 0.5, f"{changed.index(True)}", {"find": 0.1})
    assert pace.at is not None
    assert database.change_pace("main", after=pace, to=ArchivePace(share=0.25, cause="slow"))
    assert not database.change_pace("main", after=pace, to=ArchivePace(share=1.0, cause="late"))
    assert [one.share for one in database.archive_paces("main", last=10)] == [0.25, 0.5]
    assert database.archive_paces("other") == []
