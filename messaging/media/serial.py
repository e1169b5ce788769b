"""Serial lines: packets as frames on a stream of bytes, passed on around a ring.

Responsible for the device, for framing, and for what a slow line cannot carry: small packets (the
heartbeats) go first, and of bulk only what fits is kept. Not responsible for what the bytes mean;
what noise or a forger writes on the line fails the seal of the packet like any other.

A frame is `ttl` (one byte) and the packet, in consistent-overhead byte stuffing, between zero
bytes. So a receiver that comes in late, or loses bytes, is in step again at the next zero. A node
with two lines is part of a ring: what comes in on one goes out on the others while its ttl lasts.

Source: Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999; docs/protocol/links.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
import termios
from collections import deque
from collections.abc import Callable, Iterable

from messaging import frame
from messaging.cluster_settings import Medium

log = logging.getLogger("ha.heartbeat")

MAX_FRAME_BYTES = frame.MAX_PACKET_BYTES + frame.MAX_PACKET_BYTES // 254 + 8
URGENT_BYTES = 400
"""Packets up to this size are heartbeats and the like; larger ones are pieces of messages."""

MAX_URGENT = 64
MAX_BULK = 64
READ_BYTES = 4096
REOPEN_PAUSE_S = 1.0

Receive = Callable[[str, str, bytes], None]
"""Called with link, source ("") and packet."""


class SerialLine:
    """One device; `take` gets each frame that came in whole."""

    def __init__(
        self,
        medium: Medium,
        take: Callable[[SerialLine, bytes], None],
        loop: asyncio.AbstractEventLoop,
        *,
        reopen_pause_s: float,
    ) -> None:
        self.device = medium.device
        self._reopen_pause_s = reopen_pause_s
        self._baud = medium.baud
        self._take = take
        self._loop = loop
        self._handle = -1
        self._frames = Deframer()
        self._urgent: deque[bytes] = deque(maxlen=MAX_URGENT)
        self._bulk: deque[bytes] = deque(maxlen=MAX_BULK)
        self._going = b""
        self._trouble = ""
        self._reopen_at = 0.0

    def open(self) -> None:
        """Open the device; what is missing now is tried again later."""
        try:
            self._handle = _open_raw(self.device, self._baud)
        except (OSError, termios.error) as problem:
            self._note_trouble(f"cannot be opened: {_reason(problem)}")
            self._reopen_at = self._loop.time() + self._reopen_pause_s
            return
        self._frames = Deframer()
        self._loop.add_reader(self._handle, self._on_readable)
        self._note_trouble("")
        log.info("glib: Serial heartbeat started on %s at %s baud", self.device, self._baud)

    def send(self, framed: bytes) -> None:
        """Queue a frame; of what the line cannot carry the oldest is lost, as on any medium."""
        if self._handle < 0 and self._loop.time() >= self._reopen_at:
            self.open()
        if self._handle < 0:
            return
        (self._urgent if len(framed) <= URGENT_BYTES else self._bulk).append(framed)
        if not self._going:
            self._write_on()

    def close(self) -> None:
        """Close the device for good."""
        if self._handle < 0:
            return
        with contextlib.suppress(ValueError, OSError):
            self._loop.remove_reader(self._handle)
            self._loop.remove_writer(self._handle)
        os.close(self._handle)
        self._handle = -1
        self._going = b""

    def _write_on(self) -> None:
        while self._going or self._urgent or self._bulk:
            if not self._going:
                self._going = (self._urgent or self._bulk).popleft()
            try:
                sent = os.write(self._handle, self._going)
            except BlockingIOError:
                self._loop.add_writer(self._handle, self._write_on)
                return
            except OSError as problem:
                self._fall(f"cannot send: {_reason(problem)}")
                return
            self._going = self._going[sent:]
        self._loop.remove_writer(self._handle)

    def _on_readable(self) -> None:
        try:
            data = os.read(self._handle, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as problem:
            self._fall(f"cannot be read: {_reason(problem)}")
            return
        if not data:
            self._fall("was closed by its other end")
            return
        for framed in self._frames.feed(data):
            self._take(self, framed)

    def _fall(self, trouble: str) -> None:
        self._note_trouble(trouble)
        self.close()
        self._reopen_at = self._loop.time() + self._reopen_pause_s

    def _note_trouble(self, trouble: str) -> None:
        """One line when trouble begins, changes, or ends."""
        if trouble == self._trouble:
            return
        if trouble:
            log.error("serial line %s %s", self.device, trouble)
        else:
            log.info("serial line %s works again", self.device)
        self._trouble = trouble


class SerialRing:
    """All serial lines of a node; `ttl` is how many lines a packet of ours may travel."""

    def __init__(
        self,
        media: Iterable[Medium],
        receive: Receive,
        loop: asyncio.AbstractEventLoop,
        *,
        ttl: int,
        reopen_pause_s: float = REOPEN_PAUSE_S,
    ) -> None:
        self._receive = receive
        self._ttl = min(ttl, 255)
        self._lines = {
            medium.device: SerialLine(medium, self._take, loop, reopen_pause_s=reopen_pause_s)
            for medium in media
        }

    def open(self) -> None:
        """Open all devices."""
        for line in self._lines.values():
            line.open()

    def send(self, device: str, packet: bytes) -> bool:
        """Send a packet of ours on a line; False if no line has that name."""
        line = self._lines.get(device)
        if line is not None:
            line.send(enframe(bytes([self._ttl]) + packet))
        return line is not None

    def close(self) -> None:
        """Close all devices for good."""
        for line in self._lines.values():
            line.close()

    def _take(self, source: SerialLine, content: bytes) -> None:
        ttl, packet = content[0], content[1:]
        if ttl > 1:
            passed_on = enframe(bytes([ttl - 1]) + packet)
            for line in self._lines.values():
                if line is not source:
                    line.send(passed_on)
        self._receive(source.device, "", packet)


class Deframer:
    """Finds the frames in a stream of bytes, whatever else is in it."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._is_lost = True
        """Until the first zero nobody knows where in a frame the stream began."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the contents of the frames that are whole with them."""
        found: list[bytes] = []
        *whole, rest = data.split(b"\0")
        for part in whole:
            self._open += part
            content = b"" if self._is_lost else unstuff(bytes(self._open))
            if len(content) > 1:
                found.append(content)
            self._open.clear()
            self._is_lost = False
        self._open += rest
        if len(self._open) > MAX_FRAME_BYTES:
            self._open.clear()
            self._is_lost = True
        return found


