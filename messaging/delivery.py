"""Messages that arrive: once, in order, whole, between two nodes that are in contact.

Responsible for numbering, acknowledging, repeating and cutting up messages. Not responsible for
whether a peer is alive (`links` says when a contact begins and ends) nor for what is said.

Theory of operation. Between two nodes in contact run two streams each way: channel CONTROL for
membership, channel CLIENTS for everything else, so that agreement never waits behind a large
message. A message is cut into *pieces*, each numbered from 1 within its stream. At most a window
of pieces is unacknowledged (`pacing` says how large it is, and how long to wait for an answer);
the rest waits, bounded. The receiver acknowledges after some pieces or a short while, and names
holes `NAK_S` after it sees them. The sender repeats what is named at once, and the oldest
unacknowledged pieces when nothing comes back, later each time: so the loss of the last piece of
all is noticed without a heartbeat. An acknowledgement that waits rides on a piece that goes the
other way, where that is not held up itself: question and answer need no packet of their own for it.

A stream that stands still for `stall_s` of repetitions ends its contact: whoever hears heartbeats
and takes nothing else cannot be worked with. Time in which this node did not run does not count.

Every piece names its contact. A piece of another contact is dropped unread, so a restarted peer,
or one that was given up, never sees half a message of before. All that waits at the end of a
contact is lost, and both sides know it.

Invariant: for each stream, what was delivered is a prefix of what was sent.

Source: docs/protocol/wire.md, "Streams"; decision 0011.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crm.plumbing.codec import MAX_MESSAGE_BYTES
from crm.plumbing.machine import Note, info, warn
from messaging import frame, packing
from messaging.pacing import LARGEST_WINDOW, Pace
from messaging.piecesize import LEAST_PACKET_BYTES, PieceSizes, Way, is_in_parts
from messaging.standing import Contact
from messaging.streams import (
    CHANNELS,
    MAX_RANGES,
    Channel,
    Conversation,
    Inbound,
    Outbound,
    Piece,
    chunk_bytes,
    parts_of,
)

ACK_EVERY = 16
ACK_S = 0.010
NAK_S = 0.005
NAK_AGAIN_S = 0.040
MAX_BEFORE = 4
"""An acknowledgement does not wait behind more pieces than that."""

MAX_COPIES = 255
MAX_QUEUED_BYTES = 3 * MAX_MESSAGE_BYTES
"""How much may wait for a peer before the contact with it ends."""
STALL_S = 10.0
"""So long a stream may stand still towards a peer that is heard, at least (`Timing.stall_s`)."""

LOG_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send a packet to a peer: on a link ("": on its best one), or (`everywhere`) on all of them.

    `is_bulk`: it may wait, on this computer and on the way, while anything else goes first.
    """

    peer: str
    message: frame.Data | frame.Ack
    everywhere: bool = False
    is_bulk: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True)
