"""Retries go by error class: what may pass is tried again, what can't is not."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from prefect import flow, task

from safelight.errors import SafelightError, StudyRejected, TransientError
from safelight.model import Reason
from tasks.policies import RETRIES, RETRYING


def subclasses(kind: type[SafelightError]) -> list[type[SafelightError]]:
    """All classes of the tree in the domain's list; stages may have finer ones of their own."""
    own = [child for child in kind.__subclasses__() if child.__module__ == kind.__module__]
    return [kind, *(below for child in own for below in subclasses(child))]


def an_error(kind: type[SafelightError]) -> SafelightError:
    return StudyRejected(Reason.BURNED_IN) if kind is StudyRejected else kind("Something happened.", remedy="Do this.")


@pytest.mark.usefixtures("prefect_server")
def test_only_passing_errors_are_retried() -> None:
    kinds = {kind.__name__: kind for kind in subclasses(SafelightError)}
    calls: Counter[str] = Counter()
    options: dict[str, Any] = {**RETRYING, "retry_delay_seconds": 0, "retry_jitter_factor": None}

    @task(**options)
    def fails(name: str) -> None:
        calls[name] += 1
        raise an_error(kinds[name])

    @flow
    def each_once() -> dict[str, type[BaseException]]:
        return {name: type(fails(name, return_state=True).result(raise_on_failure=False)) for name in kinds}

    assert each_once() == kinds
    assert calls == {name: 1 + RETRIES if issubclass(kind, TransientError) else 1 for name, kind in kinds.items()}
