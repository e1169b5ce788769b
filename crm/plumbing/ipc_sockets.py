"""ZeroMQ sockets on an event loop: how they are made, watched, read and written.

Responsible for what libzmq wants to be used like; not for what is said (`ipc_seat`), nor for whom
a message is (`ipc_server`, `ipc_dialler`).

Source: docs/protocol/local.md.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import zmq

from crm.plumbing.codec import MAX_MESSAGE_BYTES

BATCH_MESSAGES = 64
"""How many messages one turn of the event loop takes from a socket."""

READABLE = int(zmq.POLLIN)
_AT_ONCE = int(zmq.NOBLOCK)
_MORE_FOLLOWS = int(zmq.NOBLOCK | zmq.SNDMORE)
"""As plain numbers: for every message an enumeration would be calculated with several times."""

_MONITOR = struct.Struct("=Hi")

Context = zmq.Context[zmq.Socket[bytes]]


class Pipe:
    """A ZeroMQ socket on the event loop: its descriptor is edge-triggered, so we drain it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, socket: zmq.Socket[bytes], take: Callable[[], None]
    ) -> None:
        self._loop = loop
        self.socket = socket
        self._take = take
        self._handle = number(socket, zmq.FD)
        self._again: asyncio.Handle | None = None
        loop.add_reader(self._handle, self._drain)
        self.look_again()

    def look_again(self) -> None:
        """Look for messages in the next turn; needed after every other use of the socket."""
        if self._again is None and not self.socket.closed:
            self._again = self._loop.call_soon(self._drain)

    def sent(self) -> None:
        """Keep the edge: a send may have swallowed the signal of something that arrived."""
        if number(self.socket, zmq.EVENTS) & READABLE:
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
            if self.socket.closed or not number(self.socket, zmq.EVENTS) & READABLE:
                return
            try:
                self._take()
            except zmq.Again:
                return
        self.look_again()


def send_parts(socket: zmq.Socket[bytes], first: tuple[bytes, ...], last: bytes) -> None:
    """Send one message of several parts; a part of it alone is never on its way.

    Raises: zmq.ZMQError, for the first part, if there is no room or nobody to take it.
    """
    for part in first:
        socket.send(part, _MORE_FOLLOWS)
    socket.send(last, _AT_ONCE)


def receive_parts(socket: zmq.Socket[bytes]) -> list[zmq.Frame]:
    """Take one message; what follows its first part is there as well.

    Raises: zmq.Again if there is none.
    """
    part = socket.recv(_AT_ONCE, copy=False)
    parts = [part]
    while part.more:
        part = socket.recv(_AT_ONCE, copy=False)
        parts.append(part)
    return parts


def configured(context: Context, kind: int, queue_messages: int) -> zmq.Socket[bytes]:
    """Make a socket of the bus; so many messages may wait for a peer that does not read."""
    # IMMEDIATE stays off: with it libzmq throws away what a dying server said last and we have not
    # read yet. What it keeps of the other direction bears an old conversation number.
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, queue_messages)
    socket.setsockopt(zmq.RCVHWM, queue_messages)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 2000)
    socket.setsockopt(zmq.ZAP_DOMAIN, b"bus")
    return socket


def number(socket: zmq.Socket[bytes], option: int) -> int:
    """Read an option that is a number."""
    value = socket.getsockopt(option)
    assert isinstance(value, int)
    return value


def monitor(context: Context, socket: zmq.Socket[bytes], events: int) -> zmq.Socket[bytes]:
    """Make the socket on which libzmq tells what happens to the connections of another one."""
    address = f"inproc://monitor-{number(socket, zmq.FD)}"
    socket.monitor(address, events)
    ear = context.socket(zmq.PAIR)
    ear.linger = 0
    ear.connect(address)
    return ear


def read_monitor(ear: zmq.Socket[bytes]) -> tuple[int, int]:
    """Take one thing that happened, and the number that goes with it. Raises: zmq.Again."""
    event, value = _MONITOR.unpack(ear.recv_multipart(zmq.NOBLOCK)[0])
    return event, value


def why(problem: zmq.ZMQError) -> str:
    """Say in words why a message could not be sent."""
    if isinstance(problem, zmq.Again):
        return "it does not read its messages"
    if problem.errno == zmq.EHOSTUNREACH:
        return "its connection is gone"
    return str(problem)


def descriptor_of(frame: zmq.Frame) -> int:
    """Which of our descriptors a frame came in by; -1 where libzmq does not say."""
    try:
        value = frame.get(zmq.SRCFD)
    except zmq.ZMQError:
        return -1
    return value if isinstance(value, int) else -1
