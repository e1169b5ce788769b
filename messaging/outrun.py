"""Which client of this node has sent more than a peer can take.

Responsible for telling the client that sends too fast from those that only send while it does. Not
responsible for what waits (`delivery`), nor for what becomes of the client (`core`).

What a client has sent is counted from the last moment at which nothing waited for the peers it
sends to. When too much waits, whoever has sent a good part of it is to blame; the others go on.
"""

from __future__ import annotations

import collections

from crm.plumbing.codec import MAX_MESSAGE_BYTES

MAX_AHEAD_BYTES = MAX_MESSAGE_BYTES
"""How much may wait for a peer when a client sends more."""

BLAME_BYTES = MAX_AHEAD_BYTES // 4
"""How much of it a client has to have sent to be to blame."""


class Outrun:
    """What each client has sent ahead of the peers."""

    def __init__(self) -> None:
        self._sent: collections.Counter[str] = collections.Counter()

    def is_to_blame(self, client: str, waiting_bytes: int) -> bool:
        """Whether a client that sends more has outrun a peer for which so much waits."""
        if not waiting_bytes:
            self._sent.clear()
        return waiting_bytes > MAX_AHEAD_BYTES and self._sent[client] > BLAME_BYTES

    def note(self, client: str, payload_bytes: int) -> None:
        """Count what a client has sent."""
        self._sent[client] += payload_bytes

    def forget(self, client: str) -> None:
        """A client is gone; its next life begins anew."""
        self._sent.pop(client, None)
