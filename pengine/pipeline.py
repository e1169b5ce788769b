"""The scheduler: a pure function from a CIB and the time to a decision.

Five stages, five frozen values: what is true, what goes where, what would have to be done, what
waits for what, and the graph. A later stage never changes what an earlier one made; what is known
only later makes a new value beside it (docs/scheduler/README.md, "Five values").
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from crm.api.scheduler import LogLine, Schedule, Scheduled
from crm.model.cluster import Cluster
from crm.model.graph import Graph
from crm.model.readxml import cluster as reading
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError, Problem, has_errors
from crm.plumbing.machine import NOTICE
from pengine import explain as explaining
from pengine.act.stage import act
from pengine.emit.graph import emit
from pengine.explain import ENTITY, Explanation
from pengine.facts.facts import Facts, conclude, without_lost_nodes
from pengine.order.plan import Plan
from pengine.order.stage import order
from pengine.place.assign import place
from pengine.place.connections import connect
from pengine.place.placement import Placement

_ERROR = 40
_WARNING = 30


class Decision(msgspec.Struct, frozen=True):
    """The graph, and everything it was concluded from, for those who ask why."""

    graph: Graph
    facts: Facts
    placement: Placement
    plan: Plan

    @property
    def problems(self) -> tuple[Problem, ...]:
        """List what the scheduler could not make sense of."""
        return (*self.facts.problems, *self.plan.problems)

    @property
    def sentence(self) -> str:
        """Say in one line what was decided, and why."""
        return explaining.sentence(self.facts, self.placement, self.plan, self.graph)

    def explain(self, resource: str, node: str | None = None) -> tuple[Explanation, ...]:
        """Explain every instance of a resource, on all nodes or on one."""
        return explaining.explain(self.facts, self.placement, self.plan, resource, node)


def schedule(cluster: Cluster, wall: datetime, transition: int = 0) -> Decision:
    """Decide what has to be done about a cluster."""
    facts = conclude(cluster, wall)
    judged = without_lost_nodes(facts)
    placement = place(judged)
    connected = connect(judged, placement)
    actions = act(connected, placement)
    plan = order(connected, placement, actions)
    placement = placement.without(plan.refused)
    graph = emit(connected, placement, plan, transition)
    return Decision(graph, facts, placement, plan)


Keep = Callable[[str, bytes, Facts | None], str]
"""Names the file an input of a series (pe-input, pe-warn, pe-error) is kept in, or ""."""


def answer(request: Schedule, keep: Keep) -> Scheduled:
    """Answer one request of the controller; what cannot be read gives an answer that says so."""
    try:
        root = xml.parse(request.cib)
    except ConfigurationError as problem:
        path = keep("pe-error", request.cib, None)
        line = LogLine(_ERROR, ENTITY, f"process_pe_message: the CIB cannot be read: {problem}")
        return Scheduled(
            request=request.request,
            graph=Graph(transition=request.transition),
            lines=(line,),
            input_path=path,
            sentence="nothing was decided: the CIB cannot be read",
            failed=True,
        )
    cluster, problems = reading.read(root)
    decision = schedule(cluster, datetime.fromtimestamp(request.wall, UTC), request.transition)
    found = (*problems, *decision.problems)
    series = "pe-error" if has_errors(found) else "pe-warn" if found else "pe-input"
    path = keep(series, request.cib, decision.facts)
    lines = [LogLine(_WARNING, ENTITY, f"unpack: {p.message}") for p in problems]
    lines += [
        LogLine(line.level, ENTITY, line.text)
        for line in explaining.log_lines(decision.facts, decision.placement, decision.plan)
    ]
    lines.append(LogLine(NOTICE, ENTITY, f"stage8: Created transition graph {request.transition}."))
    if path:
        kind = {"pe-input": "", "pe-warn": "WARNINGs found, ", "pe-error": "ERRORs found, "}
        lines.append(
            LogLine(
                20,
                ENTITY,
                f"process_pe_message: Transition {request.transition}: {kind[series]}"
                f"PEngine Input stored in: {path}",
            )
        )
    return Scheduled(
        request=request.request,
        graph=decision.graph,
        lines=tuple(lines),
        input_path=path,
        sentence=decision.sentence,
    )
