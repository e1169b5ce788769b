"""Watching addresses: one removed by hand is noticed at once.

Responsible for knowing which address belongs to which resource and for turning what the runner
hears from the kernel into a call. What follows (monitor at once) the core decides.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from lrmd.operations import StartAgent
from lrmd.rtnetlink import Address

_WATCHED_TYPES = frozenset({"IPaddr", "IPaddr2"})


class AddressWatch:
    """Calls `tripped(resource, what)` when the address of a monitored resource is gone."""

    def __init__(self, tripped: Callable[[str, str], None]) -> None:
        self._tripped = tripped
        self._resources: dict[Address, str] = {}

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

    def gone(self, addresses: tuple[str, ...] | None) -> None:
        """Take in which addresses are gone; None: news were lost, so any may be."""
        if addresses is None:
            for resource in list(self._resources.values()):
                self._tripped(resource, "address notifications were lost")
            return
        for text in addresses:
            address = ipaddress.ip_address(text)
            if address in self._resources:
                self._tripped(self._resources[address], f"address {address} was removed")
