"""Addresses, links and routes of this host, through the kernel's routing netlink socket.

Responsible for exactly what address agents and the address watcher need: list and change addresses,
list links and routes, read address notifications. Not a general netlink library; decision 0061 says
why there is one here.

Source: rtnetlink(7), netlink(7); linux/rtnetlink.h, linux/if_addr.h, linux/if_link.h.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_LABEL_BYTES = 15
"""An address label is an interface name to the kernel: 15 bytes and a NUL."""

ANSWER_TIMEOUT_S = 5.0

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_IFADDRMSG = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, change
_RTMSG = struct.Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, protocol, scope, type
_RECEIVE_BYTES = 256 * 1024

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_DUMP = 0x1, 0x4, 0x300
_NLM_F_EXCL, _NLM_F_CREATE = 0x200, 0x400
_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_RTM_NEWROUTE, _RTM_GETROUTE = 24, 26
_IFLA_ADDRESS, _IFLA_IFNAME = 1, 3
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 3, 4, 8
_RTA_DST, _RTA_OIF, _RTA_TABLE = 1, 4, 15
_IFA_F_NODAD = 0x02
_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_IFF_NOARP = 0x80
_RT_TABLE_MAIN = 254
_RTN_UNICAST = 1
_RTMGRP_IPV4_IFADDR, _RTMGRP_IPV6_IFADDR = 0x10, 0x100


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface."""

    index: int
    name: str
    flags: int
    hardware: bytes

    @property
    def is_up(self) -> bool:
        """Whether the administrator has it up (not: whether a cable is plugged in)."""
        return bool(self.flags & _IFF_UP)

    @property
    def is_loopback(self) -> bool:
        """Whether it only reaches this host."""
        return bool(self.flags & _IFF_LOOPBACK)

    @property
    def can_announce(self) -> bool:
        """Whether neighbours on it resolve addresses, so that a new owner must be announced."""
        return len(self.hardware) == 6 and not self.flags & (_IFF_LOOPBACK | _IFF_NOARP)


@dataclass(frozen=True, slots=True)
class Assigned:
    """An address on an interface."""

    index: int
    address: Address
    prefix_bits: int
    label: str = ""
    broadcast: Address | None = None

    @property
    def network(self) -> Network:
        """The network the address belongs to."""
        return ipaddress.ip_network((self.address, self.prefix_bits), strict=False)


@dataclass(frozen=True, slots=True)
class Route:
    """A unicast route of the main table that leaves by one interface."""

    destination: Network
    index: int


@dataclass(frozen=True, slots=True)
class AddressRemoved:
    """The kernel says that an address is gone from an interface."""

    address: Address
    index: int


