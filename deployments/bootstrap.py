"""Register what the flows expect of a Prefect server: block types, the archives' limits, the work pool. Idempotent.

    python -m deployments.bootstrap

Limits that exist are left alone: the archive's manager may have changed them.
"""

from __future__ import annotations

import math
import sys
from itertools import groupby
from typing import TYPE_CHECKING

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate, WorkPoolCreate
from prefect.exceptions import ObjectNotFound

from blocks import BLOCKS
from safelight.archive.budget import Budget
from safelight.errors import ConfigurationError, SafelightError
from safelight.project import load_project, project_slugs
from tasks.parameters import profiles_folder
from tasks.policies import associations_limit, kilobytes_limit, operations_limit
from tasks.throttle import SLOTS_A_MEGABYTE, SLOTS_AN_OPERATION, burst

if TYPE_CHECKING:
    from safelight.archive.settings import ArchiveUse

WORK_POOL = "safelight"


def register_block_types() -> list[str]:
    """Register every block type. Returns their slugs."""
    for block in BLOCKS:
        block.register_type_and_schema()
    return [block.get_block_type_slug() for block in BLOCKS]


def agreed(uses: list[ArchiveUse]) -> list[ArchiveUse]:
    """Return one use for each archive, with the lowest of the projects' budgets.

    Raises:
        ConfigurationError: projects give one archive different hours; they are the manager's, and one for all.
    """
    found = []
    for block, group in groupby(sorted(uses, key=lambda use: use.block), key=lambda use: use.block):
        of_archive = list(group)
        if any((use.hours, use.load) != (of_archive[0].hours, of_archive[0].load) for use in of_archive):
            raise ConfigurationError(
                f"Projects give archive '{block}' different hours or another response to load.",
                remedy="Write the same hours and load in each project that names it.",
            )
        lowest = {name: min(getattr(use.budget, name) for use in of_archive) for name in Budget.model_fields}
        found.append(of_archive[0].model_copy(update={"budget": Budget(**lowest)}))
    return found


def register_limits(use: ArchiveUse) -> list[str]:
    """Create the archive's limits where they do not exist. Returns the names of the new ones."""
    rate = use.budget.operations_per_second
    kilobytes = use.budget.megabytes_per_second * SLOTS_A_MEGABYTE
    wanted = (
        GlobalConcurrencyLimitCreate(
            name=operations_limit(use.block),
            limit=burst(rate) * SLOTS_AN_OPERATION,
            slot_decay_per_second=rate * SLOTS_AN_OPERATION,
        ),
        # Half a second's.
        GlobalConcurrencyLimitCreate(
            name=kilobytes_limit(use.block), limit=math.ceil(kilobytes / 2), slot_decay_per_second=kilobytes
        ),
        GlobalConcurrencyLimitCreate(name=associations_limit(use.block), limit=use.budget.associations),
    )
    new = []
    with get_client(sync_client=True) as client:
        for limit in wanted:
            try:
                client.read_global_concurrency_limit_by_name(limit.name)
            except ObjectNotFound:
                client.create_global_concurrency_limit(limit)
                new.append(limit.name)
    return new


def free_places(use: ArchiveUse) -> None:
    """Forget who holds the archive's associations. Only for a server of one's own, before anything runs.

    The orchestrator keeps leases in memory by default: a server that was killed has forgotten them when it comes back,
    and what they held would stay held for good.
    """
    with get_client(sync_client=True) as client:
        client.update_global_concurrency_limit(associations_limit(use.block), GlobalConcurrencyLimitUpdate(active_slots=0))


def register_work_pool() -> bool:
    """Create the work pool where it does not exist. Returns whether it is new."""
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(WORK_POOL)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"))
            return True
    return False


def main() -> int:
    """Register everything, and say what was new."""
    try:
        folder = profiles_folder() / "projects"
        uses = agreed([use for slug in project_slugs(folder) for use in load_project(folder, slug).archives])
        print(f"Block types: {', '.join(register_block_types())}")
        for use in uses:
            for name in register_limits(use):
                print(f"New limit: {name}")
        if register_work_pool():
            print(f"New work pool: {WORK_POOL}")
    except SafelightError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
