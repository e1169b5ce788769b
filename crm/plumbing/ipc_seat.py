"""What both ends of the local bus share: the words they say, and what they know of their process.

Responsible for the frames of a conversation and for whom the kernel says is at the other end. Who
speaks first, and what follows, stands in `ipc`.

Source: docs/protocol/local.md, decision 2 of the design.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import pwd
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zmq

from crm.plumbing.codec import MAX_MESSAGE_BYTES, Codec
from crm.plumbing.errors import RemoteProtocolError
from crm.plumbing.machine import (
    Caller,
    MessageArrived,
    Note,
    PeerAlive,
    PeerConnected,
    PeerLost,
    debug,
    error,
)
from crm.plumbing.settings import CLUSTER_USER

QUEUE_MESSAGES = 20_000
"""How many messages may wait for a peer that does not read before it is dropped."""

MAX_UNREAD_BYTES = 4 * MAX_MESSAGE_BYTES
"""How much may wait for a dialler that does not read before it is dropped."""

_PATH_LIMIT = 107

HEADER = struct.Struct("!BQQ")
"""Kind, conversation, sequence number."""

BusEvent = MessageArrived | PeerConnected | PeerLost | PeerAlive
Deliver = Callable[[BusEvent], None]
Report = Callable[[Note], None]


class Kind(enum.IntEnum):
    """What a frame is."""

    HELLO = 1
    WELCOME = 2
    MESSAGE = 3
    BYE = 4
    PROBE = 5
    ASK = 6
    ALIVE = 7
    TAKEN = 8


class Identity(msgspec.Struct, frozen=True):
    """What HELLO and WELCOME say about the speaker."""

    name: str
    pid: int
    incarnation: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """The two codecs of one bus conversation."""

    requests: Codec
    """What the dialler says to the server."""
    replies: Codec
    """What the server says to the dialler."""


@dataclass(slots=True)
class Talk:
    """One side of a conversation: its number, the sequence numbers and the bytes both ways."""

    number: int
    peer: str
    incarnation: str = ""
    sent: int = 0
    received: int = 0
    sent_bytes: int = 0
    taken_bytes: int = 0
    told_bytes: int = 0
    descriptor: int = -1
    open: bool = False


@dataclass(slots=True)
class Counters:
    """What happened to messages since the start; for tests and for the black box."""

    sent: int = 0
    received: int = 0
    undecodable: int = 0
    undeliverable: int = 0
    refused: int = 0


class Seat:
    """This process at the bus, as both ends of its conversations see it.

    `deliver` gets events in order; `report` gets lines for the log.
    """

    def __init__(self, directory: Path, name: str, deliver: Deliver, report: Report) -> None:
        self.name = name
        self.deliver = deliver
        self.report = report
        self.counters = Counters()
        self.loop = asyncio.get_running_loop()
        self.context = zmq.Context(1)
        self.context.set(zmq.MAX_SOCKETS, 256)
        self.identity = Identity(name, os.getpid(), secrets.token_hex(8))
        self.welcome_uids = trusted_uids()
        self.queue_messages = QUEUE_MESSAGES
        self.max_unread_bytes = MAX_UNREAD_BYTES
        self.directory = directory
        self._directory_handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def vacate(self) -> None:
        """Let go of what libzmq and the kernel hold for us, once every socket is closed."""
        self.context.term()
        os.close(self._directory_handle)

    def undeliverable(self, peer: str, message: msgspec.Struct) -> None:
        """Count and note a message for a peer that is not there."""
        self.counters.undeliverable += 1
        kind = type(message).__name__
        self.report(debug(self.name, f"no '{peer}' to send {kind} to, dropped"))

    def endpoint(self, name: str) -> str:
        """The address of a server's socket, by way of our handle when the path is too long."""
        path = f"{self.directory}/{name}"
        if len(os.fsencode(path)) > _PATH_LIMIT:
            path = f"/proc/self/fd/{self._directory_handle}/{name}"
        return f"ipc://{path}"

    def is_welcome(self, frame: zmq.Frame) -> bool:
        """Tell whether the kernel says that a frame came from one of our users."""
        caller = caller_of(frame)
        return caller is not None and caller.uid in self.welcome_uids


def deliver_from(seat: Seat, peer: str, codec: Codec, frame: zmq.Frame) -> None:
    """Hand a message of a conversation to the machine of this process."""
    seat.counters.received += 1
    try:
        message = codec.decode(frame.buffer)
    except RemoteProtocolError as problem:
        seat.counters.undecodable += 1
        seat.report(error(seat.name, f"dropped a message from '{peer}': {problem}"))
        return
    seat.deliver(MessageArrived(peer, message))


def _caller_in(address: str) -> Caller | None:
    """Who stands in libzmq's `localhost:UID:GID:PID`; None when it is not of that form."""
    parts = address.split(":")[1:]
    if len(parts) != len(Caller._fields) or not all(part.isdigit() for part in parts):
        return None
    return Caller(*map(int, parts))


def uid_of(address: str) -> int:
    """Tell whose uid stands in an address of libzmq's; -1 for nobody's."""
    caller = _caller_in(address)
    return -1 if caller is None else caller.uid


def caller_of(frame: zmq.Frame) -> Caller | None:
    """Tell whom the kernel says a frame came from."""
    try:
        address = frame.get("Peer-Address")
    except zmq.ZMQError:
        return None
    return _caller_in(address) if isinstance(address, str) else None


def trusted_uids() -> frozenset[int]:
    """Say who may be on the bus: root, our own user, and the cluster's."""
    uids = {0, os.geteuid()}
    with contextlib.suppress(KeyError):
        uids.add(pwd.getpwnam(CLUSTER_USER).pw_uid)
    return frozenset(uids)
