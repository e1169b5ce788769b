"""The local bus: ordered typed messages between our own daemons, over pyzmq.

Theory of operation. A server binds one ROUTER socket named after it in a directory that only we
may enter; a dialler connects one DEALER to each server it talks to. Bytes of a codec travel in
two frames: a header (kind, conversation, sequence number) and the payload.

- The dialler speaks first. Each time its connection is made it invents a conversation number and
  says HELLO (its name, pid and incarnation); the server answers WELCOME. From then on both sides
  hold a conversation, and each has told its machine `PeerConnected`.
- Messages are numbered from 1 in each direction. A gap means that something was dropped: the
  side that sees it ends the conversation. Whoever gets a message of a conversation it does not
  know answers BYE. BYE, a lost connection, or a HELLO of a new life ends a conversation with
  `PeerLost`, and the dialler says HELLO again. So nothing is ever lost in silence.
- A dialler learns of a dead server from its socket's monitor. A server gets the number of a
  closed descriptor from its monitor, and asks the ROUTER whether the peer behind it can still be
  reached (it may not believe the number alone, numbers are used again). ZMTP heartbeats find
  frozen processes.
- A server may ask a dialler for a sign of life (ASK). The dialler's event loop answers (ALIVE);
  libzmq's own thread, which would answer for a process whose loop is stuck, has no part in it.
- Nothing is queued beyond libzmq's own queues, which are bounded in messages. A dialler says what
  its loop has TAKEN, so a server knows how many bytes wait for it. Who does not read is dropped.

Only processes of root, of our own user, or of the cluster's user get in: a ZAP handler checks the
uid the kernel reports, and both sides check it again on the first message.

Source: docs/protocol/local.md, decision 2 of the design.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import fcntl
import os
import pwd
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zmq

from crm.plumbing.codec import MAX_MESSAGE_BYTES, Codec
from crm.plumbing.errors import ConfigurationError, CrmError, RemoteProtocolError
from crm.plumbing.machine import (
    Caller,
    MessageArrived,
    Note,
    PeerAlive,
    PeerConnected,
    PeerLost,
    debug,
    error,
    warn,
)
from crm.plumbing.settings import CLUSTER_USER

QUEUE_MESSAGES = 20_000
"""How many messages may wait for a peer that does not read before it is dropped."""

MAX_UNREAD_BYTES = 4 * MAX_MESSAGE_BYTES
"""How much may wait for a dialler that does not read before it is dropped."""

TAKEN_EVERY_BYTES = 1024 * 1024
"""After how much a dialler says what it has read."""

BATCH_MESSAGES = 64
"""How many messages one turn of the event loop takes from a socket."""

PROBE_DELAYS_S = (0.0, 0.005, 0.05, 0.5)
"""When a server asks, after a descriptor was closed, whether its peer is gone."""

HELLO_PAUSE_S = 0.05
"""How long a dialler waits before it greets a server that said BYE."""

_PATH_LIMIT = 107

_READABLE = int(zmq.POLLIN)
_AT_ONCE = int(zmq.NOBLOCK)
_MORE_FOLLOWS = int(zmq.NOBLOCK | zmq.SNDMORE)
"""As plain numbers: for every message an enumeration would be calculated with several times."""

_HEADER = struct.Struct("!BQQ")
_MONITOR = struct.Struct("=Hi")

BusEvent = MessageArrived | PeerConnected | PeerLost | PeerAlive
Deliver = Callable[[BusEvent], None]
Report = Callable[[Note], None]


class _Kind(enum.IntEnum):
    HELLO = 1
    WELCOME = 2
    MESSAGE = 3
    BYE = 4
    PROBE = 5
    ASK = 6
    ALIVE = 7
    TAKEN = 8


class _Identity(msgspec.Struct, frozen=True):
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


class _Nothing(msgspec.Struct, frozen=True):
    """What is said by those who are attached only: it is never sent."""


_SILENT = Conversation(Codec(_Nothing), Codec(_Nothing))


@dataclass(slots=True)
class Counters:
    """What happened to messages since the start; for tests and for the black box."""

    sent: int = 0
    received: int = 0
    undecodable: int = 0
    undeliverable: int = 0
    refused: int = 0


class Bus:
    """This process on the bus: its one server socket and its connections to other servers.

    Must be made inside the process that uses it (libzmq does not survive a fork) and inside its
    running event loop. `deliver` gets events in order; `report` gets lines for the log.
    """

    def __init__(self, directory: Path, name: str, deliver: Deliver, report: Report) -> None:
        self.name = name
        self.deliver = deliver
        self.report = report
        self.counters = Counters()
        self.loop = asyncio.get_running_loop()
        self.context = zmq.Context(1)
        self.context.set(zmq.MAX_SOCKETS, 256)
        self.identity = _Identity(name, os.getpid(), secrets.token_hex(8))
        self.welcome_uids = _trusted_uids()
        self.queue_messages = QUEUE_MESSAGES
        self.max_unread_bytes = MAX_UNREAD_BYTES
        prepare_directory(directory)
        self._directory = directory
        self._directory_handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._gatekeeper = _Gatekeeper(self)
        self._server: _Server | None = None
        self._diallers: dict[str, _Dialler] = {}

    def serve(self, conversation: Conversation) -> None:
        """Bind the socket of our own name.

        Raises: ConfigurationError if another process of that name serves here.
        """
        assert self._server is None, "one server socket per process"
        self._server = _Server(self, self._directory, conversation)

    def dial(self, server: str, conversation: Conversation) -> None:
        """Connect to a server, now and whenever it comes back."""
        assert server not in self._diallers, f"'{server}' is dialled twice"
        self._diallers[server] = _Dialler(self, server, conversation)

    def tell(self, peer: str, message: msgspec.Struct) -> bool:
        """Send a message; False (and a line in the log) when `peer` is not connected."""
        dialler = self._diallers.get(peer)
        if dialler is not None:
            return dialler.tell(message)
        if self._server is not None:
            return self._server.tell(peer, message)
        self.undeliverable(peer, message)
        return False

    def attach(self, server: str) -> None:
        """Connect to a server only so that it can ask for signs of life; nothing is delivered."""
        if server not in self._diallers:
            self._diallers[server] = _Dialler(self, server, _SILENT, deliver=lambda _: None)

    def ask_alive(self, peer: str) -> None:
        """Ask a process that dialled us for a sign of life."""
        if self._server is not None:
            self._server.ask_alive(peer)

    def hang_up(self, peer: str) -> None:
        """End the conversation with a process that dialled us; it is told, and may greet anew."""
        if self._server is not None:
            self._server.hang_up(peer)

    def undeliverable(self, peer: str, message: msgspec.Struct) -> None:
        """Count and note a message for a peer that is not there."""
        self.counters.undeliverable += 1
        kind = type(message).__name__
        self.report(debug(self.name, f"no '{peer}' to send {kind} to, dropped"))

    def close(self, linger_ms: int = 200) -> None:
        """Close everything; what was just sent has `linger_ms` to leave."""
        for dialler in self._diallers.values():
            dialler.close(linger_ms)
        if self._server is not None:
            self._server.close(linger_ms)
        self._gatekeeper.close()
        self.context.term()
        os.close(self._directory_handle)

    def endpoint(self, name: str) -> str:
        """The address of a server's socket, by way of our handle when the path is too long."""
        path = f"{self._directory}/{name}"
        if len(os.fsencode(path)) > _PATH_LIMIT:
            path = f"/proc/self/fd/{self._directory_handle}/{name}"
        return f"ipc://{path}"

    def is_welcome(self, frame: zmq.Frame) -> bool:
        """Tell whether the kernel says that a frame came from one of our users."""
        caller = _caller_of(frame)
        return caller is not None and caller.uid in self.welcome_uids


