"""The lines of a transition summary that are about nodes: who is fenced."""

from __future__ import annotations

from collections.abc import Iterator

from pengine import Decision
from pengine.act.actions import Task


def nodes_going(decision: Decision) -> Iterator[str]:
    """Yield a line per node that goes, the newest action first."""
    plan = decision.plan
    for action in reversed(list(plan.actions.values())):
        if not plan.is_in_graph(action.id):
            continue
        if action.task is Task.FENCE:
            reason = next(iter(action.reasons), "")
            container = decision.facts.node(action.node).container
            about = f" (resource: {container})" if container else ""
            yield f"  * Fence ({action.fencing_action}) {action.node}{about} '{reason}'"
