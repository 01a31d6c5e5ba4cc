"""The raw cache's index."""

from __future__ import annotations

import pytest

from safelight.link import CachedInstance, CachedStudy
from safelight.model import RequestState
from tests.link.conftest import CANARY, REASONS, Ledger


def instances(count: int, *, study: str = "s") -> list[CachedInstance]:
    return [
        CachedInstance(f"1.1.{number % 3}", f"1.2.{number}", "1.2.840.10008.5.1.4.1.1.2", f"{study}/{number}.dcm", 100)
        for number in range(count)
    ]


def uids(ledger: Ledger) -> list[str]:
    return [study.study_uid for study in ledger.database.cache_studies()]


def test_a_study_comes_back_as_it_went_in(ledger: Ledger) -> None:
    ledger.database.cache_put("1.2.3", "pacs", instances(4), complete=True)
    assert ledger.database.cache_get("1.2.3") == CachedStudy("1.2.3", "pacs", True, tuple(instances(4)), ledger.clock())
    assert ledger.database.cache_get("1.2.4") is None


def test_putting_again_replaces(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.database.cache_put("1.2.3", "pacs", instances(1200), complete=False)
    ledger.clock.forward(seconds=5)
    ledger.database.cache_put("1.2.3", "vna", instances(2), complete=True)
    found = ledger.database.cache_get("1.2.3")
    assert found == CachedStudy("1.2.3", "vna", True, tuple(instances(2)), ledger.clock())
    assert found.size == 200
    assert uids(ledger) == ["1.2.3"]


def test_sizes_are_known_without_a_look_at_instances(ledger: Ledger) -> None:
    assert (ledger.database.cache_size(), list(ledger.database.cache_sizes())) == (0, [])
    for uid, count in (("1", 4), ("2", 1200), ("3", 0)):
        for _ in range(2):
            ledger.database.cache_put(uid, "pacs", instances(count, study=uid), complete=True)
    assert list(ledger.database.cache_sizes()) == [("1", 400), ("2", 120_000), ("3", 0)]
    ledger.database.cache_put("1", "pacs", instances(1), complete=True)
    ledger.database.cache_drop("2")
    assert (ledger.database.cache_size(), list(ledger.database.cache_sizes())) == (100, [("3", 0), ("1", 100)])


def test_one_instance_may_be_in_two_studies(ledger: Ledger) -> None:
    ledger.database.cache_put("1", "pacs", instances(1), complete=True)
    ledger.database.cache_put("2", "pacs", instances(1), complete=True)
    assert uids(ledger) == ["1", "2"]


def test_the_least_recently_used_comes_first_even_when_the_clock_stands(ledger: Ledger) -> None:
    for uid in ("1", "2", "3"):
        ledger.database.cache_put(uid, "pacs", instances(1), complete=True)
    assert uids(ledger) == ["1", "2", "3"]
    ledger.database.cache_touch("1")
    assert uids(ledger) == ["2", "3", "1"]
    ledger.clock.forward(days=-3)
    ledger.database.cache_touch("2")
    ledger.database.cache_touch("not there")
    assert uids(ledger) == ["3", "1", "2"]


def test_more_studies_than_a_page_are_streamed(ledger: Ledger) -> None:
    for number in range(510):
        ledger.database.cache_put(str(number), "pacs", instances(1), complete=True)
    assert uids(ledger) == [str(number) for number in range(510)]


def test_dropping_forgets_a_study_and_its_instances(ledger: Ledger) -> None:
    for uid in ("1", "2"):
        ledger.database.cache_put(uid, "pacs", instances(3), complete=True)
    for _ in range(2):
        ledger.database.cache_drop("1")
        assert uids(ledger) == ["2"]
    ledger.database.cache_put("1", "pacs", instances(1), complete=True)
    found = ledger.database.cache_get("1")
    assert found is not None
    assert len(found.instances) == 1


@pytest.mark.parametrize("state", RequestState)
def test_a_study_is_pinned_while_a_request_still_reads_it(ledger: Ledger, state: RequestState) -> None:
    (request_id,) = ledger.add_some(1)
    ledger.claim()
    ledger.database.move(request_id, RequestState.LOCATED, worker="w1", located_study_uid="1.2.77")
    pinned = state in {RequestState.LOCATED, RequestState.RETRIEVED, RequestState.DEIDENTIFIED}
    path = {
        RequestState.LOCATED: [],
        RequestState.REQUESTED: [RequestState.REQUESTED],
        RequestState.RETRIEVED: [RequestState.RETRIEVED],
        RequestState.DEIDENTIFIED: [RequestState.RETRIEVED, RequestState.DEIDENTIFIED],
        RequestState.VERIFIED: [RequestState.RETRIEVED, RequestState.DEIDENTIFIED, RequestState.VERIFIED],
        RequestState.EXPORTED: [
            RequestState.RETRIEVED,
            RequestState.DEIDENTIFIED,
            RequestState.VERIFIED,
            RequestState.EXPORTED,
        ],
    }.get(state, [state])
    for to in path:
        ledger.take(request_id)
        ledger.database.move(request_id, to, worker="w1", reason=REASONS.get(to))
    assert ledger.database.cache_pins() == ({"1.2.77"} if pinned else set())


def test_a_request_that_is_not_located_pins_nothing(ledger: Ledger) -> None:
    ledger.add_some(2)
    assert ledger.database.cache_pins() == set()


def test_nothing_that_is_shown_holds_a_uid(ledger: Ledger) -> None:
    ledger.database.cache_put(CANARY, "pacs", [CachedInstance(CANARY, CANARY, "1", "p", 1)], complete=True)
    assert CANARY not in repr(list(ledger.database.cache_studies()))
