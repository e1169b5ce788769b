"""What the parts of a controller have to say, in order: one list they all write to.

Responsible for addressing (the local bus, one crmd, all crmds) and for short-circuiting what a
crmd says to itself; not for content. The controller empties it at the end of every event.
"""

from __future__ import annotations

from collections import deque

import msgspec

from crm.api import membership, peers
from crm.plumbing.machine import Exit, Note, Tell

Effect = Tell | Note | Exit


class Outbox:
    """Collects the effects of one event."""

    def __init__(self) -> None:
        self.node = ""
        self.to_self: deque[msgspec.Struct] = deque()
        self.connected: dict[str, None] = {}
        self._effects: list[Effect] = []
        self._request = 0

    def next_request(self) -> int:
        """Make a number for a question to a local process."""
        self._request += 1
        return self._request

    def tell(self, peer: str, message: msgspec.Struct) -> None:
        """Say something to a local process."""
        self._effects.append(Tell(peer, message))

    def send(self, node: str, message: msgspec.Struct) -> None:
        """Say something to the crmd of one node, which may be our own."""
        if node == self.node:
            self.to_self.append(message)
            return
        payload = peers.PEERS.encode(message)
        self.tell(membership.SERVICE, membership.SendCluster(peers.CLIENT, payload, node))

    def broadcast(self, message: msgspec.Struct) -> None:
        """Say something to the crmd of every other node."""
        payload = peers.PEERS.encode(message)
        self.tell(membership.SERVICE, membership.SendCluster(peers.CLIENT, payload))

    def note(self, *notes: Note) -> None:
        """Write log lines."""
        self._effects.extend(notes)

    def exit(self, code: int) -> None:
        """End the process once everything said so far is out."""
        self._effects.append(Exit(code))

    def take(self) -> list[Effect]:
        """Hand over what was collected and begin anew."""
        effects, self._effects = self._effects, []
        return effects
