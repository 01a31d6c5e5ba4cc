"""The budget: the orchestrator's limits hold, and their absence is a stop."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

from deployments.bootstrap import free_places, register_limits
from safelight.archive.settings import ArchiveUse, Budget
from safelight.errors import ArchiveClosed, ConfigurationError
from tasks.policies import associations_limit, operations_limit
from tasks.throttle import OrchestratorThrottle

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("prefect_server")


def an_archive(name: str, rate: float = 50, associations: int = 2) -> ArchiveUse:
    use = ArchiveUse(block=name, budget=Budget(operations_per_second=rate, associations=associations))
    register_limits(use)
    return use


def change(name: str, **values: object) -> None:
    with get_client(sync_client=True) as client:
        client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(**values))


def test_a_limit_that_does_not_exist_is_a_stop() -> None:
    with OrchestratorThrottle("nobody-registered-me", patience_seconds=0) as throttle:
        with pytest.raises(ConfigurationError, match="bootstrap"):
            throttle.operation()
        with pytest.raises(ConfigurationError, match="bootstrap"), throttle.association():
            pytest.fail("an association was opened without a limit")


@pytest.mark.parametrize("values", [{"active": False}, {"limit": 0}])
def test_an_inactive_or_zero_limit_is_a_stop_and_can_be_lifted(values: dict[str, object]) -> None:
    name = f"stopped-by-{next(iter(values))}"
    an_archive(name)
    change(operations_limit(name), **values)
    with OrchestratorThrottle(name, patience_seconds=0) as throttle:
        with pytest.raises(ArchiveClosed, match="manager"):
            throttle.operation()
        change(operations_limit(name), active=True, limit=300)
        throttle.operation()


def test_the_rate_holds() -> None:
    an_archive("rated", rate=10)
    with OrchestratorThrottle("rated") as throttle:
        start = time.monotonic()
        for _ in range(23):
            throttle.operation()
    # 23 operations less the burst of 3 at 10 a second can't take less than 2 s, however fast the machine is.
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
            time.sleep(0.2)
            with lock:
                now -= 1

    # Two throttles stand for two workers: only the orchestrator knows of both.
    with OrchestratorThrottle("two-at-once") as one, OrchestratorThrottle("two-at-once") as other:
        threads = [threading.Thread(target=work, args=(throttle,)) for throttle in (one, other) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 2
    with get_client(sync_client=True) as client:
        assert client.read_global_concurrency_limit_by_name(associations_limit("two-at-once")).active_slots == 0


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
    with OrchestratorThrottle("slow") as throttle:
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
