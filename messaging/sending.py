"""From a message to datagrams: sealed once, and handed to the links that are to carry it.

Responsible for which links a message takes, and to which address. Not responsible for the seal
itself (`auth`), nor for what is said to whom (`core`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from messaging import auth, frame
from messaging.cluster_settings import ClusterSettings
from messaging.events import SendDatagram
from messaging.standing import PeerState, best_link


class Sender:
    """Seals what this node says. The media of a node do not change while it runs."""

    def __init__(
        self, wire: auth.Wire, settings: ClusterSettings, peers: Mapping[str, PeerState]
    ) -> None:
        self._wire = wire
        self._links = settings.links
        self._slow_links = settings.slow_links
        self._peers = peers

    def everywhere(self, data: bytes) -> list[SendDatagram]:
        """Send a sealed packet to everybody."""
        return [SendDatagram(link, data) for link in self._links]

    def to_all(self, message: msgspec.Struct) -> list[SendDatagram]:
        """Send a message to everybody."""
        return self.everywhere(self._wire.seal(frame.PACKETS.encode(message)))

    def to_peer(
        self,
        peer: str,
        message: msgspec.Struct,
        *,
        everywhere: bool,
        is_bulk: bool = False,
        link: str = "",
    ) -> list[SendDatagram]:
        """Send to one peer: on a link, on that where it was heard last, or on all."""
        data = self._wire.seal(frame.PACKETS.encode(message))
        states = self._peers[peer].links
        if everywhere or not states:
            return [
                SendDatagram(each, data, states[each].source if each in states else "", is_bulk)
                for each in self._links
            ]
        best = link or self.best_link(peer)
        return [SendDatagram(best, data, states[best].source, is_bulk)]

    def best_link(self, peer: str) -> str:
        """Over which link a peer is best reached now; "" if it was heard over none."""
        states = self._peers[peer].links
        if len(states) <= 1:
            return next(iter(states), "")
        return best_link(states, self._slow_links)