class Deliver:
    """A whole message of a peer, in its turn."""

    peer: str
    channel: Channel
    payload: bytes


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The peer does not take, or breaks the rules of, a stream: end the contact."""

    peer: str
    reason: str


Effect = Transmit | Deliver | GiveUp | Note


class Delivery:
    """The machine of all streams of one node. Driven by calls, it answers with effects.

    `best_link` tells over which link a peer is best reached now, "" if none is known.
    """

    def __init__(
        self,
        node: str,
        *,
        session: bytes,
        compression: str = "zlib",
        threshold_bytes: int = 2048,
        patience_s: float = 0.0,
        stall_s: float = STALL_S,
        best_link: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._node = node
        self._session = session
        self._compression = compression
        self._threshold = threshold_bytes
        self._patience_s = patience_s
        self._stall_s = stall_s
        self._best_link = best_link
        self._sizes = PieceSizes()
        self._conversations: dict[str, Conversation] = {}
        self._logged_at: dict[str, float] = {}
        self._dues: dict[str, float] = {}
        """When there is something to do for a peer, as far as nothing was said or heard since."""

        self._touched: set[str] = set()
        """Whose deadline is to be looked for again."""

    @property
    def peers(self) -> tuple[str, ...]:
        """The peers in contact, in the order in which contact was made."""
        return tuple(self._conversations)

    def limit_packets(self, packet_bytes: Mapping[str, int]) -> None:
        """Cut messages so that no packet with a piece of one is longer than its link carries."""
        self._sizes.limit(packet_bytes)

    def begin(self, peer: str, contact: Contact) -> None:
        """Start fresh streams with a peer."""
        self._touched.add(peer)
        self._conversations[peer] = Conversation(
            contact,
            tuple(Outbound(Pace(self._patience_s)) for _ in Channel),
            tuple(Inbound() for _ in Channel),
        )

    def end(self, peer: str) -> None:
        """Forget the streams with a peer."""
        self._touched.add(peer)
        self._conversations.pop(peer, None)

    def is_drained(self) -> bool:
        """Whether everything sent to everybody is acknowledged."""
        return all(
            not stream.flight and not stream.waiting
            for conversation in self._conversations.values()
            for stream in conversation.outbound
        )

    # --- sending ----------------------------------------------------------------------------

    def furthest_behind(self, peers: tuple[str, ...]) -> tuple[str, int]:
        """Name the peer for which most waits of what clients have sent, and how many bytes."""
        waiting = {
            peer: self._conversations[peer].outbound[Channel.CLIENTS].waiting_bytes
            for peer in peers
            if peer in self._conversations
        }
        return max(waiting.items(), key=lambda each: each[1], default=("", 0))

    def send(self, peer: str, channel: Channel, payload: bytes, now: float) -> list[Effect]:
        """Queue a message for a peer; without contact it is dropped."""
        return self.send_to((peer,), channel, payload, now)

    def send_to(
        self, peers: tuple[str, ...], channel: Channel, payload: bytes, now: float
    ) -> list[Effect]:
        """Queue one message for several peers."""
        packed = packing.pack(payload, self._compression, above_bytes=self._threshold)
        effects: list[Effect] = []
        for peer in peers:
            conversation = self._conversations.get(peer)
            if conversation is None:
                continue
            self._touched.add(peer)
            stream = conversation.outbound[channel]
            way = Way(peer, self._best_link(peer))
            effects += self._sizes.try_larger(way, now)
            piece_bytes = chunk_bytes(self._sizes.of(way))
            for start in range(0, len(packed), piece_bytes):
                chunk = packed[start : start + piece_bytes]
                stream.waiting.append(Piece(start + piece_bytes >= len(packed), chunk))
            stream.waiting_bytes += len(packed)
            if stream.waiting_bytes > MAX_QUEUED_BYTES:
                self.end(peer)
                effects.append(GiveUp(peer, "too much waits for it"))
                continue
            effects += self._pump(peer, conversation, channel, now)
        return effects

    def _pump(
        self, peer: str, conversation: Conversation, channel: Channel, now: float
    ) -> list[Effect]:
        stream = conversation.outbound[channel]
        effects: list[Effect] = []
        while stream.waiting and len(stream.flight) < stream.pace.window:
            piece = stream.waiting.popleft()
            stream.waiting_bytes -= len(piece.chunk)
            stream.flight[stream.next_seq] = piece
            effects += self._transmit(peer, conversation, channel, stream.next_seq, now)
            stream.next_seq += 1
        return effects

    def _transmit(
        self, peer: str, conversation: Conversation, channel: Channel, seq: int, now: float
    ) -> list[Effect]:
        """Send a piece, or send it again: whole, or in parts where that is too long."""
        stream = conversation.outbound[channel]
        piece = stream.flight[seq]
        if piece.sent_at and seq == next(iter(stream.flight)):
            # A longer pause than that is our own: nothing was repeated in it.
            stream.stalled_s += min(now - piece.sent_at[-1], stream.pace.longest_repeat_s)
        if len(piece.sent_at) < MAX_COPIES:
            piece.sent_at.append(now)
        else:
            piece.sent_at[-1] = now
        copy = len(piece.sent_at)
        if copy == 1:
            piece.link = self._best_link(peer)
        if is_in_parts(copy, now - piece.sent_at[0], is_known=stream.pace.is_known):
            piece.in_parts.add(copy)
        is_full = len(stream.flight) >= stream.pace.window
        is_held_up = bool(stream.waiting) or len(stream.flight) > MAX_BEFORE
        asks = bool(stream.waiting) and stream.pace.wants_answer(seq, is_full=is_full)
        contact = conversation.contact
        message = frame.Data(
            peer,
            contact.session,
            contact.my_epoch,
            contact.peer_epoch,
            channel,
            seq,
            piece.last,
            piece.chunk,
            copy,
            asks,
            None if is_held_up else conversation.inbound[channel].owed(now),
        )
        if copy in piece.in_parts:
            packet_bytes = LEAST_PACKET_BYTES
        elif copy > 1:
            packet_bytes = self._sizes.widest(peer)
        else:
            packet_bytes = self._sizes.of(Way(peer, piece.link))
        is_bulk = channel is Channel.CLIENTS
        link = "" if copy > 1 else piece.link
        return [
            Transmit(peer, each, everywhere=copy > 1, is_bulk=is_bulk, link=link)
            for each in parts_of(message, packet_bytes)
        ]

    # --- receiving --------------------------------------------------------------------------

    def receive(
        self, peer: str, session: bytes, message: frame.Data | frame.Ack, now: float
    ) -> list[Effect]:
        """Take in a piece or an acknowledgement that `session` of a peer sent."""
        conversation = self._conversations.get(peer)
        if conversation is None or message.to != self._node:
            return []
        contact = conversation.contact
        if contact.session != session or message.peer_session != self._session:
            return []
        named = (message.your_epoch, message.my_epoch)
        if named != (contact.my_epoch, contact.peer_epoch) or message.channel not in (0, 1):
            return []
        channel = CHANNELS[message.channel]
        self._touched.add(peer)
        effects: list[Effect] = []
        if message.heard is not None:
            stream = conversation.outbound[channel]
            effects += self._judge_sizes(peer, stream, message.heard, now)
            stream.forget(message.heard, now)
        if isinstance(message, frame.Ack):
            effects += self._send_missing(peer, conversation, channel, message, now)
        else:
            effects += self._take_piece(peer, conversation, channel, message, now)
        if message.heard is not None and peer in self._conversations:
            effects += self._pump(peer, conversation, channel, now)
        return effects + self._give_up_stalled(peer, conversation)

    def _give_up_stalled(self, peer: str, conversation: Conversation) -> list[Effect]:
        """End the contact with a peer that is heard, but does not take what is sent to it."""
        if self._conversations.get(peer) is not conversation:
            return []
        for stream in conversation.outbound:
            if not stream.stalled_s:
                continue
            limit_s = stream.pace.patient(self._stall_s)
            if stream.stalled_s > limit_s:
                self.end(peer)
                return [GiveUp(peer, f"has acknowledged nothing for {limit_s:.0f} s")]
        return []

    def _send_missing(
        self,
        peer: str,
        conversation: Conversation,
        channel: Channel,
        ack: frame.Ack,
        now: float,
    ) -> list[Effect]:
        stream = conversation.outbound[channel]
        effects: list[Effect] = []
        lost: Piece | None = None
        for first, last in ack.missing[:MAX_RANGES]:
            for seq in range(max(first, 1), min(last, stream.next_seq - 1) + 1):
                piece = stream.flight.get(seq)
                if piece is not None and now - piece.sent_at[-1] >= NAK_S:
                    lost = piece if lost is None and len(piece.sent_at) == 1 else lost
                    effects += self._transmit(peer, conversation, channel, seq, now)
        return effects if lost is None else [*effects, *self._judge_size(peer, lost, 2, now)]

    def _judge_sizes(
        self, peer: str, stream: Outbound, heard: frame.Heard, now: float
    ) -> list[Effect]:
        """Learn from an acknowledgement whether large packets reach a peer."""
        effects: list[Effect] = []
        if self._sizes.is_in_doubt(peer):
            for piece in stream.acknowledged(heard):
                if len(piece.sent_at) == 1:
                    effects += self._judge_size(peer, piece, 1, now)
        newest = stream.flight.get(heard.upto)
        if newest is not None:
            effects += self._judge_size(peer, newest, heard.copy, now)
        return effects

    def _judge_size(self, peer: str, piece: Piece, copy: int, now: float) -> list[Note]:
        if piece.is_judged:
            return []
        piece.is_judged = True
        way = Way(peer, piece.link)
        length = len(piece.chunk) + frame.PIECE_OVERHEAD_BYTES
        return self._sizes.judge(way, length, copy, now, in_parts=copy in piece.in_parts)

    def _take_piece(
        self,
        peer: str,
        conversation: Conversation,
        channel: Channel,
        piece: frame.Data,
        now: float,
    ) -> list[Effect]:
        stream = conversation.inbound[channel]
        if piece.seq < stream.expected or piece.seq in stream.early:
            return [self._acknowledge(peer, conversation, channel, now)]
        if piece.seq >= stream.expected + 2 * LARGEST_WINDOW:
            return []
        if piece.parts != 1:
            whole = stream.join_parts(piece)
            if whole is None:
                return []
            piece = whole
        effects: list[Effect] = []
        stream.torn.pop(piece.seq, None)
        if piece.seq > stream.expected:
            stream.early[piece.seq] = piece
            if stream.nak_due is None:
                stream.nak_due = now + NAK_S
            return effects
        current: frame.Data | None = piece
        while current is not None:
            effects += self._append(peer, channel, stream, current)
            stream.expected += 1
            stream.unacknowledged += 1
            stream.newest_copy, stream.newest_at = current.copy, now
            current = stream.early.pop(stream.expected, None)
        if any(isinstance(effect, GiveUp) for effect in effects):
            self.end(peer)
            return effects
        effects += self._close_hole(peer, stream)
        if stream.ack_due is None:
            stream.ack_due = now + ACK_S
        if stream.unacknowledged >= ACK_EVERY or piece.seq == 1 or piece.ask:
            effects.append(self._acknowledge(peer, conversation, channel, now))
        return effects

    def _append(
        self, peer: str, channel: Channel, stream: Inbound, piece: frame.Data
    ) -> list[Effect]:
        """Add a piece in its turn; hand over the message it completes."""
        stream.parts.append(piece.chunk)
        stream.size += len(piece.chunk)
        if stream.size > MAX_MESSAGE_BYTES:
            return [GiveUp(peer, "sends a message that is too large")]
        if not piece.last:
            return []
        packed = b"".join(stream.parts)
        stream.parts = []
        stream.size = 0
        payload = packing.unpack(packed)
        if payload is None:
            return [GiveUp(peer, "sends a message that cannot be unpacked")]
        return [Deliver(peer, channel, payload)]

    def _close_hole(self, peer: str, stream: Inbound) -> list[Effect]:
        if stream.early:
            return []
        stream.nak_due = None
        if not stream.hole_noted:
            return []
        stream.hole_noted = False
        return [info("heartbeat", f"No pkts missing from {peer}!")]

    def _acknowledge(
        self, peer: str, conversation: Conversation, channel: Channel, now: float
    ) -> Transmit:
        stream = conversation.inbound[channel]
        contact = conversation.contact
        ack = frame.Ack(
            peer,
            contact.session,
            contact.my_epoch,
            contact.peer_epoch,
            channel,
            stream.heard(now),
            stream.missing(),
        )
        return Transmit(peer, ack)

    def acknowledge_all(self, peer: str, now: float) -> list[Effect]:
        """Acknowledge everything that has come from a peer, before its streams end."""
        conversation = self._conversations.get(peer)
        if conversation is None:
            return []
        self._touched.add(peer)
        return [self._acknowledge(peer, conversation, channel, now) for channel in Channel]

    # --- time -------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Effect]:
        """Repeat, acknowledge and ask for what is missing, as far as due."""
        self._look_at_touched()
        effects: list[Effect] = []
        for peer, conversation in list(self._conversations.items()):
            due = self._dues.get(peer)
            if due is None or now < due:
                continue
            self._touched.add(peer)
            for channel in CHANNELS:
                effects += self._repeat(peer, conversation, channel, now)
                effects += self._answer(peer, conversation, channel, now)
            effects += self._give_up_stalled(peer, conversation)
        return effects

    def _repeat(
        self, peer: str, conversation: Conversation, channel: Channel, now: float
    ) -> list[Effect]:
        stream = conversation.outbound[channel]
        due = stream.repeat_due()
        if due is None or now < due:
            return []
        repeat_s = stream.pace.repeat_s
        late = [seq for seq, piece in stream.flight.items() if now >= piece.sent_at[-1] + repeat_s]
        stream.pace.hear_nothing(late[0], stream.next_seq)
        effects: list[Effect] = []
        for seq in late[: stream.pace.repeats]:
            effects += self._transmit(peer, conversation, channel, seq, now)
        return effects

    def _answer(
        self, peer: str, conversation: Conversation, channel: Channel, now: float
    ) -> list[Effect]:
        stream = conversation.inbound[channel]
        effects: list[Effect] = []
        if stream.nak_due is not None and now >= stream.nak_due:
            stream.nak_due = now + NAK_AGAIN_S
            effects += self._note_hole(peer, stream, now)
            effects.append(self._acknowledge(peer, conversation, channel, now))
        elif stream.ack_due is not None and now >= stream.ack_due:
            effects.append(self._acknowledge(peer, conversation, channel, now))
        return effects

    def _note_hole(self, peer: str, stream: Inbound, now: float) -> list[Effect]:
        if stream.hole_noted or now - self._logged_at.get(peer, float("-inf")) < LOG_PAUSE_S:
            return []
        self._logged_at[peer] = now
        stream.hole_noted = True
        first = stream.expected - 1
        following = min(stream.early)
        lost = following - first - 1
        return [warn("heartbeat", f"{lost} lost packet(s) for [{peer}] [{first}:{following}]")]

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        self._look_at_touched()
        return min(self._dues.values(), default=None)

    def _look_at_touched(self) -> None:
        """Find the deadlines of those anew whose streams may have changed: mostly one of many."""
        for peer in self._touched:
            conversation = self._conversations.get(peer)
            due = None if conversation is None else conversation.due()
            if due is None:
                self._dues.pop(peer, None)
            else:
                self._dues[peer] = due
        self._touched.clear()
