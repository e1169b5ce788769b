"""Looks at the state of resources where it is unknown: one monitor per resource and node."""

from __future__ import annotations

from collections.abc import Iterator

from crm.model.constraints import Discovery
from crm.model.outcomes import ExitCode
from pengine.act.actions import Action, Task
from pengine.act.builder import Builder, key_of
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    discovered_with,
    instances_of,
)
from pengine.facts.nodes import NodeFacts

Copy = Instance | GroupInstance


def add_probes(builder: Builder) -> None:
    """Add every probe that is due, node by node."""
    facts = builder.facts
    if not facts.settings.enable_startup_probes:
        return
    hidden = _never_looked_for(facts)
    asked = _Asked(builder)
    for node in facts.nodes:
        if not node.online or node.unclean or not _is_searched(facts, node):
            continue
        is_fresh = _is_fresh(builder, node)
        if is_fresh and not facts.activity[node.container].nodes:
            continue
        for item in _looked_for_on(facts, node.name):
            for instance in _to_probe(facts, asked, item, node.name):
                if (instance.id, node.name) in hidden or not _may_be_on(facts, instance, node):
                    continue
                if is_fresh:
                    starting = item if isinstance(item, CloneInstance) else instance
                    builder.afresh[node.container, starting.id] = None
                else:
                    _add_probe(builder, instance, node.name)


def _is_searched(facts: Facts, node: NodeFacts) -> bool:
    """Tell whether a node is looked at; a remote node has to be fenceable to opt out of that."""
    return node.is_searched or (node.kind == "remote" and not facts.settings.fencing_enabled)


def _looked_for_on(facts: Facts, node: str) -> Iterator[Placeable]:
    """Walk over what may be on a node; in the container of a bundle there is nothing else."""
    for item in facts.items:
        if node not in facts.reserved or (
            isinstance(item, BundleInstance) and any(r.node == node for r in item.replicas)
        ):
            yield item


def _is_fresh(builder: Builder, node: NodeFacts) -> bool:
    """Tell whether a node is a guest that is down, or is started anew: nothing can run there."""
    if node.kind != "guest":
        return False
    container = builder.facts.activity.get(node.container)
    if container is None or not container.nodes or container.failed or node.requires_reset:
        return True
    # Where it moves to, another look would come too early, and on its old host too late.
    return builder.placement.node_of(node.container) not in container.nodes


def _may_be_on(facts: Facts, instance: Instance, node: NodeFacts) -> bool:
    """Tell whether an instance may run on a kind of node at all.

    What is inside a container is known by the container.
    """
    if instance.id in facts.contents:
        return False
    if node.kind == "guest" and any(c.container == instance.id for c in facts.connections.values()):
        return False  # No node leads from one guest into another.
    return not (node.is_remote and facts.is_bound_to_members(instance))


def _to_probe(facts: Facts, asked: _Asked, item: Placeable, node: str) -> list[Instance]:
    match item:
        case Instance():
            return [] if facts.activity[item.id].is_known_on(node) else [item]
        case GroupInstance():
            return [m for m in item.members if not facts.activity[m.id].is_known_on(node)]
        case CloneInstance():
            if item.is_unique:
                return [i for i in instances_of(item) if not facts.activity[i.id].is_known_on(node)]
            copy = asked.copy_for(item, node)
            if copy is None or copy.is_removed:
                return []
            return [i for i in instances_of(copy) if not facts.activity[i.id].is_known_on(node)]
        case BundleInstance():
            return [i for i in _parts_on(item, node) if not facts.activity[i.id].is_known_on(node)]


def _parts_on(bundle: BundleInstance, node: str) -> Iterator[Instance]:
    """Walk over what a node may have of a bundle; a node in a container has its own copy only."""
    inside = next((replica for replica in bundle.replicas if replica.node == node), None)
    if inside is None:
        yield from bundle.parts
    elif inside.copy is not None:
        yield inside.copy


class _Asked:
    """Which copy of an anonymous clone is asked for on which node: one is enough.

    The copy asked for is the one that was looked for there before (of a group perhaps only in
    part), else the one that will be there, else the first.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._on_nodes: dict[str, dict[str, Copy]] = {}

    def copy_for(self, clone: CloneInstance, node: str) -> Copy | None:
        """Give the copy to ask for on a node, if the clone has any."""
        found = self._on_nodes.get(clone.id)
        if found is None:
            found = self._on_nodes[clone.id] = {**self._placed(clone), **self._seen(clone)}
        return found.get(node) or next(iter(clone.copies), None)

    def _seen(self, clone: CloneInstance) -> dict[str, Copy]:
        """Give the first copy that each node knows of."""
        found: dict[str, Copy] = {}
        for copy in clone.copies:
            for instance in instances_of(copy):
                state = self._builder.facts.activity[instance.id].on_node or {}
                for name, told in state.items():
                    if told.is_known:
                        found.setdefault(name, copy)
        return found

    def _placed(self, clone: CloneInstance) -> dict[str, Copy]:
        """Give the first copy that each node will have."""
        found: dict[str, Copy] = {}
        for copy in clone.copies:
            for instance in instances_of(copy):
                node = self._builder.placement.node_of(instance.id)
                if node is not None:
                    found.setdefault(node, copy)
        return found


def _add_probe(builder: Builder, instance: Instance, node: str) -> None:
    builder.add(
        Action(
            id=(key_of(instance, Task.MONITOR, 0), node),
            task=Task.MONITOR,
            owner=instance.id,
            node=node,
            instance=instance,
            history_name=builder.facts.history_name(instance),
            operation=builder.operation(instance, "monitor"),
            expected_rc=ExitCode.NOT_RUNNING,
            needed=True,
            runnable=builder.nodes[node].may_act,
            reasons=("its state there is unknown",),
        )
    )


def _never_looked_for(facts: Facts) -> set[tuple[str, str]]:
    """Collect (instance, node) pairs that resource-discovery leaves alone."""
    found: set[tuple[str, str]] = set()
    kept: dict[str, set[str]] = {}
    for preference in facts.links.preferences:
        names = {name for name, _ in preference.scores}
        if preference.discovery is Discovery.NEVER:
            found |= {(preference.resource, name) for name in names}
        elif preference.discovery is Discovery.EXCLUSIVE:
            kept.setdefault(preference.resource, set()).update(names)
    for resource, names in kept.items():
        found |= {(resource, n.name) for n in facts.nodes if n.name not in names}
    if not found:
        return found
    spread = set()
    for item in facts.items:
        for instance in discovered_with(item):
            for node in facts.nodes:
                if {(item.id, node.name), (instance.id, node.name)} & found:
                    spread.add((instance.id, node.name))
    return spread
