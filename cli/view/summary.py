"""The text of `crm_simulate`: transition summary, what was executed.

Wording and layout are those its users know; the cases beside the repository hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cli.view.fencing import nodes_going
from crm.model.graph import Action as GraphAction
from crm.model.graph import ActionKind
from crm.model.roles import Role
from pengine import Decision
from pengine.act.actions import Action, Task
from pengine.facts.activity import Activity
from pengine.facts.instances import (
    Instance,
)
from pengine.order.plan import Plan
from pengine.place.listing import Listing
from pengine.simulate import Executed

# --- what will be done ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SummaryLine:
    """One line of the transition summary."""

    verb: str
    resource: str
    where: str
    reason: str = ""
    blocked: bool = False

    def text(self, width: int) -> str:
        """Write the line, the name padded to a width."""
        due = f"  due to {self.reason}" if self.reason else ""
        blocked = (" (blocked)" if due else "  blocked") if self.blocked else ""
        return f"  * {self.verb:<10} {self.resource:<{width}} ( {self.where} ){due}{blocked}"


def transition(decision: Decision) -> Iterator[str]:
    """Yield the lines of the transition summary."""
    found: list[SummaryLine] = []
    for instance in Listing(decision.facts, decision.placement).instances():
        found += _summarise(decision, instance)
    width = max((len(line.resource) for line in found), default=0) + 3
    yield from nodes_going(decision)
    for line in found:
        yield line.text(width)


def _summarise(decision: Decision, instance: Instance) -> list[SummaryLine]:
    state = decision.facts.activity[instance.id]
    target = decision.placement.node_of(instance.id)
    actions = decision.plan.actions_of(instance.id)
    starts = {a.node: a for a in actions if a.task is Task.START}
    stops = {a.node: a for a in actions if a.task is Task.STOP}
    if not decision.facts.is_looked_after(instance):
        return []
    if target is None:
        return [
            _line("Stop", instance, node, stops[node], ("node availability",), state)
            for node in state.nodes
            if node in stops and stops[node].needed
        ]
    start = starts.get(target)
    promote = next((a for a in actions if a.task is Task.PROMOTE and a.node), None)
    if any(a.task is Task.RELOAD and a.needed for a in actions):
        return [SummaryLine("Reload", instance.id, _in_roles(state.role, state.role) + target)]
    is_new = start is not None and not state.nodes
    if start is None or not (start.needed or (is_new and not start.runnable)):
        return _summarise_role(decision, instance, target, promote)
    if not state.nodes:
        if promote is not None and promote.needed and promote.runnable:
            return [SummaryLine("Promote", instance.id, f"Stopped -> Promoted {target}")]
        return [
            SummaryLine(
                "Start",
                instance.id,
                target,
                "" if start.runnable else next(iter(start.reasons), ""),
                not start.runnable,
            )
        ]
    if not start.runnable:
        return [
            _line("Stop", instance, node, stops[node], _why_down(start, stops[node]), state)
            for node in state.nodes
            if node in stops and stops[node].needed
        ]
    next_role = decision.placement.role_of(instance.id)
    return _summarise_change(decision.plan, instance, target, start, stops, state, next_role)


def _summarise_role(
    decision: Decision, instance: Instance, target: str, promote: Action | None
) -> list[SummaryLine]:
    """Summarise a change of role in place."""
    state = decision.facts.activity[instance.id]
    if not instance.is_promotable or not state.nodes:
        return []
    demotes = [a for a in decision.plan.actions_of(instance.id) if a.task is Task.DEMOTE and a.node]
    demote = next((a for a in demotes if a.needed), None)
    is_blocked = promote is not None and promote.needed and not promote.runnable
    if promote is not None and promote.needed and demote is not None and not is_blocked:
        return [SummaryLine("Re-promote", instance.id, f"Promoted {target}")]
    if promote is not None and promote.needed and state.role is not Role.PROMOTED:
        reason = next(iter(promote.reasons), "") if is_blocked else ""
        where = f"{state.role.word} -> Promoted {target}"
        return [SummaryLine("Promote", instance.id, where, reason, is_blocked)]
    if demote is not None:
        where = f"Promoted -> Unpromoted {target}"
        return [SummaryLine("Demote", instance.id, where, blocked=not demote.runnable)]
    return []


def _summarise_change(
    plan: Plan,
    instance: Instance,
    target: str,
    start: Action,
    stops: dict[str, Action],
    state: Activity,
    next_role: Role,
) -> list[SummaryLine]:
    current, failed = state.nodes, state.failed
    here = state.here
    if start.migration is not None:
        return [SummaryLine("Migrate", instance.id, f"{here} -> {target}")]
    if target in current:
        restarts = any(stop.needed for node, stop in stops.items() if node in current)
        if not restarts and state.role is not Role.STOPPED:
            return []
        if failed:
            return [SummaryLine("Recover", instance.id, _in_roles(state.role, next_role) + target)]
        where = _in_roles(state.role, next_role) + target
        return [SummaryLine("Restart", instance.id, where, next(iter(start.reasons), ""))]
    where = f"{here} -> {target}"
    if state.role > Role.STARTED or next_role > Role.STARTED:
        where = f"{where} {next_role.word}"
        if state.role is not next_role:
            where = f"{state.role.word} {here} -> {next_role.word} {target}"
    if failed:
        return [SummaryLine("Recover", instance.id, where)]
    unable = [r for s in (*stops.values(), start) for r in s.reasons if r.startswith("unmig")]
    return [SummaryLine("Move", instance.id, where, next(iter(unable), ""))]


def _in_roles(role: Role, next_role: Role) -> str:
    """Write the role an instance has and will have, where roles matter."""
    if role <= Role.STARTED and next_role <= Role.STARTED:
        return ""
    return f"{role.word} " if role is next_role else f"{role.word} -> {next_role.word} "


def _why_down(start: Action, stop: Action) -> tuple[str, ...]:
    """Say what takes an instance down that cannot start again, or keeps it from going down."""
    return stop.reasons or start.reasons


def _line(
    verb: str,
    instance: Instance,
    node: str,
    action: Action,
    reasons: Sequence[str],
    state: Activity,
) -> SummaryLine:
    on_node = state.at(node)
    role = on_node.role if on_node is not None else Role.STARTED
    if instance.is_removed:
        role = max(role, state.role)  # Nobody knows its roles any more: it has one everywhere.
    if instance.is_promotable:
        role = max(role, Role.UNPROMOTED)
    where = _in_roles(role, role) + node
    return SummaryLine(verb, instance.id, where, next(iter(reasons), ""), not action.runnable)


# --- what was executed ----------------------------------------------------------------------


def executed(actions: Iterable[Executed]) -> Iterator[str]:
    """Yield one line per executed action."""
    for done in actions:
        yield f"  * {_executed_text(done.action, done.name)}"


def _executed_text(action: GraphAction, name: str) -> str:
    if action.task == "stonith" and action.kind is ActionKind.PSEUDO:
        return f"Pseudo action:   {action.key} on {action.node}"
    if action.kind is ActionKind.PSEUDO:
        return f"Pseudo action:   {action.key}"
    if action.task == "stonith":
        return f"Fencing {action.node} ({action.meta['stonith_action']})"
    if action.kind is ActionKind.CLUSTER:
        about = ""
        if action.task in ("clear_failcount", "lrm_delete"):
            known = action.key.removesuffix(f"_{action.task}_0")
            about = f" for {action.resource.id if action.resource is not None else known}"
        return f"Cluster action:  {action.task}{about} on {action.node}"
    interval = action.interval_ms
    if action.task == "cancel":
        interval = int(action.meta.get("interval", "0"))
    task = f"{action.task}={interval}" if interval else action.task
    return f"Resource action: {name:<15} {task} on {action.node}"
