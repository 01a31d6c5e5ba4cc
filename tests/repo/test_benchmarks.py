"""Every benchmark can be found and says what it measures. They are run by ``make bench``, not here."""

from __future__ import annotations

import inspect

from bench.run import benchmarks
from tests.repo import tracked


def test_every_benchmark_is_found() -> None:
    modules = {path.stem.removeprefix("bench_") for path in tracked("bench/*.py")} - {"__init__", "orchestrator", "run"}
    assert modules <= set(benchmarks())


def test_every_benchmark_says_what_it_measures() -> None:
    titles = {name: (inspect.getdoc(module) or "").partition("\n")[0] for name, module in benchmarks().items()}
    assert {name for name, title in titles.items() if len(title) < 20} == set()
    assert len(set(titles.values())) == len(titles)
