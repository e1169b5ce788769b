"""Actions that belong to nodes and counters: shutting down, clearing fail counts; group marks."""

from __future__ import annotations

from pengine.act.actions import ENDS, Action, Task
from pengine.act.builder import Builder, key_of
from pengine.act.notices import add_notice_marks
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    instances_of,
    is_promotable,
)


def add_clearings(builder: Builder) -> None:
    """Clear fail counts of failures that have expired, or were those of another definition."""
    facts = builder.facts
    for instance in facts.instances():
        for name in facts.activity[instance.id].on_node or {}:
            because = facts.why_cleared(instance, name)
            if because and facts.is_normally_managed(instance):
                add_clearing(builder, instance, name, because)


def add_clearings_of_removed(builder: Builder) -> None:
    """Clear fail counts of what is no longer configured."""
    facts = builder.facts
    if not facts.settings.stop_removed_resources:
        return
    for instance in facts.removed:
        for node in facts.nodes:
            count = facts.fail_counts.get((instance.id, node.name))
            if not node.online or not facts.is_looked_after(instance):
                continue
            if count is not None and count.effective > 0:
                add_clearing(builder, instance, node.name, "it is no longer configured")


def add_clearing(builder: Builder, instance: Instance, node: str, reason: str) -> Action:
    """Clear the fail count of one instance on one node."""
    return builder.add(
        Action(
            id=(key_of(instance, Task.CLEAR_FAIL_COUNT, 0), node),
            task=Task.CLEAR_FAIL_COUNT,
            owner=instance.id,
            node=node,
            instance=instance,
            operation=builder.facts.operation(instance, "clear_failcount"),
            needed=True,
            runnable=_can_be_told(builder, node),
            reasons=(reason,),
        )
    )


def _can_be_told(builder: Builder, name: str) -> bool:
    """Tell whether a node can be told to forget failures; a guest that ends cannot."""
    node = builder.nodes[name]
    is_ending = node.kind == "guest" and builder.placement.node_of(node.connection) is None
    return node.is_reachable and not is_ending


def add_lock_removals(builder: Builder) -> None:
    """Forget what a node that was shut down ran once its lock has ended."""
    facts = builder.facts
    by_id = {instance.id: instance for instance in facts.instances()}
    for lock in facts.locks.values():
        if lock.has_ended:
            builder.add(
                Action(
                    id=(f"{lock.instance}_lrm_delete_0", lock.node),
                    task=Task.FORGET,
                    owner="",
                    node=lock.node,
                    instance=by_id[lock.instance],
                    operation=facts.operation(by_id[lock.instance], "lrm_delete"),
                    needed=True,
                    reasons=("its shutdown lock has ended",),
                )
            )


def add_shutdowns(builder: Builder) -> None:
    """Let nodes go that want to leave."""
    for node in builder.facts.nodes:
        leaves = node.shutting_down and node.online and not node.is_remote
        if leaves and not builder.is_fenced(node.name):
            held = _held_by(builder, node.name)
            builder.add(
                Action(
                    id=(f"do_shutdown-{node.name}", node.name),
                    task=Task.SHUTDOWN,
                    owner="",
                    node=node.name,
                    needed=True,
                    runnable=not held,
                    reasons=(f"unrunnable {held} stop",) if held else ("it asked to leave",),
                )
            )


def _held_by(builder: Builder, node: str) -> str:
    """Name what may not stop on a node and so keeps it from leaving, or ""."""
    for instance in builder.facts.instances():
        is_there = node in builder.facts.activity[instance.id].nodes
        if is_there and builder.facts.is_blocked(instance):
            return instance.id
    return ""


_STEPS = (Task.START, Task.STOP)
_GROUP_ROLES = (Task.DEMOTE, Task.PROMOTE)
_CLONE_ROLES = (Task.PROMOTE, Task.DEMOTE)


def add_marks(builder: Builder, item: GroupInstance | CloneInstance | BundleInstance) -> None:
    """Add the marks at which a group or clone begins and ends to start and to stop."""
    # What a bundle does are the steps of its containers.
    parts = item.copies if isinstance(item, BundleInstance) else tuple(instances_of(item))
    acting = [a for i in parts for a in builder.actions_of(i.id)]
    _add_marks_of(builder, item, _STEPS, acting)
    if not isinstance(item, BundleInstance) and is_promotable(item):
        roles = _GROUP_ROLES if isinstance(item, GroupInstance) else _CLONE_ROLES
        for step in roles:
            _add_marks_of(builder, item, (step,), acting)


def add_role_marks(builder: Builder, bundle: BundleInstance) -> None:
    """Add the marks around changes of role in a bundle; what runs inside makes them needed."""
    if bundle.clone is None or not bundle.clone.promotable:
        return
    for begin in _CLONE_ROLES:
        for task in (begin, ENDS[begin]):
            builder.add(
                Action((f"{bundle.id}_{task.value}_0", ""), task, bundle.id, is_pseudo=True)
            )


def _add_marks_of(
    builder: Builder,
    item: GroupInstance | CloneInstance | BundleInstance,
    steps: tuple[Task, ...],
    acting: list[Action],
) -> None:
    is_clone = isinstance(item, CloneInstance | BundleInstance)
    is_up = any(builder.facts.activity[i.id].nodes for i in instances_of(item))
    for begin in steps:
        happens = is_clone and any(a.task is begin and _happens(a) for a in acting)
        for task in (begin, ENDS[begin]):
            builder.add(
                Action(
                    id=(f"{item.id}_{task.value}_0", ""),
                    task=task,
                    owner=item.id,
                    is_pseudo=True,
                    needed=happens,
                    runnable=not is_clone or task is not Task.RUNNING or happens or is_up,
                    is_movable=is_clone and task is Task.STOP and not _restarts(acting),
                )
            )
    if isinstance(item, CloneInstance):
        for begin in steps:
            add_notice_marks(builder, item, begin, ENDS[begin])


def _happens(action: Action) -> bool:
    if action.task in (Task.PROMOTE, Task.DEMOTE):
        return action.needed
    return action.needed and (action.runnable or action.is_pseudo)


def _restarts(acting: list[Action]) -> bool:
    """Tell whether any instance goes down and comes up again."""
    stops = {a.owner for a in acting if a.task is Task.STOP and _happens(a)}
    return any(a.owner in stops for a in acting if a.task is Task.START and _happens(a))


def add_load_marks(builder: Builder) -> None:
    """Add for each node the mark at which what leaves it has made room for what comes.

    Where what needs room runs now comes up before where it might go.
    """
    facts = builder.facts
    names = [node.name for node in facts.nodes]
    marked: dict[str, None] = {}
    for instance in facts.instances():
        if not facts.utilization.needs.get(instance.id) or not facts.is_managed(instance):
            continue
        marked |= dict.fromkeys((*facts.activity[instance.id].nodes, *names))
    for name in marked:
        builder.add(
            Action(
                id=(f"load_stopped_{name}", ""),
                task=Task.LOAD_STOPPED,
                owner="",
                node=name,
                is_pseudo=True,
                needed=True,
            )
        )
