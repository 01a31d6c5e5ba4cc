"""Counts: where a project's requests are, and what became of instances and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from safelight.link import extracts, schema
from safelight.link.rows import Summary
from safelight.model import InstanceOutcome, RequestState

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def summarise(connection: Connection, slug: str) -> Summary:
    """Count in one transaction, so that the numbers agree with each other. A project without extracts has none."""
    project = extracts.project_id(connection, slug)
    if project is None:
        return Summary(slug, 0, {}, {}, {}, {}, {})
    request, transition, instance = schema.request, schema.transition, schema.instance
    outcomes: dict[str, int] = {}
    reasons: dict[str, dict[str, int]] = {}
    states = (
        select(request.c.state, request.c.reason, func.count())
        .where(request.c.project_id == project)
        .group_by(request.c.state, request.c.reason)
    )
    for state, reason, count in connection.execute(states):
        outcomes[state] = outcomes.get(state, 0) + count
        if reason is not None:
            reasons.setdefault(state, {})[reason] = count
    passed = (
        select(transition.c.to_state, func.count(transition.c.request_id.distinct()))
        .join(request, request.c.id == transition.c.request_id)
        .where(request.c.project_id == project)
        .group_by(transition.c.to_state)
    )
    of_instances = (
        select(instance.c.outcome, instance.c.reason, func.count())
        .join(request, request.c.id == instance.c.request_id)
        .where(request.c.project_id == project)
        .group_by(instance.c.outcome, instance.c.reason)
    )
    instances = {
        outcome if outcome == InstanceOutcome.WRITTEN else f"{outcome}/{reason}": count
        for outcome, reason, count in connection.execute(of_instances)
    }
    order = [state.value for state in RequestState]
    return Summary(
        project=slug,
        requested=sum(outcomes.values()),
        outcomes=dict(sorted(outcomes.items(), key=lambda item: order.index(item[0]))),
        reasons={state: dict(sorted(found.items())) for state, found in sorted(reasons.items())},
        passed={row[0]: int(row[1]) for row in connection.execute(passed)},
        instances=dict(sorted(instances.items())),
        rows_set_aside=dict(sorted(extracts.rows_set_aside(connection, project).items())),
    )
