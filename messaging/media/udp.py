"""UDP over one interface: lines of one IP version that share a port share a socket.

Responsible for opening, sending, receiving, and for outliving an interface that goes away, comes
back as another one, or changes its address. Not responsible for what the bytes mean.

Two classes of packets: heartbeats and membership are handed to the kernel at once and marked
urgent. Bulk (pieces of clients' messages) is handed over only while little waits in the kernel's
queue (`BULK_AHEAD_BYTES`), so no heartbeat ever stands behind a large message; the rest waits here,
bounded. Packets may be cut by routers (DF is off): no path is a black hole for lack of ICMP.

Source: docs/protocol/links.md, "Media"; decision 0016.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import fcntl
import ipaddress
import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable

from messaging import frame
from messaging.cluster_settings import Medium, MediumKind
from messaging.media import sieve
from messaging.media.names import Names
from messaging.piecesize import LEAST_PACKET_BYTES

log = logging.getLogger("ha.heartbeat")

MAX_DATAGRAM_BYTES = frame.MAX_PACKET_BYTES + 1
BATCH = 64
BUFFER_BYTES = 1024 * 1024
REOPEN_PAUSE_S = 1.0
LOOK_PAUSE_S = 1.0
BULK_AHEAD_BYTES = 64 * 1024
"""How much may wait in the kernel when more bulk is handed over (5 ms of a line of 100 Mbit/s)."""

BULK_PAUSE_S = 0.001
HELD_S = 0.02
MAX_HELD_BYTES = 256 * 1024
"""More than the kernel keeps for a host that does not answer ARP (`unres_qlen_bytes`)."""

MAX_BULK = 4096
DSCP_CS6 = 0xC0
DSCP_DEFAULT = 0x00
_IPV4_OVERHEAD_BYTES = 20 + 8
_IPV6_OVERHEAD_BYTES = 40 + 8
_IPV6_LEAST_MTU = 1280
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER = 10, 23
_MAY_BE_CUT = 0
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("=qq")
_STAMP_SPACE = socket.CMSG_SPACE(_STAMP.size)
_SIOCGIFBRDADDR = 0x8919
_SIOCGIFMTU = 0x8921
_SIOCOUTQ = 0x5411
_IPV6 = frozenset((MediumKind.UCAST6, MediumKind.MCAST6))
_STALE = frozenset((errno.ENODEV, errno.ENXIO, errno.EBADF, errno.EINVAL, errno.EADDRNOTAVAIL))

Address = tuple[str, int] | tuple[str, int, int, int]
"""Where a datagram goes, as the socket module writes it for IPv4 and IPv6."""

Receive = Callable[[str, str, bytes, float], None]
"""Called with link, source ("address:port"), bytes, and how long (s) they lay in the socket."""


class UdpLink:
    """All media lines of one interface, IP version and port: one socket, many destinations."""

    def __init__(
        self,
        media: Iterable[Medium],
        receive: Receive,
        loop: asyncio.AbstractEventLoop,
        *,
        strangers: sieve.Sieve | None = None,
    ) -> None:
        self._media = tuple(media)
        self.device = self._media[0].device
        self._port = self._media[0].port
        self._is_ipv6 = self._media[0].kind in _IPV6
        self._receive = receive
        self._loop = loop
        self._sieve = strangers
        self._socket: socket.socket | None = None
        self._index = 0
        self._destinations: list[Address] = []
        self._names = Names(
            (each.address for each in self._media if _is_by_name(each)),
            is_ipv6=self._is_ipv6,
            loop=loop,
            learnt=self._find_destinations,
        )
        self._trouble = ""
        self._reopen_at = 0.0
        self._emptied_at = loop.time()
        self._look_at = 0.0
        self._dropped_before = 0
        self.bulk = BulkQueue(self._waiting_bytes, self._hand_over, loop)

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel has dropped on this link so far."""
        present = 0 if self._socket is None else sieve.dropped(self._socket)
        return self._dropped_before + present

    def open(self) -> None:
        """Open the socket; what is missing now is tried again later.

        A peer whose name has no address yet is sent to as soon as it has one.
        """
        self._names.look_up()
        try:
            self._index = _index_of(self.device)
            self._socket = self._make_socket()
            self._destinations = self._present_destinations()
        except OSError as problem:
            self._note_trouble(f"cannot be opened: {problem.strerror or problem}")
            self._drop()
            return
        self._loop.add_reader(self._socket.fileno(), self._on_readable)
        self._note_trouble("")
        for medium in self._media:
            log.info("%s", _opening_line(medium))

    def send(self, data: bytes, destination: str, *, is_bulk: bool = False) -> None:
        """Send bytes to one place, or to every destination of this link."""
        self._look()
        if self._socket is None:
            return
        targets = self._destinations
        if destination:
            if (destination.count(":") > 1) is not self._is_ipv6:
                return  # it was heard on the socket of the other IP version
            host, _, port = destination.rpartition(":")
            targets = [self._address(host, int(port))]
        works = True
        for target in targets:
            if is_bulk:
                self.bulk.put(data, target)
            else:
                works = self._hand_over(data, target) and works
        if works and not is_bulk:
            self._note_trouble("")

    def close(self) -> None:
        """Close the socket for good."""
        self._drop()

    def _hand_over(self, data: bytes, target: Address, mark: int | None = None) -> bool:
        """Give one datagram to the kernel; False if the link is in trouble."""
        if self._socket is None:
            return False
        try:
            if mark is None:
                self._socket.sendto(data, target)
            else:
                self._socket.sendmsg([data], [self._marking(mark)], 0, target)
        except BlockingIOError:
            return True
        except OSError as problem:
            self._note_trouble(f"cannot send: {problem.strerror}")
            if problem.errno in _STALE or not self._is_present():
                self._drop()
            return False
        return True

    def _marking(self, mark: int) -> tuple[int, int, bytes]:
        level = socket.IPPROTO_IPV6 if self._is_ipv6 else socket.IPPROTO_IP
        option = socket.IPV6_TCLASS if self._is_ipv6 else socket.IP_TOS
        return level, option, struct.pack("@i", mark)

    def _waiting_bytes(self) -> int:
        """How much of what was sent has not left this computer yet."""
        if self._socket is None:
            return 0
        answer = fcntl.ioctl(self._socket.fileno(), _SIOCOUTQ, struct.pack("@i", 0))
        return int(struct.unpack("@i", answer)[0])

    # --- an interface that changes ----------------------------------------------------------

    def _look(self) -> None:
        """Once a second: is the interface still the one we opened, and where do packets go?"""
        now = self._loop.time()
        if self._socket is None:
            if now >= self._reopen_at:
                self._reopen_at = now + REOPEN_PAUSE_S
                self.open()
            return
        if now < self._look_at:
            return
        self._look_at = now + LOOK_PAUSE_S
        if not self._is_present():
            self._note_trouble("has lost its interface")
            self._drop()
            return
        self._names.look_up()
        self._find_destinations()

    def _find_destinations(self) -> None:
        """Look where packets go now; what cannot be found out stays as it was."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._destinations = self._present_destinations()

    def _present_destinations(self) -> list[Address]:
        found = [self._destination(medium) for medium in self._media]
        return [each for each in found if each is not None]

    def _is_present(self) -> bool:
        try:
            return _index_of(self.device) == self._index
        except OSError:
            return False

    def _drop(self) -> None:
        self.bulk.clear()
        if self._socket is not None:
            self._dropped_before += sieve.dropped(self._socket)
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
        """Read a bounded batch; the loop comes back here when deadlines have had their turn."""
        for _ in range(BATCH):
            if self._socket is None:
                return
            try:
                data, stamps, _, (host, port, *_) = self._socket.recvmsg(
                    MAX_DATAGRAM_BYTES, _STAMP_SPACE
                )
            except BlockingIOError:
                self._emptied_at = self._loop.time()
                return
            except OSError as problem:
                if problem.errno in _STALE:
                    self._drop()
                return
            self._receive(self.device, f"{host}:{port}", data, self._age_s(stamps))

    def _age_s(self, stamps: list[tuple[int, int, bytes]]) -> float:
        """How long a packet lay in the socket: at most since the socket was last empty.

        The kernel's stamp is wall time, which may jump; so it is not believed beyond that.
        """
        longest_s = self._loop.time() - self._emptied_at
        for level, kind, data in stamps:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) >= _STAMP.size:
                seconds, nanoseconds = _STAMP.unpack_from(data)
                age_s: float = time.time() - seconds - nanoseconds / 1e9
                return min(max(age_s, 0.0), longest_s)
        return 0.0

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
            if self._sieve is not None:
                self._sieve.attach(made)
            _mark_urgent(made, is_ipv6=self._is_ipv6)
            _enlarge_buffers(made)
            made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
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

    def _destination(self, medium: Medium) -> Address | None:
        """Where packets of a line go; None as long as the name there has no address."""
        assert self._socket is not None
        if medium.kind in (MediumKind.MCAST, MediumKind.MCAST6):
            return self._address(medium.address, medium.port)
        if medium.kind is MediumKind.BCAST:
            return _broadcast_address(self._socket, medium.device), medium.port
        host = self._names.address(medium.address) if _is_by_name(medium) else medium.address
        return None if host is None else self._address(host, medium.port)


class BulkQueue:
    """What may wait, waits here while the kernel still holds much that was sent before.

    What the kernel holds without sending any of it for `HELD_S` waits for a host that is gone, up
    to three seconds until ARP gives up: that stands before nobody else, and is not counted.
    """

    def __init__(
        self,
        waiting_bytes: Callable[[], int],
        hand_over: Callable[[bytes, Address, int], bool],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._waiting_bytes = waiting_bytes
        self._hand_over = hand_over
        self._loop = loop
        self._queue: collections.deque[tuple[bytes, Address]] = collections.deque(maxlen=MAX_BULK)
        self._timer: asyncio.TimerHandle | None = None
        self._held = 0
        self._seen = 0
        self._moved_at = 0.0

    def put(self, data: bytes, target: Address) -> None:
        """Send a datagram as soon as there is room; of too many the oldest is lost."""
        self._queue.append((data, target))
        if self._timer is None:
            self._moved_at = self._loop.time()
            self._send_on()

    def clear(self) -> None:
        """Forget what waits."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send_on(self) -> None:
        self._timer = None
        room = BULK_AHEAD_BYTES - self._moving_bytes()
        while self._queue and room > 0:
            data, target = self._queue.popleft()
            room -= len(data)
            if not self._hand_over(data, target, DSCP_DEFAULT):
                self._queue.clear()
        if self._queue:
            self._seen = self._waiting_bytes()
            self._timer = self._loop.call_later(BULK_PAUSE_S, self._send_on)

    def _moving_bytes(self) -> int:
        """How much of what waits in the kernel is on its way."""
        now, waiting = self._loop.time(), self._waiting_bytes()
        if waiting < self._seen:
            self._moved_at = now
        self._held = min(self._held, waiting)
        if now - self._moved_at >= HELD_S:
            self._held = min(waiting, MAX_HELD_BYTES)
        return waiting - self._held


