"""Watching addresses through the kernel: one removed by hand is noticed at once.

Responsible for knowing which address belongs to which resource and for turning a notification into
a call. What follows (monitor at once) the core decides.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable

from lrmd import rtnetlink
from lrmd.operations import StartAgent

_RECEIVE_BYTES = 64 * 1024
_WATCHED_TYPES = frozenset({"IPaddr", "IPaddr2"})


class AddressWatch:
    """Calls `tripped(resource, what)` when the address of a monitored resource is gone."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tripped: Callable[[str, str], None]
    ) -> None:
        self._tripped = tripped
        self._resources: dict[rtnetlink.Address, str] = {}
        self._socket = rtnetlink.open_address_watch()
        loop.add_reader(self._socket, self._readable)

    def follow(self, start: StartAgent) -> None:
        """Learn from an operation whether an address is to be watched from now on."""
        if start.agent.agent_class != "ocf" or start.agent.type not in _WATCHED_TYPES:
            return
        try:
            address = ipaddress.ip_address(start.parameters.get("ip", ""))
        except ValueError:
            return
        if start.operation == "monitor" and start.interval_ms > 0:
            self._resources[address] = start.resource
        elif start.operation == "stop":
            self._resources.pop(address, None)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:  # ENOBUFS: notifications were lost, so any address may be gone
            for resource in list(self._resources.values()):
                self._tripped(resource, "address notifications were lost")
            return
        for removed in rtnetlink.removed_addresses(data):
            if removed.address in self._resources:
                resource = self._resources[removed.address]
                self._tripped(resource, f"address {removed.address} was removed")
