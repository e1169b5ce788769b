"""Frames as they pass through the gate's socket, for fakes that stand at one end of it."""

from __future__ import annotations

import socket
import struct

import msgspec

from crm.api import gate


def send(stream: socket.socket, message: msgspec.Struct) -> None:
    """Write one message."""
    frame = gate.FRAMES.encode(message)
    stream.sendall(struct.pack("!I", len(frame)) + frame)


def read(stream: socket.socket) -> msgspec.Struct | None:
    """Read one message, or None when the other end has closed."""
    head = stream.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        return None
    return gate.FRAMES.decode(stream.recv(struct.unpack("!I", head)[0], socket.MSG_WAITALL))
