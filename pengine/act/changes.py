"""Acts on a configuration that changed since something was started: restart, reload, renewal.

What runs is compared with what the configuration says today, node by node, entry by entry of the
history since the resource came up there. Nothing here depends on where things will be placed:
what is restarted may move at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from crm.model.names import operation_key
from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.status import HistoryEntry
from pengine.act.actions import Action, Task
from pengine.act.builder import Builder, key_of
from pengine.act.housekeeping import add_clearing
from pengine.act.unfencing import add_unfencing
from pengine.facts.changes import Change, compare
from pengine.facts.expiry import is_last_failure
from pengine.facts.history import OnNode
from pengine.facts.instances import Instance, Requires
from pengine.facts.nodes import NodeFacts
from pengine.facts.operations import OperationFacts

REASON = "resource definition change"

_RUNNING = (ExitCode.OK, ExitCode.PROMOTED)
_COMPARED = frozenset({"monitor", "start", "promote", "migrate_from"})
"""One-time operations that ran with the parameters of the start."""


def add_changes(builder: Builder) -> None:
    """Find on every node what no longer agrees with the configuration."""
    for instance, node, on_node in list(_remembered(builder)):
        if on_node.agent_changed:
            _change_agent(builder, instance, node)
        entries = _entries(builder, instance, node, on_node)
        current = {(e.operation, e.interval_ms) for e in entries if not is_last_failure(e)}
        for entry in entries:
            # The copy of a failure says nothing new beside the last result, if it says anything.
            is_copy = is_last_failure(entry) and (entry.operation, entry.interval_ms) in current
            if entry.interval_ms > 0 and not (is_copy and entry.digest):
                _judge_recurring(builder, instance, node, entry)
            elif entry.interval_ms == 0 and entry.operation in _COMPARED:
                _judge_once(builder, instance, node, entry)


def _remembered(builder: Builder) -> Iterator[tuple[Instance, NodeFacts, OnNode]]:
    remembered: dict[str, list[tuple[Instance, OnNode]]] = {}
    for instance in builder.facts.instances():
        for name, state in (builder.facts.activity[instance.id].on_node or {}).items():
            remembered.setdefault(name, []).append((instance, state))
    for node in builder.facts.nodes:
        if not node.is_looked_through:
            continue
        for instance, on_node in remembered.get(node.name, ()):
            if not instance.is_removed:
                yield instance, node, on_node
            if on_node.agent_changed and not (instance.is_unique and not instance.is_removed):
                for namesake in _namesakes(builder, instance, on_node.name):
                    yield namesake, node, replace(on_node, entries=())


def _namesakes(builder: Builder, instance: Instance, name: str) -> Iterator[Instance]:
    """Find the other copies that any node knows by a name, or that have it.

    What another agent left behind under it is forgotten in the name of each of them (case
    order_constraint_stops_promoted).
    """
    for other in builder.facts.instances():
        if other.is_removed or other is instance or other.history_id != instance.history_id:
            continue
        known = (builder.facts.activity[other.id].on_node or {}).values()
        if other.id == name or any(state.name == name for state in known):
            yield other


def _entries(
    builder: Builder, instance: Instance, node: NodeFacts, on_node: OnNode
) -> Sequence[HistoryEntry]:
    is_active = node.name in builder.facts.activity[instance.id].nodes
    return current_entries(on_node.entries) if is_active else ()


def current_entries(entries: Sequence[HistoryEntry]) -> Sequence[HistoryEntry]:
    """Keep the entries of the present life of a resource: those from its last start on.

    A change of role counts as a beginning where no start is recorded, then a monitor that found
    it running.
    """
    began, changed, looked, ended = -1, -1, -1, -1
    for index, entry in enumerate(entries):
        match entry.operation:
            case "stop" if entry.status == OperationStatus.DONE:
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
    return () if began < ended else entries[max(0, began) :]


# --- what was changed -----------------------------------------------------------------------


def _change_agent(builder: Builder, instance: Instance, node: NodeFacts) -> None:
    """Stop what another agent runs, and forget what it left behind."""
    state = builder.facts.activity[instance.id]
    _unfence(builder, instance, node, "Device definition changed")
    if node.name in state.nodes and builder.facts.is_managed(instance):
        builder.stop(instance, node.name, needed=True)
    if node.may_act and not state.failed:
        builder.add(deletion(builder, instance, node.name, "its agent is another one now"))


def _judge_recurring(
    builder: Builder, instance: Instance, node: NodeFacts, entry: HistoryEntry
) -> None:
    if entry.status == OperationStatus.CANCELLED:
        return
    # What goes nowhere loses its monitors with its stop.
    goes_on = builder.placement.node_of(instance.id) is not None
    if node.maintenance or instance.meta.maintenance or builder.facts.settings.maintenance:
        if goes_on:
            builder.add(cancellation(builder, instance, node.name, entry))
        return
    configured = _configured(instance, entry)
    if configured is None:
        if builder.facts.settings.cancel_removed_actions and goes_on:
            builder.add(cancellation(builder, instance, node.name, entry))
        _try_anew(builder, instance, node)
        return
    if not is_renewed(builder, instance, node.name, entry, configured):
        return
    _unfence(builder, instance, node, "Device parameters changed (reschedule)")
    role = builder.placement.role_of(instance.id)
    stays = node.name == builder.placement.node_of(instance.id) and configured.runs_in(role)
    if stays and instance.id not in builder.facts.tickets.frozen:
        builder.add(monitoring(builder, instance, configured, node.name, needed=True))
    _try_anew(builder, instance, node)


def is_renewed(
    builder: Builder, instance: Instance, node: str, entry: HistoryEntry, configured: OperationFacts
) -> bool:
    """Tell whether a recurring operation is to begin anew: it is defined otherwise, or forgotten.

    What begins anew is not cancelled, even where no role asks for it (case on_fail_demote1).
    """
    change = compare(
        entry,
        builder.facts.parameters(instance, node),
        configured.parameters,
        interval_ms=entry.interval_ms,
        timeout_ms=configured.timeout_ms,
    )
    on_node = builder.facts.activity[instance.id].at(node)
    if change is not Change.NONE or on_node is None or entry not in on_node.expired:
        return change is not Change.NONE
    # The copy of an old failure says nothing beside the last result.
    key = (entry.operation, entry.interval_ms)
    others = (e for e in on_node.entries if (e.operation, e.interval_ms) == key)
    return not is_last_failure(entry) or all(is_last_failure(other) for other in others)


def _try_anew(builder: Builder, instance: Instance, node: NodeFacts) -> None:
    """Forget the failures of what is defined otherwise now."""
    count = builder.facts.fail_counts.get((instance.id, node.name))
    if count is not None and count.effective > 0:
        add_clearing(builder, instance, node.name, "action definition changed")


def _configured(instance: Instance, entry: HistoryEntry) -> OperationFacts | None:
    key = (entry.operation, entry.interval_ms)
    found = (o for o in instance.operations if (o.name, o.interval_ms) == key and o.enabled)
    return next(found, None)


def _judge_once(builder: Builder, instance: Instance, node: NodeFacts, entry: HistoryEntry) -> None:
    own = builder.operation(instance, "start").parameters
    change = compare(entry, builder.facts.parameters(instance, node.name), own)
    if change is Change.NONE:
        return
    is_reload = change is not Change.RESTART and bool(entry.restart_digest)
    _renew(builder, instance, node, is_reload=is_reload)
    _try_anew(builder, instance, node)


def _renew(builder: Builder, instance: Instance, node: NodeFacts, *, is_reload: bool) -> None:
    """Let an instance have its new parameters: by a reload, else by a restart."""
    if is_reload:
        _unfence(builder, instance, node, "Device parameters changed (reload)")
        _reload(builder, instance, node)
        return
    _unfence(builder, instance, node, "Device parameters changed")
    target = builder.placement.node_of(instance.id)
    if not builder.facts.is_managed(instance):
        return
    if target is not None:
        builder.start(instance, target, needed=True, reason=_reason(builder, instance))
        return
    # It had to start anew if it could; what waits for that is told so (case group11).
    builder.add(
        Action(
            id=(key_of(instance, Task.START, 0), ""),
            task=Task.START,
            owner=instance.id,
            instance=instance,
            needed=True,
            runnable=False,
            reasons=(_reason(builder, instance),),
        )
    )


def _reason(builder: Builder, instance: Instance) -> str:
    """Give the reason of a restart, which what requires nothing does not keep (case params-2)."""
    return "" if instance.meta.requires is Requires.NOTHING else REASON


def _reload(builder: Builder, instance: Instance, node: NodeFacts) -> None:
    """Let the agent take over new parameters while the service runs.

    While a start is under way nobody knows with which parameters, so it is stopped and started
    instead (case params-3).
    """
    state = builder.facts.activity[instance.id]
    if state.failed or not builder.facts.is_managed(instance):
        return
    if state.pending == "start":
        builder.stop(instance, node.name, needed=True)
        return
    builder.add(
        Action(
            id=(key_of(instance, Task.RELOAD, 0), node.name),
            task=Task.RELOAD,
            owner=instance.id,
            node=node.name,
            instance=instance,
            operation=builder.operation(instance, Task.RELOAD.value),
            needed=True,
            reasons=(REASON,),
        )
    )


def _unfence(builder: Builder, instance: Instance, node: NodeFacts, reason: str) -> None:
    """Turn a node on anew when a fence device is defined otherwise: it may mean other nodes now."""
    if instance.resource.agent.is_fencing:
        add_unfencing(builder, node, reason)


def add_deletions_of_removed(builder: Builder) -> None:
    """Forget a removed resource on every node that remembers it."""
    facts = builder.facts
    if not facts.settings.stop_removed_resources:
        return
    for instance in facts.removed:
        if instance.history_id != instance.id:
            continue  # A copy too many: what its node remembers is about the other copies.
        if facts.activity[instance.id].failed:
            continue  # What failed is kept for those who want to know why.
        remembered = facts.activity[instance.id].on_node or {}
        for node in facts.nodes:
            # Histories of nodes that can start nothing are not looked through.
            if node.name in remembered and node.is_looked_through:
                builder.add(deletion(builder, instance, node.name, "it is no longer configured"))


# --- the actions ----------------------------------------------------------------------------


def cancellation(builder: Builder, instance: Instance, node: str, entry: HistoryEntry) -> Action:
    """Make the action that ends a recurring operation.

    What can run nowhere stops, and that ends it as well.
    """
    goes_on = builder.placement.node_of(instance.id) is not None
    key = operation_key(instance.id, entry.operation, entry.interval_ms)
    return Action(
        id=(f"cancel {key}", node),
        task=Task.CANCEL,
        owner=instance.id,
        node=node,
        interval_ms=entry.interval_ms,
        instance=instance,
        operation=builder.facts.operation(instance, entry.operation, entry.interval_ms),
        call_id=entry.call_id,
        needed=True,
        runnable=goes_on and not builder.nodes[node].is_cut_off,
        reasons=("the operation is no longer configured",),
    )


def monitoring(
    builder: Builder, instance: Instance, operation: OperationFacts, node: str, *, needed: bool
) -> Action:
    """Make the action that starts a recurring operation, or starts it anew."""
    return Action(
        id=(key_of(instance, Task.MONITOR, operation.interval_ms), node),
        task=Task.MONITOR,
        owner=instance.id,
        node=node,
        interval_ms=operation.interval_ms,
        instance=instance,
        history_name=builder.facts.history_name(instance),
        operation=operation,
        needed=needed,
        runnable=builder.nodes[node].may_act,
    )


def deletion(builder: Builder, instance: Instance, node: str, reason: str) -> Action:
    """Make the action that lets a node forget an instance."""
    return Action(
        id=(key_of(instance, Task.DELETE, 0), node),
        task=Task.DELETE,
        owner=instance.id,
        node=node,
        instance=instance,
        operation=builder.facts.operation(instance, "delete"),
        needed=True,
        reasons=(reason,),
    )
