"""Which test runs in which process."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

#: Modules that look at the results of the demo's one long run.
DEMO = frozenset(f"tests/system/test_{name}.py" for name in ("canaries", "demo", "readme"))


class ModuleScheduling(LoadScopeScheduling):
    """Keeps the tests of a module in one process, and all that share the demo's run."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return "demo" if module in DEMO else module
