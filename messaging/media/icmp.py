"""Ping hosts: echo requests with a token of ours, and the replies that carry it back.

Responsible for ICMP alone, in both IP versions. Which token belongs to which host, and when a host
counts as dead, is decided by `messaging.pings`; here a reply is attributed to the host it came from
and no other.

Source: RFC 792, RFC 4443; docs/protocol/links.md, "Ping nodes".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from messaging.cluster_settings import PingTarget

log = logging.getLogger("ha.heartbeat")

MAGIC = b"pkping01"
MAX_REPLY_BYTES = 2048
BATCH = 64
_HEADER = struct.Struct(">BBHHH")
_ICMP6_FILTER = 1
_FILTER = struct.Struct("=8I")


class Dialect(NamedTuple):
    """How one IP version writes an echo."""

    family: socket.AddressFamily
    protocol: int
    request: int
    reply: int


ICMP = Dialect(socket.AF_INET, socket.IPPROTO_ICMP, 8, 0)
ICMP6 = Dialect(socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)


class Host(NamedTuple):
    """A host as the settings write it, and in which IP version it is pinged."""

    name: str
    is_ipv6: bool = False

    @property
    def dialect(self) -> Dialect:
        """How it is spoken to."""
        return ICMP6 if self.is_ipv6 else ICMP


class Place(NamedTuple):
    """An address; one of IPv6 may hold on one interface only."""

    address: str
    scope: int = 0


Receive = Callable[[str, bytes], None]
"""Called with the host (as the settings write it) and the token."""


def hosts_of(targets: Iterable[PingTarget]) -> list[Host]:
    """List every host of some ping nodes once."""
    found = (
        Host(name, target.is_asked_by_ipv6(name)) for target in targets for name in target.hosts
    )
    return list(dict.fromkeys(found))


def resolve(hosts: Iterable[Host]) -> tuple[dict[Host, Place], list[Host]]:
    """Find the addresses of hosts; also give those that have none."""
    places: dict[Host, Place] = {}
    unknown: list[Host] = []
    for host in hosts:
        try:
            found = socket.getaddrinfo(host.name, None, host.dialect.family)[0][4]
        except (OSError, UnicodeError):
            unknown.append(host)
            continue
        address = str(found[0]).partition("%")[0]
        places[host] = Place(address, int(found[3]) if len(found) == 4 else 0)
    return places, unknown


class Pinger:
    """All ping nodes, on one ICMP socket for each IP version that is needed."""

    def __init__(
        self, places: Mapping[Host, Place], receive: Receive, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._places = places
        self._sequence = 0
        self._trouble = ""
        self._sockets = {
            dialect: EchoSocket(dialect, self._on_reply, loop)
            for dialect in dict.fromkeys(host.dialect for host in places)
        }
        self._receive = receive

    def open(self) -> bool:
        """Open the sockets; what is not permitted is said once, and not pinged."""
        opened = [each.open() for each in self._sockets.values()]
        if all(opened):
            log.info("glib: ping heartbeat started.")
        else:
            log.error("ping nodes cannot be reached: ICMP sockets are not permitted to this user")
        return all(opened)

    def close(self) -> None:
        """Close the sockets."""
        for each in self._sockets.values():
            each.close()

    def send(self, name: str, token: bytes, *, is_ipv6: bool = False) -> None:
        """Send one echo request."""
        host = Host(name, is_ipv6)
        place = self._places.get(host)
        if place is None:
            return
        self._sequence = self._sequence + 1 & 0xFFFF
        problem = self._sockets[host.dialect].send(place, self._sequence, MAGIC + token)
        trouble = f"cannot ping {name}: {problem}" if problem else ""
        if trouble != self._trouble:
            self._trouble = trouble
            log.log(
                *((logging.WARNING, trouble) if trouble else (logging.INFO, "ping works again"))
            )

    def _on_reply(self, dialect: Dialect, source: Place, token: bytes) -> None:
        for host, place in self._places.items():
            if place == source and host.dialect is dialect:
                self._receive(host.name, token)


class EchoSocket:
    """An ICMP socket of one IP version: raw where permitted, else the kernel's ping socket."""

    def __init__(
        self,
        dialect: Dialect,
        receive: Callable[[Dialect, Place, bytes], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._dialect = dialect
        self._receive = receive
        self._loop = loop
        self._identifier = os.getpid() & 0xFFFF
        self._has_ip_header = False
        self._socket: socket.socket | None = None

    def open(self) -> bool:
        """Open the socket; False if that is not permitted."""
        for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            try:
                self._socket = self._make(kind)
            except OSError:
                continue
            # A raw socket of IPv4 shows the header of the packet, one of IPv6 never does.
            self._has_ip_header = kind == socket.SOCK_RAW and self._dialect is ICMP
            self._loop.add_reader(self._socket.fileno(), self._on_readable)
            return True
        return False

    def _make(self, kind: socket.SocketKind) -> socket.socket:
        made = socket.socket(
            self._dialect.family, kind | socket.SOCK_CLOEXEC, self._dialect.protocol
        )
        made.setblocking(False)
        if kind == socket.SOCK_RAW and self._dialect is ICMP6:
            wanted = bytearray(_FILTER.pack(*[0xFFFFFFFF] * 8))
            word, bit = divmod(ICMP6.reply, 32)
            struct.pack_into("=I", wanted, 4 * word, 0xFFFFFFFF & ~(1 << bit))
            made.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, bytes(wanted))
        return made

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def send(self, place: Place, sequence: int, payload: bytes) -> str:
        """Send one echo request; what the system says if it cannot be sent, or ""."""
        if self._socket is None:
            return ""
        packet = request(self._identifier, sequence, payload, self._dialect)
        target: tuple[str, int] | tuple[str, int, int, int] = (place.address, 0)
        if self._dialect is ICMP6:
            target = (place.address, 0, 0, place.scope)
        try:
            with contextlib.suppress(BlockingIOError):
                self._socket.sendto(packet, target)
        except OSError as problem:
            return problem.strerror or str(problem)
        return ""

    def _on_readable(self) -> None:
        for _ in range(BATCH):
            if self._socket is None:
                return
            try:
                data, (address, *more) = self._socket.recvfrom(MAX_REPLY_BYTES)
            except OSError:
                return
            token = reply_token(data, is_raw=self._has_ip_header, dialect=self._dialect)
            if token is not None:
                scope = int(more[2]) if len(more) == 3 else 0
                self._receive(self._dialect, Place(str(address), scope), token)


def request(identifier: int, sequence: int, payload: bytes, dialect: Dialect = ICMP) -> bytes:
    """An echo request with its checksum; that of IPv6 covers addresses, and the kernel sets it."""
    blank = _HEADER.pack(dialect.request, 0, 0, identifier, sequence) + payload
    return _HEADER.pack(dialect.request, 0, checksum(blank), identifier, sequence) + payload


def reply_token(data: bytes, *, is_raw: bool, dialect: Dialect = ICMP) -> bytes | None:
    """The token in an echo reply of ours; None for anything else."""
    if is_raw:
        if not data or data[0] >> 4 != 4:
            return None
        data = data[(data[0] & 15) * 4 :]
    if len(data) < _HEADER.size + len(MAGIC) or data[0] != dialect.reply:
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
