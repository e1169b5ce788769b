"""The two ends of a stream: what is on its way, what has come, and how a message is cut.

Responsible for the state of the streams with one peer during one contact. Not responsible for when
something is sent, nor for what follows (`delivery`, whose theory of operation holds here too).

Source: docs/protocol/wire.md, "Streams"; decision 0011.
"""

from __future__ import annotations

import collections
import enum
import itertools
from dataclasses import dataclass, field

import msgspec

from messaging import frame
from messaging.pacing import Pace
from messaging.standing import Contact

MAX_RANGES = 32
MAX_HELD_S = 60.0
MAX_PARTS = 8
_NEVER = float("inf")


class Channel(enum.IntEnum):
    """The two streams to each peer."""

    CONTROL = 0
    CLIENTS = 1


CHANNELS = tuple(Channel)


@dataclass
class Piece:
    """A part of a message on its way to a peer, or waiting for that."""

    last: bool
    chunk: bytes
    link: str = ""
    """Where its first copy went."""

    sent_at: list[float] = field(default_factory=list)
    in_parts: set[int] = field(default_factory=set)
    """The copies that travelled in the smallest parts."""

    is_judged: bool = False
    """Whether it has said already what it says of the size of packets."""


@dataclass
class Outbound:
    """The sending end of a stream."""

    pace: Pace
    waiting: collections.deque[Piece] = field(default_factory=collections.deque)
    waiting_bytes: int = 0
    flight: dict[int, Piece] = field(default_factory=dict)
    next_seq: int = 1
    stalled_s: float = 0.0
    """How long repetitions of the oldest piece have changed nothing, while this node ran."""

    def repeat_due(self) -> float | None:
        """When the oldest pieces are to be sent again."""
        if not self.flight:
            return None
        oldest = next(iter(self.flight.values()))
        return oldest.sent_at[-1] + self.pace.repeat_s

    def acknowledged(self, heard: frame.Heard) -> list[Piece]:
        """Those on their way that have arrived, as an acknowledgement says."""
        numbers = itertools.takewhile(lambda seq: seq <= heard.upto, self.flight)
        return [self.flight[seq] for seq in numbers]

    def forget(self, heard: frame.Heard, now: float) -> None:
        """Keep no longer what has arrived, and learn from how long it took."""
        done = list(itertools.takewhile(lambda seq: seq <= heard.upto, self.flight))
        round_trip_s = _round_trip(self.flight.get(heard.upto), heard, now)
        for seq in done:
            del self.flight[seq]
        if done:
            self.stalled_s = 0.0
            if round_trip_s is not None:
                self.pace.measure(round_trip_s, now)
            self.pace.advance(len(done), done[-1], self.next_seq, round_trip_s)


@dataclass
class Inbound:
    """The receiving end of a stream."""

    expected: int = 1
    early: dict[int, frame.Data] = field(default_factory=dict)
    torn: dict[int, dict[int, frame.Data]] = field(default_factory=dict)
    """Pieces of which some parts have come, by number."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    unacknowledged: int = 0
    newest_copy: int = 1
    newest_at: float = 0.0
    ack_due: float | None = None
    nak_due: float | None = None
    hole_noted: bool = False

    def join_parts(self, part: frame.Data) -> frame.Data | None:
        """Take in a part of a piece; the whole piece, once all parts of one copy have come."""
        if part.parts > MAX_PARTS or part.part >= part.parts:
            return None
        parts = self.torn.setdefault(part.seq, {})
        if any((other.copy, other.parts) != (part.copy, part.parts) for other in parts.values()):
            parts.clear()
        parts[part.part] = part
        if len(parts) < part.parts:
            return None
        chunk = b"".join(parts[number].chunk for number in range(part.parts))
        return msgspec.structs.replace(part, chunk=chunk, part=0, parts=1)

    def missing(self) -> tuple[tuple[int, int], ...]:
        """The holes below the highest piece that came early."""
        ranges: list[tuple[int, int]] = []
        following = self.expected
        for seq in sorted(self.early):
            if seq > following:
                ranges.append((following, seq - 1))
            following = seq + 1
        return tuple(ranges[:MAX_RANGES])

    def heard(self, now: float) -> frame.Heard:
        """Say what has arrived; it is acknowledged therewith."""
        self.unacknowledged = 0
        self.ack_due = None
        held_s = min(max(now - self.newest_at, 0.0), MAX_HELD_S)
        return frame.Heard(self.expected - 1, self.newest_copy, round(1e6 * held_s))

    def owed(self, now: float) -> frame.Heard | None:
        """Say what has arrived, if that waits to be said and there are no holes to be named."""
        return None if self.ack_due is None or self.early else self.heard(now)


@dataclass
class Conversation:
    """All streams with one peer during one contact."""

    contact: Contact
    outbound: tuple[Outbound, ...]
    inbound: tuple[Inbound, ...]

    def due(self) -> float | None:
        """When something is to be repeated, acknowledged or asked for, if nothing comes before."""
        soonest = _NEVER
        for outbound in self.outbound:
            if outbound.flight:
                due = outbound.repeat_due()
                if due is not None and due < soonest:
                    soonest = due
        for inbound in self.inbound:
            if inbound.ack_due is not None and inbound.ack_due < soonest:
                soonest = inbound.ack_due
            if inbound.nak_due is not None and inbound.nak_due < soonest:
                soonest = inbound.nak_due
        return None if soonest == _NEVER else soonest


def chunk_bytes(packet_bytes: int) -> int:
    """How much of a message a packet of some length holds."""
    return packet_bytes - frame.PIECE_OVERHEAD_BYTES


def parts_of(piece: frame.Data, packet_bytes: int) -> list[frame.Data]:
    """Cut a piece into parts if a packet with it would be too long."""
    room = chunk_bytes(packet_bytes)
    if len(piece.chunk) <= room:
        return [piece]
    room = max(room, -(-len(piece.chunk) // MAX_PARTS))
    chunks = [piece.chunk[start : start + room] for start in range(0, len(piece.chunk), room)]
    return [
        msgspec.structs.replace(
            piece,
            chunk=chunk,
            part=number,
            parts=len(chunks),
            heard=piece.heard if number == 0 else None,
            ask=piece.ask and number == len(chunks) - 1,
        )
        for number, chunk in enumerate(chunks)
    ]


def _round_trip(piece: Piece | None, heard: frame.Heard, now: float) -> float | None:
    """How long the piece an acknowledgement is about, and the acknowledgement, were on the way."""
    if piece is None or not 1 <= heard.copy <= len(piece.sent_at):
        return None
    return now - piece.sent_at[heard.copy - 1] - min(heard.held_us / 1e6, MAX_HELD_S)
