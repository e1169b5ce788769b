"""How large the packets to one peer over one link may be, learnt from which of them arrive.

Responsible for the size at which messages to one peer are cut, and for which copies of a piece
travel in parts. Not responsible for sending, nor for numbering (`delivery`).

Theory of operation. A way may carry small packets and drop large ones without a word: a tunnel, a
switch with another idea of a frame, a firewall that drops fragments. No probes are sent: every
acknowledgement says which copy of a piece arrived first. Every other repetition of a large piece
travels in parts of `LEAST_PACKET_BYTES`, so a message gets through in any case. When
`SPLIT_RUN` large pieces in a row came only in parts, or `LATE_RUN` in a row only as a repetition
(which goes over other links as well), large packets do not arrive: the size goes down a step. A
hole that the peer names counts as one such piece, however many it holds: a burst is lost anywhere.
Random loss does that too, rarely, and without harm. After a pause the next larger size is tried
again; each time that fails the pause doubles.

The first copy of a piece goes over one link, repetitions over all of them. So what is learnt is
learnt of the link of the first copy: no medium travels in small packets for the sake of another.

Pure: times come in.

Source: RFC 8899 (which probes; here the data does); docs/protocol/wire.md, "Streams".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from crm.plumbing.machine import Note, info, warn
from messaging import frame

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
    """The size of the packets on one way; `largest_bytes` is what the interface carries."""

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

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last large piece did not arrive at once."""
        return self._late_run > 0 or self._split_run > 0

    @property
    def next_bytes(self) -> int:
        """The next smaller size: what is not longer says nothing for the present one."""
        return self._sizes[min(self._step + 1, len(self._sizes) - 1)]

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


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """To a peer over a link; the link is "" where none has been heard yet."""

    peer: str
    link: str

    def __str__(self) -> str:
        return f"node {self.peer} over {self.link}" if self.link else f"node {self.peer}"


class PieceSizes:
    """What is known of every way; it outlives contacts."""

    def __init__(self) -> None:
        self._limits: Mapping[str, int] = {}
        self._known: dict[str, dict[str, PieceSize]] = {}

    def limit(self, packet_bytes: Mapping[str, int]) -> None:
        """Begin anew with what the interfaces of links carry uncut, as far as known."""
        self._limits = packet_bytes
        self._known.clear()

    def of(self, way: Way) -> int:
        """No packet with a piece of a message is longer on this way."""
        return self._size(way).packet_bytes

    def widest(self, peer: str) -> int:
        """No packet is longer that goes to a peer on all links."""
        known = self._known.get(peer)
        return max(size.packet_bytes for size in known.values()) if known else _FULL

    def is_in_doubt(self, peer: str) -> bool:
        """Whether anything speaks against the size on a way to a peer."""
        return any(size.is_in_doubt for size in self._known.get(peer, {}).values())

    def judge(
        self, way: Way, length: int, copy: int, now: float, *, in_parts: bool = False
    ) -> list[Note]:
        """Take in which copy of a piece arrived first, whose first copy went this way.

        `length` is that of a packet with the piece, in bytes; small ones say nothing, and one that
        arrives says something for the present size only if the next smaller one is too small.
        """
        size = self._size(way)
        before = size.packet_bytes
        if length <= (LEAST_PACKET_BYTES if copy > 1 else size.next_bytes):
            return []
        if not size.judge(copy, now, in_parts=in_parts):
            return []
        where = "there " if way.link else ""
        text = f"packets of {before} bytes do not reach {way}: it gets messages {where}in packets"
        return [warn("heartbeat", f"{text} of {size.packet_bytes} bytes")]

    def try_larger(self, way: Way, now: float) -> list[Note]:
        """Go up a step on a way if it is time for that."""
        size = self._size(way)
        if not size.try_larger(now):
            return []
        return [info("heartbeat", f"trying packets of {size.packet_bytes} bytes to {way} again")]

    def _size(self, way: Way) -> PieceSize:
        of_peer = self._known.setdefault(way.peer, {})
        known = of_peer.get(way.link)
        if known is None:
            known = of_peer[way.link] = PieceSize(self._limits.get(way.link, _FULL))
        return known


_FULL = frame.PIECE_PACKET_BYTES
