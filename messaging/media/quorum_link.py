"""The way to the quorum server: a UDP socket that hears nobody else.

Responsible for the socket and for the server's address. What is said is `messaging.arbitration`'s.

Source: docs/protocol/quorumd.md.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from messaging.ballot import MAX_DATAGRAM_BYTES
from messaging.media.names import Names

log = logging.getLogger("ha.heartbeat")

BATCH = 16


class QuorumLink:
    """One socket, connected to the server as soon as its address is known."""

    def __init__(
        self,
        host: str,
        port: int,
        receive: Callable[[bytes], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._host = host
        self._port = port
        self._receive = receive
        self._loop = loop
        is_ipv6 = ":" in host
        self._family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
        self._names = Names([host], is_ipv6=is_ipv6, loop=loop, learnt=self._connect)
        self._socket: socket.socket | None = None
        self._trouble = ""

    def open(self) -> None:
        """Begin to look for the server."""
        self._names.look_up()

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def send(self, data: bytes) -> None:
        """Send a datagram; what cannot be sent is lost, and the reason is said once."""
        self._names.look_up()
        if self._socket is None:
            self._connect()
        if self._socket is None:
            return
        try:
            self._socket.send(data)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            self._tell("nobody listens there")
        except OSError as problem:
            self._tell(problem.strerror or str(problem))
            self.close()

    def _connect(self) -> None:
        self.close()
        address = self._names.address(self._host)
        if address is None:
            return
        opened = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            opened.connect((address, self._port))
        except OSError as problem:
            opened.close()
            self._tell(problem.strerror or str(problem))
            return
        self._socket = opened
        self._loop.add_reader(opened, self._read)

    def _read(self) -> None:
        for _ in range(BATCH):
            if self._socket is None:
                return
            try:
                data = self._socket.recv(MAX_DATAGRAM_BYTES)
            except OSError:  # nothing left, or word that nobody listens
                return
            self._trouble = ""
            self._receive(data)

    def _tell(self, problem: str) -> None:
        if problem != self._trouble:
            log.warning("quorum server %s, port %s: %s", self._host, self._port, problem)
        self._trouble = problem
