"""The server's end of the local bus: one ROUTER, and a conversation with each who dialled us.

How the two ends talk stands in `ipc`.

Source: docs/protocol/local.md, decision 2 of the design.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec
import zmq

from crm.plumbing import ipc_sockets as sockets
from crm.plumbing.errors import ConfigurationError, CrmError
from crm.plumbing.ipc_seat import (
    HEADER,
    Conversation,
    Identity,
    Kind,
    Seat,
    Talk,
    caller_of,
    deliver_from,
)
from crm.plumbing.machine import PeerAlive, PeerConnected, PeerLost, debug, error

PROBE_DELAYS_S = (0.0, 0.005, 0.05, 0.5)
"""When a server asks, after a descriptor was closed, whether its peer is gone."""


class Server:
    """Our ROUTER: conversations by the identity libzmq gave each connection."""

    def __init__(self, seat: Seat, conversation: Conversation) -> None:
        self._seat = seat
        self._conversation = conversation
        self._lock = _lock(seat.directory / f"{seat.name}.lock", seat.name)
        self._talks: dict[bytes, Talk] = {}
        self._by_name: dict[str, bytes] = {}
        socket = sockets.configured(seat.context, zmq.ROUTER, seat.queue_messages)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._monitor = sockets.Pipe(
            seat.loop, sockets.monitor(seat.context, socket, zmq.EVENT_DISCONNECTED), self._watch
        )
        socket.bind(seat.endpoint(seat.name))
        # The directory keeps strangers out; inside it root and the cluster's user share.
        (seat.directory / seat.name).chmod(0o666)
        self._pipe = sockets.Pipe(seat.loop, socket, self._take)

    def tell(self, peer: str, message: msgspec.Struct) -> bool:
        """Send a message; False when `peer` is not there, or is dropped for not reading."""
        identity = self._by_name.get(peer)
        if identity is None:
            self._seat.undeliverable(peer, message)
            return False
        talk = self._talks[identity]
        payload = self._conversation.replies.encode(message)
        talk.sent_bytes += len(payload)
        if talk.sent_bytes - talk.taken_bytes > self._seat.max_unread_bytes:
            unread = (talk.sent_bytes - talk.taken_bytes) // (1024 * 1024)
            text = f"'{peer}' does not read its messages ({unread} MiB wait): it is dropped"
            self._seat.report(error(self._seat.name, text))
            self._hang_up(identity, talk, "it does not read its messages")
            return False
        talk.sent += 1
        return self._send(identity, talk, Kind.MESSAGE, talk.sent, payload)

    def ask_alive(self, peer: str) -> None:
        """Ask for a sign of life."""
        identity = self._by_name.get(peer)
        if identity is not None:
            self._send(identity, self._talks[identity], Kind.ASK, 0, b"")

    def hang_up(self, peer: str) -> None:
        """End a conversation; the other end is told."""
        identity = self._by_name.get(peer)
        if identity is not None:
            self._hang_up(identity, self._talks[identity], "we ended the conversation")

    def _hang_up(self, identity: bytes, talk: Talk, why: str) -> None:
        self._send(identity, talk, Kind.BYE, 0, b"")
        self._drop(identity, why)

    def close(self, linger_ms: int) -> None:
        """Close our socket; what was just sent has so long to leave."""
        self._pipe.socket.disable_monitor()
        self._monitor.close()
        self._pipe.close(linger_ms)
        os.close(self._lock)

    def _send(self, identity: bytes, talk: Talk, kind: Kind, sequence: int, payload: bytes) -> bool:
        header = HEADER.pack(kind, talk.number, sequence)
        try:
            sockets.send_parts(self._pipe.socket, (identity, header), payload)
        except zmq.ZMQError as problem:
            self._drop(identity, sockets.why(problem))
            return False
        self._seat.counters.sent += 1
        self._pipe.sent()
        return True

    def _take(self) -> None:
        frames = sockets.receive_parts(self._pipe.socket)
        if len(frames) != 3 or len(frames[1].buffer) != HEADER.size:
            self._seat.counters.undecodable += 1
            return
        identity = frames[0].bytes
        kind, number, sequence = HEADER.unpack(frames[1].buffer)
        if kind == Kind.HELLO:
            self._greet(identity, number, frames[2])
            return
        talk = self._talks.get(identity)
        if talk is None or talk.number != number:
            if kind != Kind.BYE:
                self._send(identity, Talk(number, ""), Kind.BYE, 0, b"")
        elif kind == Kind.BYE:
            self._drop(identity, "it ended the conversation")
        elif kind == Kind.MESSAGE:
            self._hear(identity, talk, sequence, frames[2])
        elif kind == Kind.ALIVE:
            self._seat.deliver(PeerAlive(talk.peer))
        elif kind == Kind.TAKEN:
            talk.taken_bytes = min(max(talk.taken_bytes, sequence), talk.sent_bytes)

    def _greet(self, identity: bytes, number: int, frame: zmq.Frame) -> None:
        try:
            who = msgspec.msgpack.decode(frame.buffer, type=Identity)
        except (msgspec.MsgspecError, ValueError):
            self._seat.counters.undecodable += 1
            return
        if not self._seat.is_welcome(frame):
            self._seat.counters.refused += 1
            return
        if identity in self._talks:
            self._drop(identity, "it greets anew")
        earlier = self._by_name.get(who.name)
        if earlier is not None:
            self._drop(earlier, "a new life of it greets")
        talk = Talk(
            number, who.name, who.incarnation, descriptor=sockets.descriptor_of(frame), open=True
        )
        self._talks[identity] = talk
        self._by_name[who.name] = identity
        welcome = msgspec.msgpack.encode(self._seat.identity)
        if self._send(identity, talk, Kind.WELCOME, 0, welcome):
            self._seat.deliver(PeerConnected(who.name, caller_of(frame)))

    def _hear(self, identity: bytes, talk: Talk, sequence: int, frame: zmq.Frame) -> None:
        talk.received += 1
        if sequence != talk.received:
            text = f"'{talk.peer}': message {sequence} came where {talk.received} was due"
            self._seat.report(error(self._seat.name, text))
            self._hang_up(identity, talk, "messages are missing")
            return
        deliver_from(self._seat, talk.peer, self._conversation.requests, frame)

    def _drop(self, identity: bytes, why: str) -> None:
        talk = self._talks.pop(identity, None)
        if talk is None:
            return
        if self._by_name.get(talk.peer) == identity:
            del self._by_name[talk.peer]
        self._seat.report(debug(self._seat.name, f"lost '{talk.peer}': {why}"))
        self._seat.deliver(PeerLost(talk.peer))

    def _watch(self) -> None:
        _, descriptor = sockets.read_monitor(self._monitor.socket)
        suspects = [i for i, talk in self._talks.items() if talk.descriptor == descriptor]
        for identity in suspects:
            for delay_s in PROBE_DELAYS_S:
                self._seat.loop.call_later(delay_s, self._probe, identity)

    def _probe(self, identity: bytes) -> None:
        talk = self._talks.get(identity)
        if talk is not None and not self._pipe.socket.closed:
            self._send(identity, talk, Kind.PROBE, 0, b"")


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
