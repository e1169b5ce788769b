"""Addresses, links and routes of this host, as the kernel tells them, through pyroute2.

Responsible for exactly what address agents and the address watch need, in our own words: list and
change addresses, list links and routes, hear which addresses are gone. Encoding and decoding are
pyroute2's; its messages travel over a plain socket here, because its own calls run an event loop
each, which costs more than all the rest.

pyroute2 is loaded when it is first needed. It takes longer to load than an agent takes to run, so
the warm runner loads it once (`warm_up`), and an agent that is started from a shell to print its
metadata does without. Decision 0061 has the figures.

Source: rtnetlink(7), netlink(7).
"""

from __future__ import annotations

import errno
import functools
import importlib
import ipaddress
import os
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_LABEL_BYTES = 15
"""An address label is an interface name to the kernel: 15 bytes and a NUL."""

ANSWER_TIMEOUT_S = 5.0

_RECEIVE_BYTES = 256 * 1024
_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_IFF_NOARP = 0x80
_IFA_F_NODAD = 0x02
_RT_TABLE_MAIN = 254
_RTN_UNICAST = 1


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


class Words:
    """What we use of pyroute2: its messages, its reader, and the kernel's numbers.

    `Any` throughout, because pyroute2 ships no types.
    """

    def __init__(self) -> None:
        netlink: Any = importlib.import_module("pyroute2.netlink")
        rtnl: Any = importlib.import_module("pyroute2.netlink.rtnl")
        self.netlink = netlink
        self.rtnl = rtnl
        self.address: Any = importlib.import_module("pyroute2.netlink.rtnl.ifaddrmsg").ifaddrmsg
        self.link: Any = importlib.import_module("pyroute2.netlink.rtnl.ifinfmsg").ifinfmsg
        self.route: Any = importlib.import_module("pyroute2.netlink.rtnl.rtmsg").rtmsg
        self.reader: Any = importlib.import_module("pyroute2.netlink.rtnl.marshal").MarshalRtnl
        self.error: Any = netlink.exceptions.NetlinkError


@functools.cache
def words() -> Words:
    """Load pyroute2, once in a process."""
    return Words()


def warm_up() -> None:
    """Load pyroute2 and use it once: it prepares its messages when they are first read."""
    with NetlinkSocket() as kernel:
        kernel.links()
        kernel.addresses()
        kernel.routes(4)


