"""The start of many nodes at once: nobody speaks before it knows whom to name.

Responsible for how long a node that starts holds its first word back, and for what it hears
meanwhile. Not responsible for rounds (`ccm`).

Theory of operation. Nobody concludes a round while no view is known and a peer in contact is about
to be active. Were a round opened for each that becomes active, N nodes would open N rounds of N
Joins to N peers, all in vain but the last. So a node keeps silent in that time, and keeps the Joins
that it hears; when everybody in contact is active it takes part in the highest round it has heard
of, or opens one. N nodes that start together so need one round, whoever is first.

To keep silent is no more than to be late: nothing but time depends on it. A node is silent for half
a keepalive at most, once in its life. Whoever becomes active says so at once; where that is lost a
Join, which is sent again until it arrives, tells it before the next heartbeat does.

Source: docs/protocol/membership.md, "Rounds".
"""

from __future__ import annotations

from messaging import frame
from messaging.cluster_settings import Timing


class Beginning:
    """What a node that starts waits for, and the words of the round that it does not enter yet."""

    def __init__(self, timing: Timing, now: float) -> None:
        self._timing = timing
        self.patience_ends = now + timing.initdead_s
        """Until when peers that are about to be active are waited for at all."""

        self._ends: float | None = None
        self._kept: dict[str, tuple[str, frame.Join]] = {}
        self.is_waiting = False
        """Whether a round is wanted that was not opened so far."""

    @property
    def ends(self) -> float | None:
        """When the wait for a round is over, if there is one."""
        return self._ends if self.is_waiting else None

    def holds_back(self, now: float) -> bool:
        """Whether this node keeps silent; asked while nobody knows a view and somebody starts."""
        if self._ends is None:
            self._ends = min(now + self._timing.keepalive_s / 2, self.patience_ends)
        return now < self._ends

    def keep(self, peer: str, join: frame.Join) -> None:
        """Keep a word of the highest round, heard from a peer, for when it is entered."""
        if join.round > self.round:
            self._kept.clear()
        if join.round >= self.round:
            self._kept.setdefault(join.origin, (peer, join))

    @property
    def round(self) -> int:
        """The highest round of which something is kept; 0 if there is none."""
        return max((join.round for _, join in self._kept.values()), default=0)

    def end(self, number: int) -> list[tuple[str, frame.Join]]:
        """A round is entered: take what was heard in it."""
        kept, self._kept, self.is_waiting = self._kept, {}, False
        return [each for each in kept.values() if each[1].round == number]