def enframe(content: bytes) -> bytes:
    """Put a frame around bytes; it begins with a zero, so that noise before it does no harm."""
    return b"\0" + stuff(content) + b"\0"


def stuff(content: bytes) -> bytes:
    """Encode bytes so that no zero is left in them, at the cost of one byte in 254."""
    stuffed = bytearray()
    for run in content.split(b"\0"):
        while len(run) >= 254:
            stuffed.append(255)
            stuffed += run[:254]
            run = run[254:]  # what is left of the run
        stuffed.append(len(run) + 1)
        stuffed += run
    return bytes(stuffed)


def unstuff(stuffed: bytes) -> bytes:
    """Decode what `stuff` made; b"" for anything else."""
    content = bytearray()
    at = 0
    while at < len(stuffed):
        code = stuffed[at]
        end = at + code
        if code == 0 or end > len(stuffed):
            return b""
        content += stuffed[at + 1 : end]
        at = end
        if code < 255 and at < len(stuffed):
            content.append(0)
    return bytes(content)


def is_character_device(path: str) -> bool:
    """Tell whether a path names a device that bytes can be written to."""
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return False


def _open_raw(device: str, baud: int) -> int:
    """Open a device raw: 8 bits, no parity, no echo, no flow control, modem lines ignored."""
    handle = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        speed = getattr(termios, f"B{baud}")
        control = termios.CS8 | termios.CREAD | termios.CLOCAL
        *_, characters = termios.tcgetattr(handle)
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        settings = [termios.IGNBRK | termios.IGNPAR, 0, control, 0, speed, speed, characters]
        termios.tcsetattr(handle, termios.TCSANOW, settings)
        termios.tcflush(handle, termios.TCIOFLUSH)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _reason(problem: Exception) -> str:
    if isinstance(problem, OSError):
        return problem.strerror or str(problem)
    return str(problem.args[-1])
