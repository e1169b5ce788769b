"""The media over which one peer is heard: which of them is up.

Responsible for the state of each link and its log lines. Not responsible for the peer (`links`).
"""

from __future__ import annotations

from crm.api.membership import LinkStatus
from crm.plumbing.machine import Note, info
from messaging.standing import LinkState, PeerState, ShowLink


def hear(peer: PeerState, name: str, source: str, now: float) -> list[ShowLink | Note]:
    """A packet of a peer came over a link."""
    link = peer.links.setdefault(name, LinkState())
    link.heard_at = max(link.heard_at, now)
    link.source = source
    if link.status is LinkStatus.UP:
        return []
    link.status = LinkStatus.UP
    return [
        info("heartbeat", f"Link {peer.node}:{name} up."),
        ShowLink(peer.node, name, LinkStatus.UP),
    ]


def kill_silent(peer: PeerState, now: float, limit_s: float) -> list[ShowLink | Note]:
    """Call dead what is silent for so long."""
    effects: list[ShowLink | Note] = []
    for name, link in peer.links.items():
        if link.status is LinkStatus.UP and now >= link.heard_at + limit_s:
            link.status = LinkStatus.DEAD
            effects.append(info("heartbeat", f"Link {peer.node}:{name} dead."))
            effects.append(ShowLink(peer.node, name, LinkStatus.DEAD))
    return effects
