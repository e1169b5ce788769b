"""Packets that are dropped, and what an administrator is told about them.

Responsible for counting by reason, and for saying a reason that somebody may have to act upon, at
most once a minute for each sender. Not responsible for why a packet is dropped (`auth`, `frame`).

Source: docs/protocol/links.md.
"""

from __future__ import annotations

import collections

from crm.plumbing.machine import Note, warn

COMPLAINT_PAUSE_S = 60.0
FLOOD = 1000
"""So many dropped datagrams in one count are worth a line in the log."""

_TEXTS = {
    "bad-signature": "packets of node {sender} are sealed with another key:"
    " is authkeys the same on all nodes?",
    "unknown-sender": "packets from {source} are of this cluster, but of no node that ha.cf names",
    "too-many-handshakes": "node {sender} seems to start again and again, or somebody on the"
    " network plays recordings of it, from {source}",
}
"""The reasons for dropping a packet that an administrator may have to act upon."""


class Complaints:
    """Counts and tells; `counters` is by reason."""

    def __init__(self) -> None:
        self.counters: collections.Counter[str] = collections.Counter()
        self._told_at: dict[tuple[str, str], float] = {}

    def refused(self, reason: str, sender: str, source: str, now: float) -> list[Note]:
        """A packet was not believed, for this reason ("" if it was); `auth` has counted it."""
        text = _TEXTS.get(reason)
        if text is None or self._was_told(reason, sender, now):  # mostly so, in a flood
            return []
        return self._tell(reason, sender, text.format(sender=sender, source=source), now)

    def unreadable(self, sender: str, problem: str, now: float) -> list[Note]:
        """A believed packet or message makes no sense."""
        self.counters["dropped-unreadable"] += 1
        return self._tell("unreadable", sender, problem, now)

    def dropped_by_kernel(self, count: int, now: float) -> list[Note]:
        """So many datagrams were dropped before they were read."""
        self.counters["dropped-by-kernel"] += count
        text = f"a flood: {count} datagrams that are none of ours in a second"
        return self._tell("flood", "", text if count >= FLOOD else "", now)

    def _was_told(self, reason: str, sender: str, now: float) -> bool:
        last = self._told_at.get((reason, sender), float("-inf"))
        return now - last < COMPLAINT_PAUSE_S

    def _tell(self, reason: str, sender: str, text: str, now: float) -> list[Note]:
        if not text or self._was_told(reason, sender, now):
            return []
        self._told_at[reason, sender] = now
        return [warn("heartbeat", text)]