class NetlinkSocket:
    """One conversation with the kernel. A context manager; every call may raise OSError."""

    def __init__(self) -> None:
        self._words = words()
        self._reader = self._words.reader()
        self._socket = _open(groups=0)
        self._socket.settimeout(ANSWER_TIMEOUT_S)
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
        found = self._list(self._words.link(), self._words.rtnl.RTM_GETLINK)
        return [_read_link(message) for message in found]

    def addresses(self) -> list[Assigned]:
        """List all addresses."""
        found = self._list(self._words.address(), self._words.rtnl.RTM_GETADDR)
        return [known for known in map(_read_address, found) if known is not None]

    def routes(self, version: int) -> list[Route]:
        """List the unicast routes of the main table, of IP version 4 or 6."""
        question = self._words.route()
        question["family"] = socket.AF_INET if version == 4 else socket.AF_INET6
        found = self._list(question, self._words.rtnl.RTM_GETROUTE)
        return [known for known in map(_read_route, found) if known is not None]

    def add_address(self, assigned: Assigned) -> None:
        """Put an address on an interface; an IPv6 address is usable at once."""
        flags = self._words.netlink.NLM_F_CREATE | self._words.netlink.NLM_F_EXCL
        self._do(self._address_message(assigned), self._words.rtnl.RTM_NEWADDR, flags)

    def remove_address(self, assigned: Assigned) -> None:
        """Take an address off an interface; absent already is fine."""
        try:
            self._do(self._address_message(assigned), self._words.rtnl.RTM_DELADDR)
        except OSError as problem:
            if problem.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV):
                raise

    def set_up(self, link: Link) -> None:
        """Bring an interface up."""
        order = self._words.link()
        order["index"] = link.index
        order["flags"] = order["change"] = _IFF_UP
        self._do(order, self._words.rtnl.RTM_NEWLINK)

    def _address_message(self, assigned: Assigned) -> Any:
        address = str(assigned.address)
        order = self._words.address()
        order["family"] = socket.AF_INET if assigned.address.version == 4 else socket.AF_INET6
        order["index"] = assigned.index
        order["prefixlen"] = assigned.prefix_bits
        order["attrs"] = [("IFA_LOCAL", address), ("IFA_ADDRESS", address)]
        if assigned.address.version == 6:
            order["flags"] = _IFA_F_NODAD
        if assigned.broadcast is not None:
            order["attrs"].append(("IFA_BROADCAST", str(assigned.broadcast)))
        if assigned.label:
            order["attrs"].append(("IFA_LABEL", assigned.label))
        return order

    def _list(self, question: Any, kind: int) -> list[Any]:
        return self._ask(question, kind, self._words.netlink.NLM_F_DUMP)

    def _do(self, order: Any, kind: int, flags: int = 0) -> None:
        self._ask(order, kind, flags | self._words.netlink.NLM_F_ACK)

    def _ask(self, message: Any, kind: int, flags: int) -> list[Any]:
        netlink = self._words.netlink
        self._sequence += 1
        header = message["header"]
        header["type"] = kind
        header["flags"] = flags | netlink.NLM_F_REQUEST
        header["sequence_number"] = self._sequence
        message.encode()
        self._socket.send(message.data)
        answers: list[Any] = []
        while True:
            for answer in self._reader.parse(self._socket.recv(_RECEIVE_BYTES)):
                about = answer["header"]
                if about["sequence_number"] != self._sequence:
                    continue
                if about["error"] is not None:
                    code = getattr(about["error"], "code", errno.EBADMSG)
                    raise OSError(code, os.strerror(code))
                if about["type"] in (netlink.NLMSG_DONE, netlink.NLMSG_ERROR):
                    return answers
                answers.append(answer)


class AddressNews:
    """A socket on which the kernel tells of every change of an address; for an epoll object."""

    def __init__(self) -> None:
        self._reader = words().reader()
        self._removed = words().rtnl.RTM_DELADDR
        self._socket = _open(words().rtnl.RTMGRP_IPV4_IFADDR | words().rtnl.RTMGRP_IPV6_IFADDR)
        self._socket.setblocking(False)

    def __enter__(self) -> AddressNews:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Say which descriptor becomes readable."""
        return self._socket.fileno()

    def removed(self) -> list[Address]:
        """Read which addresses have gone since the last call.

        Raises: OSError if news were lost (ENOBUFS): then any address may be gone.
        """
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return []
        messages = [
            message
            for message in self._reader.parse(data)
            if message["header"]["type"] == self._removed
        ]
        return [known.address for known in map(_read_address, messages) if known is not None]


def _open(groups: int) -> socket.socket:
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    netlink.bind((0, groups))
    return netlink


# Any, below: a message of pyroute2, a mapping of fields with attributes beside them.


def _read_link(message: Any) -> Link:
    hardware = message.get_attr("IFLA_ADDRESS") or ""
    return Link(
        message["index"],
        message.get_attr("IFLA_IFNAME") or "",
        message["flags"],
        bytes.fromhex(hardware.replace(":", "")),
    )


def _read_address(message: Any) -> Assigned | None:
    if message["family"] not in (socket.AF_INET, socket.AF_INET6):
        return None
    address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    if address is None:
        return None
    broadcast = message.get_attr("IFA_BROADCAST")
    return Assigned(
        message["index"],
        ipaddress.ip_address(address),
        message["prefixlen"],
        message.get_attr("IFA_LABEL") or "",
        ipaddress.ip_address(broadcast) if broadcast else None,
    )


def _read_route(message: Any) -> Route | None:
    table = message.get_attr("RTA_TABLE") or message["table"]
    index = message.get_attr("RTA_OIF")
    if table != _RT_TABLE_MAIN or message["type"] != _RTN_UNICAST or index is None:
        return None
    nowhere = "0.0.0.0" if message["family"] == socket.AF_INET else "::"
    destination = message.get_attr("RTA_DST") or nowhere
    network = ipaddress.ip_network(f"{destination}/{message['dst_len']}", strict=False)
    return Route(network, index)
