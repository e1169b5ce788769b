"""The lines of a transition summary that are about nodes: who is fenced."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pengine import Decision
from pengine.act.actions import Task


class Fencing(msgspec.Struct, frozen=True):
    """One node that is fenced, or counts as fenced because of the resource it runs in."""

    action: str
    node: str
    reason: str
    container: str = ""

    @property
    def task(self) -> str:
        """Name what is done, as the summary does."""
        return f"Fence ({self.action})"


def fencings(decision: Decision) -> Iterator[Fencing]:
    """Yield the nodes that go, the newest action first."""
    plan = decision.plan
    for action in reversed(list(plan.actions.values())):
        if action.task is Task.FENCE and plan.is_in_graph(action.id):
            reason = next(iter(action.reasons), "")
            if not reason and action.fencing_action == "on":
                continue  # Only what waits for it tells of it.
            container = decision.facts.node(action.node).container
            yield Fencing(action.fencing_action, action.node, reason, container)


def nodes_going(decision: Decision) -> Iterator[str]:
    """Yield a line per node that goes."""
    for found in fencings(decision):
        about = f" (resource: {found.container})" if found.container else ""
        yield f"  * {found.task} {found.node}{about} '{found.reason}'"
