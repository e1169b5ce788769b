"""The text of `crm_simulate`: status lists, transition summary, what was executed.

Wording and layout are those its users know; the cases beside the repository hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cli.view.fencing import nodes_going
from crm.model.graph import Action as GraphAction
from crm.model.graph import ActionKind
from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.roles import Role
from pengine import Decision
from pengine.act.actions import Action, Task
from pengine.facts.activity import Activity
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    instances_of,
)
from pengine.facts.nodes import NodeFacts, display_key
from pengine.order.plan import Meaning, Plan
from pengine.place.placement import placed_order
from pengine.simulate import Executed

# --- status ---------------------------------------------------------------------------------


def headline(facts: Facts) -> str:
    """Say how many instances are disabled or blocked, or "" when none is."""
    instances = [i for item in facts.items for i in instances_of(item)]
    disabled = sum(1 for i in instances if i.meta.must_stop)
    blocked = sum(1 for i in instances if facts.activity[i.id].blocked)
    if not disabled and not blocked:
        return ""
    return (
        f"{disabled} of {len(instances)} resource instances DISABLED and {blocked} BLOCKED"
        " from further action due to failure"
    )


def status(facts: Facts) -> Iterator[str]:
    """Yield the node list and the list of resources."""
    if facts.nodes:
        yield "  * Node List:"
        yield from (f"    * {line}" for line in _node_lines(facts))
        yield ""
    yield "  * Full List of Resources:"
    for item in facts.items:
        if isinstance(item, Instance) and facts.is_invented(item.id):
            continue
        yield from _item_lines(facts, item, 2)
    for instance in facts.removed:
        if facts.activity[instance.id].nodes:
            yield from _item_lines(facts, instance, 2)
    if not facts.everything:
        yield "    * No resources"


def _node_lines(facts: Facts) -> Iterator[str]:
    online: dict[str, list[str]] = {kind: [] for kind in ("member", "remote", "guest")}
    offline: dict[str, list[str]] = {kind: [] for kind in ("member", "remote", "guest")}
    busy = {n for state in facts.activity.values() for n in state.nodes}
    for node in facts.nodes:
        special = _special_state(node, node.name in busy, facts)
        if special:
            yield f"{_PREFIX[_kind(node)]}Node {node.name}: {special}"
        elif node.online:
            online[_kind(node)].append(node.name)
        else:
            offline[_kind(node)].append(node.name)
    # A guest that is down is no more than a container that is stopped.
    listed = (
        ("Online", online["member"]),
        ("OFFLINE", offline["member"]),
        ("RemoteOnline", online["remote"]),
        ("RemoteOFFLINE", offline["remote"]),
        ("GuestOnline", online["guest"]),
    )
    yield from (f"{word}: [ {' '.join(names)} ]" for word, names in listed if names)


_PREFIX = {"member": "", "remote": "Remote", "guest": "Guest"}


def _kind(node: NodeFacts) -> str:
    return node.kind if node.is_remote else "member"


def _special_state(node: NodeFacts, busy: bool, facts: Facts) -> str:
    if node.unclean:
        word = "pending" if node.pending else "online" if node.online else "offline"
        return f"UNCLEAN ({word})"
    if node.pending:
        return "pending"
    if node.standby and node.online:
        return "standby (with active resources)" if busy else "standby"
    if node.standby:
        return "OFFLINE (standby)"
    if node.maintenance and not facts.settings.maintenance:
        return "maintenance" if node.online else "OFFLINE (maintenance)"
    if node.online and node.name in facts.health.colours:
        return f"online (health is {facts.health.colours[node.name]})"
    return ""


def _item_lines(facts: Facts, item: Placeable, depth: int) -> Iterator[str]:
    indent = "  " * depth
    match item:
        case Instance():
            yield f"{indent}* {_instance_text(facts, item)}"
        case GroupInstance():
            flags = _flags_text(_collective_flags(facts, item))
            yield f"{indent}* Resource Group: {item.id}{flags}:"
            for member in item.members:
                yield f"{indent}  * {_instance_text(facts, member)}"
        case CloneInstance():
            yield from _clone_lines(facts, item, depth)


def _collective_flags(facts: Facts, item: GroupInstance | CloneInstance) -> list[str]:
    flags = []
    if isinstance(item, CloneInstance):
        flags += ["promotable"] if item.promotable else []
        flags += ["unique"] if item.is_unique else []
    flags += ["disabled"] if item.meta.must_stop else []
    if item.meta.maintenance or facts.settings.maintenance:
        flags.append("maintenance")
    elif not item.meta.is_managed or not facts.may_start_anything:
        flags.append("unmanaged")
    return flags


def _flags_text(flags: Iterable[str]) -> str:
    found = ", ".join(flags)
    return f" ({found})" if found else ""


_PENDING = {"start": "Starting", "stop": "Stopping", "promote": "Promoting", "demote": "Demoting"}


def _instance_text(facts: Facts, instance: Instance) -> str:
    state = facts.activity[instance.id]
    name = instance.id if instance.is_unique or not instance.number else instance.history_id
    name = instance.history_id if not instance.is_unique else name
    word = _state_word(facts, instance)
    if instance.is_removed:
        word = f"ORPHANED {word}"
    flags = _flags_text(_instance_flags(facts, instance))
    where = f" {state.nodes[0]}" if len(state.nodes) == 1 else ""
    lock = facts.locks.get(instance.id)
    if lock is not None and not lock.has_ended and not state.nodes:
        where, flags = f" {lock.node}", _flags_text([*_instance_flags(facts, instance), "LOCKED"])
    several = f" [ {' '.join(state.nodes)} ]" if len(state.nodes) > 1 else ""
    return f"{name}\t({instance.resource.agent}):\t {word}{where}{flags}{several}"


def _state_word(facts: Facts, instance: Instance) -> str:
    state = facts.activity[instance.id]
    if state.failed:
        return "FAILED Promoted" if state.role is Role.PROMOTED else "FAILED"
    if state.nodes and state.pending in _PENDING:
        return _PENDING[state.pending]
    if not state.nodes:
        unable = _why_unable(facts, instance)
        return f"Stopped ({unable})" if unable else "Stopped"
    return state.role.word if state.role > Role.STARTED else "Started"


_UNABLE = {ExitCode.NOT_INSTALLED: "Not installed", ExitCode.INVALID_PARAMETER: "Invalid parameter"}


def _why_unable(facts: Facts, instance: Instance, node: str = "") -> str:
    """Say what a probe said that found its agent unable to run somewhere, or ""."""
    for failure in facts.activity[instance.id].failures:
        is_probe = failure.entry.operation == "monitor" and failure.entry.interval_ms == 0
        if is_probe and node in ("", failure.node):
            code = failure.entry.exit_code
            if failure.entry.status == OperationStatus.NOT_INSTALLED:
                return _UNABLE[ExitCode.NOT_INSTALLED]
            return next((text for known, text in _UNABLE.items() if known == code), "")
    return ""


def _instance_flags(facts: Facts, instance: Instance) -> list[str]:
    state = facts.activity[instance.id]
    flags = []
    if len(state.nodes) == 1 and _is_silent(facts.node(state.nodes[0])):
        flags.append("UNCLEAN")
    if state.pending == "monitor":
        flags.append("Monitoring")
    if instance.meta.must_stop:
        flags.append("disabled")
    if state.blocked:
        flags.append("blocked")
    elif instance.meta.maintenance or _is_in_maintenance(facts, instance):
        flags.append("maintenance")
    elif not facts.is_looked_after(instance):
        flags.append("unmanaged")
    if state.ignored:
        flags.append("failure ignored")
    return flags


def _is_silent(node: NodeFacts) -> bool:
    return node.unclean and not node.online


def _is_in_maintenance(facts: Facts, instance: Instance) -> bool:
    if facts.settings.maintenance:
        return True
    return any(facts.node(name).maintenance for name in facts.activity[instance.id].nodes)


# --- clones ---------------------------------------------------------------------------------


def _clone_lines(facts: Facts, clone: CloneInstance, depth: int) -> Iterator[str]:
    indent = "  " * depth
    flags = _flags_text(_collective_flags(facts, clone))
    yield f"{indent}* Clone Set: {clone.id} [{clone.child_id}]{flags}:"
    lists: dict[str, list[str]] = {"Promoted": [], "Unpromoted": [], "Started": []}
    for copy in clone.copies:
        word, node = _plain_state(facts, clone, copy)
        if not clone.is_unique and _is_in_lost_guest(facts, copy):
            continue
        if clone.is_unique or (word == "" and _is_worth_showing(facts, copy)):
            yield from _item_lines(facts, copy, depth + 1)
        elif word in lists:
            lists[word].append(node)
    if clone.is_unique:
        return
    for word, names in lists.items():
        if names:
            yield f"{indent}  * {word}: [ {' '.join(sorted(names, key=display_key))} ]"
    stopped = _stopped_nodes(facts, clone)
    by_flag: dict[str, list[str]] = {}
    for name in stopped:
        reasons = (_why_unable(facts, i, name) for i in instances_of(clone))
        unable = next((r for r in reasons if r), "disabled" if clone.meta.must_stop else "")
        by_flag.setdefault(f" ({unable})" if unable else "", []).append(name)
    for flag, found in sorted(by_flag.items()):
        yield f"{indent}  * Stopped{flag}: [ {' '.join(found)} ]"


def _is_in_lost_guest(facts: Facts, copy: Instance | GroupInstance) -> bool:
    """Tell whether all that is active of a copy is in guests that are down."""
    names = [name for i in instances_of(copy) for name in facts.activity[i.id].nodes]
    return bool(names) and all(
        facts.node(name).kind == "guest" and not facts.node(name).online for name in names
    )


def _plain_state(
    facts: Facts, clone: CloneInstance, copy: Instance | GroupInstance
) -> tuple[str, str]:
    """Give the word and node a copy is listed under, or "" if it needs lines of its own."""
    parts = [facts.activity[i.id] for i in instances_of(copy)]
    nodes = {n for state in parts for n in state.nodes}
    if not nodes:
        return "Stopped", ""
    plain = all(
        len(state.nodes) == 1
        and not state.failed
        and not state.pending
        and facts.is_looked_after(instance)
        for instance, state in zip(instances_of(copy), parts, strict=True)
    )
    if len(nodes) != 1 or not plain or any(_is_silent(facts.node(n)) for n in nodes):
        return "", ""
    node = next(iter(nodes))
    if clone.promotable:
        is_promoted = any(state.role is Role.PROMOTED for state in parts)
        return ("Promoted" if is_promoted else "Unpromoted"), node
    return "Started", node


def _is_worth_showing(facts: Facts, copy: Instance | GroupInstance) -> bool:
    return any(facts.activity[i.id].nodes for i in instances_of(copy))


def _stopped_nodes(facts: Facts, clone: CloneInstance) -> list[str]:
    busy = {name for i in instances_of(clone) for name in facts.activity[i.id].nodes}
    free = [n.name for n in facts.nodes if n.name not in busy]
    count = sum(
        1
        for copy in clone.copies
        if not any(facts.activity[i.id].nodes for i in instances_of(copy))
        or _is_in_lost_guest(facts, copy)
    )
    return free if count else []


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
    for instance in placed_order(decision.facts, decision.placement):
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
    promote = next((a for a in actions if a.task is Task.PROMOTE), None)
    if start is None or not start.needed:
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
    demotes = [a for a in decision.plan.actions_of(instance.id) if a.task is Task.DEMOTE]
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
        if not any(stop.needed for node, stop in stops.items() if node in current):
            return []
        if failed:
            return [SummaryLine("Recover", instance.id, _in_roles(state.role, next_role) + target)]
        where = _in_roles(state.role, next_role) + target
        return [SummaryLine("Restart", instance.id, where, _why_restart(plan, start))]
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


def _why_restart(plan: Plan, start: Action) -> str:
    """Say what takes a running instance down and up again."""
    own = next(iter(start.reasons), "")
    if own and not own.startswith("required "):
        return own
    for ordering in plan.orderings:
        if ordering.then == start.id and Meaning.NEED_SPREADS in ordering.meanings:
            first = plan.actions[ordering.first]
            if first.needed and not ordering.is_hidden:
                return f"required {first.owner} {first.task.value}"
    return ""


def _why_down(start: Action, stop: Action) -> tuple[str, ...]:
    """Say what takes an instance down that cannot start again, or keeps it from going down."""
    if stop.runnable:
        return start.reasons
    held = [r for r in stop.reasons if r.startswith("unrunnable ")]
    required = [r for r in stop.reasons if r.startswith("required ") and r.endswith(" stop")]
    return (*required, *held, *start.reasons)


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
            about = f" for {action.key.removesuffix(f'_{action.task}_0')}"
        return f"Cluster action:  {action.task}{about} on {action.node}"
    interval = action.interval_ms
    if action.task == "cancel":
        interval = int(action.meta.get("interval", "0"))
    task = f"{action.task}={interval}" if interval else action.task
    return f"Resource action: {name:<15} {task} on {action.node}"
