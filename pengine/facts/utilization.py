"""How much nodes offer, how much instances need, and what the placement strategy makes of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime

import msgspec

from crm.model.cluster import Cluster
from crm.model.resources import AttributeSet
from pengine.facts.instances import Placeable, bundles_in, instances_of
from pengine.facts.settings import Settings
from pengine.facts.values import flatten, situation


class Strategy(enum.Enum):
    """How capacity counts. DEFAULT: not at all."""

    DEFAULT = "default"
    UTILIZATION = "utilization"
    """A node must have room; otherwise as default."""
    BALANCED = "balanced"
    """A node must have room; of equal nodes the one with more of it."""
    MINIMAL = "minimal"
    """A node must have room; resources gather on few nodes."""


class Utilization(msgspec.Struct, frozen=True):
    """Offers by node, needs by instance id, each by the name of what is counted."""

    strategy: Strategy
    offers: Mapping[str, Mapping[str, int]]
    needs: Mapping[str, Mapping[str, int]]


def conclude_utilization(
    cluster: Cluster, items: tuple[Placeable, ...], settings: Settings, now: datetime
) -> Utilization:
    """Read what nodes offer and instances need."""
    word = dict(settings.pairs).get("placement-strategy", "default").strip().lower()
    try:
        strategy = Strategy(word)
    except ValueError:
        strategy = Strategy.DEFAULT
    if strategy is Strategy.DEFAULT:
        return Utilization(strategy, {}, {})
    return configured_utilization(cluster, items, strategy, now)


def configured_utilization(
    cluster: Cluster, items: tuple[Placeable, ...], strategy: Strategy, now: datetime
) -> Utilization:
    """Read what nodes offer and instances need, whether it counts or not."""
    offers = {node.name: _amounts(node.utilization, now) for node in cluster.nodes}
    needs = {
        instance.id: _amounts(instance.resource.utilization, now)
        for item in items
        for instance in instances_of(item)
    }
    for bundle in bundles_in(items):
        for replica in bundle.replicas:
            if replica.copy is not None:
                # What runs in a container needs the room of the node the container is on.
                needs[replica.container.id] = needs.pop(replica.copy.id)
    return Utilization(strategy, offers, needs)


def _amounts(sets: tuple[AttributeSet, ...], now: datetime) -> dict[str, int]:
    found = {}
    for name, text in flatten(sets, situation(now)).items():
        try:
            found[name] = int(text)
        except ValueError:
            continue  # What is no number needs nothing and offers nothing.
    return found
