"""Everything that archives have been seen to do wrong, in DIMSE and DICOMweb, and what a request shows then."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from safelight.model import Reason, RequestState
from tests.archive import hostile, hostile_web
from tests.archive.hostile import HostileArchive
from tests.archive.hostile_web import HostileWebArchive

S, R = RequestState, Reason
#: What a request shows: the states that it may be in, and why.
Shown = tuple[set[RequestState], Reason | None]
RETRIEVED: Shown = ({S.RETRIEVED}, None)
INCOMPLETE: Shown = ({S.FAILED}, R.INCOMPLETE)
#: It waits for its next attempt, where it was.
WAITS: Shown = ({S.REQUESTED, S.LOCATED}, R.ARCHIVE_UNREACHABLE)


@dataclass(frozen=True)
class Behaviour:
    """One way to misbehave: how an archive is told to, and what requests show when it never stops.

    ``by_move`` is for C-MOVE alone, where instances come on another association than the answer; ``many``: it shows only
    where many studies are asked for.
    """

    dimse: Callable[[HostileArchive], None]
    web: Callable[[HostileWebArchive], None]
    shown: Shown
    by_move: Shown | None = None
    at_once: int = 2
    many: bool = False


def _refuse(archive: HostileArchive) -> None:
    archive.refusals = 1_000_000


def _refuse_web(archive: HostileWebArchive) -> None:
    archive.on_request = lambda _path: 503


def _sends(send: Callable[[Any, list[Dataset]], None]) -> Callable[[HostileArchive], None]:
    return lambda archive: setattr(archive, "send", send)


def _answers(body: Callable[[list[bytes]], Iterator[bytes]]) -> Callable[[HostileWebArchive], None]:
    return lambda archive: setattr(archive, "body", body)


def _send_another_study(archive: HostileArchive) -> None:
    def send(association: Any, instances: list[Dataset]) -> None:
        hostile.send_all(
            association, [one for one in archive.instances if one.StudyInstanceUID != instances[0].StudyInstanceUID]
        )

    archive.send = send


def _answer_another_study(archive: HostileWebArchive) -> None:
    archive.body = lambda files: hostile_web.whole([file for file in archive.files.values() if file not in files])


def _send_another_patient(association: Any, instances: list[Dataset]) -> None:
    for instance in instances:
        copy = deepcopy(instance)
        copy.PatientID = "CANARYSOMEONE"
        hostile.send_all(association, [copy])


def _answer_another_patient(files: list[bytes]) -> Iterator[bytes]:
    yield from hostile_web.whole([file.replace(b"00CANARYMRN", b"99CANARYMRN") for file in files])


def _stall(archive: HostileArchive) -> None:
    archive.send = lambda _association, _instances: (archive.mended.wait(30), None)[1]


def _stall_web(archive: HostileWebArchive) -> None:
    def body(files: list[bytes]) -> Iterator[bytes]:
        content = b"".join(hostile_web.whole(files))
        yield content[: len(content) // 2]
        archive.mended.wait(30)

    archive.body = body


def _fail_now_and_then(archive: HostileArchive) -> None:
    # Every 20th, not by dice: with several threads these fall otherwise each time, and now and then thrice on one study.
    finds, moves = itertools.count(10), itertools.count(10)
    archive.on_find = lambda: 0xC001 if next(finds) % 20 == 0 else None
    archive.on_move = lambda: 0xA702 if next(moves) % 20 == 0 else None


def _fail_now_and_then_web(archive: HostileWebArchive) -> None:
    numbers = itertools.count(10)
    archive.on_request = lambda _path: 500 if next(numbers) % 20 == 0 else None


class _Tired:
    """Takes ten times as long for each instance while more than two retrievals are at work."""

    def __init__(self) -> None:
        self.at_work: set[int] = set()
        self._numbers = itertools.count()

    @contextmanager
    def working(self) -> Iterator[Callable[[], None]]:
        self.at_work.add(mine := next(self._numbers))
        try:
            yield lambda: time.sleep(0.1 if len(self.at_work) > 2 else 0.01)
        finally:
            self.at_work.discard(mine)


def _slow(archive: HostileArchive) -> None:
    tired = _Tired()

    def send(association: Any, instances: list[Dataset]) -> None:
        with tired.working() as rest:
            for instance in instances:
                rest()
                hostile.send_all(association, [instance])

    archive.send = send


def _slow_web(archive: HostileWebArchive) -> None:
    tired = _Tired()

    def body(files: list[bytes]) -> Iterator[bytes]:
        with tired.working() as rest:
            for piece in hostile_web.whole(files):
                rest()
                yield piece

    archive.body = body


def _die(archive: HostileArchive) -> None:
    def send(_association: Any, _instances: list[Dataset]) -> None:
        archive.stop_listening()
        threading.Thread(target=archive.stop).start()
        time.sleep(0.3)

    archive.send = send


def _die_web(archive: HostileWebArchive) -> None:
    def body(files: list[bytes]) -> Iterator[bytes]:
        yield b"".join(hostile_web.whole(files))[:5000]
        archive.stop()
        raise ConnectionResetError

    archive.body = body


BEHAVIOURS: dict[str, Behaviour] = {
    "refuses associations": Behaviour(_refuse, _refuse_web, WAITS),
    "drops them mid-instance": Behaviour(
        _sends(hostile.send_half_and_drop), _answers(hostile_web.cut), WAITS, by_move=INCOMPLETE
    ),
    "answers success with nothing sent": Behaviour(_sends(hostile.send_nothing), _answers(hostile_web.nothing), INCOMPLETE),
    "sends each instance twice": Behaviour(_sends(hostile.send_twice), _answers(hostile_web.twice), RETRIEVED),
    # One at a time: what another request waits for at that moment is not wrong.
    "sends the wrong study": Behaviour(_send_another_study, _answer_another_study, INCOMPLETE, at_once=1),
    "sends the wrong patient": Behaviour(
        _sends(_send_another_patient), _answers(_answer_another_patient), ({S.QUARANTINED}, R.PATIENT_MISMATCH)
    ),
    "stalls": Behaviour(_stall, _stall_web, WAITS),
    "sends truncated instances": Behaviour(_sends(hostile.send_truncated), _answers(hostile_web.truncated), INCOMPLETE),
    "returns 5 % transient errors": Behaviour(_fail_now_and_then, _fail_now_and_then_web, RETRIEVED, many=True),
    "slows tenfold under load": Behaviour(_slow, _slow_web, RETRIEVED, at_once=4, many=True),
    "dies for a minute": Behaviour(_die, _die_web, WAITS),
}
