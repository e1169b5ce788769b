"""What copies are told: of which step, and which copies act, run and stand where.

All notices of a clone, and the steps they are about, carry the same lists, so that an agent knows
its peers before and after (docs/scheduler/notices.md). An empty list is a blank: agents tell one
that is empty from one that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from crm.model.roles import Role
from pengine.act.actions import Action, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import CloneInstance, Instance, instances_of
from pengine.order.plan import Plan
from pengine.place.placement import Placement

STEPS = (Task.START, Task.STOP, Task.PROMOTE, Task.DEMOTE)
"""The steps of copies that others are told of."""

_OLD_NAMES = {"promoted": "master", "unpromoted": "slave"}
"""What agents of old call the roles; both names are given."""

_BEGINS = {
    "running": "start",
    "stopped": "stop",
    "promoted": "promote",
    "demoted": "demote",
    "stonith": "stop",
}
"""The step that is over at a mark. A fencing stops what ran there."""

_MARK = re.compile(r".*_((?:confirmed-)?(pre|post))_notify_(\w+)_0")

Entry = tuple[str, str]
"""An instance and a node, or "" for nowhere."""


def words_of(action: Action) -> dict[str, str]:
    """Say what a notice or its mark is about: the step, and the mark it belongs to.

    A notice names the mark that sets it off, of several the first (case interleave-pseudo-stop).
    """
    mark = _MARK.fullmatch(action.told_at or action.id[0])
    assert mark is not None, action.id
    kind, when, about = mark.groups()
    return {
        "notify_type": when,
        "notify_operation": _BEGINS.get(about, about),
        "notify_key_type": kind,
        "notify_key_operation": about,
    }


def lists_of(
    facts: Facts, placement: Placement, plan: Plan, clone: CloneInstance
) -> dict[str, str]:
    """Make the lists that go with the notices of a clone."""
    members = list(instances_of(clone))
    found: dict[str, str] = {}
    for step in STEPS:
        found |= _pair(step.value, _acting(facts, plan, members, step))
    for name, entries in _by_role(facts, members).items():
        found |= _pair(name, entries)
        if name in _OLD_NAMES:
            found |= _pair(_OLD_NAMES[name], entries)
    idle = [(m.id, "") for m in members if not facts.activity[m.id].nodes]
    found["notify_inactive_resource"] = _pair("inactive", idle)["notify_inactive_resource"]
    return found | _nodes(facts, placement, clone)


def _acting(facts: Facts, plan: Plan, members: Iterable[Instance], step: Task) -> Iterator[Entry]:
    """Yield what takes a step; a stop on a node that is lost counts although nobody can do it."""
    for member in members:
        for action in plan.actions_of(member.id):
            if action.task is not step or not action.needed or not action.node:
                continue
            if action.runnable or (step is Task.STOP and facts.node(action.node).unclean):
                yield member.id, action.node


def _by_role(facts: Facts, members: Iterable[Instance]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {"active": [], "promoted": [], "unpromoted": []}
    for member in members:
        state = facts.activity[member.id]
        if state.role is Role.STOPPED:
            continue
        entry = (member.id, state.here or "")
        found["active"].append(entry)
        if state.role is Role.PROMOTED:
            found["promoted"].append(entry)
        elif member.is_promotable:
            found["unpromoted"].append(entry)
    return found


def _pair(name: str, entries: Iterable[Entry]) -> dict[str, str]:
    """Write a list of instances and the list of their nodes; an instance is listed once."""
    nodes: dict[str, str] = {}
    for instance, node in sorted(entries):
        nodes.setdefault(instance, node)
    return {
        f"notify_{name}_resource": " ".join(nodes) or " ",
        f"notify_{name}_uname": " ".join(filter(None, nodes.values())) or " ",
    }


def _nodes(facts: Facts, placement: Placement, clone: CloneInstance) -> dict[str, str]:
    allowed = {line.node for line in placement.table.lines if line.resource == clone.id}
    allowed -= _left_out(facts, placement, clone)
    names = [node.name for node in facts.nodes]
    found = {
        "notify_available_uname": " ".join(name for name in names if name in allowed) or " ",
        "notify_all_uname": " ".join(names) or " ",
    }
    if clone.meta.pairs.get("container-attribute-target") == "host":
        hosts = [_host(facts, placement, name) for name in names]
        found["notify_all_hosts"] = " ".join(filter(None, hosts)) or " "
    return found


def _left_out(facts: Facts, placement: Placement, clone: CloneInstance) -> set[str]:
    """Name the nodes that exclusive discovery leaves out, as far as anything is looked for there.

    A node that does not answer is available all the same (case remote-recover-unknown).
    """
    if not facts.settings.enable_startup_probes:
        return set()
    names = {c.node for c in placement.table.about(clone.id) if c.source == "resource-discovery"}
    return {name for name in names if facts.node(name).online and not facts.node(name).unclean}


def _host(facts: Facts, placement: Placement, name: str) -> str:
    container = facts.node(name).container
    if not container:
        return name
    return facts.activity[container].here or placement.node_of(container) or ""
