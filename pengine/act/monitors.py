"""Recurring monitors: which start, which go on, which are cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crm.model.names import operation_key
from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.roles import Role
from crm.model.status import HistoryEntry
from pengine.act.actions import Action, Task
from pengine.act.builder import Builder, key_of
from pengine.facts.changes import Change, compare
from pengine.facts.instances import Instance
from pengine.facts.operations import OperationFacts


def _runs_in(operation: OperationFacts, role: Role) -> bool:
    if operation.role is Role.PROMOTED or role is Role.PROMOTED:
        return _is_recurring(operation) and operation.role is role
    return _is_recurring(operation) and operation.role in (None, Role.STARTED, Role.UNPROMOTED)


def _is_recurring(operation: OperationFacts) -> bool:
    if operation.is_ambiguous:
        return False
    return operation.name == "monitor" and operation.interval_ms > 0 and operation.enabled


def recorded(builder: Builder, instance: Instance, node: str) -> list[HistoryEntry]:
    """List the recurring operations that go on on a node."""
    found = builder.facts.activity[instance.id].at(node)
    if found is None:
        return []
    return [
        entry
        for entry in found.entries[_since(found.entries) :]
        if entry.interval_ms > 0
        and entry.status not in (OperationStatus.CANCELLED, OperationStatus.PENDING)
        and not entry.id.endswith("_last_failure_0")
    ]


def _since(entries: Sequence[HistoryEntry]) -> int:
    """Find where the present life of a resource begins in its history.

    What recurred before the last start went on no longer; a change of role counts as a beginning
    where no start is recorded.
    """
    began, changed, looked, ended = -1, -1, -1, -1
    for index, entry in enumerate(entries):
        match entry.operation:
            case "stop" if entry.exit_code == ExitCode.OK:
                ended = index
            case "start" | "migrate_from":
                began = index
            case "monitor" if looked <= ended and entry.exit_code in _RUNNING:
                looked = index
            case "promote" | "demote":
                changed = index
            case _:
                pass
    if began < 0:
        began = changed if changed >= 0 else looked
    return len(entries) if began < ended else max(0, began)


_RUNNING = (ExitCode.OK, ExitCode.PROMOTED)


def add_cancels(builder: Builder) -> None:
    """Cancel recurring operations that are no longer configured; renew those that changed."""
    facts = builder.facts
    if not facts.settings.cancel_removed_actions:
        return
    for instance in facts.instances():
        if instance.is_removed:
            continue
        for node in facts.activity[instance.id].nodes:
            if not builder.nodes[node].may_act:
                continue
            for entry in recorded(builder, instance, node):
                _judge_recorded(builder, instance, node, entry)


def _judge_recorded(builder: Builder, instance: Instance, node: str, entry: HistoryEntry) -> None:
    configured = [
        o
        for o in instance.operations
        if o.name == entry.operation and o.interval_ms == entry.interval_ms and o.enabled
    ]
    is_kept_off = builder.nodes[node].maintenance or instance.meta.maintenance
    if not configured or is_kept_off:
        builder.add(_cancel(builder, instance, node, entry))
        return
    parameters = {**builder.facts.parameters(instance, node), **configured[0].parameters}
    change = compare(entry, parameters, entry.interval_ms, configured[0].timeout_ms)
    if change is Change.RESTART and node == builder.placement.node_of(instance.id):
        builder.add(_monitor(builder, instance, configured[0], node, needed=True))


def _cancel(builder: Builder, instance: Instance, node: str, entry: HistoryEntry) -> Action:
    key = operation_key(instance.id, entry.operation, entry.interval_ms)
    return Action(
        id=(f"cancel {key}", node),
        task=Task.CANCEL,
        owner=instance.id,
        node=node,
        interval_ms=entry.interval_ms,
        instance=instance,
        operation=builder.operation(instance, "cancel"),
        call_id=entry.call_id,
        needed=True,
        reasons=("the operation is no longer configured",),
    )


def _monitor(
    builder: Builder, instance: Instance, operation: OperationFacts, node: str, *, needed: bool
) -> Action:
    return Action(
        id=(key_of(instance, Task.MONITOR, operation.interval_ms), node),
        task=Task.MONITOR,
        owner=instance.id,
        node=node,
        interval_ms=operation.interval_ms,
        instance=instance,
        operation=operation,
        needed=needed,
        runnable=builder.nodes[node].may_act,
    )


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
    known = {(e.operation, e.interval_ms) for e in recorded(builder, instance, node)}
    is_there = node in facts.activity[instance.id].nodes
    role = builder.placement.role_of(instance.id)
    for operation in instance.operations:
        if not _runs_in(operation, role):
            if is_there and role.is_active and operation.role is not Role.STOPPED:
                _cancel_for_role(builder, instance, node, operation)
            continue
        is_running = is_there and (operation.name, operation.interval_ms) in known
        action = _monitor(builder, instance, operation, node, needed=not is_running)
        if role is Role.PROMOTED:
            action = replace(action, expected_rc=ExitCode.PROMOTED)
        builder.add(action)


def _cancel_for_role(
    builder: Builder, instance: Instance, node: str, operation: OperationFacts
) -> None:
    """End the monitor of a role that an instance is about to leave."""
    if not _is_recurring(operation):
        return
    for entry in recorded(builder, instance, node):
        if (entry.operation, entry.interval_ms) == (operation.name, operation.interval_ms):
            builder.add(_cancel(builder, instance, node, entry))


def add_stopped_monitors(builder: Builder, instance: Instance) -> None:
    """Add the monitors for role Stopped, wherever the instance shall not run.

    They make sure that nobody starts it there by hand. Copies of anonymous clones have none.
    """
    target = builder.placement.node_of(instance.id)
    operations = [o for o in instance.operations if _is_recurring(o) and o.role is Role.STOPPED]
    if not operations or instance.is_removed or not instance.is_unique:
        return
    active = builder.facts.activity[instance.id].nodes
    is_managed = builder.facts.is_managed(instance)
    for node in builder.facts.nodes:
        if not node.may_act or node.maintenance:
            continue
        if node.name == target:
            _cancel_before_start(builder, instance, node.name, operations)
            continue
        known = {(e.operation, e.interval_ms) for e in recorded(builder, instance, node.name)}
        for operation in operations:
            is_running = (operation.name, operation.interval_ms) in known
            needed = not is_running or (node.name in active and is_managed)
            action = _monitor(builder, instance, operation, node.name, needed=needed)
            builder.add(replace(action, expected_rc=ExitCode.NOT_RUNNING))


def _cancel_before_start(
    builder: Builder, instance: Instance, node: str, operations: list[OperationFacts]
) -> None:
    """End the monitors for role Stopped where the instance is about to start."""
    if node in builder.facts.activity[instance.id].nodes:
        return
    wanted = {(o.name, o.interval_ms) for o in operations}
    for entry in recorded(builder, instance, node):
        if (entry.operation, entry.interval_ms) in wanted:
            builder.add(_cancel(builder, instance, node, entry))
