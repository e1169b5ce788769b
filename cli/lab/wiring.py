"""The cables of a lab: bridges, veth pairs, addresses, cuts and partitions.

All bridges live in the network namespace of the keeper, so nothing of a lab shows in the host's
network and everything is gone with the last process. A partition moves ports to a second bridge;
an unplugged cable is a port that is down.
"""

from __future__ import annotations

import ipaddress
import os

from pyroute2 import IPRoute

from cli.lab import namespaces

_SIDES = 8


class Wiring:
    """The switch of the lab. To be made inside the keeper's own network namespace."""

    def __init__(self) -> None:
        self._links = IPRoute()
        self._bridges: dict[tuple[str, int], int] = {}
        self._numbers: dict[str, int] = {}
        self._networks: list[str] = []
        self._up(self._index("lo"))

    def close(self) -> None:
        """Let go of the netlink socket."""
        self._links.close()

    def add_network(self, interface: str, router: str | None = None) -> None:
        """Make the network that joins all interfaces of this name; `router` answers on it."""
        self._networks.append(interface)
        bridge = self._bridge(interface, 0)
        if router is not None:
            address, length = router.split("/")
            self._links.addr("add", index=bridge, address=address, prefixlen=int(length))

    def plug_in(self, host: str, pid: int, addresses: dict[str, str]) -> None:
        """Connect the network namespace of process `pid` to every network it has an address in."""
        number = self._numbers.setdefault(host, len(self._numbers))
        for interface in addresses:
            port = self._port(host, interface)
            inside = f"i{number}-{self._networks.index(interface)}"
            self._remove(port)
            self._links.link("add", ifname=port, kind="veth", peer={"ifname": inside})
            index = self._index(port)
            self._links.link("set", index=index, master=self._bridge(interface, 0))
            self._up(index)
            self._links.link("set", index=self._index(inside), net_ns_pid=pid)
        _in_network_of(pid, number, addresses, self._networks)

    def unplug(self, host: str, interfaces: list[str]) -> None:
        """Pull cables: the host sees its carrier go."""
        for interface in interfaces:
            self._links.link("set", index=self._index(self._port(host, interface)), state="down")

    def plug_back(self, host: str, interfaces: list[str]) -> None:
        """Put cables back, on the common side."""
        for interface in interfaces:
            index = self._index(self._port(host, interface))
            self._links.link("set", index=index, master=self._bridge(interface, 0))
            self._up(index)

    def put_on_side(self, host: str, interfaces: list[str], side: int) -> None:
        """Move a host to one side of a partition; hosts of different sides do not hear each other.

        Raises: ValueError if `side` is not below eight.
        """
        if not 0 <= side < _SIDES:
            raise ValueError(f"a partition has at most {_SIDES} sides")
        for interface in interfaces:
            index = self._index(self._port(host, interface))
            self._links.link("set", index=index, master=self._bridge(interface, side))

    def _port(self, host: str, interface: str) -> str:
        return f"p{self._numbers[host]}-{self._networks.index(interface)}"

    def _bridge(self, interface: str, side: int) -> int:
        known = self._bridges.get((interface, side))
        if known is not None:
            return known
        name = f"b{self._networks.index(interface)}-{side}"
        self._links.link("add", ifname=name, kind="bridge")
        index = self._index(name)
        self._up(index)
        self._bridges[interface, side] = index
        return index

    def _index(self, name: str) -> int:
        found = self._links.link_lookup(ifname=name)
        if not found:
            raise OSError(f"there is no interface {name} in the lab")
        return int(found[0])

    def _remove(self, name: str) -> None:
        for index in self._links.link_lookup(ifname=name):
            self._links.link("del", index=index)

    def _up(self, index: int) -> None:
        self._links.link("set", index=index, state="up")


def block(pid: int, address: str, *, blocked: bool) -> None:
    """Drop everything the host of `pid` sends to `address` (one way), or stop doing so."""

    def change() -> None:
        with IPRoute() as links:
            if blocked:
                links.route("replace", dst=f"{address}/32", type="blackhole", table=254)
            else:
                links.route("del", dst=f"{address}/32", type="blackhole", table=254)

    _run_in_network_of(pid, change)


def _in_network_of(pid: int, number: int, addresses: dict[str, str], networks: list[str]) -> None:
    def configure() -> None:
        with IPRoute() as links:
            links.link("set", index=links.link_lookup(ifname="lo")[0], state="up")
            for interface, cidr in addresses.items():
                inside = f"i{number}-{networks.index(interface)}"
                index = links.link_lookup(ifname=inside)[0]
                links.link("set", index=index, ifname=interface)
                ip = ipaddress.ip_interface(cidr)
                links.addr(
                    "add",
                    index=index,
                    address=str(ip.ip),
                    prefixlen=ip.network.prefixlen,
                    broadcast=str(ip.network.broadcast_address),
                )
                links.link("set", index=index, state="up")

    _run_in_network_of(pid, configure)


def _run_in_network_of(pid: int, work: object) -> None:
    """Run `work()` in a short-lived child inside the network namespace of `pid`.

    Raises: OSError if the child could not do it (what went wrong is on standard error).
    """
    assert callable(work)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            namespaces.enter_network_of(pid)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise OSError(f"cannot change the network of process {pid} (status {status})")
