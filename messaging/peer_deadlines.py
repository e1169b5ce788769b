"""The deadlines that peers bring with them, looked for no more often than they can have changed.

Responsible for remembering them: a node of a hundred has thousands, and a packet moves those of its
sender alone. Not responsible for what is due (`links`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from messaging.standing import PeerState


class PeerDeadlines:
    """The first deadline of each peer, as `due_of` tells it."""

    def __init__(
        self, peers: Mapping[str, PeerState], due_of: Callable[[PeerState], float]
    ) -> None:
        self._peers = peers
        self._due_of = due_of
        self._soonest: float | None = None
        """No deadline is earlier; None: look for the earliest again."""

        self._dues: dict[str, float] = {}
        """As they stood when last looked for."""

        self._touched: set[str] | None = None
        """Whose deadlines are to be looked for again; None: those of all."""

    def may_be_nearer(self, peer: str) -> None:
        """Look for the deadlines of a peer again before the next answer."""
        self._soonest = None
        self.can_only_be_later(peer)

    def can_only_be_later(self, peer: str) -> None:
        """Look for the deadlines of a peer again, when there is another reason to look."""
        if self._touched is not None:
            self._touched.add(peer)

    def look_again(self) -> None:
        """Look for all deadlines again."""
        self._soonest = None
        self._touched = None

    def soonest(self, own: Callable[[], float]) -> float:
        """The earliest of all and of this node's `own`, or (after what only put it off) before."""
        if self._soonest is None:
            self._look()
            self._soonest = min([own(), *self._dues.values()])
        return self._soonest

    def _look(self) -> None:
        if self._touched is None:
            self._dues = {name: self._due_of(peer) for name, peer in self._peers.items()}
        else:
            for name in self._touched:
                self._dues[name] = self._due_of(self._peers[name])
        self._touched = set()
