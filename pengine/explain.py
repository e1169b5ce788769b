"""Says what was decided and why: one sentence, log lines, and the whole account of one resource.

Renders what the stages recorded; concludes nothing of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from crm.model import score
from crm.model.graph import Graph
from crm.model.roles import Role
from crm.plumbing.errors import Severity
from crm.plumbing.machine import NOTICE
from pengine.act.actions import Action, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import Instance, instances_of
from pengine.order.plan import Plan
from pengine.place.placement import Placement

ENTITY = "pengine"


@dataclass(frozen=True, slots=True)
class Line:
    """One line for the log: a `logging` level and the text."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One contribution to the score of a resource on a node."""

    node: str
    score: str
    stage: str
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """The outcome for one node: the score it ended with, and whether it may run things."""

    node: str
    total: str
    state: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action of the resource: needed or not, possible or not, why, and what it waits for."""

    action: str
    node: str
    verdict: str
    reasons: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All about one instance: a sentence first, then the tables."""

    resource: str
    sentence: str
    nodes: tuple[NodeRow, ...]
    scores: tuple[ScoreRow, ...]
    actions: tuple[ActionRow, ...]

    def as_value(self) -> dict[str, object]:
        """Give the explanation as plain data, ready for JSON."""
        return asdict(self)

    def as_text(self) -> str:
        """Write the explanation for a terminal."""
        lines = [self.sentence, ""]
        for row in self.nodes:
            mark = "*" if row.chosen else " "
            lines.append(f"{mark} {row.node:<16} {row.total:>10}  {row.state}")
        if self.scores:
            lines += ["", "scores:"]
            lines += [
                f"  {row.node:<16} {row.score:>10}  {row.stage}: {row.source}"
                + (f" ({row.text})" if row.text else "")
                for row in self.scores
            ]
        if self.actions:
            lines += ["", "actions:"]
            for action in self.actions:
                lines.append(f"  {action.action} on {action.node or 'no node'}: {action.verdict}")
                lines += [f"      because {reason}" for reason in action.reasons]
                lines += [f"      after {after}" for after in action.after]
        return "\n".join(lines) + "\n"


def explain(
    facts: Facts, placement: Placement, plan: Plan, resource: str, node: str | None = None
) -> tuple[Explanation, ...]:
    """Explain a resource (every instance of it), on all nodes or on one."""
    found = []
    for item in facts.everything:
        for instance in instances_of(item):
            if resource in (item.id, instance.id, instance.history_id, instance.parent):
                found.append(_explain_one(facts, placement, plan, instance, node))
    return tuple(found)


def _explain_one(
    facts: Facts, placement: Placement, plan: Plan, instance: Instance, node: str | None
) -> Explanation:
    choice = placement.choices[instance.id]
    nodes = tuple(
        NodeRow(
            n.name,
            score.text(choice.final_scores[n.name]) if n.name in choice.final_scores else "-",
            _node_state(facts, n.name),
            n.name == choice.node,
        )
        for n in facts.nodes
        if node in (None, n.name)
    )
    scores = tuple(
        ScoreRow(c.node, score.text(c.amount), c.stage, c.source, c.text)
        for c in placement.table.about(instance.id)
        if node in (None, c.node)
    )
    actions = tuple(
        _action_row(plan, action)
        for action in plan.actions.values()
        if action.owner == instance.id and action.needed and node in (None, action.node)
    )
    return Explanation(
        instance.id, _sentence_about(facts, placement, instance), nodes, scores, actions
    )


def _node_state(facts: Facts, name: str) -> str:
    node = facts.node(name)
    words = []
    if node.unclean:
        words.append("unclean")
    if not node.online:
        words.append("offline")
    if node.standby:
        words.append("standby")
    if node.maintenance:
        words.append("maintenance")
    if node.shutting_down:
        words.append("shutting down")
    if node.pending:
        words.append("joining")
    return ", ".join(words) or "online"


def _action_row(plan: Plan, action: Action) -> ActionRow:
    verdict = "will be done" if action.runnable else "needed but impossible"
    after = tuple(
        f"{o.first[0]}{' on ' + o.first[1] if o.first[1] else ''} ({o.source})"
        for o in plan.orderings
        if o.then == action.id and plan.is_in_graph(o.first)
    )
    return ActionRow(action.id[0], action.node, verdict, action.reasons, after)


