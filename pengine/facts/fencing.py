"""Who has to be fenced because of what its resources tell, and whether fencing is possible.

A node is under suspicion from the moment something is read that only fencing can settle: an
operation failed whose on-fail is fence, or a resource is thought to be active on a node that is
not there. What is read about a node after that has no effect of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pengine.facts.history import OnNode
from pengine.facts.instances import Instance
from pengine.facts.nodes import NodeFacts
from pengine.facts.operations import OnFail
from pengine.facts.settings import QuorumPolicy, Settings


@dataclass(frozen=True, slots=True)
class FencingPower:
    """What fencing needs: that it is enabled, has a device, and quorum (or none is asked for)."""

    enabled: bool = False
    has_device: bool = False
    has_quorum: bool = False
    without_quorum: bool = False
    remote_without_quorum: bool = False

    def can_fence(self, node: NodeFacts) -> bool:
        """Tell whether a node can be fenced; one in our membership needs no quorum."""
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

    def nodes(self) -> tuple[NodeFacts, ...]:
        """Give all nodes as they are judged now."""
        return tuple(self._nodes.values())

    def is_unclean(self, node: str) -> bool:
        """Tell whether a node is to be fenced already."""
        return self._nodes[node].unclean

    def can_fence(self, node: str) -> bool:
        """Tell whether a node can be fenced."""
        return self.fencing.can_fence(self._nodes[node])

    def hear(self, instance: Instance, found: OnNode) -> None:
        """Take in what a history tells of its node."""
        node = self._nodes[found.node]
        if not found.role.is_active or node.unclean:
            return
        is_managed = instance.meta.is_managed and not instance.meta.maintenance
        if not node.online and not node.maintenance and is_managed:
            if self._settings.fencing_enabled:
                self._mark(node, f"{instance.id} is thought to be active there")
        elif found.on_fail is OnFail.FENCE:
            self._mark(node, f"{instance.id} failed there")

    def _mark(self, node: NodeFacts, because: str) -> None:
        self._nodes[node.name] = node.to_be_fenced(because)