def prepare_directory(directory: Path) -> None:
    """Make the bus directory, for us (or the cluster's user) alone.

    Raises: ConfigurationError if it belongs to somebody who is not one of us.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if status.st_uid not in _trusted_uids():
        raise ConfigurationError(f"{directory} belongs to uid {status.st_uid}, expected our own")
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(CLUSTER_USER)
            os.chown(directory, user.pw_uid, user.pw_gid)
    if status.st_mode & 0o777 != 0o700 and os.geteuid() in (0, status.st_uid):
        directory.chmod(0o700)


class _Pipe:
    """A ZeroMQ socket on the event loop: its descriptor is edge-triggered, so we drain it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, socket: zmq.Socket[bytes], take: Callable[[], None]
    ) -> None:
        self._loop = loop
        self.socket = socket
        self._take = take
        self._handle = _number(socket, zmq.FD)
        self._again: asyncio.Handle | None = None
        loop.add_reader(self._handle, self._drain)
        self.look_again()

    def look_again(self) -> None:
        """Look for messages in the next turn; needed after every other use of the socket."""
        if self._again is None and not self.socket.closed:
            self._again = self._loop.call_soon(self._drain)

    def sent(self) -> None:
        """Keep the edge: a send may have swallowed the signal of something that arrived."""
        if _number(self.socket, zmq.EVENTS) & _READABLE:
            self.look_again()

    def close(self, linger_ms: int = 0) -> None:
        """Stop watching and close the socket."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if not self.socket.closed:
            self._loop.remove_reader(self._handle)
            self.socket.close(linger_ms)

    def _drain(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        for _ in range(BATCH_MESSAGES):
            if self.socket.closed or not _number(self.socket, zmq.EVENTS) & _READABLE:
                return
            try:
                self._take()
            except zmq.Again:
                return
        self.look_again()


class _Gatekeeper:
    """Answers libzmq's question "may this connection come in?" by the uid behind it (ZAP)."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        socket = bus.context.socket(zmq.REP)
        socket.linger = 0
        socket.bind("inproc://zeromq.zap.01")
        self._pipe = _Pipe(bus.loop, socket, self._answer)

    def close(self) -> None:
        self._pipe.close()

    def _answer(self) -> None:
        frames = self._pipe.socket.recv_multipart(zmq.NOBLOCK)
        version, request, address = frames[0], frames[1], frames[3].decode(errors="replace")
        if _uid_of(address) in self._bus.welcome_uids:
            verdict = [b"200", b"OK", address.encode(), b""]
        else:
            self._bus.counters.refused += 1
            self._bus.report(warn(self._bus.name, f"refused a connection from {address}"))
            verdict = [b"400", b"not one of us", b"", b""]
        self._pipe.socket.send_multipart([version, request, *verdict])
        self._pipe.look_again()


