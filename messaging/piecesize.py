"""How large the packets to one peer may be, learnt from which of them arrive.

Responsible for the size at which messages to one peer are cut, and for which copies of a piece
travel in parts. Not responsible for sending, nor for numbering (`delivery`).

Theory of operation. A way may carry small packets and drop large ones without a word: a tunnel, a
switch with another idea of a frame, a firewall that drops fragments. No probes are sent: every
acknowledgement says which copy of a piece arrived first. Every other repetition of a large piece
travels in parts of `LEAST_PACKET_BYTES`, so a message gets through in any case. When
`SPLIT_RUN` large pieces in a row came only in parts, or `LATE_RUN` in a row only as a repetition
(which goes over other links as well), large packets do not arrive: the size goes down a step.
Random loss does that too, rarely, and without harm. After a pause the next larger size is tried
again; each time that fails the pause doubles.

Pure: times come in.

Source: RFC 8899 (which probes; here the data does); docs/protocol/wire.md, "Streams".
"""

from __future__ import annotations

LEAST_PACKET_BYTES = 512
STEPS = (1200, 900, LEAST_PACKET_BYTES)
"""Sizes below that of the interface: tunnels, tunnels in tunnels, and what every way carries."""

PATIENCE_S = 0.1
FIRST_PATIENCE_S = 0.5
SPLIT_RUN = 3
LATE_RUN = 8
RAISE_S = 60.0
RAISE_MAX_S = 960.0


def is_in_parts(copy: int, waited_s: float, *, is_known: bool) -> bool:
    """Whether this copy of a large piece travels in the smallest parts: the third, the fifth ….

    Not yet while the answer may only be slow, above all where nothing is known of the way.
    Units: seconds since the first copy.
    """
    patience_s = PATIENCE_S if is_known else FIRST_PATIENCE_S
    return copy >= 3 and copy % 2 == 1 and waited_s >= patience_s


class PieceSize:
    """The size of the packets to one peer; `largest_bytes` is what the interfaces carry."""

    def __init__(self, largest_bytes: int) -> None:
        self._sizes = (largest_bytes, *(step for step in STEPS if step < largest_bytes))
        self._step = 0
        self._is_trial = False
        self._split_run = 0
        self._late_run = 0
        self._pause_s = RAISE_S
        self._raise_at = float("inf")

    @property
    def packet_bytes(self) -> int:
        """No packet with a piece of a message is longer."""
        return self._sizes[self._step]

    def judge(self, copy: int, now: float, *, in_parts: bool = False) -> bool:
        """Take in which copy of a large piece arrived first; tells whether the size went down."""
        if copy <= 1:
            self._split_run = self._late_run = 0
            return False
        if in_parts:
            self._split_run += 1
        else:
            self._late_run, self._split_run = self._late_run + 1, 0
        if self._split_run < SPLIT_RUN and self._late_run < LATE_RUN:
            return False
        self._split_run = self._late_run = 0
        if self._step + 1 == len(self._sizes):
            return False
        self._step += 1
        self._pause_s = min(2 * self._pause_s, RAISE_MAX_S) if self._is_trial else RAISE_S
        self._is_trial = False
        self._raise_at = now + self._pause_s
        return True

    def try_larger(self, now: float) -> bool:
        """Go up a step if it is time for that; tells whether the size went up."""
        if self._step == 0 or now < self._raise_at:
            return False
        self._step -= 1
        self._is_trial = True
        self._split_run = self._late_run = 0
        self._raise_at = now + self._pause_s
        return True
