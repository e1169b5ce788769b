"""What a cluster layer does not have, as a problem for whoever asked for it.

What to use instead is said by the cluster layer itself.
"""

from __future__ import annotations

from crm.api.membership import Capability, ClusterDescription
from crm.plumbing.errors import Problem, error

_WORDS = {
    Capability.LINKS: "shows no links",
    Capability.PACKET_COUNTERS: "counts no packets",
    Capability.PARAMETERS: "has no directives in ha.cf",
    Capability.KEY_ROTATION: "does not let its key be changed from here",
    Capability.NODE_CHANGES: "does not let its list of nodes be changed from here",
}


def problem(cluster: ClusterDescription, wanted: Capability) -> Problem | None:
    """Say what the cluster layer lacks and what to do instead; None where it lacks nothing.

    Source: docs/protocol/cluster-layer.md, "Capabilities".
    """
    if wanted not in cluster.lacks:
        return None
    text = f"the cluster layer is {cluster.stack}, which {_WORDS[wanted]}"
    return error("not-of-this-stack", cluster.node, text, cluster.lacks[wanted])