class NetlinkSocket:
    """One conversation with the kernel. A context manager; every call may raise OSError."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.settimeout(ANSWER_TIMEOUT_S)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def links(self) -> list[Link]:
        """List all interfaces."""
        body = _IFINFOMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        answers = self._ask(_RTM_GETLINK, _NLM_F_DUMP, body)
        return [_read_link(answer) for kind, answer in answers if kind == _RTM_NEWLINK]

    def addresses(self) -> list[Assigned]:
        """List all addresses."""
        body = _IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        answers = self._ask(_RTM_GETADDR, _NLM_F_DUMP, body)
        found = [_read_address(answer) for kind, answer in answers if kind == _RTM_NEWADDR]
        return [assigned for assigned in found if assigned is not None]

    def routes(self, version: int) -> list[Route]:
        """List the unicast routes of the main table, of IP version 4 or 6."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        body = _RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        answers = self._ask(_RTM_GETROUTE, _NLM_F_DUMP, body)
        found = [_read_route(answer) for kind, answer in answers if kind == _RTM_NEWROUTE]
        return [route for route in found if route is not None]

    def add_address(self, assigned: Assigned) -> None:
        """Put an address on an interface; an IPv6 address is usable at once."""
        self._ask(
            _RTM_NEWADDR, _NLM_F_ACK | _NLM_F_CREATE | _NLM_F_EXCL, _address_message(assigned)
        )

    def remove_address(self, assigned: Assigned) -> None:
        """Take an address off an interface; absent already is fine."""
        try:
            self._ask(_RTM_DELADDR, _NLM_F_ACK, _address_message(assigned))
        except OSError as problem:
            if problem.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV):
                raise

    def set_up(self, link: Link) -> None:
        """Bring an interface up."""
        body = _IFINFOMSG.pack(socket.AF_UNSPEC, 0, link.index, _IFF_UP, _IFF_UP)
        self._ask(_RTM_NEWLINK, _NLM_F_ACK, body)

    def _ask(self, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
        self._sequence += 1
        length = _HEADER.size + len(body)
        header = _HEADER.pack(length, kind, flags | _NLM_F_REQUEST, self._sequence, 0)
        self._socket.send(header + body)
        answers: list[tuple[int, bytes]] = []
        while True:
            for answer_kind, sequence, payload in _messages(self._socket.recv(_RECEIVE_BYTES)):
                if sequence != self._sequence:
                    continue
                if answer_kind == _NLMSG_DONE:
                    return answers
                if answer_kind == _NLMSG_ERROR:
                    (code,) = struct.unpack_from("=i", payload)
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return answers
                answers.append((answer_kind, payload))


def open_address_watch() -> socket.socket:
    """Open a non-blocking socket on which the kernel tells every change of an address."""
    watch = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    watch.setblocking(False)
    watch.bind((0, _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR))
    return watch


def removed_addresses(data: bytes) -> list[AddressRemoved]:
    """Read which addresses one notification says are gone."""
    removed = []
    for kind, _, payload in _messages(data):
        assigned = _read_address(payload) if kind == _RTM_DELADDR else None
        if assigned is not None:
            removed.append(AddressRemoved(assigned.address, assigned.index))
    return removed


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            return
        yield kind, sequence, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _read_link(payload: bytes) -> Link:
    _, _, index, flags, _ = _IFINFOMSG.unpack_from(payload)
    attributes = _attributes(payload[_IFINFOMSG.size :])
    return Link(
        index, _text(attributes.get(_IFLA_IFNAME, b"")), flags, attributes.get(_IFLA_ADDRESS, b"")
    )


def _read_address(payload: bytes) -> Assigned | None:
    family, bits, _, _, index = _IFADDRMSG.unpack_from(payload)
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    attributes = _attributes(payload[_IFADDRMSG.size :])
    packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    if packed is None:
        return None
    broadcast = attributes.get(_IFA_BROADCAST)
    return Assigned(
        index,
        ipaddress.ip_address(packed),
        bits,
        _text(attributes.get(_IFA_LABEL, b"")),
        ipaddress.ip_address(broadcast) if broadcast else None,
    )


def _read_route(payload: bytes) -> Route | None:
    family, bits, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(payload)
    attributes = _attributes(payload[_RTMSG.size :])
    if _RTA_TABLE in attributes:
        (table,) = struct.unpack("=I", attributes[_RTA_TABLE])
    if table != _RT_TABLE_MAIN or kind != _RTN_UNICAST or _RTA_OIF not in attributes:
        return None
    packed = attributes.get(_RTA_DST, bytes(4 if family == socket.AF_INET else 16))
    (index,) = struct.unpack("=I", attributes[_RTA_OIF])
    return Route(ipaddress.ip_network((packed, bits), strict=False), index)


def _address_message(assigned: Assigned) -> bytes:
    is_v4 = assigned.address.version == 4
    flags = 0 if is_v4 else _IFA_F_NODAD
    family = socket.AF_INET if is_v4 else socket.AF_INET6
    body = _IFADDRMSG.pack(family, assigned.prefix_bits, flags, 0, assigned.index)
    packed = assigned.address.packed
    body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
    if assigned.broadcast is not None:
        body += _attribute(_IFA_BROADCAST, assigned.broadcast.packed)
    if assigned.label:
        body += _attribute(_IFA_LABEL, assigned.label.encode() + b"\0")
    return body
