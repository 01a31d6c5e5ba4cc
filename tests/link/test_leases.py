"""Leases: no request in two hands, and none lost, whoever dies when."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import create_engine, text

from safelight.errors import IntegrityError
from safelight.link import LinkDatabase
from safelight.link.connection import open_engine, transaction
from safelight.model import Reason, RequestState
from tests.link.conftest import LEASE, PROJECT, REASONS, Clock, Ledger

S = RequestState


def test_a_claim_takes_the_oldest_first_and_no_more_than_its_limit(ledger: Ledger) -> None:
    ids = ledger.add_some(5)
    assert ledger.claim(limit=2) == ids[:2]
    assert ledger.claim(worker="w2", limit=2) == ids[2:4]
    assert ledger.claim(worker="w3") == ids[4:]
    assert ledger.claim(worker="w4") == []
    assert ledger.database.leased(PROJECT, [S.REQUESTED]) == 5


def test_a_claim_prefers_the_states_in_their_order(ledger: Ledger) -> None:
    ids = ledger.add_some(3)
    ledger.bring_to(ids[2], S.LOCATED)
    ledger.database.release(ids, worker="w1")
    assert ledger.claim(S.LOCATED, S.REQUESTED, limit=2) == [ids[2], ids[0]]


def test_a_claim_of_nothing_takes_nothing(ledger: Ledger) -> None:
    ledger.add_some(2)
    assert ledger.claim(limit=0) == []
    assert ledger.claim(S.VERIFIED) == []
    assert ledger.database.claim(PROJECT, [], worker="w1", limit=5, lease=LEASE) == []


def test_a_lease_runs_out_and_counts_as_an_attempt(ledger: Ledger) -> None:
    (request_id,) = ledger.add_some(1)
    ledger.claim(worker="dies")
    ledger.clock.forward(minutes=4, seconds=59)
    assert ledger.claim() == []
    ledger.clock.forward(seconds=1)
    assert ledger.claim() == [request_id]
    assert ledger.database.requests([request_id])[0].attempts == 1


def test_a_lease_that_is_given_back_counts_no_attempt(ledger: Ledger) -> None:
    (request_id,) = ledger.add_some(1)
    ledger.claim()
    ledger.database.release([request_id], worker="somebody else")
    assert ledger.claim(worker="w2") == []
    ledger.database.release([request_id], worker="w1")
    assert ledger.claim(worker="w2") == [request_id]
    assert ledger.database.requests([request_id])[0].attempts == 0


def test_renewing_prolongs_what_is_held_and_says_what_is_not(ledger: Ledger) -> None:
    mine, other = ledger.add_some(2)
    ledger.claim(limit=1)
    ledger.claim(worker="w2")
    ledger.clock.forward(minutes=4)
    assert ledger.database.renew([mine, other], worker="w1", lease=LEASE) == [mine]
    ledger.clock.forward(minutes=4)
    assert ledger.claim(worker="w3") == [other]


def test_threads_never_share_a_request(ledger: Ledger, another: Callable[[], LinkDatabase]) -> None:
    ids = ledger.add_some(200)
    databases = [another() for _ in range(4)]

    def work(number: int) -> list[int]:
        taken: list[int] = []
        while batch := databases[number].claim(PROJECT, [S.REQUESTED], worker=f"w{number}", limit=7, lease=LEASE):
            taken += batch
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [id_ for batch in pool.map(work, range(4)) for id_ in batch]
    assert sorted(taken) == ids


# -- processes that are killed

SHORT = timedelta(milliseconds=600)
PATH = (S.LOCATED, S.RETRIEVED, S.DEIDENTIFIED, S.VERIFIED, S.EXPORTED)


def _work_until_done(url: str, worker: str, together: Barrier) -> None:
    """Bring every request of the project to exported, step by step, as a stage does."""
    database = LinkDatabase(url, clock=lambda: datetime.now(UTC))
    together.wait(60)
    open_states = [S.REQUESTED, *PATH[:-1]]
    while True:
        batch = database.claim(PROJECT, open_states, worker=worker, limit=5, lease=SHORT)
        for request in database.requests(batch):
            for to in PATH[PATH.index(request.state) + 1 if request.state in PATH else 0 :]:
                try:
                    database.move(request.id, to, worker=worker)
                except IntegrityError:
                    break  # the lease ran out and another worker has it
                if to in {S.RETRIEVED, S.VERIFIED, S.EXPORTED}:
                    break
        if not batch:
            if not any(database.summary(PROJECT).outcomes.get(state.value) for state in open_states):
                return
            time.sleep(0.05)


def test_killed_workers_lose_nothing_and_repeat_nothing(url: str) -> None:
    ledger = Ledger(url, Clock())
    ids = ledger.add_some(40)
    ledger.database.close()
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(3)
    running = [spawn.Process(target=_work_until_done, args=(url, name, together), name=name) for name in ("w1", "w2", "w3")]
    for process in running:
        process.start()
    # SQLite lets nobody queue: one worker may do most of the work. Two die, and one of them in the middle of it.
    _wait_for(lambda: bool(_movers(url) - {""}))
    running.sort(key=lambda process: process.name not in _movers(url))
    for process in running[:2]:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    watcher = LinkDatabase(url, clock=lambda: datetime.now(UTC))
    killed_at = watcher.summary(PROJECT).outcomes
    assert killed_at.get("exported", 0) < len(ids), "the workers were killed too late to prove anything"
    for process in running:
        process.join(60)
    assert [process.exitcode for process in running] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert watcher.summary(PROJECT).outcomes == {"exported": len(ids)}
    watcher.close()
    assert set(_moves(url).values()) == {1}
    assert len(_moves(url)) == len(ids) * (1 + len(PATH))


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _movers(url: str) -> set[str]:
    """Who has moved a request."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.scalars(text("SELECT DISTINCT worker FROM transition")).all()
    engine.dispose()
    return set(found)


