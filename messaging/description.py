"""How peers and ping nodes are described to whoever asks (`cl_status` and the like).

Responsible for turning their states into words of `crm.api.membership`; decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from crm.api.membership import (
    LinkDescription,
    LinkStatus,
    NodeChanged,
    NodeDescription,
    NodeKind,
    NodeStatus,
    SignedOn,
)
from messaging.cluster_settings import ClusterSettings
from messaging.pings import PingState
from messaging.standing import NEVER, PeerState


def of_nodes(
    own: NodeChanged,
    peers: Iterable[PeerState],
    hosts: Iterable[PingState],
    clients_at: Callable[[str], Iterable[str]],
    now: float,
    settings: ClusterSettings,
) -> tuple[NodeDescription, ...]:
    """Describe this node, its peers and the ping nodes, in this order."""
    own_clients = tuple(clients_at(own.node))
    nodes = (
        NodeDescription(
            own.node,
            own.kind,
            own.status,
            own.uuid,
            links=_own_links(settings),
            clients=own_clients,
        ),
        *(of_peer(peer, clients_at(peer.node), now) for peer in peers),
    )
    return (
        *(
            msgspec.structs.replace(
                node,
                weight=settings.electorate.weight_of(node.node),
                site=settings.sites.get(node.node, ""),
            )
            for node in nodes
        ),
        *(of_ping(ping, now) for ping in hosts),
    )


def of_self(node: str, uuid: str, incarnation: str, settings: ClusterSettings) -> SignedOn:
    """Say who and where we are, to whoever signs on."""
    return SignedOn(
        node=node,
        uuid=uuid,
        cluster=settings.cluster,
        nodes=settings.nodes,
        incarnation=incarnation,
        mode=settings.mode,
        margin_ms=int(settings.timing.margin_s * 1000),
    )


def _own_links(settings: ClusterSettings) -> tuple[LinkDescription, ...]:
    """The links as this node has them: it does not listen to itself, so it misses nothing."""
    return tuple(LinkDescription(name, LinkStatus.UP, 0) for name in settings.links)


def news_of_all(peers: Iterable[PeerState], hosts: Iterable[PingState]) -> list[NodeChanged]:
    """Say what every peer and ping node is now, as clients are told when it changes."""
    return [
        *(NodeChanged(peer.node, NodeKind.NORMAL, peer.shown, peer.uuid) for peer in peers),
        *(NodeChanged(host.target.name, NodeKind.PING, host.status) for host in hosts),
    ]


def of_peer(peer: PeerState, clients: Iterable[str], now: float) -> NodeDescription:
    """Describe a node of the cluster, with its links and clients."""
    links = tuple(
        LinkDescription(name, link.status, _silent_ms(link.heard_at, now))
        for name, link in sorted(peer.links.items())
    )
    return NodeDescription(
        peer.node,
        NodeKind.NORMAL,
        peer.shown,
        peer.uuid,
        links=links,
        clients=tuple(sorted(clients)),
        trouble=_trouble(peer, now),
    )


def of_ping(ping: PingState, now: float) -> NodeDescription:
    """Describe a ping node; its one link has its own name."""
    name = ping.target.name
    status = LinkStatus.UP if ping.status is NodeStatus.PING else LinkStatus.DEAD
    link = LinkDescription(name, status, _silent_ms(ping.heard_at, now))
    return NodeDescription(name, NodeKind.PING, ping.status, links=(link,))


def _trouble(peer: PeerState, now: float) -> str:
    """Why there is no contact with a peer, and when it is made again if that is known."""
    until = peer.holdoff.until
    if until is None:
        return peer.trouble
    return f"{peer.trouble}; contact is made again in {max(until - now, 0.0):.0f} s"


def _silent_ms(heard_at: float, now: float) -> int:
    return -1 if heard_at == NEVER else round((now - heard_at) * 1000)
