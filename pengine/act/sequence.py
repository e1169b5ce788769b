"""The order in which the actions of one resource come up, where it is not that of the passes.

Of each resource the newest action stands first in the graph. What a node remembers comes up
before anything is decided: a monitor that has to be renewed is as old as the history it stands
in. The steps of an instance come up on the way down, then on the way up, then to another role.
"""

from __future__ import annotations

from crm.model.names import operation_key
from pengine.act.actions import ActionId, Task
from pengine.act.builder import Builder, key_of
from pengine.act.monitors import recorded
from pengine.facts.history import OnNode
from pengine.facts.instances import Instance
from pengine.facts.operations import OnFail


def expect_what_is_remembered(builder: Builder) -> None:
    """Put first what histories are about: recurring operations, and stops of what failed."""
    facts = builder.facts
    for instance in facts.instances():
        state = facts.activity[instance.id]
        for node, on_node in (state.on_node or {}).items():
            if facts.why_cleared(instance, node):
                builder.expect(_key(instance, Task.CLEAR_FAIL_COUNT, node))
            if builder.nodes[node].was_open:
                for entry in recorded(builder, instance, node):
                    key = operation_key(instance.id, entry.operation, entry.interval_ms)
                    # What is cancelled is the operation itself, as old as its history.
                    builder.expect((f"cancel {key}", node))
                    builder.expect((key, node))
            if node in state.stops and not _goes_with_container(builder, instance, on_node):
                builder.expect(_key(instance, Task.STOP, node))


def _goes_with_container(builder: Builder, instance: Instance, on_node: OnNode) -> bool:
    """Tell whether a failure stops the container, and what is in it only for that reason."""
    connection = builder.facts.connections.get(instance.id)
    is_connection = connection is not None and bool(connection.container)
    return is_connection or on_node.on_fail is OnFail.RESTART_CONTAINER


def expect_unfencings(builder: Builder) -> None:
    """Put turning nodes on before everything that is decided about resources."""
    for node in builder.facts.nodes:
        builder.expect((f"stonith-{node.name}-on", node.name))


def expect_departures(builder: Builder) -> None:
    """Let fencings and shutdowns come up node by node."""
    for node in builder.facts.nodes:
        for word in ("reboot", "off"):
            builder.expect((f"stonith-{node.name}-{word}", node.name))
        builder.expect((f"do_shutdown-{node.name}", node.name))


def expect_steps(builder: Builder, instance: Instance) -> None:
    """Say how the steps of an instance follow each other: down where it is, up where it will be.

    Of what stays and leads, the start comes first: whether it has to start again decides whether
    it has to go down at all.
    """
    state = builder.facts.activity[instance.id]
    target = builder.placement.node_of(instance.id)
    stays = target is not None and target in state.nodes and not state.failed
    for node in (*state.dangling, *state.left_for):
        builder.expect(_key(instance, Task.STOP, node))
    if instance.is_promotable and state.is_promoted and stays and not state.blocked:
        builder.expect(_key(instance, Task.START, target or ""))
    for task in (Task.DEMOTE, Task.STOP):
        for node in state.nodes:
            builder.expect(_key(instance, task, node))
    if target is not None:
        builder.expect(_key(instance, Task.START, target))
        builder.expect(_key(instance, Task.PROMOTE, target))


def _key(instance: Instance, task: Task, node: str) -> ActionId:
    return (key_of(instance, task, 0), node)
