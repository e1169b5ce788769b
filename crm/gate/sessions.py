"""The gate's socket: accept, who is it, bytes to frames and back, and bounds on everything.

Responsible for file descriptors and buffers; what a frame means is the machine's business
(`gate.py`). Accepting is done here rather than by asyncio's server, because running out of
descriptors must cost the newcomer and nobody else: one descriptor is kept in reserve, given up to
accept and close the connection that cannot be served, and taken back.

Source: faults-and-security 8.10 to 8.13, 9.1; docs/decisions/0070-the-gate-socket.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import grp
import os
import pwd
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from crm.api import gate
from crm.gate.authorisation import DAEMON_USER, Identity, is_trusted, role_of
from crm.gate.gate import CallerArrived, CallerLeft, FrameArrived, FrameUnreadable
from crm.plumbing.errors import ConfigurationError, RemoteProtocolError

MAX_CALLERS = 512
MAX_CALLERS_OF_ONE_UID = 128
MAX_OUTGOING_BYTES = 2 * gate.MAX_FRAME_BYTES
"""A caller that does not read is hung up on when this much waits for it."""
MAX_INCOMING_BYTES_OF_ONE_UID = 4 * gate.MAX_FRAME_BYTES
"""So much of frames that are not whole yet is kept, in all the connections of one user."""

MAX_GREETING_BYTES = 4096
MAX_PATH_BYTES = 107
_PIECE_BYTES = 262_144
_ACCEPTS_PER_ROUND = 16

_LENGTH = struct.Struct("!I")
_CREDENTIALS = struct.Struct("iII")


@dataclass(slots=True)
class _Connection:
    """One caller's socket and its buffers."""

    stream: socket.socket
    uid: int
    incoming: bytearray = field(default_factory=bytearray)
    outgoing: bytearray = field(default_factory=bytearray)
    frames_in: int = 0
    closing: bool = False