@dataclass(slots=True)
class _Talk:
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
    open: bool = field(default=False)


class _Server:
    """Our ROUTER: conversations by the identity libzmq gave each connection."""

    def __init__(self, bus: Bus, directory: Path, conversation: Conversation) -> None:
        self._bus = bus
        self._conversation = conversation
        self._lock = _lock(directory / f"{bus.name}.lock", bus.name)
        self._talks: dict[bytes, _Talk] = {}
        self._by_name: dict[str, bytes] = {}
        socket = _configured(bus, zmq.ROUTER)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._monitor = _Pipe(bus.loop, _monitor(bus, socket, zmq.EVENT_DISCONNECTED), self._watch)
        socket.bind(bus.endpoint(bus.name))
        # The directory keeps strangers out; inside it root and the cluster's user share.
        (directory / bus.name).chmod(0o666)
        self._pipe = _Pipe(bus.loop, socket, self._take)

    def tell(self, peer: str, message: msgspec.Struct) -> bool:
        identity = self._by_name.get(peer)
        if identity is None:
            self._bus.undeliverable(peer, message)
            return False
        talk = self._talks[identity]
        payload = self._conversation.replies.encode(message)
        talk.sent_bytes += len(payload)
        if talk.sent_bytes - talk.taken_bytes > self._bus.max_unread_bytes:
            unread = (talk.sent_bytes - talk.taken_bytes) // (1024 * 1024)
            text = f"'{peer}' does not read its messages ({unread} MiB wait): it is dropped"
            self._bus.report(error(self._bus.name, text))
            self._hang_up(identity, talk, "it does not read its messages")
            return False
        talk.sent += 1
        return self._send(identity, talk, _Kind.MESSAGE, talk.sent, payload)

    def ask_alive(self, peer: str) -> None:
        identity = self._by_name.get(peer)
        if identity is not None:
            self._send(identity, self._talks[identity], _Kind.ASK, 0, b"")

    def hang_up(self, peer: str) -> None:
        identity = self._by_name.get(peer)
        if identity is not None:
            self._hang_up(identity, self._talks[identity], "we ended the conversation")

    def _hang_up(self, identity: bytes, talk: _Talk, why: str) -> None:
        self._send(identity, talk, _Kind.BYE, 0, b"")
        self._drop(identity, why)

    def close(self, linger_ms: int) -> None:
        self._pipe.socket.disable_monitor()
        self._monitor.close()
        self._pipe.close(linger_ms)
        os.close(self._lock)

    def _send(
        self, identity: bytes, talk: _Talk, kind: _Kind, sequence: int, payload: bytes
    ) -> bool:
        header = _HEADER.pack(kind, talk.number, sequence)
        try:
            _send_parts(self._pipe.socket, (identity, header), payload)
        except zmq.ZMQError as problem:
            self._drop(identity, _why(problem))
            return False
        self._bus.counters.sent += 1
        self._pipe.sent()
        return True

    def _take(self) -> None:
        frames = _receive_parts(self._pipe.socket)
        if len(frames) != 3 or len(frames[1].buffer) != _HEADER.size:
            self._bus.counters.undecodable += 1
            return
        identity = frames[0].bytes
        kind, number, sequence = _HEADER.unpack(frames[1].buffer)
        if kind == _Kind.HELLO:
            self._greet(identity, number, frames[2])
            return
        talk = self._talks.get(identity)
        if talk is None or talk.number != number:
            if kind != _Kind.BYE:
                self._send(identity, _Talk(number, ""), _Kind.BYE, 0, b"")
        elif kind == _Kind.BYE:
            self._drop(identity, "it ended the conversation")
        elif kind == _Kind.MESSAGE:
            self._hear(identity, talk, sequence, frames[2])
        elif kind == _Kind.ALIVE:
            self._bus.deliver(PeerAlive(talk.peer))
        elif kind == _Kind.TAKEN:
            talk.taken_bytes = min(max(talk.taken_bytes, sequence), talk.sent_bytes)

    def _greet(self, identity: bytes, number: int, frame: zmq.Frame) -> None:
        try:
            who = msgspec.msgpack.decode(frame.buffer, type=_Identity)
        except (msgspec.MsgspecError, ValueError):
            self._bus.counters.undecodable += 1
            return
        if not self._bus.is_welcome(frame):
            self._bus.counters.refused += 1
            return
        if identity in self._talks:
            self._drop(identity, "it greets anew")
        earlier = self._by_name.get(who.name)
        if earlier is not None:
            self._drop(earlier, "a new life of it greets")
        talk = _Talk(number, who.name, who.incarnation, descriptor=_descriptor(frame), open=True)
        self._talks[identity] = talk
        self._by_name[who.name] = identity
        welcome = msgspec.msgpack.encode(self._bus.identity)
        if self._send(identity, talk, _Kind.WELCOME, 0, welcome):
            self._bus.deliver(PeerConnected(who.name, _caller_of(frame)))

    def _hear(self, identity: bytes, talk: _Talk, sequence: int, frame: zmq.Frame) -> None:
        talk.received += 1
        if sequence != talk.received:
            text = f"'{talk.peer}': message {sequence} came where {talk.received} was due"
            self._bus.report(error(self._bus.name, text))
            self._hang_up(identity, talk, "messages are missing")
            return
        _deliver(self._bus, talk.peer, self._conversation.requests, frame)

    def _drop(self, identity: bytes, why: str) -> None:
        talk = self._talks.pop(identity, None)
        if talk is None:
            return
        if self._by_name.get(talk.peer) == identity:
            del self._by_name[talk.peer]
        self._bus.report(debug(self._bus.name, f"lost '{talk.peer}': {why}"))
        self._bus.deliver(PeerLost(talk.peer))

    def _watch(self) -> None:
        _, descriptor = _read_monitor(self._monitor.socket)
        suspects = [i for i, talk in self._talks.items() if talk.descriptor == descriptor]
        for identity in suspects:
            for delay_s in PROBE_DELAYS_S:
                self._bus.loop.call_later(delay_s, self._probe, identity)

    def _probe(self, identity: bytes) -> None:
        talk = self._talks.get(identity)
        if talk is not None and not self._pipe.socket.closed:
            self._send(identity, talk, _Kind.PROBE, 0, b"")


