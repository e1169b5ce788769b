"""Ping hosts: echo requests with a token of ours, and the replies that carry it back.

Responsible for ICMP alone. Which token belongs to which host, and when a host counts as dead, is
decided by `messaging.links`; here a reply is attributed to the host it came from and no other.

Source: RFC 792; docs/protocol/links.md, "Ping nodes".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterable

log = logging.getLogger("ha.heartbeat")

ECHO_REQUEST = 8
ECHO_REPLY = 0
MAGIC = b"pkping01"
MAX_REPLY_BYTES = 2048
BATCH = 64
_HEADER = struct.Struct(">BBHHH")

Receive = Callable[[str, bytes], None]
"""Called with the host (as the settings write it) and the token."""


def resolve(hosts: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Find the addresses of hosts; also give those that have none."""
    addresses: dict[str, str] = {}
    unknown: list[str] = []
    for host in hosts:
        try:
            addresses[host] = str(socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0])
        except (socket.gaierror, UnicodeError):
            unknown.append(host)
    return addresses, unknown


class Pinger:
    """One ICMP socket for all ping nodes: raw where permitted, else the kernel's ping socket."""

    def __init__(
        self, addresses: dict[str, str], receive: Receive, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._addresses = addresses
        self._receive = receive
        self._loop = loop
        self._identifier = os.getpid() & 0xFFFF
        self._sequence = 0
        self._trouble = ""
        self._is_raw = False
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Open the socket; without permission say so once, and ping nothing."""
        kinds = (socket.SOCK_RAW, socket.SOCK_DGRAM)
        for kind in kinds:
            try:
                self._socket = socket.socket(
                    socket.AF_INET, kind | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMP
                )
            except PermissionError:
                continue
            self._is_raw = kind == socket.SOCK_RAW
            break
        if self._socket is None:
            log.error("ping nodes cannot be reached: ICMP sockets are not permitted to this user")
            return
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket.fileno(), self._on_readable)
        log.info("glib: ping heartbeat started.")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def send(self, host: str, token: bytes) -> None:
        """Send one echo request."""
        if self._socket is None or host not in self._addresses:
            return
        self._sequence = self._sequence + 1 & 0xFFFF
        packet = request(self._identifier, self._sequence, MAGIC + token)
        trouble = ""
        try:
            with contextlib.suppress(BlockingIOError):
                self._socket.sendto(packet, (self._addresses[host], 0))
        except OSError as problem:
            trouble = f"cannot ping {host}: {problem.strerror}"
        if trouble != self._trouble:
            self._trouble = trouble
            log.log(
                *((logging.WARNING, trouble) if trouble else (logging.INFO, "ping works again"))
            )

    def _on_readable(self) -> None:
        for _ in range(BATCH):
            if self._socket is None:
                return
            try:
                data, (source, *_) = self._socket.recvfrom(MAX_REPLY_BYTES)
            except OSError:
                return
            token = reply_token(data, is_raw=self._is_raw)
            if token is None:
                continue
            for host, address in self._addresses.items():
                if address == source:
                    self._receive(host, token)


def request(identifier: int, sequence: int, payload: bytes) -> bytes:
    """An echo request with its checksum."""
    blank = _HEADER.pack(ECHO_REQUEST, 0, 0, identifier, sequence) + payload
    return _HEADER.pack(ECHO_REQUEST, 0, checksum(blank), identifier, sequence) + payload


def reply_token(data: bytes, *, is_raw: bool) -> bytes | None:
    """The token in an echo reply of ours; None for anything else."""
    if is_raw:
        if not data or data[0] >> 4 != 4:
            return None
        data = data[(data[0] & 15) * 4 :]
    if len(data) < _HEADER.size + len(MAGIC) or data[0] != ECHO_REPLY:
        return None
    payload = data[_HEADER.size :]
    return payload[len(MAGIC) :] if payload.startswith(MAGIC) else None


def checksum(data: bytes) -> int:
    """The Internet checksum of RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    folded: int = ~(total + (total >> 16)) & 0xFFFF
    return folded