class Sessions:
    """All connections of the gate. `receive` is given every event, one after the other.

    `most_incoming_bytes` are kept of the unfinished frames of one uid.
    """

    def __init__(
        self,
        path: Path,
        loop: asyncio.AbstractEventLoop,
        receive: Callable[[object], None],
        *,
        most_incoming_bytes: int = MAX_INCOMING_BYTES_OF_ONE_UID,
    ) -> None:
        self._most_incoming_bytes = most_incoming_bytes
        self._incoming_of_uid: Counter[int] = Counter()
        self._path = path
        self._loop = loop
        self._receive = receive
        self._connections: dict[int, _Connection] = {}
        self._of_uid: Counter[int] = Counter()
        self._last_caller = 0
        self._lock = _take_lock(path)
        self._reserve = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._listener = _listen(path)
        loop.add_reader(self._listener, self._accept)

    def send(self, caller: int, frame: msgspec.Struct) -> None:
        """Send a frame; a caller that has too much waiting already is hung up on instead."""
        connection = self._connections.get(caller)
        if connection is None or connection.closing:
            return
        data = gate.FRAMES.encode(frame)
        if len(data) > gate.MAX_FRAME_BYTES:
            data = gate.FRAMES.encode(
                gate.Refusal(code=65, message=f"an answer of {len(data)} bytes is too large")
            )
        if len(connection.outgoing) + len(data) > MAX_OUTGOING_BYTES:
            self._close(caller)
            return
        idle = not connection.outgoing
        connection.outgoing += _LENGTH.pack(len(data)) + data
        if idle:
            self._flush(caller)

    def hang_up(self, caller: int) -> None:
        """Close a connection after what is waiting is out (the caller may have gone already)."""
        connection = self._connections.get(caller)
        if connection is None:
            return
        connection.closing = True
        self._forget_incoming(connection, len(connection.incoming))
        self._loop.remove_reader(connection.stream)
        if not connection.outgoing:
            self._close(caller)

    def close(self) -> None:
        """Stop listening and end every connection."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for caller in list(self._connections):
            self._close(caller)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        os.close(self._reserve)
        os.close(self._lock)

    # --- accepting --------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_ROUND):
            try:
                stream, _address = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError as problem:
                if problem.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                    raise
                self._turn_one_away()
                return
            self._admit(stream)

    def _turn_one_away(self) -> None:
        """Out of descriptors: use the reserve to accept one caller and say no to it."""
        os.close(self._reserve)
        try:
            with contextlib.suppress(OSError):
                stream, _address = self._listener.accept()
                _say_no(stream, "the gate has no file descriptors left")
        finally:
            self._reserve = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def _admit(self, stream: socket.socket) -> None:
        raw = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, gid = _CREDENTIALS.unpack(raw)
        if len(self._connections) >= MAX_CALLERS or self._of_uid[uid] >= MAX_CALLERS_OF_ONE_UID:
            _say_no(stream, "too many connections")
            return
        stream.setblocking(False)
        self._last_caller += 1
        caller = self._last_caller
        self._connections[caller] = _Connection(stream, uid)
        self._of_uid[uid] += 1
        self._loop.add_reader(stream, self._read, caller)
        self._receive(CallerArrived(caller, identify(uid=uid, pid=pid, gid=gid)))

    # --- bytes ------------------------------------------------------------------------------

    def _read(self, caller: int) -> None:
        connection = self._connections.get(caller)
        if connection is None:
            return
        try:
            piece = connection.stream.recv(_PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._close(caller)
            return
        self._incoming_of_uid[connection.uid] += len(piece)
        connection.incoming += piece
        self._take_frames(caller, connection)
        if self._incoming_of_uid[connection.uid] > self._most_incoming_bytes:
            reason = (
                f"more than {self._most_incoming_bytes} bytes are being sent at once by one user"
            )
            self._receive(FrameUnreadable(caller, reason))

    def _take_frames(self, caller: int, connection: _Connection) -> None:
        while len(connection.incoming) >= _LENGTH.size and not connection.closing:
            (length,) = _LENGTH.unpack_from(connection.incoming)
            # The first frame is a greeting; nobody needs a megabyte to say who they are.
            limit = gate.MAX_FRAME_BYTES if connection.frames_in else MAX_GREETING_BYTES
            if length > limit:
                self._receive(
                    FrameUnreadable(caller, f"a frame of {length} bytes exceeds {limit} bytes")
                )
                return
            end = _LENGTH.size + length
            if len(connection.incoming) < end:
                return
            body = bytes(connection.incoming[_LENGTH.size : end])
            self._forget_incoming(connection, end)
            connection.frames_in += 1
            try:
                frame = gate.FRAMES.decode(body)
            except RemoteProtocolError as problem:
                self._receive(FrameUnreadable(caller, str(problem)))
                return
            self._receive(FrameArrived(caller, frame))

    def _forget_incoming(self, connection: _Connection, size: int) -> None:
        del connection.incoming[:size]
        self._incoming_of_uid[connection.uid] -= size
        if not self._incoming_of_uid[connection.uid]:
            del self._incoming_of_uid[connection.uid]

    def _flush(self, caller: int) -> None:
        connection = self._connections.get(caller)
        if connection is None:
            return
        try:
            while connection.outgoing:
                sent = connection.stream.send(memoryview(connection.outgoing)[:_PIECE_BYTES])
                del connection.outgoing[:sent]
        except BlockingIOError:
            self._loop.add_writer(connection.stream, self._flush, caller)
            return
        except OSError:
            self._close(caller)
            return
        self._loop.remove_writer(connection.stream)
        if connection.closing:
            self._close(caller)

    def _close(self, caller: int) -> None:
        connection = self._connections.pop(caller, None)
        if connection is None:
            return
        connection.closing = True
        self._forget_incoming(connection, len(connection.incoming))
        self._of_uid[connection.uid] -= 1
        if not self._of_uid[connection.uid]:
            del self._of_uid[connection.uid]
        self._loop.remove_reader(connection.stream)
        self._loop.remove_writer(connection.stream)
        connection.stream.close()
        # Later, not now: this may run while the machine's effects are being carried out.
        self._loop.call_soon(self._receive, CallerLeft(caller))


def identify(*, uid: int, pid: int, gid: int) -> Identity:
    """Name a caller and its role, from what the kernel said at accept."""
    try:
        entry = pwd.getpwuid(uid)
        user = entry.pw_name
        numbers = {gid, *os.getgrouplist(user, entry.pw_gid)}
    except KeyError:
        user = str(uid)
        numbers = {gid}
    groups = frozenset(name for number in numbers if (name := _group_name(number)))
    daemon_uid = None
    with contextlib.suppress(KeyError):
        daemon_uid = pwd.getpwnam(DAEMON_USER).pw_uid
    own_uid = os.getuid()
    return Identity(
        uid=uid,
        pid=pid,
        user=user,
        role=role_of(uid=uid, groups=groups, own_uid=own_uid, daemon_uid=daemon_uid),
        groups=tuple(sorted(groups)),
        is_trusted=is_trusted(uid=uid, own_uid=own_uid, daemon_uid=daemon_uid),
    )


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""


def _say_no(stream: socket.socket, reason: str) -> None:
    data = gate.FRAMES.encode(gate.Refusal(code=75, message=reason))
    stream.setblocking(False)
    with contextlib.suppress(OSError):
        stream.send(_LENGTH.pack(len(data)) + data)
    stream.close()


def _take_lock(path: Path) -> int:
    """Make sure that we are the only gate here, before anybody else's socket is unlinked."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        os.close(lock)
        raise ConfigurationError(f"another mgmtd serves '{path}'") from problem
    return lock


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        listener.bind(os.fspath(path))
    else:
        # The kernel takes 107 bytes; by way of an open directory any path fits.
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
    path.chmod(0o666)
    listener.listen(128)
    return listener
