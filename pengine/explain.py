"""Says what was decided and why: one sentence, log lines, and the whole account of one resource.

Renders what the stages recorded; concludes nothing of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from crm.model import score
from crm.model.graph import Graph
from crm.model.roles import Role
from crm.plumbing.errors import Severity
from crm.plumbing.machine import NOTICE
from pengine.act.actions import Action, ActionId, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import Instance, instances_of
from pengine.order.plan import Ordering, Plan
from pengine.place.placement import Placement
from pengine.why import Why, state_of

ENTITY = "pengine"


class Line(msgspec.Struct, frozen=True):
    """One line for the log: a `logging` level and the text."""

    level: int
    text: str


class ScoreRow(msgspec.Struct, frozen=True):
    """One contribution to the score of a resource on a node."""

    node: str
    score: str
    stage: str
    source: str
    text: str


class NodeRow(msgspec.Struct, frozen=True):
    """The outcome for one node: its final score, its state, and why here or why not there."""

    node: str
    total: str
    state: str
    chosen: bool
    why: str = ""


class ActionRow(msgspec.Struct, frozen=True):
    """One action of the resource: needed or not, possible or not, why, and what it waits for."""

    action: str
    node: str
    verdict: str
    reasons: tuple[str, ...]
    after: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True):
    """All about one instance: a sentence first, then the tables."""

    resource: str
    sentence: str
    nodes: tuple[NodeRow, ...]
    scores: tuple[ScoreRow, ...]
    actions: tuple[ActionRow, ...]

    def as_value(self) -> dict[str, object]:
        """Give the explanation as plain data, ready for JSON."""
        found: dict[str, object] = msgspec.to_builtins(self)
        return found


def explain(
    facts: Facts, placement: Placement, plan: Plan, resource: str, node: str | None = None
) -> tuple[Explanation, ...]:
    """Explain a resource (every instance of it), on all nodes or on one."""
    before = _before(plan)
    found = []
    for item in facts.everything:
        for instance in instances_of(item):
            if resource in (item.id, instance.id, instance.history_id, instance.parent):
                why = Why(facts, placement, plan, instance)
                found.append(_explain_one(placement, plan, why, node, before))
    return tuple(found)


def _explain_one(
    placement: Placement,
    plan: Plan,
    why: Why,
    node: str | None,
    before: Mapping[ActionId, Iterable[Ordering]],
) -> Explanation:
    key, final = why.choice.instance, why.choice.final_scores
    nodes = tuple(
        NodeRow(
            n.name,
            score.text(final[n.name]) if n.name in final else "-",
            state_of(n),
            n.name == why.choice.node,
            why.about_node(n.name),
        )
        for n in why.nodes
        if node in (None, n.name)
    )
    scores = tuple(
        ScoreRow(c.node, score.text(c.amount), c.stage, c.source, c.text)
        for c in placement.table.about(key)
        if node in (None, c.node) and c.amount != 0
    )
    actions = tuple(
        _action_row(plan, action, before.get(action.id, ()))
        for action in plan.actions_of(key)
        if action.needed and node in (None, action.node)
    )
    return Explanation(key, why.sentence(), nodes, scores, actions)


def _action_row(plan: Plan, action: Action, before: Iterable[Ordering]) -> ActionRow:
    verdict = "will be done" if action.runnable else "needed but impossible"
    waits: dict[tuple[str, str], list[str]] = {}
    for ordering in before:
        if plan.is_in_graph(ordering.first):
            key, node = ordering.first
            waits.setdefault((key, ordering.source), []).append(node)
    after = tuple(
        f"{key}{' on ' + ', '.join(nodes) if any(nodes) else ''} ({source})"
        for (key, source), nodes in waits.items()
    )
    return ActionRow(action.id[0], action.node, verdict, action.reasons, after)


def _before(plan: Plan) -> dict[ActionId, list[Ordering]]:
    """Map every action to what it waits for."""
    found: dict[ActionId, list[Ordering]] = {}
    for ordering in plan.orderings:
        found.setdefault(ordering.then, []).append(ordering)
    return found


# --- the whole decision ---------------------------------------------------------------------


def sentence(facts: Facts, placement: Placement, plan: Plan, graph: Graph) -> str:
    """Say in one line what was decided, and why."""
    if not graph.synapses:
        return "nothing to do: everything is as it should be"
    moves = [_movement(facts, placement, plan, i) for i in facts.instances()]
    said = [text for text in moves if text]
    if not said:
        probes = sum(1 for a in plan.actions.values() if a.is_probe and plan.is_in_graph(a.id))
        return f"looking at {probes} unknown states" if probes else "housekeeping only"
    more = f", and {len(said) - 3} more" if len(said) > 3 else ""
    return "; ".join(said[:3]) + more


def _movement(facts: Facts, placement: Placement, plan: Plan, instance: Instance) -> str:
    acts = [
        a
        for a in plan.actions_of(instance.id)
        if a.task in (Task.START, Task.STOP) and plan.is_in_graph(a.id)
    ]
    if not acts:
        return ""
    choice = placement.choices[instance.id]
    starts = [a for a in acts if a.task is Task.START]
    stops = [a for a in acts if a.task is Task.STOP]
    if not starts:
        if choice.node is None:
            why = Why(facts, placement, plan, instance).why_nowhere()
            return f"{instance.id} stops on {stops[0].node} because {why}"
        reason = next((r for a in acts for r in a.reasons), "")
        why = reason or _why_no_start(plan, instance) or choice.reason
        return f"{instance.id} stops on {stops[0].node} because of {why}"
    if not stops:
        return f"{instance.id} starts on {starts[0].node} because {choice.reason}"
    if stops[0].node == starts[0].node:
        why = _why_restart(facts, instance, starts[0])
        return f"{instance.id} restarts on {starts[0].node} ({why})"
    left = stops[0].node
    why = Why(facts, placement, plan, instance).barred_from(left) or choice.reason
    return f"{instance.id} moves from {left} to {starts[0].node} because {why}"


def _why_no_start(plan: Plan, instance: Instance) -> str:
    """Say why what goes where it is cannot come up again, or ""."""
    starts = [a for a in plan.actions_of(instance.id) if a.task is Task.START and not a.runnable]
    return next((r for a in starts if a.node for r in a.reasons), "")


def _why_restart(facts: Facts, instance: Instance, start: Action) -> str:
    if facts.activity[instance.id].failed:
        return "failed"
    return next(iter(start.reasons), "restart")


def log_lines(facts: Facts, placement: Placement, plan: Plan) -> Iterator[Line]:
    """Yield the lines people know from the logs of a scheduler run."""
    for problem in (*facts.problems, *plan.problems):
        level = logging.ERROR if problem.severity is Severity.ERROR else logging.WARNING
        hint = f" ({problem.hint})" if problem.hint else ""
        yield Line(level, f"{problem.message}{hint}")
    if not facts.has_quorum:
        yield Line(
            logging.WARNING,
            "cluster_status: We do not have quorum - fencing and resource management disabled"
            if facts.quorum_is_missed
            else "cluster_status: We do not have quorum: ignored by no-quorum-policy",
        )
    for node in facts.nodes:
        if node.standby:
            yield Line(logging.INFO, f"unpack_nodes: Node {node.name} is in standby-mode")
    for node in facts.nodes:
        if node.shutting_down and node.online:
            yield Line(logging.INFO, f"determine_online_status: Node {node.name} is shutting down")
        elif node.online:
            yield Line(logging.INFO, f"determine_online_status: Node {node.name} is online")
        elif node.unclean:
            yield Line(
                logging.WARNING, f"determine_online_status: Node {node.name} is un-expectedly down"
            )
    for instance in facts.instances():
        yield Line(logging.INFO, _native_print(facts, instance))
    for instance in facts.instances():
        yield from _plan_lines(facts, placement, plan, instance)


def _native_print(facts: Facts, instance: Instance) -> str:
    agent = instance.resource.agent
    standard = f"{agent.provider}::{agent.standard}" if agent.provider else agent.standard
    state = facts.activity[instance.id]
    where = "Stopped"
    if state.nodes:
        word = "Promoted" if state.role is Role.PROMOTED else "Started"
        where = f"{word} {' '.join(state.nodes)}"
    if state.failed:
        where += " FAILED"
    if not facts.is_managed(instance):
        where += " (unmanaged)"
    return f"{instance.id} ({standard}:{agent.type}): {where}"


def _plan_lines(
    facts: Facts, placement: Placement, plan: Plan, instance: Instance
) -> Iterator[Line]:
    choice = placement.choices[instance.id]
    mine = [a for a in plan.actions_of(instance.id) if plan.is_in_graph(a.id)]
    acts = {(a.task, a.node): a for a in mine}
    starts = [node for (task, node) in acts if task is Task.START]
    stops = [node for (task, node) in acts if task is Task.STOP]
    if starts and stops and starts[0] not in stops:
        yield Line(
            NOTICE, f"NoRoleChange: Move  resource {instance.id}\t({stops[0]} -> {starts[0]})"
        )
    elif choice.node is not None and not starts and not stops:
        yield Line(NOTICE, f"NoRoleChange: Leave resource {instance.id}\t({choice.node})")
    for node in stops:
        yield Line(NOTICE, f"StopRsc: {node}  Stop {instance.id}")
    for node in starts:
        yield Line(NOTICE, f"StartRsc: {node}  Start {instance.id}")
    for action in mine:
        if action.task is Task.MONITOR and not action.is_probe:
            yield Line(NOTICE, f"Recurring: {action.node}     {action.key}")


__all__ = ["ENTITY", "Explanation", "Line", "explain", "log_lines", "sentence"]