class _Dialler:
    """Our DEALER to one server: greets on every connection and after every BYE."""

    def __init__(
        self, bus: Bus, server: str, conversation: Conversation, *, deliver: Deliver | None = None
    ) -> None:
        self._bus = bus
        self._deliver = deliver or bus.deliver
        self._server = server
        self._conversation = conversation
        self._talk = _Talk(0, server)
        self._numbers = secrets.randbits(48) << 15
        self._connected = False
        self._waiting: asyncio.TimerHandle | None = None
        socket = _configured(bus, zmq.DEALER)
        socket.setsockopt(zmq.RECONNECT_IVL, 10)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 100)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
        socket.setsockopt(zmq.HEARTBEAT_TTL, 5000)
        events = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        self._monitor = _Pipe(bus.loop, _monitor(bus, socket, events), self._watch)
        socket.connect(bus.endpoint(server))
        self._pipe = _Pipe(bus.loop, socket, self._take)

    def tell(self, message: msgspec.Struct) -> bool:
        if not self._talk.open:
            self._bus.undeliverable(self._server, message)
            return False
        payload = self._conversation.requests.encode(message)
        self._talk.sent += 1
        return self._send(_Kind.MESSAGE, self._talk.sent, payload)

    def close(self, linger_ms: int) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._pipe.socket.disable_monitor()
        self._monitor.close()
        self._pipe.close(linger_ms if self._talk.open else 0)

    def _send(self, kind: _Kind, sequence: int, payload: bytes) -> bool:
        header = _HEADER.pack(kind, self._talk.number, sequence)
        try:
            _send_parts(self._pipe.socket, (header,), payload)
        except zmq.ZMQError as problem:
            self._end(_why(problem))
            self._greet_later()
            return False
        self._bus.counters.sent += 1
        self._pipe.sent()
        return True

    def _watch(self) -> None:
        event, _ = _read_monitor(self._monitor.socket)
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._connected = True
            self._greet()
        else:
            # What the server said before it went is still to be read.
            while _number(self._pipe.socket, zmq.EVENTS) & _READABLE:
                self._take()
            self._connected = False
            self._end("the connection broke")

    def _greet(self) -> None:
        self._waiting = None
        if not self._connected or self._pipe.socket.closed:
            return
        self._end("a new conversation begins")
        self._numbers += 1
        self._talk = _Talk(self._numbers, self._server)
        self._send(_Kind.HELLO, 0, msgspec.msgpack.encode(self._bus.identity))

    def _greet_later(self) -> None:
        if self._waiting is None:
            self._waiting = self._bus.loop.call_later(HELLO_PAUSE_S, self._greet)

    def _take(self) -> None:
        frames = _receive_parts(self._pipe.socket)
        if len(frames) != 2 or len(frames[0].buffer) != _HEADER.size:
            self._bus.counters.undecodable += 1
            return
        kind, number, sequence = _HEADER.unpack(frames[0].buffer)
        if number != self._talk.number:
            return
        if kind == _Kind.WELCOME and not self._talk.open:
            self._begin(frames[1])
        elif kind == _Kind.MESSAGE and self._talk.open:
            self._hear(sequence, frames[1])
        elif kind == _Kind.ASK and self._talk.open:
            self._send(_Kind.ALIVE, 0, b"")
        elif kind == _Kind.BYE:
            self._end("it ended the conversation")
            self._greet_later()

    def _begin(self, frame: zmq.Frame) -> None:
        if not self._bus.is_welcome(frame):
            self._bus.counters.refused += 1
            text = f"the server '{self._server}' is not run by one of our users, ignored"
            self._bus.report(error(self._bus.name, text))
            return
        self._talk.open = True
        self._deliver(PeerConnected(self._server))

    def _hear(self, sequence: int, frame: zmq.Frame) -> None:
        self._talk.received += 1
        if sequence != self._talk.received:
            text = f"'{self._server}': message {sequence} came, {self._talk.received} was due"
            self._bus.report(error(self._bus.name, text))
            self._send(_Kind.BYE, 0, b"")
            self._end("messages are missing")
            self._greet_later()
            return
        self._note_taken(len(frame.buffer))
        _deliver(self._bus, self._server, self._conversation.replies, frame)

    def _note_taken(self, payload_bytes: int) -> None:
        """Tell the server now and then how much has been read, so that it knows what waits."""
        talk = self._talk
        talk.taken_bytes += payload_bytes
        if talk.taken_bytes - talk.told_bytes >= TAKEN_EVERY_BYTES:
            talk.told_bytes = talk.taken_bytes
            self._send(_Kind.TAKEN, talk.taken_bytes, b"")

    def _end(self, why: str) -> None:
        if not self._talk.open:
            return
        self._talk = _Talk(0, self._server)
        self._bus.report(debug(self._bus.name, f"lost '{self._server}': {why}"))
        self._deliver(PeerLost(self._server))


