"""A client of a real heartbeat, moved by a test far away: it passes on what it is told.

`python -m tests.contract.lab_ear ROOT SOCKET NODE CLIENT`, started by heartbeat itself
(`respawn`). Everything that happens on the bus goes to the socket, with the moment at which it
happened; what comes from there is said to heartbeat. It decides nothing.

Frames: four bytes of length, then MessagePack.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import sys
import time
from pathlib import Path

import msgspec

from crm.api import membership as api
from crm.plumbing.ipc import Bus, Conversation
from crm.plumbing.machine import MessageArrived, PeerConnected, PeerLost
from crm.plumbing.settings import Paths

LENGTH = struct.Struct("!I")


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """What happened, and when (monotonic seconds); `message` is one of TO_CLIENT or empty."""

    at: float
    what: str
    message: bytes = b""


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The first frame: who is there."""

    node: str
    client: str


def frame(struct: msgspec.Struct) -> bytes:
    """One frame of either kind."""
    payload = msgspec.msgpack.encode(struct)
    return LENGTH.pack(len(payload)) + payload


async def main(root: str, socket: str, node: str, client: str) -> None:
    """Be that client until the test, or heartbeat, ends it."""
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(frame(Hello(node, client)))

    def deliver(event: object) -> None:
        match event:
            case PeerConnected():
                heard = Heard(time.monotonic(), "connected")
            case PeerLost():
                heard = Heard(time.monotonic(), "lost")
            case MessageArrived(_, message):
                heard = Heard(time.monotonic(), "told", api.TO_CLIENT.encode(message))
            case _:
                return
        writer.write(frame(heard))

    bus = Bus(Paths(Path(root)).bus_dir, client, deliver, lambda _: None)
    bus.dial("heartbeat", Conversation(api.TO_HEARTBEAT, api.TO_CLIENT))
    with contextlib.suppress(asyncio.IncompleteReadError):  # the test is over
        while True:
            (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            said = api.TO_HEARTBEAT.decode(await reader.readexactly(size))
            if isinstance(said, api.SignOn):  # the stage does not know which process this is
                said = api.SignOn(said.client, os.getpid())
            bus.tell("heartbeat", said)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
