"""Finds the instance a history is about, and numbers the copies of anonymous clones.

Copies have no identity in a history: the order in which histories are read decides.
"""

from __future__ import annotations

from crm.model.agent import Agent
from crm.model.resources import Primitive
from crm.model.status import ResourceHistory
from pengine.facts.instances import (
    Instance,
    Placeable,
    bundles_in,
    instances_of,
    make_instance,
    read_meta,
)
from pengine.facts.nodes import NodeFacts
from pengine.facts.operations import OperationRules
from pengine.facts.settings import Settings


class Finder:
    """Finds the instance a history belongs to; makes removed ones; it does not leave `facts`."""

    def __init__(
        self,
        items: tuple[Placeable, ...],
        settings: Settings,
        rules: OperationRules,
        unscheduled: tuple[str, ...],
    ) -> None:
        self.removed: list[Instance] = []
        self._unscheduled = unscheduled
        self._settings = settings
        self._rules = rules
        self._plain: dict[str, Instance] = {}
        self._anonymous: dict[str, list[Instance]] = {}
        self._taken: dict[str, str] = {}
        self._copy_of: dict[str, int] = {}
        self._node_copy: dict[tuple[str, str], int] = {}
        self._inside = {
            (replica.copy.history_id, replica.node): replica.copy
            for bundle in bundles_in(items)
            for replica in bundle.replicas
            if replica.copy is not None
        }
        self._bundled = {name for name, _ in self._inside}
        for item in items:
            for instance in instances_of(item):
                if instance.is_unique:
                    self._plain[instance.id] = instance
                else:
                    self._anonymous.setdefault(instance.history_id, []).append(instance)

    def find(self, history: ResourceHistory, node: NodeFacts) -> Instance | None:
        """Find or make the instance that a history of a node is about."""
        exact = self._plain.get(history.id)
        if exact is not None:
            return exact
        base = history.id.partition(":")[0]
        if base in self._anonymous:
            found = self._anonymous_copy(base, node.name)
            if found is not None:
                return found
            number = len(self._anonymous[base])
            return self._make_removed(history, f"{base}:{number}", base)
        return self._make_removed(history, history.id, history.id)

    def _anonymous_copy(self, base: str, node: str) -> Instance | None:
        """Find the copy a history is about: the one active there, else the first inactive one.

        Only copies that turn out to be active are taken (`occupy`), so the histories of many
        nodes on which nothing runs may be about the same copy.
        """
        if base in self._bundled:
            return self._inside.get((base, node))
        copies = self._anonymous[base]
        for copy in copies:
            if self._taken.get(copy.id) == node:
                return copy
        number = self._node_copy.get((copies[0].top, node))
        if number is not None and number < len(copies) and copies[number].id not in self._taken:
            return copies[number]
        for index, copy in enumerate(copies):
            if copy.id not in self._taken and not self._sibling_is_elsewhere(copy, index, node):
                return copy
        return None

    def _sibling_is_elsewhere(self, copy: Instance, index: int, node: str) -> bool:
        """Members of one copy of a cloned group stay together."""
        holders = {n for (top, n), i in self._node_copy.items() if top == copy.top and i == index}
        return bool(holders) and node not in holders

    def surplus(self, instance: Instance, history: ResourceHistory) -> Instance | None:
        """Make a removed copy for something that runs beside another copy on its node."""
        number = len(self._anonymous.get(instance.history_id, ())) + len(self.removed)
        key = f"{instance.history_id}:{number}"
        return self._make_removed(history, key, instance.history_id)

    def occupy(self, instance: Instance, node: str) -> None:
        """Remember that a copy is active on a node; its siblings follow it there."""
        if not instance.is_unique and instance.number is not None:
            self._taken[instance.id] = node
            self._node_copy.setdefault((instance.top, node), instance.number)

    def _is_unscheduled(self, name: str) -> bool:
        """Tell whether something belongs to a resource that is configured, but not scheduled.

        The parts of a bundle are named after it; nobody may take them for leftovers.
        """
        return any(name == key or name.startswith(f"{key}-") for key in self._unscheduled)

    def _make_removed(self, history: ResourceHistory, key: str, name: str) -> Instance | None:
        known = next((r for r in self.removed if r.id == key), None)
        if known is not None:
            return known
        if not history.type or not history.standard or self._is_unscheduled(name):
            return None
        primitive = Primitive(key, Agent(history.standard, history.provider, history.type))
        meta = read_meta({}, self._settings.fencing_enabled, primitive.agent.is_fencing)
        made = make_instance(primitive, meta, self._rules, top=key)
        removed = Instance(
            id=made.id,
            history_id=name,
            resource=primitive,
            meta=meta,
            operations=(),
            parent="",
            top=key,
            is_removed=True,
        )
        self.removed.append(removed)
        return removed
