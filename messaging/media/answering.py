"""A UDP socket that answers from the address it was asked at.

Responsible for the socket. What is asked and answered is somebody else's business.

A host may have several addresses, and a socket that listens on all of them answers from the one
that the way back goes by. Whoever asked at another one hears nothing: its socket is connected, and
a firewall that remembers the question does not let such an answer in. The kernel tells where a
datagram came to, and takes the same words back with the answer. Source: ip(7), ipv6(7); RFC 3542,
section 6.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from typing import Any, NamedTuple

from crm.plumbing.errors import ConfigurationError

IP_PKTINFO = 8
"""That of Linux, as `socket` has no name for it."""

_INFO4 = struct.Struct("@i4s4s")
"""Interface, the address to answer from, the address that was written to."""

_INFO6 = struct.Struct("@16sI")
_ROOM_BYTES = socket.CMSG_SPACE(max(_INFO4.size, _INFO6.size))


class Way(NamedTuple):
    """Where a datagram came from and to; with it an answer finds back."""

    peer: tuple[Any, ...]  # Any: a socket address, which has two fields or four
    own: bytes = b""


class AnsweringSocket:
    """Listens on an address, on `::` in both IP versions.

    Raises: ConfigurationError, where the address cannot be had.
    """

    def __init__(self, address: str, port: int) -> None:
        self._is_ipv6 = ":" in address
        family = socket.AF_INET6 if self._is_ipv6 else socket.AF_INET
        opened: socket.socket | None = None
        try:
            opened = socket.socket(family, socket.SOCK_DGRAM)
            if self._is_ipv6:
                only = int(address != "::")
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                opened.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            opened.setblocking(False)
            opened.bind((address, port))
        except (OSError, UnicodeError) as problem:
            if opened is not None:
                opened.close()
            why = getattr(problem, "strerror", None) or str(problem)
            raise ConfigurationError(f"cannot listen on {address}, port {port}: {why}") from problem
        self._socket = opened

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self._socket.getsockname()[1]
        return port

    def fileno(self) -> int:
        """What an event loop watches."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the address back."""
        self._socket.close()

    def receive(self, limit_bytes: int) -> tuple[bytes, Way] | None:
        """The next datagram and the way it came; None if there is none."""
        try:
            data, told, _, peer = self._socket.recvmsg(limit_bytes, _ROOM_BYTES)
        except OSError:
            return None
        return data, Way(peer, next((self._own(*each) for each in told), b""))

    def send(self, data: bytes, way: Way) -> None:
        """Answer; what cannot be sent is lost, as any datagram may be."""
        level, kind = (
            (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)
            if self._is_ipv6
            else (socket.IPPROTO_IP, IP_PKTINFO)
        )
        told = [(level, kind, way.own)] if way.own else []
        with contextlib.suppress(OSError):
            self._socket.sendmsg([data], told, 0, way.peer)

    def _own(self, level: int, kind: int, told: bytes) -> bytes:
        """What the kernel told of our own address, made into what it is to be told.

        It shall choose the interface by itself, but for an address that is good on one link only.
        """
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            address, interface = _INFO6.unpack(told)
            is_local = ipaddress.IPv6Address(address).is_link_local
            return _INFO6.pack(address, interface if is_local else 0)
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            _, own, _ = _INFO4.unpack(told)
            return _INFO4.pack(0, own, bytes(4))
        return b""
