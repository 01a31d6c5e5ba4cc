"""The budget: the orchestrator's limits hold, and their absence is a stop."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

from deployments.bootstrap import free_places, register_limits
from safelight.archive.budget import Budget
from safelight.archive.pace import Pace
from safelight.archive.settings import ArchiveUse
from safelight.errors import ArchiveClosed, ConfigurationError
from tasks.policies import associations_limit, kilobytes_limit, operations_limit
from tasks.throttle import OrchestratorThrottle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("prefect_server")


def an_archive(name: str, rate: float = 50, associations: int = 2, megabytes: float = 100) -> ArchiveUse:
    budget = Budget(operations_per_second=rate, associations=associations, megabytes_per_second=megabytes)
    use = ArchiveUse(block=name, budget=budget)
    register_limits(use)
    return use


class Paced(Pace):
    """A pace that the test sets: a share of the budget, or closed."""

    def __init__(self, share: float = 1.0) -> None:
        self.share, self.is_open = share, True
        self.heard: list[tuple[str, float, int]] = []

    def check_hours(self) -> None:
        if not self.is_open:
            raise ArchiveClosed("closed by its hours")

    def rate(self, budget: float) -> float:
        self.check_hours()
        return budget * self.share

    def slots(self, associations: int) -> int:
        return min(associations, round(1 / self.share))

    def answered(self, operation: str, seconds: float, *, size: int = 1) -> None:
        self.heard.append((operation, seconds, size))


def throttled(name: str, pace: Paced | None = None, *, patience_seconds: float = 600) -> OrchestratorThrottle:
    return OrchestratorThrottle(name, pace or Paced(), patience_seconds=patience_seconds)


def throttle_all(throttle: OrchestratorThrottle, count: int) -> None:
    for _ in range(count):
        throttle.operation()


def change(name: str, **values: object) -> None:
    with get_client(sync_client=True) as client:
        client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(**values))


def test_a_limit_that_does_not_exist_is_a_stop() -> None:
    with throttled("nobody-registered-me", patience_seconds=0) as throttle:
        with pytest.raises(ConfigurationError, match="bootstrap"):
            throttle.operation()
        with pytest.raises(ConfigurationError, match="bootstrap"), throttle.association():
            pytest.fail("an association was opened without a limit")


@pytest.mark.parametrize("which", [operations_limit, kilobytes_limit, associations_limit])
@pytest.mark.parametrize("values", [{"active": False}, {"limit": 0}])
def test_any_limit_that_is_inactive_or_zero_is_a_stop_and_can_be_lifted(
    which: Callable[[str], str], values: dict[str, object]
) -> None:
    name = f"stopped-by-{next(iter(values))}"
    an_archive(name)
    change(which(name), **values)
    with throttled(name, patience_seconds=0) as throttle:
        with pytest.raises(ArchiveClosed, match="manager"), throttle.association():
            pytest.fail("an archive that is stopped was called")
        if which is not associations_limit:
            with pytest.raises(ArchiveClosed, match="manager"):
                throttle.operation()
        change(which(name), active=True, limit=300)
        with throttle.association():
            throttle.operation()


@pytest.mark.parametrize("which", [operations_limit, kilobytes_limit, associations_limit])
def test_any_limit_that_is_taken_away_is_a_stop(which: Callable[[str], str]) -> None:
    an_archive("one-is-missing")
    with get_client(sync_client=True) as client:
        client.delete_global_concurrency_limit_by_name(which("one-is-missing"))
    with (
        throttled("one-is-missing") as throttle,
        pytest.raises(ConfigurationError, match="bootstrap"),
        throttle.association(),
    ):
        throttle.operation()


def test_a_limit_that_is_taken_away_between_two_looks_is_a_stop() -> None:
    an_archive("taken-away")
    with throttled("taken-away") as throttle:
        throttle.operation()
        with get_client(sync_client=True) as client:
            client.delete_global_concurrency_limit_by_name(operations_limit("taken-away"))
        # Five operations come with one call.
        with pytest.raises(ConfigurationError, match="bootstrap"):
            throttle_all(throttle, 6)


@pytest.mark.parametrize("which", [operations_limit, kilobytes_limit])
def test_a_rate_without_decay_is_a_stop(which: Callable[[str], str]) -> None:
    an_archive("no-decay")
    change(which("no-decay"), slot_decay_per_second=0)
    with throttled("no-decay") as throttle, pytest.raises(ArchiveClosed, match="decay"):
        throttle.operation()


def test_outside_its_hours_an_archive_is_not_even_called() -> None:
    an_archive("asleep")
    pace = Paced()
    with throttled("asleep", pace) as throttle:
        throttle.operation()
        pace.is_open = False
        with pytest.raises(ArchiveClosed, match="hours"):
            throttle.operation()
        with pytest.raises(ArchiveClosed, match="hours"), throttle.association():
            pytest.fail("an archive that is closed was called")


def test_a_share_of_the_rate_takes_more_slots_and_leaves_the_limit_alone() -> None:
    an_archive("half", rate=20)
    pace = Paced(share=0.25)
    with throttled("half", pace) as throttle:
        start = time.monotonic()
        for _ in range(10):
            throttle.operation()
        # The burst of 10 is 2.5 operations; the other 7 or more come at 5 a second.
        slow = time.monotonic() - start
        assert slow >= 1.4
        # With the next operation the whole rate is there again.
        pace.share = 1.0
        start = time.monotonic()
        for _ in range(10):
            throttle.operation()
        assert time.monotonic() - start < slow
    with get_client(sync_client=True) as client:
        limit = client.read_global_concurrency_limit_by_name(operations_limit("half"))
    assert (limit.limit, limit.slot_decay_per_second) == (1000, 2000)


def test_bytes_are_held_up_to_their_own_rate() -> None:
    an_archive("narrow", megabytes=2)
    pace = Paced()
    with throttled("narrow", pace) as throttle:
        start = time.monotonic()
        for _ in range(40):
            throttle.received(100_000)
        took = time.monotonic() - start
        throttle.operation()
        throttle.answered("instance", took)
        throttle.answered("search", 0.0)
    # 4 MB less half a second's at 2 MB a second; up to a tenth of a second's is not worth a call.
    assert took >= 1.3
    assert pace.heard == [("search", 0.0, 1)], "what we held up ourselves says nothing about the archive"


def test_bytes_that_a_stopped_limit_can_not_hold_up_are_owed() -> None:
    an_archive("stopped-midway", megabytes=1)
    change(kilobytes_limit("stopped-midway"), active=False)
    with throttled("stopped-midway", patience_seconds=0) as throttle:
        throttle.received(3_000_000)
        with pytest.raises(ArchiveClosed, match="manager"):
            throttle.operation()
        change(kilobytes_limit("stopped-midway"), active=True)
        with pytest.raises(ArchiveClosed, match="no leave"):
            throttle.operation()
    # Debts are of the worker that made them.
    with throttled("stopped-midway", patience_seconds=0) as other:
        other.operation()


def test_the_rate_holds() -> None:
    an_archive("rated", rate=10)
    with throttled("rated") as throttle:
        start = time.monotonic()
        for _ in range(25):
            throttle.operation()
    # 25 operations less the burst of 5 at 10 a second can't take less than 2 s, however fast the machine is.
    assert time.monotonic() - start >= 1.9


def test_no_more_associations_than_allowed_are_in_flight() -> None:
    an_archive("two-at-once", associations=2)
    now, most = 0, 0
    lock = threading.Lock()

    def work(throttle: OrchestratorThrottle) -> None:
        nonlocal now, most
        with throttle.association():
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.5)
            with lock:
                now -= 1

    # Two throttles stand for two workers: only the orchestrator knows of both.
    with throttled("two-at-once") as one, throttled("two-at-once") as other:
        threads = [threading.Thread(target=work, args=(throttle,)) for throttle in (one, other) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 2
    with get_client(sync_client=True) as client:
        assert client.read_global_concurrency_limit_by_name(associations_limit("two-at-once")).active_slots == 0


def test_a_share_of_the_budget_leaves_fewer_associations() -> None:
    an_archive("fewer", associations=4)
    pace = Paced(share=0.5)
    with throttled("fewer", pace, patience_seconds=0) as throttle:
        with (
            throttle.association(),
            throttle.association(),
            pytest.raises(ArchiveClosed, match="no leave"),
            throttle.association(),
        ):
            pytest.fail("a third association at half the budget")
        pace.share = 1.0
        with throttle.association(), throttle.association(), throttle.association(), throttle.association():
            pass
        # Never so few that none is left.
        pace.share = 0.1
        with throttle.association():
            pass


def test_a_place_whose_lease_ran_out_while_it_is_held_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.throttle.RENEWAL_SECONDS", 0.5)
    an_archive("stood-still", associations=2)
    name = associations_limit("stood-still")
    with get_client(sync_client=True) as client:

        def held() -> int:
            return client.read_global_concurrency_limit_by_name(name).active_slots

        with throttled("stood-still") as throttle, throttle.association(), throttle.association():
            for place in list(throttle._places._held):
                # As the orchestrator does with a lease that has run out.
                client.release_concurrency_slots_with_lease(place.lease)
            assert held() == 0
            end = time.monotonic() + 30
            while held() < 2 and time.monotonic() < end:
                time.sleep(0.2)
            assert held() == 2
        assert held() == 0


def test_places_of_a_killed_worker_can_be_freed() -> None:
    use = an_archive("left-behind", associations=1)
    with get_client(sync_client=True) as client:
        name = associations_limit("left-behind")
        client.increment_concurrency_slots_with_lease([name], 1, "concurrency", 60)
        assert client.read_global_concurrency_limit_by_name(name).active_slots == 1
        free_places(use)
        limit = client.read_global_concurrency_limit_by_name(name)
    assert (limit.active_slots, limit.limit, limit.active) == (0, 1, True)


def test_a_change_of_the_rate_is_seen_by_who_waits() -> None:
    an_archive("slow", rate=0.01)
    with throttled("slow") as throttle:
        for _ in range(3):
            throttle.operation()
        waiting = threading.Thread(target=throttle.operation)
        waiting.start()
        waiting.join(1.5)
        assert waiting.is_alive()
        change(operations_limit("slow"), slot_decay_per_second=5000)
        # Prefect's own waiting call would sleep out the minute that it was told at first.
        waiting.join(20)
        assert not waiting.is_alive()


def test_registering_again_leaves_what_the_manager_changed() -> None:
    use = an_archive("changed")
    change(associations_limit("changed"), limit=1)
    assert register_limits(use) == []
    with get_client(sync_client=True) as client:
        assert client.read_global_concurrency_limit_by_name(associations_limit("changed")).limit == 1
        assert client.read_global_concurrency_limit_by_name(operations_limit("changed")).slot_decay_per_second == 5000


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    with get_client(sync_client=True) as client:
        for limit in client.read_global_concurrency_limits(limit=200, offset=0):
            client.delete_global_concurrency_limit_by_name(limit.name)
