"""Clusters whose cluster layer is the second one: everything above it is the same."""

from __future__ import annotations

import random

from tests.sim.cib_cluster import CibCluster
from tests.sim.cluster import Cluster
from tests.sim.layers import Layer
from tests.sim.nodes import Node
from tests.sim.rings import ClosedGroupLayer, Rings


class OnClosedGroups(Cluster):
    """The usual cluster on closed groups; nodes are known by the group's numbers."""

    _rings: Rings | None = None

    def _identities(self, chance: random.Random, names: list[str]) -> dict[str, str]:
        return {name: str(number) for number, name in enumerate(names, 1)}

    def _layer(self, node: Node) -> Layer:
        if self._rings is None:
            self._rings = Rings(self.engine, self.network, node.names)
        return ClosedGroupLayer(self._rings, node)


class CibOnClosedGroups(OnClosedGroups, CibCluster):
    """The same for a cluster whose only work is its configuration."""
