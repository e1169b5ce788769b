"""The quorum lease of one node: on whose word its quorum rests, and until when.

Responsible for which contacts have to be given up because they were not confirmed in time, and for
who is trusted enough to do without the others. Not responsible for what is heard (`links`), for
views (`ccm`), nor for asking arbitrators (`court`).

Theory of operation. Only contacts as old as the quorate view count: who has broken one since may be
in another view. While those confirmed within the lease are a quorum, nothing has to be given up;
as soon as they are none, all older ones go at once, by `Timing.margin_s` before others may go on.

Source: docs/protocol/membership.md, "The quorum lease".
"""

from __future__ import annotations

from collections.abc import Mapping

from messaging.cluster_settings import Timing
from messaging.quorum import Electorate, Rulings
from messaging.standing import PeerState


class QuorumLease:
    """What this node may rely on. `electorate` and `rulings` are set as they change."""

    def __init__(
        self, node: str, peers: Mapping[str, PeerState], timing: Timing, electorate: Electorate
    ) -> None:
        self.timing = timing
        self.electorate = electorate
        self.rulings = Rulings()
        self._node = node
        self._peers = peers

    def begin(self, members: tuple[str, ...]) -> None:
        """Rely on the contacts with these members, as they are now; on none if there are none."""
        for peer in self._peers.values():
            peer.counted = peer.contact if peer.node in members else None

    def stale(self, now: float, extension_s: float) -> list[PeerState]:
        """Who has to be given up now; `extension_s` is put to the lease of one who did not run."""
        counted = self._counted()
        lease_s = self.timing.lease_s + extension_s
        stale = [peer for peer in counted if now >= peer.confirmed_at + lease_s]
        if not stale:
            return []
        fresh = [peer.node for peer in counted if peer not in stale]
        may_act = self.electorate.lets_act([self._node, *fresh], self.rulings, now)
        return [] if may_act else stale

    def trusted(self, now: float) -> list[str]:
        """This node and those of its quorate view whose word is fresh enough to do without others.

        Where they need the tie, it is asked for while there is still time to get it.
        """
        fresh = [peer.node for peer in self._counted() if now < self._trust_end(peer)]
        return [self._node, *fresh]

    def trust_ends(self, after: float) -> float | None:
        """When the next of the trusted is trusted no more, if nothing is heard of it."""
        ends = (self._trust_end(peer) for peer in self._counted())
        return min((end for end in ends if end > after), default=None)

    def _counted(self) -> list[PeerState]:
        return [
            peer
            for peer in self._peers.values()
            if peer.contact is not None and peer.contact == peer.counted
        ]

    def _trust_end(self, peer: PeerState) -> float:
        return min(peer.confirmed_at, peer.heard_at) + self.timing.trust_s
