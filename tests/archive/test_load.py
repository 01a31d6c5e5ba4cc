"""The share of the budget: down by half when the archive slows, back step by step, one for all workers."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight.archive.budget import Load
from safelight.archive.load import LoadResponse
from safelight.cli.main import main
from safelight.link import ArchivePace, LinkDatabase

LOAD = Load(least_share=0.1, slow=1.5, back_off=0.5, step=0.05)


class Ticks:
    """Monotonic seconds that a test can move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def a_worker(
    database: LinkDatabase, ticks: Ticks, told: list[ArchivePace] | None = None, *, archive: str = "main"
) -> LoadResponse:
    return LoadResponse(archive, LOAD, database, clock=ticks, on_change=([] if told is None else told).append)


def answers(worker: LoadResponse, ticks: Ticks, seconds: float, *, count: int = 3, kind: str = "study query") -> None:
    """Operations one after another, each of which takes so long; half a second apart."""
    for _ in range(count):
        ticks.now += max(0.5, seconds)
        worker.answered(kind, seconds)


def at_full_rate(database: LinkDatabase, ticks: Ticks) -> LoadResponse:
    worker = a_worker(database, ticks)
    while worker.share < 1:
        answers(worker, ticks, 0.1)
    return worker


def test_it_starts_low_and_comes_back_step_by_step(database: LinkDatabase, ticks: Ticks) -> None:
    told: list[ArchivePace] = []
    worker = a_worker(database, ticks, told)
    assert worker.share == 0.1
    answers(worker, ticks, 0.1)
    assert worker.share == 0.15
    while worker.share < 1:
        answers(worker, ticks, 0.1)
    assert [pace.share for pace in told] == [round(0.1 + 0.05 * step, 4) for step in range(1, 19)]
    answers(worker, ticks, 0.1, count=20)
    assert len(told) == 18, "what is whole does not grow"


def test_it_backs_off_and_says_why(database: LinkDatabase, ticks: Ticks) -> None:
    worker = at_full_rate(database, ticks)
    answers(worker, ticks, 0.12, count=9)
    assert worker.share == 1, "a little slower is not slow"
    answers(worker, ticks, 0.3)
    assert worker.share == 0.5
    (pace,) = database.archive_paces("main")
    assert pace.cause == "study query took 0.300 s, 3.0 times as long as usual"
    # Operations that began before say nothing about the new pace, however slow they were.
    ticks.now += 0.1
    for _ in range(5):
        worker.answered("study query", 0.5)
    assert worker.share == 0.5
    answers(worker, ticks, 0.3, count=20)
    assert worker.share == 0.1, "never below its bound"
    answers(worker, ticks, 0.1)
    assert worker.share == pytest.approx(0.15)


def test_milliseconds_are_nobody_s_to_notice(database: LinkDatabase, ticks: Ticks) -> None:
    worker = a_worker(database, ticks)
    while worker.share < 1:
        answers(worker, ticks, 0.006)
    answers(worker, ticks, 0.04, count=9)
    assert worker.share == 1
    answers(worker, ticks, 0.06)
    assert worker.share == 0.5


def test_kinds_have_usual_times_of_their_own(database: LinkDatabase, ticks: Ticks) -> None:
    worker = at_full_rate(database, ticks)
    for _ in range(5):
        answers(worker, ticks, 4.0, count=1, kind="instance of a large kind")
        answers(worker, ticks, 0.1, count=1)
    assert worker.share == 1
    answers(worker, ticks, 9.0, kind="instance of a large kind")
    assert worker.share == 0.5


def test_a_load_that_grows_slowly_does_not_become_usual(database: LinkDatabase, ticks: Ticks) -> None:
    worker = at_full_rate(database, ticks)
    seconds = 0.1
    for _ in range(600):
        seconds *= 1.001
        answers(worker, ticks, seconds, count=1)
        if worker.share < 1:
            break
    assert worker.share == 0.5
    assert seconds < 0.2


def test_what_an_archive_takes_when_hardly_asked_becomes_usual(database: LinkDatabase, ticks: Ticks) -> None:
    worker = at_full_rate(database, ticks)
    # It was moved to a slower disk.
    for _ in range(1000):
        answers(worker, ticks, 0.4, count=1)
    assert worker.share == 1


def test_all_workers_have_one_share(database: LinkDatabase, ticks: Ticks) -> None:
    one = at_full_rate(database, ticks)
    told: list[ArchivePace] = []
    other = a_worker(database, ticks, told)
    assert other.share == 1
    answers(one, ticks, 0.3)
    ticks.now += 1
    assert (one.share, other.share) == (0.5, 0.5)
    # The other knows what is usual without having seen it.
    answers(other, ticks, 0.3)
    ticks.now += 1
    assert (one.share, other.share) == (0.25, 0.25)
    assert [pace.share for pace in told] == [1.0, 0.5, 0.25]
    assert a_worker(database, ticks, archive="another").share == 0.1


def test_two_that_find_the_same_slowness_back_off_once(database: LinkDatabase, ticks: Ticks) -> None:
    one = at_full_rate(database, ticks)
    other = a_worker(database, ticks)
    assert other.share == 1
    for _ in range(3):
        ticks.now += 0.3
        one.answered("study query", 0.3)
        other.answered("study query", 0.3)
    ticks.now += 1
    assert (one.share, other.share) == (0.5, 0.5)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0.001, 30), st.floats(0, 5)), min_size=1, max_size=60), st.integers(0, 10**9))
def test_the_share_stays_within_its_bounds(database: LinkDatabase, measured: list[tuple[float, float]], number: int) -> None:
    ticks, told = Ticks(), list[ArchivePace]()
    worker = a_worker(database, ticks, told, archive=f"archive-{number}-{len(measured)}")
    for seconds, pause in measured:
        ticks.now += pause
        worker.answered("study query", seconds)
        assert 0.1 <= worker.share <= 1
    for before, after in pairwise(told):
        assert after.number == before.number + 1
        grew = after.share == pytest.approx(min(1.0, before.share + 0.05), abs=1e-3)
        fell = after.share == pytest.approx(max(0.1, before.share * 0.5), abs=1e-3)
        assert grew or fell
        assert after.cause


def test_the_command_shows_every_change(database: LinkDatabase, ticks: Ticks, tmp_path: Path) -> None:
    where = ["--database", f"sqlite:///{tmp_path / 'link.sqlite'}"]

    def type_(*words: str) -> str:
        result = CliRunner().invoke(main, ["archive", *words, *where])
        assert result.exit_code == 0, result.output
        return result.output

    assert "not asked yet" in type_("status", "main")
    assert type_("pace", "main") == ""
    answers(at_full_rate(database, ticks), ticks, 0.3)
    assert "50% of its budget" in type_("status", "main")
    assert json.loads(type_("status", "main", "--json"))["share"] == 0.5
    newest, before = type_("pace", "main", "--last", "2").splitlines()
    assert newest.endswith("50%  study query took 0.300 s, 3.0 times as long as usual")
    assert " 100%  " in before
    assert [json.loads(line)["share"] for line in type_("pace", "main", "--json").splitlines()][:2] == [0.5, 1.0]
