"""UDP over one interface: lines of one IP version that share a port share a socket.

Responsible for opening, sending, receiving, and for outliving an interface that goes away. Not
responsible for what the bytes mean.

Source: docs/protocol/links.md, "Media".
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import socket
import struct
from collections.abc import Callable, Iterable

from messaging.cluster_settings import Medium, MediumKind

log = logging.getLogger("ha.heartbeat")

MAX_DATAGRAM_BYTES = 2048
BATCH = 64
BUFFER_BYTES = 1024 * 1024
REOPEN_PAUSE_S = 1.0
DSCP_CS6 = 0xC0
_SO_RCVBUFFORCE = 33
_SIOCGIFBRDADDR = 0x8919
_IPV6 = frozenset((MediumKind.UCAST6, MediumKind.MCAST6))
_STALE = frozenset((errno.ENODEV, errno.ENXIO, errno.EBADF, errno.EINVAL, errno.EADDRNOTAVAIL))

Address = tuple[str, int] | tuple[str, int, int, int]
"""Where a datagram goes, as the socket module writes it for IPv4 and IPv6."""

Receive = Callable[[str, str, bytes], None]
"""Called with link, source ("address:port") and bytes."""


class UdpLink:
    """All media lines of one interface, IP version and port: one socket, many destinations."""

    def __init__(
        self,
        media: Iterable[Medium],
        receive: Receive,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._media = tuple(media)
        self.device = self._media[0].device
        self._port = self._media[0].port
        self._is_ipv6 = self._media[0].kind in _IPV6
        self._receive = receive
        self._loop = loop
        self._socket: socket.socket | None = None
        self._destinations: list[Address] = []
        self._trouble = ""
        self._reopen_at = 0.0

    def open(self) -> None:
        """Open the socket; what is missing now is tried again later."""
        try:
            self._socket = self._make_socket()
            self._destinations = [self._destination(medium) for medium in self._media]
        except OSError as problem:
            self._note_trouble(f"cannot be opened: {problem.strerror or problem}")
            self._drop()
            return
        self._loop.add_reader(self._socket.fileno(), self._on_readable)
        for medium in self._media:
            log.info("%s", _opening_line(medium))

    def send(self, data: bytes, destination: str) -> None:
        """Send bytes to one place, or to every destination of this link."""
        if self._socket is None:
            self._reopen()
        if self._socket is None:
            return
        trouble = ""
        targets = self._destinations
        if destination:
            if (destination.count(":") > 1) is not self._is_ipv6:
                return  # it was heard on the socket of the other IP version
            host, _, port = destination.rpartition(":")
            targets = [self._address(host, int(port))]
        for target in targets:
            try:
                self._socket.sendto(data, target)
            except BlockingIOError:
                continue
            except OSError as problem:
                trouble = f"cannot send: {problem.strerror}"
                if problem.errno in _STALE:
                    self._drop()
                    break
        self._note_trouble(trouble)

    def close(self) -> None:
        """Close the socket for good."""
        self._drop()

    def _reopen(self) -> None:
        if self._loop.time() >= self._reopen_at:
            self._reopen_at = self._loop.time() + REOPEN_PAUSE_S
            self.open()

    def _drop(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(ValueError, OSError):
                self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._reopen_at = self._loop.time() + REOPEN_PAUSE_S

    def _note_trouble(self, trouble: str) -> None:
        """One line when trouble begins, changes, or ends."""
        if trouble == self._trouble:
            return
        if trouble:
            log.error("link %s port %s %s", self.device, self._port, trouble)
        else:
            log.info("link %s port %s works again", self.device, self._port)
        self._trouble = trouble

    def _on_readable(self) -> None:
        for _ in range(BATCH):
            if self._socket is None:
                return
            try:
                data, (host, port, *_) = self._socket.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError as problem:
                if problem.errno in _STALE:
                    self._drop()
                return
            self._receive(self.device, f"{host}:{port}", data)

    # --- opening ----------------------------------------------------------------------------

    def _make_socket(self) -> socket.socket:
        family = socket.AF_INET6 if self._is_ipv6 else socket.AF_INET
        made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(PermissionError):
                name = self.device.encode() + b"\0"
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
            _mark_urgent(made, is_ipv6=self._is_ipv6)
            _enlarge_buffers(made)
            for medium in self._media:
                if medium.kind is MediumKind.BCAST:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                elif medium.kind is MediumKind.MCAST:
                    _join_group(made, medium)
                elif medium.kind is MediumKind.MCAST6:
                    _join_ipv6_group(made, medium)
            made.bind(("", self._port))
        except OSError:
            made.close()
            raise
        return made

    def _address(self, host: str, port: int) -> Address:
        """An address on this link; one of IPv6 is told its interface, for those of the link."""
        if self._is_ipv6:
            return host, port, 0, socket.if_nametoindex(self.device)
        return host, port

    def _destination(self, medium: Medium) -> Address:
        assert self._socket is not None
        if medium.kind in (MediumKind.MCAST, MediumKind.MCAST6):
            return self._address(medium.address, medium.port)
        if medium.kind is MediumKind.BCAST:
            return _broadcast_address(self._socket, medium.device), medium.port
        try:
            found = socket.getaddrinfo(medium.address, medium.port, self._socket.family)
        except socket.gaierror as problem:
            raise OSError(errno.EADDRNOTAVAIL, f"unknown host {medium.address}") from problem
        return self._address(str(found[0][4][0]), medium.port)


def open_links(
    media: Iterable[Medium], receive: Receive, loop: asyncio.AbstractEventLoop
) -> dict[str, list[UdpLink]]:
    """Open all media; the links of one interface share its name."""
    groups: dict[tuple[str, int, bool], list[Medium]] = {}
    for medium in media:
        key = (medium.device, medium.port, medium.kind in _IPV6)
        groups.setdefault(key, []).append(medium)
    opened: dict[str, list[UdpLink]] = {}
    for (device, _, _), members in groups.items():
        link = UdpLink(members, receive, loop)
        link.open()
        opened.setdefault(device, []).append(link)
    return opened


def _mark_urgent(made: socket.socket, *, is_ipv6: bool) -> None:
    """Ask the network to carry these packets before bulk traffic."""
    if is_ipv6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, DSCP_CS6)
    else:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, DSCP_CS6)


def _enlarge_buffers(made: socket.socket) -> None:
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            made.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        except PermissionError:
            continue
        break
    with contextlib.suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)


def _join_group(made: socket.socket, medium: Medium) -> None:
    index = socket.if_nametoindex(medium.device)
    request = struct.pack("=4s4si", socket.inet_aton(medium.address), bytes(4), index)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, medium.ttl)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, medium.loop)


def _join_ipv6_group(made: socket.socket, medium: Medium) -> None:
    index = socket.if_nametoindex(medium.device)
    request = socket.inet_pton(socket.AF_INET6, medium.address) + struct.pack("@I", index)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, medium.ttl)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, medium.loop)


def _broadcast_address(made: socket.socket, device: str) -> str:
    request = struct.pack("256s", device.encode()[:15])
    answer = fcntl.ioctl(made.fileno(), _SIOCGIFBRDADDR, request)
    return socket.inet_ntoa(answer[20:24])


def _opening_line(medium: Medium) -> str:
    match medium.kind:
        case MediumKind.BCAST:
            return (
                f"glib: UDP Broadcast heartbeat started on port {medium.port} ({medium.port})"
                f" interface {medium.device}"
            )
        case MediumKind.UCAST | MediumKind.UCAST6:
            return (
                f"glib: {medium.kind.value}: started on port {medium.port}"
                f" interface {medium.device} to {medium.address}"
            )
        case MediumKind.MCAST | MediumKind.MCAST6:
            return (
                f"glib: UDP multicast heartbeat started for group {medium.address}"
                f" port {medium.port} interface {medium.device}"
                f" (ttl={medium.ttl} loop={medium.loop})"
            )
        case MediumKind.SERIAL:
            raise AssertionError("serial lines are opened by messaging.media.serial")
