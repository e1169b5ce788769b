"""How much of a stream may be on its way, so that its packets queue up nowhere for long.

Responsible for the window of one outbound stream and for when a piece counts as lost. Not
responsible for pieces (`delivery`).

Theory of operation. A heartbeat waits behind whatever was put on the wire before it, also in the
queues of switches that do not look at its mark. So a stream watches its own round trips: the
least of the last minute is the way itself, everything above it is queue. While the queue is short
the window grows; when it is longer than `patience_s` (a quarter of a keepalive) it shrinks, at most
once per window. Loss alone says nothing: wires lose packets for many reasons. Only silence, a piece
that had to be repeated because nothing was acknowledged, halves the window.

Pure: times come in. Every acknowledgement says which copy of the piece it answers and how long the
receiver held it back, so a repeated piece measures as well as any other.

Source: RFC 6817 (LEDBAT), which has the same aim; docs/protocol/wire.md, "Streams"; decision 0016.
"""

from __future__ import annotations

LARGEST_WINDOW = 128
FIRST_WINDOW = 16
LEAST_WINDOW = 4
LEAST_PATIENCE_S = 0.010
SHRINK = 0.7
REPEAT_S = 0.050
FIRST_REPEAT_S = 0.008
"""Sooner at first: one side knows of a contact half a round trip before the other."""

REPEAT_MAX_S = 0.150
WAY_LIFE_S = 30.0
STALL_ROUND_TRIPS = 8
"""So many round trips without an answer are no slowness any more."""


class Pace:
    """The window and the repetitions of one stream."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = max(patience_s, LEAST_PATIENCE_S)
        self._window = float(FIRST_WINDOW)
        self._is_searching = True
        self._shrunk_until = 0
        self._smooth_s = 0.0
        self._ways = (float("inf"), float("inf"))
        self._way_since = float("-inf")
        self.repeat_s = FIRST_REPEAT_S
        """The silence after which the oldest pieces are sent again."""

    @property
    def window(self) -> int:
        """How many pieces may be unacknowledged."""
        return int(self._window)

    @property
    def is_known(self) -> bool:
        """Whether a round trip has been measured."""
        return self._smooth_s > 0.0

    @property
    def repeats(self) -> int:
        """How many pieces are sent again at once; one while nothing is known of the way."""
        return max(self.window // 4, 1) if self.is_known else 1

    @property
    def longest_repeat_s(self) -> float:
        """The longest pause between two copies of the oldest piece, while this node runs."""
        return max(REPEAT_MAX_S, 2 * self._smooth_s)

    def patient(self, limit_s: float) -> float:
        """Stretch a limit for an answer where the way is so slow that queues alone reach it."""
        return max(limit_s, STALL_ROUND_TRIPS * self._smooth_s)

    def measure(self, round_trip_s: float, now: float) -> None:
        """Learn from one round trip."""
        round_trip_s = max(round_trip_s, 0.0)
        if now - self._way_since > WAY_LIFE_S:
            self._ways = (self._ways[1], round_trip_s)
            self._way_since = now
        self._ways = (self._ways[0], min(self._ways[1], round_trip_s))
        self._smooth_s = (
            round_trip_s
            if self._smooth_s == 0.0
            else self._smooth_s + (round_trip_s - self._smooth_s) / 8
        )

    def advance(self, count: int, upto: int, following: int, round_trip_s: float | None) -> None:
        """Take in that `count` pieces, up to number `upto`, were acknowledged.

        `following` is the number of the next new piece: a window shrinks once on the way to it.
        """
        self.repeat_s = max(REPEAT_S, 1.5 * self._smooth_s)
        queue_s = 0.0 if round_trip_s is None else round_trip_s - min(self._ways)
        if queue_s > self._patience_s:
            self._shrink(SHRINK, upto, following)
        elif self._is_searching:
            self._window += count
        else:
            self._window += count / self._window
        self._window = min(self._window, float(LARGEST_WINDOW))

    def hear_nothing(self, oldest: int, following: int) -> None:
        """Take in that the oldest piece has to be repeated for want of an answer."""
        self.repeat_s = min(1.5 * self.repeat_s, self.longest_repeat_s)
        if self.is_known:  # else the peer may only not know of the contact yet
            self._shrink(0.5, oldest, following)

    def wants_answer(self, seq: int, *, is_full: bool) -> bool:
        """Whether a piece is to be acknowledged at once: two in each window, and what fills it."""
        return is_full or seq % max(self.window // 2, 1) == 0

    def _shrink(self, factor: float, upto: int, following: int) -> None:
        self._is_searching = False
        if upto < self._shrunk_until:
            return
        self._shrunk_until = following
        self._window = max(self._window * factor, float(LEAST_WINDOW))