def open_links(
    media: Iterable[Medium],
    receive: Receive,
    loop: asyncio.AbstractEventLoop,
    *,
    strangers: sieve.Sieve | None = None,
) -> dict[str, list[UdpLink]]:
    """Open all media; the links of one interface share its name.

    What `strangers` tells apart is not listened to.
    """
    groups: dict[tuple[str, int, bool], list[Medium]] = {}
    for medium in media:
        key = (medium.device, medium.port, medium.kind in _IPV6)
        groups.setdefault(key, []).append(medium)
    opened: dict[str, list[UdpLink]] = {}
    for (device, _, _), members in groups.items():
        link = UdpLink(members, receive, loop, strangers=strangers)
        link.open()
        opened.setdefault(device, []).append(link)
    return opened


def _is_by_name(medium: Medium) -> bool:
    if medium.kind not in (MediumKind.UCAST, MediumKind.UCAST6):
        return False
    try:
        ipaddress.ip_address(medium.address)
    except ValueError:
        return True
    return False


def _index_of(device: str) -> int:
    """The number of an interface.

    Raises: OSError that says in the system's words that there is none.
    """
    try:
        return socket.if_nametoindex(device)
    except OSError as problem:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from problem


def packet_bytes(media: Iterable[Medium]) -> dict[str, int]:
    """How long a packet may be, by link, that no interface and no router has to cut.

    That is as far as one can know: a link whose interface is missing, or which is a serial line,
    is not named. IPv6 routers never cut, and every IPv6 path carries 1280 bytes, so that is all we
    use there.
    """
    longest: dict[str, int] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asker:
        for medium in media:
            if medium.kind is MediumKind.SERIAL:
                continue
            request = struct.pack("16si236x", medium.device.encode()[:15], 0)
            try:
                answer = fcntl.ioctl(asker.fileno(), _SIOCGIFMTU, request)
            except OSError:
                continue  # it is missing now; when it comes, the kernel cuts what is too long
            mtu = struct.unpack_from("@i", answer, 16)[0]
            if medium.kind in _IPV6:
                carries = min(mtu, _IPV6_LEAST_MTU) - _IPV6_OVERHEAD_BYTES
            else:
                carries = mtu - _IPV4_OVERHEAD_BYTES
            known = longest.get(medium.device, frame.PIECE_PACKET_BYTES)
            longest[medium.device] = max(min(known, carries), LEAST_PACKET_BYTES)
    return longest


def _mark_urgent(made: socket.socket, *, is_ipv6: bool) -> None:
    """Ask the network to carry these packets before bulk traffic."""
    if is_ipv6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, DSCP_CS6)
        made.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _MAY_BE_CUT)
    else:
        made.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _MAY_BE_CUT)
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