def _deliver(bus: Bus, peer: str, codec: Codec, frame: zmq.Frame) -> None:
    bus.counters.received += 1
    try:
        message = codec.decode(frame.buffer)
    except RemoteProtocolError as problem:
        bus.counters.undecodable += 1
        bus.report(error(bus.name, f"dropped a message from '{peer}': {problem}"))
        return
    bus.deliver(MessageArrived(peer, message))


def _send_parts(socket: zmq.Socket[bytes], first: tuple[bytes, ...], last: bytes) -> None:
    """Send one message of several parts; a part of it alone is never on its way.

    Raises: zmq.ZMQError, for the first part, if there is no room or nobody to take it.
    """
    for part in first:
        socket.send(part, _MORE_FOLLOWS)
    socket.send(last, _AT_ONCE)


def _receive_parts(socket: zmq.Socket[bytes]) -> list[zmq.Frame]:
    """Take one message; what follows its first part is there as well.

    Raises: zmq.Again if there is none.
    """
    part = socket.recv(_AT_ONCE, copy=False)
    parts = [part]
    while part.more:
        part = socket.recv(_AT_ONCE, copy=False)
        parts.append(part)
    return parts


def _configured(bus: Bus, kind: int) -> zmq.Socket[bytes]:
    # IMMEDIATE stays off: with it libzmq throws away what a dying server said last and we have not
    # read yet. What it keeps of the other direction bears an old conversation number.
    socket = bus.context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, bus.queue_messages)
    socket.setsockopt(zmq.RCVHWM, bus.queue_messages)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 2000)
    socket.setsockopt(zmq.ZAP_DOMAIN, b"bus")
    return socket


