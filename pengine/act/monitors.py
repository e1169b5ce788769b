"""Recurring monitors: which start, which go on, which a change of role ends."""

from __future__ import annotations

from msgspec.structs import replace

from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.roles import Role
from crm.model.status import HistoryEntry
from pengine.act.actions import Task
from pengine.act.builder import Builder, key_of
from pengine.act.changes import cancellation, current_entries, is_renewed, monitoring
from pengine.facts.instances import Instance
from pengine.facts.operations import OperationFacts


def recorded(builder: Builder, instance: Instance, node: str) -> list[HistoryEntry]:
    """List the recurring operations that go on on a node."""
    found = builder.facts.activity[instance.id].at(node)
    if found is None:
        return []
    return [
        entry
        for entry in current_entries(found.entries)
        if entry.interval_ms > 0 and entry.status != OperationStatus.PENDING
    ]


def add_monitors(builder: Builder, instance: Instance) -> None:
    """Add the recurring monitors of an instance on the node it will be on."""
    facts = builder.facts
    node = builder.placement.choices[instance.id].node
    if instance.is_removed or node is None or builder.nodes[node].maintenance:
        return
    if instance.meta.maintenance or facts.settings.maintenance:
        return
    if not facts.is_managed(instance) and not facts.activity[instance.id].nodes:
        return
    if facts.is_blocked(instance):
        return
    start = builder.start(instance, node, needed=False)
    known = {(e.operation, e.interval_ms) for e in recorded(builder, instance, node)}
    is_there = node in facts.activity[instance.id].nodes
    role = builder.placement.role_of(instance.id)
    for operation in instance.operations:
        if not operation.runs_in(role):
            is_other = operation.enabled and operation.role is not Role.STOPPED
            # What starts anew has no monitors that would have to be ended.
            if is_there and role.is_active and is_other and not start.needed:
                _cancel_for_role(builder, instance, node, operation)
            continue
        is_running = is_there and (operation.name, operation.interval_ms) in known
        needed = not is_running or start.needed
        action = monitoring(builder, instance, operation, node, needed=needed)
        if action.runnable and not start.runnable:
            action = replace(action, runnable=False)
        if role is Role.PROMOTED:
            action = replace(action, expected_rc=ExitCode.PROMOTED)
        builder.add(action)


def _cancel_for_role(
    builder: Builder, instance: Instance, node: str, operation: OperationFacts
) -> None:
    """End the monitor of a role that an instance is about to leave."""
    if not operation.is_recurring or not builder.nodes[node].was_open:
        return
    for entry in recorded(builder, instance, node):
        key = (entry.operation, entry.interval_ms)
        is_it = key == (operation.name, operation.interval_ms)
        if is_it and not is_renewed(builder, instance, node, entry, operation):
            cancel = cancellation(builder, instance, node, entry)
            leads = operation.role is Role.PROMOTED
            builder.add(replace(cancel, about=Task.DEMOTE if leads else Task.PROMOTE))


def add_monitors_left(builder: Builder) -> None:
    """Add what goes on behind connections and is not planned to go on there.

    It would be taken along by a connection that restarts (case bug-rh-1097457).
    """
    for node in builder.facts.nodes:
        if not node.is_remote or not node.was_online:
            continue
        for instance in builder.facts.instances():
            if instance.is_removed or node.name not in builder.facts.activity[instance.id].nodes:
                continue
            if builder.placement.node_of(instance.id) is None:
                continue  # Of what goes for good nothing is looked at any more.
            known = {(e.operation, e.interval_ms) for e in recorded(builder, instance, node.name)}
            for operation in instance.operations:
                name = key_of(instance, Task.MONITOR, operation.interval_ms)
                is_decided = any(
                    (key, node.name) in builder.actions for key in (name, f"cancel {name}")
                )
                if (operation.name, operation.interval_ms) in known and not is_decided:
                    action = monitoring(builder, instance, operation, node.name, needed=False)
                    builder.add(replace(action, is_left=True))


def add_stopped_monitors(builder: Builder, instance: Instance) -> None:
    """Add the monitors for role Stopped, wherever the instance shall not run.

    They make sure that nobody starts it there by hand. Copies of anonymous clones have none.
    """
    target = builder.placement.node_of(instance.id)
    operations = [o for o in instance.operations if o.is_recurring and o.role is Role.STOPPED]
    if not operations or instance.is_removed or not instance.is_unique:
        return
    if instance.meta.maintenance or builder.facts.settings.maintenance:
        return
    if builder.facts.is_blocked(instance):
        return
    if target is not None and builder.nodes[target].maintenance:
        return
    active = builder.facts.activity[instance.id].nodes
    if any(builder.nodes[name].maintenance for name in active):
        return  # It is in maintenance itself then. Elsewhere maintenance is no reason not to look.
    is_managed = builder.facts.is_managed(instance)
    for node in builder.facts.nodes:
        if not node.may_act:
            continue
        if node.name == target:
            _cancel_before_start(builder, instance, node.name, operations)
            continue
        known = {(e.operation, e.interval_ms) for e in recorded(builder, instance, node.name)}
        for operation in operations:
            is_running = (operation.name, operation.interval_ms) in known
            needed = not is_running or (node.name in active and is_managed)
            action = monitoring(builder, instance, operation, node.name, needed=needed)
            builder.add(replace(action, expected_rc=ExitCode.NOT_RUNNING))


def _cancel_before_start(
    builder: Builder, instance: Instance, node: str, operations: list[OperationFacts]
) -> None:
    """End the monitors for role Stopped where the instance is about to start."""
    wanted = {(o.name, o.interval_ms) for o in operations}
    for entry in recorded(builder, instance, node):
        if (entry.operation, entry.interval_ms) in wanted:
            cancel = cancellation(builder, instance, node, entry)
            builder.add(replace(cancel, about=Task.START))