def _sentence_about(facts: Facts, placement: Placement, instance: Instance) -> str:
    choice = placement.choices[instance.id]
    if choice.node is None:
        return f"{instance.id} runs nowhere because {_why_nowhere(facts, placement, instance)}"
    now = facts.activity[instance.id].nodes
    if choice.node in now:
        return f"{instance.id} stays on {choice.node} because {choice.reason}"
    left = now[0] if now else ""
    why = (_why_not_on(facts, placement, instance, left) if left else "") or choice.reason
    return f"{instance.id} goes to {choice.node} because {why}"


def _why_nowhere(facts: Facts, placement: Placement, instance: Instance) -> str:
    choice = placement.choices[instance.id]
    if choice.reason == "target-role":
        return "its target-role is Stopped"
    if choice.reason != "no node may run it":
        return choice.reason
    bans = [c for c in placement.table.about(instance.id) if c.amount <= score.MINUS_INFINITY]
    if bans:
        causes = sorted({f"{c.source}{' (' + c.text + ')' if c.text else ''}" for c in bans})
        return f"no node may run it: {', '.join(causes)}"
    if not any(node.may_run for node in facts.nodes):
        return "no node is able to run anything"
    return choice.reason


# --- the whole decision ---------------------------------------------------------------------

_VERBS = {
    Task.START: "start",
    Task.STOP: "stop",
    Task.MONITOR: "monitor",
    Task.CANCEL: "cancel a monitor of",
    Task.DELETE: "forget",
}


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
        for a in plan.actions.values()
        if a.owner == instance.id and a.task in (Task.START, Task.STOP) and plan.is_in_graph(a.id)
    ]
    if not acts:
        return ""
    choice = placement.choices[instance.id]
    starts = [a for a in acts if a.task is Task.START]
    stops = [a for a in acts if a.task is Task.STOP]
    reason = next((r for a in acts for r in a.reasons), "")
    if not starts:
        reason = reason or _why_no_start(plan, instance)
        why = reason or _why_nowhere(facts, placement, instance)
        return (
            f"{instance.id} stops on {stops[0].node} because of {why}"
            if reason
            else (f"{instance.id} stops on {stops[0].node} because {why}")
        )
    if not stops:
        return f"{instance.id} starts on {starts[0].node} because {choice.reason}"
    if stops[0].node == starts[0].node:
        why = _why_restart(facts, instance, starts[0])
        return f"{instance.id} restarts on {starts[0].node} ({why})"
    left = stops[0].node
    why = _why_not_on(facts, placement, instance, left) or choice.reason
    return f"{instance.id} moves from {left} to {starts[0].node} because {why}"


def _why_no_start(plan: Plan, instance: Instance) -> str:
    """Say why what goes where it is cannot come up again, or ""."""
    starts = [a for a in plan.actions_of(instance.id) if a.task is Task.START and not a.runnable]
    return next((r for a in starts if a.node for r in a.reasons), "")


def _why_restart(facts: Facts, instance: Instance, start: Action) -> str:
    if facts.activity[instance.id].failed:
        return "failed"
    return next(iter(start.reasons), "restart")


_STATES = {
    "standby": "is in standby",
    "shutting down": "is shutting down",
    "maintenance": "is in maintenance",
}


def _why_not_on(facts: Facts, placement: Placement, instance: Instance, node: str) -> str:
    """Say what keeps an instance off a node, or "" if only another node is better."""
    if not facts.node(node).may_run:
        states = _node_state(facts, node).split(", ")
        return f"{node} " + " and ".join(_STATES.get(word, f"is {word}") for word in states)
    bans = [
        c
        for c in placement.table.about(instance.id)
        if c.node == node and c.amount <= score.MINUS_INFINITY
    ]
    if not bans:
        return ""
    return (
        f"{bans[0].text or bans[0].source} forbids {node}"
        if not bans[0].text
        else (f"on {node} {bans[0].text} ({bans[0].source})")
    )


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
    acts = {
        (a.task, a.node): a
        for a in plan.actions.values()
        if a.owner == instance.id and plan.is_in_graph(a.id)
    }
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
    for action in plan.actions.values():
        if (
            action.owner == instance.id
            and action.task is Task.MONITOR
            and not action.is_probe
            and plan.is_in_graph(action.id)
        ):
            yield Line(NOTICE, f"Recurring: {action.node}     {action.key}")


__all__ = ["ENTITY", "Explanation", "Line", "explain", "log_lines", "sentence"]