def _number(socket: zmq.Socket[bytes], option: int) -> int:
    value = socket.getsockopt(option)
    assert isinstance(value, int)
    return value


def _monitor(bus: Bus, socket: zmq.Socket[bytes], events: int) -> zmq.Socket[bytes]:
    address = f"inproc://monitor-{_number(socket, zmq.FD)}"
    socket.monitor(address, events)
    ear = bus.context.socket(zmq.PAIR)
    ear.linger = 0
    ear.connect(address)
    return ear


def _read_monitor(ear: zmq.Socket[bytes]) -> tuple[int, int]:
    event, value = _MONITOR.unpack(ear.recv_multipart(zmq.NOBLOCK)[0])
    return event, value


def _why(problem: zmq.ZMQError) -> str:
    if isinstance(problem, zmq.Again):
        return "it does not read its messages"
    if problem.errno == zmq.EHOSTUNREACH:
        return "its connection is gone"
    return str(problem)


def _descriptor(frame: zmq.Frame) -> int:
    """Which of our descriptors a frame came in by; -1 where libzmq does not say."""
    try:
        value = frame.get(zmq.SRCFD)
    except zmq.ZMQError:
        return -1
    return value if isinstance(value, int) else -1


def _caller_in(address: str) -> Caller | None:
    """Who stands in libzmq's `localhost:UID:GID:PID`; None when it is not of that form."""
    parts = address.split(":")[1:]
    if len(parts) != len(Caller._fields) or not all(part.isdigit() for part in parts):
        return None
    return Caller(*map(int, parts))


def _uid_of(address: str) -> int:
    caller = _caller_in(address)
    return -1 if caller is None else caller.uid


def _caller_of(frame: zmq.Frame) -> Caller | None:
    try:
        address = frame.get("Peer-Address")
    except zmq.ZMQError:
        return None
    return _caller_in(address) if isinstance(address, str) else None


def _trusted_uids() -> frozenset[int]:
    uids = {0, os.geteuid()}
    with contextlib.suppress(KeyError):
        uids.add(pwd.getpwnam(CLUSTER_USER).pw_uid)
    return frozenset(uids)


def _lock(path: Path, name: str) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        os.close(handle)
        raise ConfigurationError(f"another '{name}' runs already: {path} is locked") from problem
    except OSError as problem:
        os.close(handle)
        raise CrmError(f"cannot lock {path}: {problem.strerror}") from problem
    return handle
