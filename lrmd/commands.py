"""What lrmd and its warm runner say to each other: run this, kill that, it has ended.

Responsible for the shape of a command line and of a raw end, before any standard of agents reads a
meaning into it, and of the runner's news of addresses. Frames are four bytes of length
(big-endian) and a message.

Source: docs/protocol/lrm.md, "The warm runner".
"""

from __future__ import annotations

import struct

from crm.plumbing.codec import Codec, Message
from crm.plumbing.errors import RemoteProtocolError

MAX_FRAME_BYTES = 4 * 1024 * 1024
"""No frame is longer; the largest are two output tails, and parameters of an order."""

_LENGTH = struct.Struct(">I")


class Command(Message, frozen=True, omit_defaults=True):
    """How to run an agent: either a program (`argv`) or one of our own agents (`built_in`).

    `built_in` is `provider/Type`, and `argv` then holds the action alone. `environment` is
    complete; nothing is inherited.
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    built_in: str = ""


class RunCommand(Message, frozen=True):
    """Run a command under a number that is never used again."""

    run: int
    command: Command


class KillRun(Message, frozen=True):
    """End a run: SIGTERM to its whole session's group, SIGKILL soon after."""

    run: int


class RunStarted(Message, frozen=True):
    """The command runs as the leader of the process group `pid`."""

    run: int
    pid: int


class RunEnded(Message, frozen=True, omit_defaults=True):
    """The command is gone. Exactly one of the three says how.

    `exit_code` when it exited, `signal` when a signal ended it, `failure` (an errno) when it could
    not be started. `output` and `errors` are the last bytes of its two outputs.
    """

    run: int
    exit_code: int = -1
    signal: int = 0
    failure: int = 0
    output: bytes = b""
    errors: bytes = b""


class AddressesGone(Message, frozen=True):
    """The kernel says that these addresses are on an interface no more."""

    addresses: tuple[str, ...]


class AddressNewsLost(Message, frozen=True):
    """From here on the kernel is heard; what changed before is not known (also the first word)."""


TO_RUNNER = Codec(RunCommand, KillRun)
FROM_RUNNER = Codec(RunStarted, RunEnded, AddressesGone, AddressNewsLost)


def frame(payload: bytes) -> bytes:
    """Put the length before a message."""
    return _LENGTH.pack(len(payload)) + payload


class Frames:
    """Cuts a stream of bytes into the messages it carries."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take in bytes; return the messages that are complete.

        Raises: RemoteProtocolError if a length is impossible; the stream is lost then.
        """
        self._buffer += data
        messages = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME_BYTES:
                raise RemoteProtocolError(f"a frame of {length} bytes exceeds {MAX_FRAME_BYTES}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            messages.append(bytes(self._buffer[_LENGTH.size : end]))
            del self._buffer[:end]
        return messages
