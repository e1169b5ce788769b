"""What became of the packets of a node, as text."""

from __future__ import annotations

from collections.abc import Mapping

_MEANINGS = {
    "sent": "sent",
    "received": "received and believed",
    "copies": "heard before, over another medium",
    "dropped-by-kernel": "dropped by the kernel: none of ours, or faster than they can be read",
    "dropped-length": "too short or too long",
    "dropped-magic": "not of this program",
    "dropped-version": "of another version",
    "dropped-other-cluster": "of another cluster",
    "dropped-own": "our own, come back",
    "dropped-unknown-sender": "of a node that ha.cf does not name",
    "dropped-unknown-session": "of a life of a node that has not proven itself (yet)",
    "dropped-replayed": "heard before: doubled by the network, or a recording",
    "dropped-bad-signature": "sealed with another key, or damaged",
    "dropped-too-many-handshakes": "beginnings of a node, more than it can make",
    "dropped-unreadable": "sealed well, but not understood",
}


def as_text(node: str, counters: Mapping[str, int]) -> str:
    """A table: how many, which counter, what that means."""
    lines = [f"Packets of {node}:"]
    order = [name for name in _MEANINGS if name in counters]
    order += sorted(name for name in counters if name not in _MEANINGS)
    for name in order:
        line = f"{counters[name]:12} {name:28} {_MEANINGS.get(name, '')}"
        lines.append(line.rstrip())
    return "\n".join(lines)
