"""What is settled while things are placed: nodes, roles, loads. It does not leave the stage.

An instance is *settled* once it has had its turn, whether it got a node or not. The role it will
have is unknown until something decides it: the administrator, a failure, or promotion.
"""

from __future__ import annotations

from collections.abc import Iterator

from crm.model.roles import Role
from crm.model.score import MINUS_INFINITY, ZERO, Score
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    bundles_in,
    clones_in,
    instances_of,
)
from pengine.facts.nodes import NodeFacts
from pengine.place.tally import Tally


class Ledger:
    """The state of the placing; everything that places writes here."""

    def __init__(self, facts: Facts, tally: Tally) -> None:
        self.facts = facts
        self.tally = tally
        self.nodes: dict[str, NodeFacts] = {node.name: node for node in facts.nodes}
        self.may_run = {node.name for node in facts.nodes if node.may_run}
        self.load = {node.name: 0 for node in facts.nodes}
        self.node_of: dict[str, str | None] = {}
        """The node of each settled instance, or None."""
        self.weight: dict[str, Score] = {}
        """The score an instance had where it was placed, at that moment."""
        self.shared: set[str] = set()
        """The groups, clones and bundles that are settled."""
        self.busy: set[str] = set()
        """What is being placed just now; who asks for it again has found a loop."""
        self.merging: set[str] = set()
        """What is being asked for its scores just now."""
        self.next_role: dict[str, Role] = {}
        self.priority: dict[str, Score] = {}
        """How much a copy would like to lead, once that is known."""
        self.ranking: set[str] = set()
        """The clones whose copies are being ranked for promotion, or have been."""
        self._told_names: dict[str, tuple[str, ...]] = {}
        self._siblings: dict[tuple[str, str], tuple[Instance, ...]] = {}
        self.items: dict[str, Placeable] = {}
        self.parents: dict[str, Placeable] = {}
        for item in facts.everything:
            self._enter(item)
        for clone in clones_in(facts.items):
            self._name_contents(clone)
        bundles = tuple(bundles_in(facts.items))
        self.contents = {r.container.id: r.copy for b in bundles for r in b.replicas if r.copy}
        """What runs in each container."""
        for instance in facts.instances():
            self._foresee(instance)

    def _enter(self, item: Placeable) -> None:
        self.items.setdefault(item.id, item)
        for part in inside(item):
            self.parents[part.id] = item
            self._enter(part)

    def _name_contents(self, clone: CloneInstance) -> None:
        """Let the name of anything inside a clone mean the clone."""
        self.items.setdefault(clone.child_id, clone)
        for instance in instances_of(clone):
            self.items.setdefault(instance.resource.id, clone)

    def _foresee(self, instance: Instance) -> None:
        """Note the role an instance will have, where that is known before it is placed."""
        wanted, state = instance.meta.target_role, self.facts.activity[instance.id]
        if instance.meta.must_stop or state.must_stop or state.limit is Role.STOPPED:
            self.next_role[instance.id] = Role.STOPPED
        elif Role.UNPROMOTED in (wanted, state.limit) and instance.is_promotable:
            self.next_role[instance.id] = Role.UNPROMOTED

    # --- what is settled ---------------------------------------------------------------------

    def is_settled(self, item: Placeable) -> bool:
        """Tell whether something has had its turn."""
        return item.id in (self.node_of if isinstance(item, Instance) else self.shared)

    def settle(self, instance: Instance, node: str | None, weight: Score = ZERO) -> None:
        """Note where an instance goes."""
        self.unsettle(instance)
        self.node_of[instance.id] = node
        self.weight[instance.id] = weight
        if node is not None:
            self.load[node] += 1

    def unsettle(self, instance: Instance) -> str | None:
        """Undo `settle`; give the node it had."""
        node = self.node_of.pop(instance.id, None)
        if node is not None:
            self.load[node] -= 1
        return node

    def place_of(self, item: Placeable) -> str | None:
        """Say where something goes, if it goes to a single node."""
        nodes = {self.node_of.get(instance.id) for instance in instances_of(item)} - {None}
        return nodes.pop() if len(nodes) == 1 else None

    def role_to_be(self, item: Placeable) -> Role:
        """Say in what role something will be, as far as that is known."""
        roles = [self.next_role.get(i.id, Role.UNKNOWN) for i in instances_of(item)]
        return max(roles, default=Role.UNKNOWN)

    def role_now(self, item: Placeable) -> Role:
        """Say in what role something is."""
        roles = [self.facts.activity[i.id].role for i in instances_of(item)]
        return max(roles, default=Role.STOPPED)

    # --- what is known about things ------------------------------------------------------------

    def siblings(self, clone: CloneInstance, instance: Instance) -> tuple[Instance, ...]:
        """List what stands in all copies of a clone for the same resource."""
        key = (clone.id, instance.resource.id)
        found = self._siblings.get(key)
        if found is None:
            found = tuple(i for i in instances_of(clone) if i.resource.id == instance.resource.id)
            self._siblings[key] = found
        return found

    def told_names(self, copy: Instance) -> tuple[str, ...]:
        """List the attributes by which an agent may have told how well a copy would lead.

        They have the name that histories call the copy, on whatever node, as the agent only knows
        that one; the likeliest comes first. Old histories number copies; there a name counts as
        long as what has it runs (case bug-1765).
        """
        found = self._told_names.get(copy.id)
        if found is None:
            name = copy.id
            for state in (self.facts.activity[copy.id].on_node or {}).values():
                name = state.name or name
                if ":" in name and not state.role.is_active:
                    name = copy.id
            names = (name,) if copy.is_unique else (name, copy.resource.id)
            found = self._told_names[copy.id] = tuple(f"master-{name}" for name in names)
        return found

    def active_nodes(self, item: Placeable) -> list[str]:
        """List the nodes on which anything of an item is active."""
        found = (n for i in instances_of(item) for n in self.facts.activity[i.id].nodes)
        return list(dict.fromkeys(found))

    def here(self, item: Placeable) -> str | None:
        """Name the node something counts as being on."""
        found = (self.facts.activity[i.id].here for i in instances_of(item))
        return next((node for node in found if node is not None), None)

    def has_failed(self, item: Placeable) -> bool:
        """Tell whether anything in an item has failed."""
        return any(self.facts.activity[i.id].failed for i in instances_of(item))

    def is_blocked(self, item: Placeable) -> bool:
        """Tell whether anything in an item is blocked."""
        return any(self.facts.activity[i.id].blocked for i in instances_of(item))

    def worth(self, node: str) -> Score:
        """Say what a node is worth by itself, where no table of scores has it.

        What is placed there without being asked has this score (case unmanaged-promoted).
        """
        found = self.nodes[node]
        is_leaving = not found.online or found.shutting_down
        return MINUS_INFINITY if is_leaving and not found.is_remote else found.score

    def priority_of(self, item: Placeable) -> int:
        """Give the priority of something; a copy's wish to lead takes its place."""
        return self.priority.get(item.id, item.meta.priority)

    def is_available(self, node: str, table: dict[str, Score]) -> bool:
        """Tell whether a table of scores lets a node be used."""
        return node in self.may_run and table.get(node, MINUS_INFINITY) >= 0

    def any_available(self, table: dict[str, Score]) -> bool:
        """Tell whether a table of scores lets any node be used."""
        return any(value >= 0 and node in self.may_run for node, value in table.items())

    def host(self, node: str) -> str:
        """Name the node the container around a node is on; others are their own hosts."""
        return self.tally.hosts.get(node) or node

    def asked_of(self, instance: Instance, node: str) -> str | None:
        """Name the node whose attributes count for an instance on a node; None if nobody's do.

        In a container these may be those of its host (container-attribute-target=host): where it
        goes, or as long as the instance has no place, where it is.
        """
        container = self.nodes[node].container
        if instance.meta.pairs.get("container-attribute-target") != "host" or not container:
            return node
        if self.is_settled(instance):
            return self.node_of.get(container)
        return next(iter(self.facts.activity[container].nodes), None)

    def attribute(self, node: str, name: str) -> str | None:
        """Read the attribute by which a colocation compares nodes."""
        node = self.host(node)
        return node if name == "#uname" else self.nodes[node].attributes.get(name)


def inside(item: Placeable) -> tuple[Placeable, ...]:
    """List what is directly in an item."""
    match item:
        case GroupInstance():
            return item.members
        case CloneInstance():
            return item.copies
        case BundleInstance():
            return (*item.parts, *((item.clone,) if item.clone is not None else ()))
        case Instance():
            return ()


def all_parts(item: Placeable) -> Iterator[Placeable]:
    """Walk over an item and everything in it."""
    yield item
    for part in inside(item):
        yield from all_parts(part)
