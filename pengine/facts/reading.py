"""Reads all histories, node by node, each as soon as it is known whether its node can be reached.

Members first come as the status lists them; a remote or guest node waits until something that was
read says that its connection is up, so the status is gone through until nothing new can be read.
With fencing everything else is read at last. Without it nobody could tell whether what an offline
node remembers is still true, so that is not read at all.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from crm.model.status import HistoryEntry, NodeState, ResourceHistory
from pengine.facts.activity import Activity, block_whole_group, join, restart_container
from pengine.facts.expiry import Ageing
from pengine.facts.failures import Recorded, fail_count, recorded_failures
from pengine.facts.fencing import Suspicion
from pengine.facts.finding import Finder
from pengine.facts.history import Circumstances, OnNode, read_history
from pengine.facts.instances import (
    Instance,
    Placeable,
    instances_of,
)
from pengine.facts.making import Making
from pengine.facts.nodes import NodeFacts
from pengine.facts.settings import Settings


class Told(msgspec.Struct, frozen=True):
    """What all histories tell: clones have got the surplus copies that were found."""

    items: tuple[Placeable, ...]
    removed: tuple[Instance, ...]
    activity: Mapping[str, Activity]


def read_histories(
    making: Making, items: tuple[Placeable, ...], suspicion: Suspicion, settings: Settings
) -> Told:
    """Read what all nodes remember and conclude the activity of every instance."""
    reader = _Reader(making, items, suspicion, settings)
    by_key = {node.id: node.name for node in suspicion.nodes()}
    by_key |= {node.name: node.name for node in suspicion.nodes()}
    states = [
        (state, name)
        for state in making.cluster.status
        if (name := by_key.get(state.id) or by_key.get(state.name)) is not None
    ]
    reader.read_all(states)
    grown = reader.finder.grown()
    activity = reader.join(grown)
    for item in grown:
        block_whole_group(item, activity)
    return Told(grown, tuple(reader.finder.removed), activity)


def _unread(node: NodeFacts) -> NodeFacts:
    """Give a remote node of which nothing was read: of its state nothing is known either.

    What it was told while it was there (to stay in standby, how well a copy would lead) is over.
    """
    kept = {key: text for key, text in node.attributes.items() if key not in node.transient}
    return replace(
        node,
        attributes=kept,
        transient={},
        standby=False,
        maintenance=False,
        shutting_down=False,
        wants_to_leave=False,
    )


class _Reader:
    """Reads the histories of one node after the other; it does not leave here."""

    def __init__(
        self,
        making: Making,
        items: tuple[Placeable, ...],
        suspicion: Suspicion,
        settings: Settings,
    ) -> None:
        self.finder = Finder(items, making, settings)
        self._instances = {i.id: i for item in items for i in instances_of(item)}
        self._suspicion = suspicion
        self._settings = settings
        self._rules = making.operation_rules
        self._now_s = making.operation_rules.now.timestamp()
        self._found: dict[str, dict[str, OnNode]] = {}
        self._failures: dict[str, dict[str, list[Recorded]]] = {}
        self._unread: dict[str, dict[str, tuple[HistoryEntry, ...]]] = {}
        self._names: dict[str, str] = {}

    def read_all(self, states: list[tuple[NodeState, str]]) -> None:
        """Read every node that can be read, what that makes readable, and in the end the rest."""
        waiting = states
        has_read = True
        while has_read:
            has_read = False
            for state, name in tuple(waiting):
                if self._is_readable(name):
                    waiting = [pair for pair in waiting if pair[0] is not state]
                    self._read(state, name)
                    has_read = True
        judged = {name for _, name in states}
        for state, name in waiting:
            if self._settings.fencing_enabled:
                self._read(state, name)
            else:
                judged.discard(name)
                for history in state.history:
                    # It counts for nothing but what others say of migrations.
                    self._unread.setdefault(history.id, {})[name] = history.entries
        for node in self._suspicion.nodes():
            if node.is_remote and node.name not in judged:
                self._suspicion.connect(_unread(node))
                self._judge(node.name)

    def _is_readable(self, name: str) -> bool:
        """Tell whether what a node remembers can be read at this point."""
        node = self._suspicion.node(name)
        if node.is_remote:
            waits = not (self._settings.shutdown_lock and node.kind == "remote")
            return not waits or self._is_up(name)
        return node.online or self._settings.fencing_enabled or self._settings.shutdown_lock

    def _is_up(self, name: str) -> bool:
        node = self._suspicion.node(name)
        needed = [node.connection, *([node.container] if node.container else [])]
        return all(self._state(key).nodes for key in needed)

    def _state(self, key: str) -> Activity:
        instance = self._instances.get(key)
        if instance is None:
            instance = next((i for i in self.finder.removed if i.id == key), None)
        if instance is None:
            return Activity()
        nodes = {node.name: node for node in self._suspicion.nodes()}
        return self._join(instance, nodes)

    def _join(self, instance: Instance, nodes: Mapping[str, NodeFacts]) -> Activity:
        found = self._found.get(instance.id, {})
        unread = self._unread.get(instance.history_id, {})
        return join(instance, found, nodes, self._suspicion, unread)

    def _judge(self, name: str, *, is_read: bool = False) -> None:
        node = self._suspicion.node(name)
        connection, container = self._state(node.connection), self._state(node.container)
        if connection.failed:
            self._suspicion.fail_connection(name)
            node = self._suspicion.node(name)
        online, reset = bool(connection.nodes), False
        if node.container and container.failed:
            online, reset = False, True
        elif connection.failed or not connection.nodes or (node.container and not container.nodes):
            online = False
        elif node.container and len(container.nodes) == 1:
            host = self._suspicion.node(container.nodes[0])
            if not host.online and host.unclean:
                online, reset = False, True
        instance = self._instances.get(node.connection)
        unmanaged = instance is not None and is_read and self._is_held(instance, connection)
        self._suspicion.connect(
            replace(
                node,
                online=online,
                requires_reset=reset,
                maintenance=node.maintenance or unmanaged,
            )
        )

    def _is_held(self, connection: Instance, activity: Activity) -> bool:
        """Tell whether nobody may touch a connection: what is behind it is left alone as well."""
        meta = connection.meta
        if not meta.is_managed or meta.maintenance or self._settings.maintenance:
            return True
        if activity.blocked:
            return True
        return any(self._suspicion.node(name).maintenance for name in activity.nodes)

    def _read(self, state: NodeState, name: str) -> None:
        """Read all that a node remembers."""
        if self._suspicion.node(name).is_remote:
            self._judge(name, is_read=True)
        node = self._suspicion.node(name)
        given = Circumstances(
            self._rules,
            node_is_unclean=node.unclean,
            node_is_online=node.online,
            can_fence=self._suspicion.can_fence(name),
        )
        for history in state.history:
            if history.entries:
                self._read_one(history, self._suspicion.node(name), given)

    def _read_one(self, history: ResourceHistory, node: NodeFacts, given: Circumstances) -> None:
        instance = self.finder.find(history, node)
        if instance is None:
            return
        meta = instance.meta
        given = replace(
            given,
            ageing=self._ageing(instance, node, history),
            is_managed=meta.is_managed and not meta.maintenance and not self._settings.maintenance,
        )
        outcome = read_history(
            instance,
            node.name,
            history.entries,
            given,
            name=history.id,
            agent_changed=_has_other_agent(instance, history),
            is_moot=self._suspicion.is_unclean(node.name),
        )
        known = self._found.get(instance.id, {}).get(node.name)
        if known is not None and known.role > outcome.role:
            # A number of an older status may be about the same copy as the plain name.
            outcome = replace(outcome, role=known.role)
        self._call(instance, history.id, is_active=outcome.role.is_active)
        self._suspicion.hear(instance, outcome)
        if not node.online and not outcome.is_moot and self._suspicion.is_unclean(node.name):
            # That it is thought to run there came first: its failure has no say any more.
            outcome = replace(outcome, is_moot=True)
        self._found.setdefault(instance.id, {})[node.name] = outcome
        self.finder.occupy(
            instance, node.name, is_active=outcome.role.is_active, is_busy=bool(outcome.pending)
        )

    def _call(self, instance: Instance, name: str, *, is_active: bool) -> None:
        """Take the name a node uses for a copy; a number means nothing where it does not run."""
        if name not in (instance.id, self._names.get(instance.id)):
            self._names[instance.id] = name
        if not is_active and ":" in self._names.get(instance.id, ""):
            del self._names[instance.id]

    def _ageing(self, instance: Instance, node: NodeFacts, history: ResourceHistory) -> Ageing:
        recorded = self._failures.get(node.name)
        if recorded is None:
            recorded = self._failures[node.name] = recorded_failures(node.attributes)
        return Ageing(
            self._now_s,
            fail_count(recorded, instance, node.name, self._now_s, history.entries),
            waits_for_fencing=self._suspicion.waits_for_fencing(instance),
            reconnects=self._suspicion.reconnects(instance),
        )

    def join(self, items: tuple[Placeable, ...]) -> dict[str, Activity]:
        """Give the activity of every instance over all nodes."""
        nodes = {node.name: node for node in self._suspicion.nodes()}
        everything = [*(i for item in items for i in instances_of(item)), *self.finder.removed]
        found = {
            i.id: replace(self._join(i, nodes), known_as=self._names.get(i.id, ""))
            for i in everything
        }
        for inner, container in self._rules.containers.items():
            restart_container(found, inner, container)
        return found


def _has_other_agent(instance: Instance, history: ResourceHistory) -> bool:
    agent = instance.resource.agent
    return bool(history.type) and (agent.standard, agent.provider, agent.type) != (
        history.standard,
        history.provider,
        history.type,
    )