def _moves(url: str) -> Counter[tuple[int, str]]:
    """How often each request reached each state."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT request_id, to_state FROM transition")).all()
    engine.dispose()
    return Counter((row[0], row[1]) for row in rows)


# -- any order of events


class Workers(RuleBasedStateMachine):
    """Workers claim, renew, move, give back, put off and die in any order; a model on paper says who holds what."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(self.url, Clock())
        number = len(list(self.ledger.database.find(PROJECT, list(S))))
        # What earlier examples left is out of the way.
        self.ids = self.ledger.add_some(4)
        self.holder: dict[int, tuple[str, datetime]] = {}
        self.not_before: dict[int, datetime] = {}
        self.state = dict.fromkeys(self.ids, S.REQUESTED)
        assert number % 4 == 0

    def teardown(self) -> None:
        for id_ in self.ids:
            if self.state[id_] is S.REQUESTED:
                self.ledger.clock.forward(days=2)
                self.ledger.take(id_, worker="end")
                self.ledger.database.move(id_, S.NOT_FOUND, worker="end", reason=REASONS[S.NOT_FOUND])
        self.ledger.database.close()

    def _free(self, id_: int) -> bool:
        now = self.ledger.clock.now
        held = id_ in self.holder and self.holder[id_][1] > now
        return self.state[id_] is S.REQUESTED and not held and self.not_before.get(id_, now) <= now

    @rule(worker=st.sampled_from(["a", "b"]), limit=st.integers(0, 3))
    def claim(self, worker: str, limit: int) -> None:
        expected = [id_ for id_ in self.ids if self._free(id_)][:limit]
        assert self.ledger.claim(worker=worker, limit=limit) == expected
        for id_ in expected:
            self.holder[id_] = (worker, self.ledger.clock.now + LEASE)

    @rule(seconds=st.sampled_from([1, 200, 301]))
    def time_passes(self, seconds: int) -> None:
        self.ledger.clock.forward(seconds=seconds)

    @rule(worker=st.sampled_from(["a", "b"]))
    def renew(self, worker: str) -> None:
        mine = [id_ for id_ in self.ids if self.holder.get(id_, ("",))[0] == worker]
        assert self.ledger.database.renew(self.ids, worker=worker, lease=LEASE) == mine
        for id_ in mine:
            self.holder[id_] = (worker, self.ledger.clock.now + LEASE)

    @rule(worker=st.sampled_from(["a", "b"]), index=st.integers(0, 3), how=st.sampled_from(["end", "later", "back"]))
    def let_go(self, worker: str, index: int, how: str) -> None:
        id_ = self.ids[index]
        is_mine = self.holder.get(id_, ("",))[0] == worker
        not_before = self.ledger.clock.now + timedelta(seconds=100)
        try:
            if how == "end":
                self.ledger.database.move(id_, S.NOT_FOUND, worker=worker, reason=REASONS[S.NOT_FOUND])
            elif how == "later":
                self.ledger.database.retry_later(id_, worker=worker, reason=Reason.INCOMPLETE, not_before=not_before)
            else:
                self.ledger.database.release([id_], worker=worker)
        except IntegrityError:
            refused = True
        else:
            refused = False
        assert refused == (not is_mine and how != "back")
        if not is_mine:
            return
        del self.holder[id_]
        if how == "end":
            self.state[id_] = S.NOT_FOUND
        if how == "later":
            self.not_before[id_] = not_before

    @invariant()
    def nothing_is_lost(self) -> None:
        assert {request.id: request.state for request in self.ledger.database.requests(self.ids)} == self.state


def test_leases_agree_with_the_model(url: str) -> None:
    Workers.url = url
    run_state_machine_as_test(
        Workers,
        settings=settings(max_examples=12, stateful_step_count=15, suppress_health_check=list(HealthCheck)),
    )


def test_a_writer_that_dies_in_its_transaction_leaves_nothing_behind(ledger: Ledger) -> None:
    ids = ledger.add_some(3)
    process = multiprocessing.get_context("spawn").Process(target=_die_while_writing, args=(ledger.url,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert ledger.claim() == ids
    assert [request.mrn for request in ledger.database.requests(ids)] == ["M0", "M1", "M2"]


def _die_while_writing(url: str) -> None:
    with transaction(open_engine(url)) as connection:
        connection.execute(text("UPDATE request SET mrn = 'changed'"))
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_second_process_sees_what_the_first_wrote(ledger: Ledger, another: Callable[[], LinkDatabase]) -> None:
    (request_id,) = ledger.add_some(1)
    assert another().claim(PROJECT, [S.REQUESTED], worker="w2", limit=9, lease=LEASE) == [request_id]
    assert ledger.claim() == []
