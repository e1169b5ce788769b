"""Live migration: out of the source while running, into the target, then a stop behind it.

Whether it stays possible is settled with the orderings: what waits for a restart cannot migrate.
Until then the stop and the start exist as usual and carry the migration they would be part of.
"""

from __future__ import annotations

from msgspec.structs import replace

from pengine.act.actions import Action, Task
from pengine.act.builder import Builder, key_of
from pengine.facts.instances import Instance


def may_migrate(builder: Builder, instance: Instance) -> bool:
    """Tell whether an instance is to move, and by itself could do so while running."""
    facts = builder.facts
    state = facts.activity[instance.id]
    source, target = state.here, builder.placement.choices[instance.id].node
    if source is None or target is None or source == target:
        return False
    if not instance.meta.allow_migrate or instance.number is not None or instance.is_removed:
        return False
    if state.dangling:
        return False  # A stop that is no part of it is due: it would end the migration.
    if not facts.is_managed(instance) or state.failed or state.lost or state.is_starting:
        return False
    if not builder.nodes[source].may_act or not builder.nodes[target].may_act:
        return False
    if len(state.nodes) == 1:
        return state.migrating is None
    return set(state.nodes) == {source, target} and state.migrating == (source, target)


def add_migration(builder: Builder, instance: Instance) -> None:
    """Add the actions of a migration, or of the half of it that is left."""
    state = builder.facts.activity[instance.id]
    source, target = state.here, builder.placement.choices[instance.id].node
    assert source is not None
    assert target is not None
    way = (source, target)
    stop = builder.stop(instance, source, needed=True)
    start = builder.start(instance, target, needed=True)
    if not start.runnable or not stop.runnable:
        return
    for action in (stop, start):
        builder.add(replace(action, migration=way))
    if state.migrating is None:
        builder.add(_part(builder, instance, Task.MIGRATE_TO, source, way))
    builder.add(_part(builder, instance, Task.MIGRATE_FROM, target, way))


def _part(
    builder: Builder, instance: Instance, task: Task, node: str, way: tuple[str, str]
) -> Action:
    return Action(
        id=(key_of(instance, task, 0), node),
        task=task,
        owner=instance.id,
        node=node,
        instance=instance,
        operation=builder.operation(instance, task.value),
        migration=way,
    )


def add_stops_of_dangling(builder: Builder, instance: Instance) -> None:
    """Stop an instance on nodes it has left by a migration that was not tidied up."""
    for node in builder.facts.activity[instance.id].dangling:
        if builder.nodes[node].may_act:
            stop = builder.stop(instance, node, needed=True, reason="dangling migration")
            builder.add(replace(stop, is_tidying=True))
    for node in builder.facts.activity[instance.id].left_for:
        builder.stop(instance, node, needed=True)
