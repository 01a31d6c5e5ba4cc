"""The error tree: drawn in full, picklable, and silent about data."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from safelight import errors
from safelight.errors import ConfigurationError, PermanentError, SafelightError, StudyRejected, TransientError
from safelight.model import Reason

CLASSES = {name: item for name, item in vars(errors).items() if inspect.isclass(item) and issubclass(item, SafelightError)}
BRANCHES = (TransientError, PermanentError, StudyRejected)


def make(kind: type[SafelightError]) -> SafelightError:
    if kind is StudyRejected:
        return StudyRejected(Reason.TRUNCATED)
    if kind is ConfigurationError:
        return ConfigurationError("Wrong.", remedy="Right it.", file="a.yaml", line=3)
    return kind("Wrong.", remedy="Right it.")


def test_the_docstring_draws_every_class_in_its_place() -> None:
    drawn: dict[str, str] = {}
    parents = {0: "SafelightError"}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([│ ]*)[├└]── (\w+)", line):
            depth = len(match[1]) // 4 + 1
            parents[depth] = match[2]
            drawn[match[2]] = parents[depth - 1]
    assert drawn == {name: kind.__bases__[0].__name__ for name, kind in CLASSES.items() if kind is not SafelightError}


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_an_error_survives_the_way_between_processes(kind: type[SafelightError]) -> None:
    error = make(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in CLASSES.values()]
    assert len(set(codes)) == len(codes)


def test_every_error_is_on_exactly_one_branch() -> None:
    for kind in CLASSES.values():
        if kind is not SafelightError:
            assert sum(issubclass(kind, branch) for branch in BRANCHES) == 1


def test_a_message_says_what_happened_and_what_to_do() -> None:
    assert str(make(PermanentError)) == "Wrong. Right it."
    assert str(make(ConfigurationError)) == "a.yaml:3: Wrong. Right it."
    assert str(ConfigurationError("Wrong.")) == "Wrong."


@pytest.mark.parametrize("reason", Reason)
def test_a_rejected_study_carries_its_reason(reason: Reason) -> None:
    error = pickle.loads(pickle.dumps(StudyRejected(reason)))
    assert error.reason is reason
    assert str(error) == reason.value
