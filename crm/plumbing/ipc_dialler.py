"""The dialler's end of the local bus: one DEALER to each server we talk to.

How the two ends talk stands in `ipc`.

Source: docs/protocol/local.md, decision 2 of the design.
"""

from __future__ import annotations

import asyncio
import secrets

import msgspec
import zmq

from crm.plumbing import ipc_sockets as sockets
from crm.plumbing.ipc_seat import (
    HEADER,
    Conversation,
    Deliver,
    Kind,
    Seat,
    Talk,
    deliver_from,
)
from crm.plumbing.machine import PeerConnected, PeerLost, debug, error

TAKEN_EVERY_BYTES = 1024 * 1024
"""After how much a dialler says what it has read."""

HELLO_PAUSE_S = 0.05
"""How long a dialler waits before it greets a server that said BYE."""


class Dialler:
    """Our DEALER to one server: greets on every connection and after every BYE."""

    def __init__(
        self, seat: Seat, server: str, conversation: Conversation, *, deliver: Deliver | None = None
    ) -> None:
        self._seat = seat
        self._deliver = deliver or seat.deliver
        self._server = server
        self._conversation = conversation
        self._talk = Talk(0, server)
        self._numbers = secrets.randbits(48) << 15
        self._connected = False
        self._waiting: asyncio.TimerHandle | None = None
        socket = sockets.configured(seat.context, zmq.DEALER, seat.queue_messages)
        socket.setsockopt(zmq.RECONNECT_IVL, 10)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 100)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
        socket.setsockopt(zmq.HEARTBEAT_TTL, 5000)
        events = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        self._monitor = sockets.Pipe(
            seat.loop, sockets.monitor(seat.context, socket, events), self._watch
        )
        socket.connect(seat.endpoint(server))
        self._pipe = sockets.Pipe(seat.loop, socket, self._take)

    def tell(self, message: msgspec.Struct) -> bool:
        """Send a message; False when the server is not there."""
        if not self._talk.open:
            self._seat.undeliverable(self._server, message)
            return False
        payload = self._conversation.requests.encode(message)
        self._talk.sent += 1
        return self._send(Kind.MESSAGE, self._talk.sent, payload)

    def close(self, linger_ms: int) -> None:
        """Close our socket; what was just sent has so long to leave."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._pipe.socket.disable_monitor()
        self._monitor.close()
        self._pipe.close(linger_ms if self._talk.open else 0)

    def _send(self, kind: Kind, sequence: int, payload: bytes) -> bool:
        header = HEADER.pack(kind, self._talk.number, sequence)
        try:
            sockets.send_parts(self._pipe.socket, (header,), payload)
        except zmq.ZMQError as problem:
            self._end(sockets.why(problem))
            self._greet_later()
            return False
        self._seat.counters.sent += 1
        self._pipe.sent()
        return True

    def _watch(self) -> None:
        event, _ = sockets.read_monitor(self._monitor.socket)
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._connected = True
            self._greet()
        else:
            # What the server said before it went is still to be read.
            while sockets.number(self._pipe.socket, zmq.EVENTS) & sockets.READABLE:
                self._take()
            self._connected = False
            self._end("the connection broke")

    def _greet(self) -> None:
        self._waiting = None
        if not self._connected or self._pipe.socket.closed:
            return
        self._end("a new conversation begins")
        self._numbers += 1
        self._talk = Talk(self._numbers, self._server)
        self._send(Kind.HELLO, 0, msgspec.msgpack.encode(self._seat.identity))

    def _greet_later(self) -> None:
        if self._waiting is None:
            self._waiting = self._seat.loop.call_later(HELLO_PAUSE_S, self._greet)

    def _take(self) -> None:
        frames = sockets.receive_parts(self._pipe.socket)
        if len(frames) != 2 or len(frames[0].buffer) != HEADER.size:
            self._seat.counters.undecodable += 1
            return
        kind, number, sequence = HEADER.unpack(frames[0].buffer)
        if number != self._talk.number:
            return
        if kind == Kind.WELCOME and not self._talk.open:
            self._begin(frames[1])
        elif kind == Kind.MESSAGE and self._talk.open:
            self._hear(sequence, frames[1])
        elif kind == Kind.ASK and self._talk.open:
            self._send(Kind.ALIVE, 0, b"")
        elif kind == Kind.BYE:
            self._end("it ended the conversation")
            self._greet_later()

    def _begin(self, frame: zmq.Frame) -> None:
        if not self._seat.is_welcome(frame):
            self._seat.counters.refused += 1
            text = f"the server '{self._server}' is not run by one of our users, ignored"
            self._seat.report(error(self._seat.name, text))
            return
        self._talk.open = True
        self._deliver(PeerConnected(self._server))

    def _hear(self, sequence: int, frame: zmq.Frame) -> None:
        self._talk.received += 1
        if sequence != self._talk.received:
            text = f"'{self._server}': message {sequence} came, {self._talk.received} was due"
            self._seat.report(error(self._seat.name, text))
            self._send(Kind.BYE, 0, b"")
            self._end("messages are missing")
            self._greet_later()
            return
        self._note_taken(len(frame.buffer))
        deliver_from(self._seat, self._server, self._conversation.replies, frame)

    def _note_taken(self, payload_bytes: int) -> None:
        """Tell the server now and then how much has been read, so that it knows what waits."""
        talk = self._talk
        talk.taken_bytes += payload_bytes
        if talk.taken_bytes - talk.told_bytes >= TAKEN_EVERY_BYTES:
            talk.told_bytes = talk.taken_bytes
            self._send(Kind.TAKEN, talk.taken_bytes, b"")

    def _end(self, why: str) -> None:
        if not self._talk.open:
            return
        self._talk = Talk(0, self._server)
        self._seat.report(debug(self._seat.name, f"lost '{self._server}': {why}"))
        self._deliver(PeerLost(self._server))
