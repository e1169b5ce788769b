"""Who has to be fenced because of what its resources tell, and whether fencing is possible.

A node is under suspicion from the moment something is read that only fencing can settle: an
operation failed whose on-fail is fence, or a resource is thought to be active on a node that is
not there. What is read about a node after that has no effect of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from pengine.facts.history import OnNode, is_probe
from pengine.facts.instances import Instance
from pengine.facts.nodes import NodeFacts
from pengine.facts.operations import OnFail
from pengine.facts.settings import QuorumPolicy, Settings


class FencingPower(msgspec.Struct, frozen=True):
    """What fencing needs: that it is enabled, has a device, and quorum (or none is asked for)."""

    enabled: bool = False
    has_device: bool = False
    has_quorum: bool = False
    without_quorum: bool = False
    remote_without_quorum: bool = False

    def can_fence(self, node: NodeFacts) -> bool:
        """Tell whether a node can be fenced; one in our membership needs no quorum.

        A guest is fenced by recovering its container, wherever that is.
        """
        if node.kind == "guest":
            return True
        if not self.enabled or not self.has_device:
            return False
        if self.has_quorum or self.without_quorum or node.online:
            return True
        return node.kind == "remote" and self.remote_without_quorum


def power(settings: Settings, *, has_device: bool, has_quorum: bool) -> FencingPower:
    """Say what fencing this partition is capable of."""
    return FencingPower(
        enabled=settings.fencing_enabled,
        has_device=has_device,
        has_quorum=has_quorum,
        without_quorum=settings.no_quorum_policy is QuorumPolicy.IGNORE,
        remote_without_quorum=settings.fence_remote_without_quorum,
    )


class Suspicion:
    """The nodes as they come under suspicion while histories are read; it does not leave here."""

    def __init__(
        self, nodes: Iterable[NodeFacts], settings: Settings, fencing: FencingPower
    ) -> None:
        self.fencing = fencing
        self._settings = settings
        self._nodes = {node.name: node for node in nodes}
        self.failed_containers: dict[str, str] = {}
        self.failed_connections: set[str] = set()

    def nodes(self) -> tuple[NodeFacts, ...]:
        """Give all nodes as they are judged now."""
        return tuple(self._nodes.values())

    def is_unclean(self, node: str) -> bool:
        """Tell whether a node is to be fenced already."""
        return self._nodes[node].unclean

    def is_lost_guest(self, node: str) -> bool:
        """Tell whether a node is a guest that only a reset of its container can bring back."""
        found = self._nodes[node]
        return found.kind == "guest" and found.requires_reset and not found.online

    def can_fence(self, node: str) -> bool:
        """Tell whether a node can be fenced."""
        return self.fencing.can_fence(self._nodes[node])

    def node(self, name: str) -> NodeFacts:
        """Give a node as it is judged now."""
        return self._nodes[name]

    def connect(self, judged: NodeFacts) -> None:
        """Take in what is known of a remote node now that its connection is."""
        self._nodes[judged.name] = judged

    def hear(self, instance: Instance, found: OnNode) -> None:
        """Take in what a history tells of its node."""
        node = self._nodes[found.node]
        if not node.unclean and self.loses_connection(instance, found):
            remote = self._nodes[instance.id]
            if not remote.was_fenced and self._settings.fencing_enabled:
                self._mark(remote, "remote connection is unrecoverable")
        is_managed = instance.meta.is_managed and not instance.meta.maintenance
        is_managed = is_managed and not self._settings.maintenance
        is_worrying = not node.online and not node.maintenance and is_managed
        if is_worrying and found.role.is_active:
            self._doubt(node, instance)
        elif node.unclean:
            return
        elif found.on_fail is OnFail.FENCE:
            self._mark(node, f"{instance.id} failed there")
        elif found.on_fail is OnFail.STANDBY:
            self._nodes[node.name] = replace(node, standby=True, standby_by_failure=True)

    def loses_connection(self, instance: Instance, found: OnNode) -> bool:
        """Tell whether a failure means that a remote node has to be reset to be reached again.

        A connection that did not come up says nothing; one that broke does.
        """
        remote = self._nodes.get(instance.id)
        if remote is None or remote.kind != "remote":
            return False
        if found.on_fail is not OnFail.RESTART and not remote.reconnect_ms:
            return False
        broken = [f for f in found.failures if f.entry.operation != "start"]
        return any(not is_probe(failure.entry) for failure in broken)

    def reconnects(self, instance: Instance) -> bool:
        """Tell whether an instance is a connection that is tried again after an interval."""
        node = self._nodes.get(instance.id)
        return node is not None and node.reconnect_ms > 0

    def waits_for_fencing(self, instance: Instance) -> bool:
        """Tell whether failures of a connection count until its node is fenced."""
        node = self._nodes.get(instance.id)
        if node is None or not node.reconnect_ms or not self._settings.fencing_enabled:
            return False
        return not node.was_fenced

    def goes_with_its_node(self, instance: Instance) -> bool:
        """Tell whether a connection is to stop because the node behind it asked to leave."""
        node = self._nodes.get(instance.id)
        return node is not None and node.is_remote and node.wants_to_leave

    def waits_to_connect(self, instance: Instance, on_nodes: Iterable[OnNode]) -> bool:
        """Tell whether connecting again waits until a failure is old enough to be forgotten.

        A stop in between does not make that shorter.
        """
        node = self._nodes.get(instance.id)
        if node is None or not node.reconnect_ms:
            return False
        return any(self.loses_connection(instance, found) for found in on_nodes)

    def _doubt(self, node: NodeFacts, instance: Instance) -> None:
        """Doubt a node that is away and is thought to run something."""
        if node.kind == "guest":
            self._recover(node)
        elif node.unclean or not self._settings.fencing_enabled:
            return
        elif node.kind == "remote" and node.name not in self.failed_connections:
            because = (
                f"{instance.id} is active there (fencing will be revoked if remote connection"
                " can be re-established elsewhere)"
            )
            self._nodes[node.name] = replace(node.to_be_fenced(because), is_unseen=True)
        else:
            self._mark(node, f"{instance.id} is thought to be active there")

    def fail_connection(self, name: str) -> None:
        """Remember that a connection failed: its node is then fenced even if it comes back."""
        self.failed_connections.add(name)
        node = self._nodes.get(name)
        if node is not None and node.unclean:
            self._nodes[name] = replace(node, is_unseen=False)

    def _mark(self, node: NodeFacts, because: str) -> None:
        if node.kind == "guest":
            self._recover(node)
        else:
            self._nodes[node.name] = node.to_be_fenced(because)

    def _recover(self, guest: NodeFacts) -> None:
        """Have a guest reset by the recovery of its container; it may be used again at once."""
        self._nodes[guest.name] = replace(guest, requires_reset=True)
        self.failed_containers.setdefault(guest.container, guest.name)
