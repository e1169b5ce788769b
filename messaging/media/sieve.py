"""What the kernel throws away before it wakes us: datagrams that are no packets of this cluster.

Responsible for a filter on a UDP socket (SO_ATTACH_FILTER) that looks at length, magic, version,
kind, cluster and our own sender, as `messaging.auth` does first of all. A datagram that fails costs
the kernel part of a microsecond and this process nothing, so a flood of junk takes no time from
heartbeats. Not responsible for anything a forger could not write: whoever copies a real header
gets through, and meets the seal.

Without the filter (a kernel that has none) everything works as before: the checks are made again.

Source: Documentation/networking/filter.rst of Linux; docs/protocol/wire.md.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from dataclasses import dataclass

from messaging import frame

_SO_ATTACH_FILTER = 26
_SO_MEMINFO = 55
_DROPS = 8
"""Which of the numbers of SO_MEMINFO counts datagrams that never reached the socket's reader."""

_UDP_HEADER_BYTES = 8
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_LENGTH = 0x20, 0x28, 0x30, 0x80
_JUMP_EQUAL, _JUMP_GREATER, _JUMP_AT_LEAST, _RETURN = 0x15, 0x25, 0x35, 0x06
_WHOLE_PACKET = 0xFFFFFFFF


@dataclass(frozen=True)
class Sieve:
    """Lets packets pass that claim to be of `cluster` and not of `own`, both as header tags."""

    cluster: bytes
    own: bytes

    def program(self) -> bytes:
        """The filter, as the kernel reads it."""
        least = _UDP_HEADER_BYTES + frame.HEADER_BYTES + frame.TAG_BYTES
        head = int.from_bytes(frame.MAGIC, "big")
        own_first, own_second = struct.unpack(">II", self.own)
        tests = [
            (_LOAD_LENGTH, 0, _JUMP_AT_LEAST, least),
            (_LOAD_HALF, frame.MAGIC_AT, _JUMP_EQUAL, head),
            (_LOAD_BYTE, frame.VERSION_AT, _JUMP_EQUAL, frame.VERSION),
            (_LOAD_WORD, frame.CLUSTER_AT, _JUMP_EQUAL, int.from_bytes(self.cluster, "big")),
        ]
        lines = []
        for place, (load, at, jump, value) in enumerate(tests):
            where = 0 if load == _LOAD_LENGTH else _UDP_HEADER_BYTES + at
            to_drop = 2 * (len(tests) - place) + 5
            lines += [(load, 0, 0, where), (jump, 0, to_drop, value)]
        sender = _UDP_HEADER_BYTES + frame.SENDER_AT
        lines += [
            (_LOAD_BYTE, 0, 0, _UDP_HEADER_BYTES + frame.KIND_AT),
            (_JUMP_GREATER, 5, 0, max(frame.Kind)),
            (_LOAD_WORD, 0, 0, sender),
            (_JUMP_EQUAL, 0, 2, own_first),
            (_LOAD_WORD, 0, 0, sender + 4),
            (_JUMP_EQUAL, 1, 0, own_second),
            (_RETURN, 0, 0, _WHOLE_PACKET),
            (_RETURN, 0, 0, 0),
        ]
        return b"".join(_INSTRUCTION.pack(*line) for line in lines)

    def attach(self, made: socket.socket) -> bool:
        """Put the filter on a socket; False if this kernel cannot."""
        program = ctypes.create_string_buffer(self.program())
        count = (len(program) - 1) // _INSTRUCTION.size
        request = struct.pack("@HP", count, ctypes.addressof(program))
        try:
            made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, request)
        except OSError:
            return False
        return True


def dropped(made: socket.socket) -> int:
    """How many datagrams the kernel has dropped here, by the filter or for want of room."""
    try:
        numbers = made.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
    except OSError:
        return 0
    counted = struct.unpack(f"={len(numbers) // 4}I", numbers)
    return counted[_DROPS] if len(counted) > _DROPS else 0
