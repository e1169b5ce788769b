"""The scheduler: a pure function from a CIB and the time to a decision.

Five stages, five frozen values: what is true, what goes where, what would have to be done, what
waits for what, and the graph. A later stage never changes what an earlier one made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from crm.model.cluster import Cluster
from crm.model.graph import Graph
from crm.plumbing.errors import Problem
from pengine.act.stage import act
from pengine.emit.graph import emit
from pengine.facts.facts import Facts, conclude
from pengine.order.plan import Plan
from pengine.order.propagate import order
from pengine.place.assign import place
from pengine.place.placement import Placement


@dataclass(frozen=True, slots=True)
class Decision:
    """The graph, and everything it was concluded from, for those who ask why."""

    graph: Graph
    facts: Facts
    placement: Placement
    plan: Plan

    @property
    def problems(self) -> tuple[Problem, ...]:
        """List what the scheduler could not make sense of."""
        return self.facts.problems


def schedule(cluster: Cluster, wall: datetime, transition: int = 0) -> Decision:
    """Decide what has to be done about a cluster."""
    facts = conclude(cluster, wall)
    placement = place(facts)
    actions = act(facts, placement)
    plan = order(facts, actions)
    graph = emit(facts, plan, transition)
    return Decision(graph, facts, placement, plan)
