"""What travels between nodes: the clear header of a packet, and the messages sealed inside.

Responsible for form only. Who may be believed is `auth`'s, what is heard when is `links`',
order and repetition are `delivery`'s.

A packet is a header of 33 bytes, the sealed body, and a tag of 16 bytes. The header is clear, but
the tag covers it too:

    magic 2 | version 1 | kind 1 | cluster 4 | key number 1 | sender 8 | session 8 | counter 8

Source: docs/protocol/wire.md.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from typing import Annotated, NamedTuple

import msgspec

from crm.plumbing.codec import Codec, Message
from crm.plumbing.errors import RemoteProtocolError

MAGIC = b"PK"
VERSION = 1
TAG_BYTES = 16
MAX_PACKET_BYTES = 16 * 1024
"""No packet is longer; only the heartbeat of a hundred nodes comes near."""

PIECE_PACKET_BYTES = 1400
"""No packet with a piece of a message is longer, so that it is not cut into IP fragments."""

PIECE_OVERHEAD_BYTES = 180
"""What header, tag and the fields of a `Data` take of a packet, with room for long names."""
_HEADER = struct.Struct(">2sBB4sB8s8sQ")
HEADER_BYTES = _HEADER.size
MAGIC_AT, VERSION_AT, KIND_AT, CLUSTER_AT, SENDER_AT = 0, 2, 3, 4, 9
"""Where in a packet what can be judged without a key begins."""


class Kind(enum.IntEnum):
    """A handshake may come from a session nobody knows yet; data may not."""

    DATA = 0
    HANDSHAKE = 1


_LAST_KIND = max(Kind)


class Header(NamedTuple):
    """The clear part of a packet."""

    kind: int
    cluster: bytes
    key_number: int
    sender: bytes
    session: bytes
    counter: int

    def pack(self) -> bytes:
        """Turn the header into its bytes."""
        return _HEADER.pack(MAGIC, VERSION, *self)


def unpack_header(data: bytes) -> Header:
    """Read the header of a packet, checking length, magic and version.

    Raises: RemoteProtocolError whose text is the reason to count ("length", "magic", "version").
    """
    if not HEADER_BYTES + TAG_BYTES <= len(data) <= MAX_PACKET_BYTES:
        raise RemoteProtocolError("length")
    fields = _HEADER.unpack_from(data)  # this is done for every packet, forged ones too
    if fields[0] != MAGIC:
        raise RemoteProtocolError("magic")
    if fields[1] != VERSION or fields[2] > _LAST_KIND:
        raise RemoteProtocolError("version")
    return Header._make(fields[2:])


def cluster_tag(cluster: str) -> bytes:
    """The four bytes by which packets of other clusters are told apart cheaply."""
    return hashlib.sha256(b"cluster\0" + cluster.encode()).digest()[:4]


def sender_tag(cluster: str, node: str) -> bytes:
    """The eight bytes that stand for a node's name in the header."""
    return hashlib.sha256(b"node\0" + cluster.encode() + b"\0" + node.encode()).digest()[:8]


Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""A number in a message; one below the limit can be counted on from without end."""

Epoch = Annotated[int, msgspec.Meta(ge=-1, le=2**62)]
"""A count of breaks; -1 is "not known yet"."""


# --- sealed messages ----------------------------------------------------------------------


class Handshake(Message, frozen=True, array_like=True):
    """Random words thrown to peers, and words of theirs thrown back: proof of being alive.

    Where unlisted nodes may join, the speaker says its name in `node`, whether it `is_joining` (it
    is in no list that it knows), and whether its list names everybody it speaks to here.
    """

    challenges: dict[str, bytes] = {}
    answers: dict[str, bytes] = {}
    node: str = ""
    is_joining: bool = False
    lists_them: bool = False


class Hearing(Message, frozen=True, array_like=True, tag=False):
    """What a node says to (or about) one peer: "this is what I last heard of you".

    `session` is the life of the peer it hears, `echo` the highest stamp heard of that life.
    `my_epoch` counts how often the speaker has given the peer up, `your_epoch` is the peer's
    count as the speaker knows it. `holds_off`: it makes no contact with the peer for now.
    """

    session: bytes
    echo: Count
    my_epoch: Epoch
    your_epoch: Epoch
    holds_off: bool = False


class Status(Message, frozen=True, array_like=True):
    """The heartbeat: to all, each keepalive and at every own change. Never repeated.

    `stamp` is the sender's monotonic time in microseconds; only the sender reads it again.
    `members` are the names of its quorate view, if it is in one.
    """

    status: str
    stamp: Count
    deadtime_ms: Count
    keepalive_ms: Count
    uuid: str
    nodes: Count
    hearings: dict[str, Hearing]
    members: tuple[str, ...] = ()


class Beat(Message, frozen=True, array_like=True):
    """A small status for one peer: a probe when `ask` is set, else the answer to one.

    A probe may ask `about` a third node; the answer's `report` is what its speaker last heard of
    that node, and is missing if the speaker does not trust its own ears at the moment.
    """

    to: str
    ask: bool
    stamp: Count
    hearing: Hearing | None
    about: str = ""
    report: Hearing | None = None


class Heard(Message, frozen=True, array_like=True, tag=False):
    """How far the stream that comes the other way has arrived without a hole.

    `copy` tells which sending of piece `upto` arrived, and `held_us` how long ago.
    """

    upto: Count
    copy: Count = 1
    held_us: Count = 0


class Data(Message, frozen=True, array_like=True):
    """A piece of a message in one of the streams between two nodes.

    `peer_session` and the two epochs name the contact: a piece of an earlier contact is dropped.
    `copy` counts how often the piece has been sent. `ask`: more waits, acknowledge this one now.
    `heard` acknowledges what came the other way, in the place of an `Ack`. Where a whole piece
    is too long for the way, `chunk` is part number `part` (from 0) of `parts`.
    """

    to: str
    peer_session: bytes
    my_epoch: Epoch
    your_epoch: Epoch
    channel: Count
    seq: Count
    last: bool
    chunk: bytes
    copy: Count = 1
    ask: bool = False
    heard: Heard | None = None
    part: Count = 0
    parts: Count = 1


class Ack(Message, frozen=True, array_like=True):
    """What has arrived of a stream; `missing` are ranges to send again."""

    to: str
    peer_session: bytes
    my_epoch: Epoch
    your_epoch: Epoch
    channel: Count
    heard: Heard
    missing: tuple[tuple[Count, Count], ...] = ()


HANDSHAKES = Codec(Handshake)
PACKETS = Codec(Status, Beat, Data, Ack)


# --- messages in the streams --------------------------------------------------------------


class SeatOf(Message, frozen=True, array_like=True, tag=False):
    """One member as membership messages write it: name, life, uuid, and view of its joining."""

    name: str
    incarnation: str
    uuid: str
    born: Count


class Join(Message, frozen=True, array_like=True):
    """A node's word in a membership round: whom it hears, and which view it comes from.

    `reach` pairs names with incarnations. `broken` are members of its view whose contact was
    interrupted since. `origin` is the speaker; others pass it on where it is not heard. `leases`
    are lives the speaker has given up that may rely on it still: name, incarnation, and how many
    milliseconds are left until a quorate view may leave them out. `charter` stands for all that its
    idea of quorum depends on; `disputes`: it is in contact with a node that has another. `tie` are
    the nodes for which it holds the tie; `reaches_out`: a ping node answers it. `is_counted`: it
    was in a quorate view that counted by this charter; else `before` are the nodes, with their
    votes, by which the last one counted. `margin_ms` is how long the speaker has to stop what runs
    on it once it has let go; 0: it does not say, and has as long as the listener.
    """

    round: Count
    origin: str
    incarnation: str
    uuid: str
    nodes: Count
    reach: tuple[tuple[str, str], ...]
    broken: tuple[str, ...]
    highest_id: Count
    view_id: Count = 0
    cookie: str = ""
    quorate: bool = False
    members: tuple[SeatOf, ...] = ()
    leases: tuple[tuple[str, str, Count], ...] = ()
    charter: str = ""
    disputes: bool = False
    tie: tuple[str, ...] = ()
    reaches_out: bool = False
    is_counted: bool = False
    before: tuple[tuple[str, Count], ...] = ()
    margin_ms: Count = 0


class LetGo(Message, frozen=True, array_like=True):
    """A node that a round leaves out has told its clients; the others may go on."""

    round: Count
    origin: str
    incarnation: str


class Nodes(Message, frozen=True, array_like=True):
    """The list of nodes as the speaker knows it, where it is not that of ha.cf any more.

    `weights` and `sites` are those that were changed since the start.
    """

    version: Count
    names: tuple[str, ...]
    deleted: tuple[str, ...] = ()
    weights: tuple[tuple[str, Count], ...] = ()
    sites: tuple[tuple[str, str], ...] = ()


class Clients(Message, frozen=True, array_like=True):
    """The clients signed on at the sender; the first message of every contact."""

    names: tuple[str, ...]


class ClientMoved(Message, frozen=True, array_like=True):
    """A client of the sender signed on or left."""

    name: str
    joined: bool


class ClientData(Message, frozen=True, array_like=True):
    """A message between clients of two nodes."""

    from_client: str
    to_client: str
    payload: bytes


class Leaving(Message, frozen=True, array_like=True):
    """The sender has given up everything and ends: it may be taken off the lists at once."""


class KeyQuestion(Message, frozen=True, array_like=True):
    """Begin a rotation of the key: which numbers have you, and what shall be sealed for you?"""

    round: bytes


class KeyState(Message, frozen=True, array_like=True):
    """The numbers of a node's keys, and a public key it made for this rotation."""

    round: bytes
    numbers: tuple[Count, ...] = ()
    public: bytes = b""
    problem: str = ""


class KeyOrder(Message, frozen=True, array_like=True):
    """Take a step of a rotation (`rotation.Step`); `sealed` is the new secret in step "add"."""

    round: bytes
    step: str
    number: Count
    public: bytes = b""
    sealed: bytes = b""


class KeyDone(Message, frozen=True, array_like=True):
    """A step is on the disk and in use, or `problem` says why not."""

    round: bytes
    step: str
    problem: str = ""


MEMBERSHIP_MESSAGES = Codec(Join, LetGo, Nodes)
NODE_MESSAGES = Codec(
    Clients, ClientMoved, ClientData, Leaving, KeyQuestion, KeyState, KeyOrder, KeyDone
)
