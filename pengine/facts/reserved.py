"""The nodes inside the containers of bundles, and what knows of them although it may not use them.

Only the copy in a container may run on the node there. Everything else does not know the node at
all; but where the node is also configured by name (`<node>`, because it has attributes), what the
configuration names before the bundle knows it, and is kept from it. It makes no difference to
where things run, only to the scores that are shown (case bundle-order-fencing).
"""

from __future__ import annotations

from collections.abc import Mapping

from crm.model.cluster import Cluster
from crm.model.resources import Bundle, ids_of
from pengine.facts import bundles


def conclude_reserved(cluster: Cluster) -> Mapping[str, frozenset[str]]:
    """Map the node in each container to the ids of what knows it."""
    configured = {node.name for node in cluster.nodes}
    found: dict[str, frozenset[str]] = {}
    before: list[str] = []
    for resource in cluster.resources:
        if isinstance(resource, Bundle):
            inside = bundles.parts_of(resource)
            for parts in inside:
                if not parts.node:
                    continue
                ids = (*before, *_made_before(inside, parts))
                found[parts.node] = frozenset(ids if parts.node in configured else ())
        before += ids_of(resource)
    return found


def _made_before(
    inside: tuple[bundles.ReplicaParts, ...], node_of: bundles.ReplicaParts
) -> list[str]:
    """List the parts of a bundle that are made before one of its nodes is taken."""
    ids = []
    for parts in inside[: node_of.number + 1]:
        ids.append(parts.container.id)
        if parts.address is not None:
            ids.append(parts.address.id)
        if parts.connection is not None and parts.number < node_of.number:
            ids.append(parts.connection.id)
    return ids
