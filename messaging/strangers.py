"""Nodes that no list names and that have the key: who they are, once they have proven it.

Responsible for the few strangers a node remembers while they prove themselves, and for how many of
them it listens to. Not responsible for seals and challenges (`auth`), nor for what becomes of a
stranger that has proven itself (`roll`).

Theory of operation. The header of a packet names its sender by a hash. Where `autojoin` lets
unlisted nodes join, every handshake says the speaker's name as well, under the seal. A handshake
of an unknown sender that opens with our key, and whose name gives that hash, makes a stranger; it
is challenged like any peer, so recordings of former members are worthless. Whoever lacks the key
costs at most `MAX_TRIED_PER_S` openings a second, and nothing is kept of him.

Source: decision 0090; docs/protocol/membership.md, "Nodes that join by themselves".
"""

from __future__ import annotations

import collections
from typing import Generic, TypeVar

MAX_STRANGERS = 32
MAX_TRIED_PER_S = 50

Known = TypeVar("Known")


class Strangers(Generic[Known]):
    """What is known of each stranger, by the hash that stands for its name."""

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}
        self._tried_at: collections.deque[float] = collections.deque(maxlen=MAX_TRIED_PER_S)

    def get(self, tag: bytes) -> Known | None:
        """What is known of a stranger."""
        return self._known.get(tag)

    def may_try(self, now: float) -> bool:
        """Whether one more packet of somebody unknown may be opened; it counts then."""
        tried = self._tried_at
        if len(tried) == MAX_TRIED_PER_S and tried[0] > now - 1.0:
            return False
        tried.append(now)
        return True

    def remember(self, tag: bytes, known: Known) -> None:
        """Keep a stranger in mind; of too many the first one is forgotten."""
        self._known[tag] = known
        if len(self._known) > MAX_STRANGERS:
            del self._known[next(iter(self._known))]

    def let_in(self, tag: bytes) -> Known | None:
        """A stranger becomes a peer; what it has proven it need not prove again."""
        return self._known.pop(tag, None)
