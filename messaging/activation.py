"""When this node is active: everybody is heard, or accounted for.

Responsible for that decision alone. Not responsible for what is heard (`links`), nor for what
begins with it (`core`).

Theory of operation. A node is active when each configured node is in contact, or declared dead, or
absent from a quorate view that a node in contact is in. If it meets a survivor without quorum it
waits for a deadtime first, after which nobody relies on its earlier life; after initdead it is
active in any case.

Source: docs/protocol/links.md, "Becoming active".
"""

from __future__ import annotations

from collections.abc import Mapping

from crm.api.membership import NodeStatus
from messaging.cluster_settings import Timing
from messaging.standing import PeerState


class Activation:
    """The state of this node. `timing` is set when it changes."""

    def __init__(self, timing: Timing, peers: Mapping[str, PeerState], now: float) -> None:
        self.timing = timing
        self.started_at = now
        self.status = NodeStatus.UP
        self._peers = peers

    def begins(self, now: float) -> bool:
        """Tells once that this node is active now."""
        if self.status is not NodeStatus.UP:
            return False
        if now < self.started_at + self.timing.initdead_s and not all(
            self._is_accounted_for(peer, now) for peer in self._peers.values()
        ):
            return False
        self.status = NodeStatus.ACTIVE
        return True

    def next_deadline(self, looked_at: float) -> float | None:
        """When time alone may make this node active."""
        if self.status is not NodeStatus.UP:
            return None
        trust_at = self._trust_at()
        if trust_at > looked_at:
            return trust_at
        return max(self.started_at + self.timing.initdead_s, looked_at)

    def _trust_at(self) -> float:
        """When no node that is known relies on an earlier life of this one any more."""
        stated = (peer.deadtime_s for peer in self._peers.values())
        return self.started_at + max(self.timing.deadtime_s, *stated, 0.0)

    def _is_accounted_for(self, peer: PeerState, now: float) -> bool:
        """In contact, given up, or left out by the view of somebody in contact.

        A quorate view says it at once. Without quorum it counts after a deadtime only: until
        then a node that this one worked with in an earlier life may still rely on that life.
        """
        if peer.contact is not None or peer.shown is NodeStatus.DEAD:
            return True
        is_late = now >= self._trust_at()
        return any(
            other.contact is not None
            and other.announced is NodeStatus.ACTIVE
            and (other.members or is_late)
            and peer.node not in other.members
            for other in self._peers.values()
        )
