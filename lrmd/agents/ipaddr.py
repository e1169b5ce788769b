"""`ocf:heartbeat:IPaddr` and `ocf:heartbeat:IPaddr2`: a floating IP address.

Both put an address on an interface through netlink and announce it to the neighbours, at once and
a few times more from a background process that `stop` ends. They differ in the label: IPaddr shows
the address as the classic alias `nic:N`, IPaddr2 without a label unless `iflabel` asks for one.

The interface is found from the routing table when `nic` is not set: the most specific route that
contains the address. The default route counts only when the netmask is given, since it says
nothing about the network the address belongs to.

Source: docs/protocol/lrm.md, "The address agents".
"""

from __future__ import annotations

import contextlib
import ipaddress
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crm.model.outcomes import ExitCode
from lrmd.agentkit import agent, announce, background
from lrmd.agentkit.metadata import Action
from lrmd.agentkit.outcome import OK, Outcome, failed, misconfigured, not_running
from lrmd.agentkit.parameters import Kind, Parameter
from lrmd.rtnetlink import MAX_LABEL_BYTES, Address, Assigned, Link, NetlinkSocket

MAX_ALIASES = 512
"""Aliases are numbered from 0 up to here."""


def _address_complaint(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return "expected an IPv4 or IPv6 address"
    return ""


def _hardware_complaint(text: str) -> str:
    try:
        is_hardware = len(bytes.fromhex(text.replace(":", ""))) == 6
    except ValueError:
        is_hardware = False
    return "" if is_hardware else "expected a hardware address of 12 hexadecimal digits"


_COMMON = (
    Parameter(
        "ip",
        "IP address",
        "The IPv4 or IPv6 address to hold, such as 192.168.1.1 or fc00::1.",
        is_required=True,
        is_unique=True,
        check=_address_complaint,
    ),
    Parameter(
        "nic",
        "Network interface",
        "The interface that gets the address. If it is not set, the routing table tells: the most "
        "specific route that contains the address.",
    ),
    Parameter(
        "cidr_netmask",
        "Netmask",
        "The netmask as a prefix length (24) or in dotted form (255.255.255.0). If it is not set, "
        "the routing table tells.",
        aliases=("netmask",),
    ),
    Parameter(
        "broadcast",
        "Broadcast address",
        "The broadcast address; if it is not set, the last address of the network.",
        check=_address_complaint,
    ),
    Parameter(
        "iflabel",
        "Interface label",
        "A label shown behind the interface's name (eth0:web). IPv4 only.",
    ),
    Parameter(
        "lvs_support",
        "Direct routing of a load balancer",
        "Leave the address on the loopback interface when stopped.",
        kind=Kind.BOOLEAN,
        default="false",
        unsupported="an address is always taken away on stop",
    ),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address belongs: interface, prefix length and label."""

    link: Link
    prefix_bits: int
    broadcast: Address | None


class FloatingAddress(agent.Agent):
    """What both agents do; they declare names and defaults."""

    interval_parameter: ClassVar[str]
    count_parameter: ClassVar[str]
    background_parameter: ClassVar[str]
    target_parameter: ClassVar[str]
    numbers_aliases: ClassVar[bool]

    # --- the three actions ---

    def start(self) -> Outcome:
        """Put the address on its interface and tell the neighbours."""
        with NetlinkSocket() as kernel:
            links = {link.index: link for link in kernel.links()}
            addresses = kernel.addresses()
            place = self._place(kernel, links, addresses)
            held = self._held(links, addresses)
            if held is None:
                if not place.link.is_up:
                    kernel.set_up(place.link)
                label = self._label(place.link, addresses)
                self._say_ifconfig(place, label)
                kernel.add_address(
                    Assigned(place.link.index, self._ip, place.prefix_bits, label, place.broadcast)
                )
            elif background.find(self._sender_pidfile()) is not None:
                return OK
            else:
                label = held.label
            self._announce(place.link, label)
        return OK

    def stop(self) -> Outcome:
        """Take the address off, wherever it is, and stop announcing it."""
        background.kill(self._sender_pidfile())
        with NetlinkSocket() as kernel:
            links = {link.index: link for link in kernel.links()}
            held = self._held(links, kernel.addresses())
            if held is None:
                return OK
            name = held.label or links[held.index].name
            self.info(f"/sbin/route -n del -host {self._ip}")
            self.info(f"/sbin/ifconfig {name} {self._ip} down")
            kernel.remove_address(held)
        self.info(f"IP Address {self._ip} released")
        return OK

    def monitor(self) -> Outcome:
        """Look whether the address is on an interface that is up."""
        with NetlinkSocket() as kernel:
            links = {link.index: link for link in kernel.links()}
            held = self._held(links, kernel.addresses())
        if held is None:
            return not_running()
        link = links[held.index]
        if not link.is_up:
            return Outcome(ExitCode.ERROR, f"interface {link.name} is down")
        return OK

    def validate(self) -> None:
        """Check mask, broadcast and interface name against the address."""
        self._mask()
        broadcast = self.values["broadcast"]
        if broadcast and ipaddress.ip_address(broadcast).version != self._ip.version:
            raise misconfigured(f"broadcast '{broadcast}' is not of the kind of '{self._ip}'")
        if self.numbers_aliases and ":" in self.values["nic"]:
            raise misconfigured(
                f"nic is '{self.values['nic']}', expected a plain interface: IPaddr numbers its "
                "aliases itself"
            )

    # --- where the address belongs ---

    @property
    def _ip(self) -> Address:
        return ipaddress.ip_address(self.values["ip"])

    @property
    def _nic(self) -> str:
        return self.values["nic"].partition(":")[0]

    def _mask(self) -> int | None:
        """Return the prefix length that was asked for."""
        text = self.values["cidr_netmask"]
        if not text:
            return None
        try:
            return ipaddress.ip_network(f"{self._ip}/{text}", strict=False).prefixlen
        except ValueError:
            raise misconfigured(
                f"netmask '{text}' does not fit '{self._ip}', expected a prefix length or mask"
            ) from None

    def _place(
        self, kernel: NetlinkSocket, links: dict[int, Link], addresses: list[Assigned]
    ) -> Place:
        mask = self._mask()
        if self._nic:
            link = next((link for link in links.values() if link.name == self._nic), None)
            if link is None:
                raise failed(f"there is no interface '{self._nic}'", ExitCode.NOT_INSTALLED)
            bits = self._bits_on(kernel, link, addresses) if mask is None else mask
        else:
            routes = [
                route
                for route in kernel.routes(self._ip.version)
                if self._ip in route.destination
                and (route.destination.prefixlen > 0 or mask is not None)
                and route.index in links
            ]
            if not routes:
                raise failed(
                    f"no route contains {self._ip}: set nic and cidr_netmask",
                    ExitCode.NOT_CONFIGURED,
                )
            best = max(routes, key=lambda route: route.destination.prefixlen)
            link = links[best.index]
            bits = best.destination.prefixlen if mask is None else mask
        return Place(link, bits, self._broadcast(bits))

    def _bits_on(self, kernel: NetlinkSocket, link: Link, addresses: list[Assigned]) -> int:
        networks = [
            assigned.network
            for assigned in addresses
            if assigned.index == link.index and self._ip in assigned.network
        ]
        networks += [
            route.destination
            for route in kernel.routes(self._ip.version)
            if route.index == link.index
            and route.destination.prefixlen
            and self._ip in route.destination
        ]
        return max((network.prefixlen for network in networks), default=self._ip.max_prefixlen)

    def _broadcast(self, bits: int) -> Address | None:
        if self._ip.version == 6:
            return None
        if self.values["broadcast"]:
            return ipaddress.ip_address(self.values["broadcast"])
        if bits >= 31:
            return None
        return ipaddress.ip_network((self._ip, bits), strict=False).broadcast_address

    def _held(self, links: dict[int, Link], addresses: list[Assigned]) -> Assigned | None:
        """Find the address: on its interface if that is named, else on any that reaches others."""
        for assigned in addresses:
            link = links.get(assigned.index)
            if assigned.address != self._ip or link is None:
                continue
            if link.name == self._nic or (not self._nic and not link.is_loopback):
                return assigned
        return None

    def _label(self, link: Link, addresses: list[Assigned]) -> str:
        if self._ip.version == 6:
            return ""
        named = self.values["iflabel"] or self.values["nic"].partition(":")[2]
        if named:
            label = f"{link.name}:{named}"
            if len(label.encode()) > MAX_LABEL_BYTES:
                raise failed(
                    f"label '{label}' is longer than {MAX_LABEL_BYTES} bytes",
                    ExitCode.NOT_CONFIGURED,
                )
            return label
        if not self.numbers_aliases:
            return ""
        taken = {assigned.label for assigned in addresses}
        free = next(
            label
            for number in range(MAX_ALIASES)
            if (label := f"{link.name}:{number}") not in taken
        )
        if len(free.encode()) > MAX_LABEL_BYTES:
            self.warn(f"interface {link.name} has too long a name for an alias; none is set")
            return ""
        return free

    # --- what others learn ---

    def _say_ifconfig(self, place: Place, label: str) -> None:
        name = label or place.link.name
        if self._ip.version == 6:
            self.info(f"/sbin/ifconfig {name} add {self._ip}/{place.prefix_bits}")
            return
        mask = ipaddress.ip_network((self._ip, place.prefix_bits), strict=False).netmask
        tail = f" broadcast {place.broadcast}" if place.broadcast is not None else ""
        self.info(f"/sbin/ifconfig {name} {self._ip} netmask {mask}{tail}")

    def _sender_pidfile(self) -> Path:
        directory = self.state_dir() / "send_arp"
        directory.mkdir(exist_ok=True)
        return directory / f"send_arp-{self._ip}"

    def _announce(self, link: Link, label: str) -> None:
        """Announce once now; the rest in the background, so that start need not wait."""
        if not link.can_announce:
            return
        count = self.values.integer(self.count_parameter)
        interval_ms = self.values.integer(self.interval_parameter)
        if count <= 0:
            return
        target = bytes.fromhex(self.values[self.target_parameter].replace(":", ""))
        address = self._ip
        pidfile = self._sender_pidfile()
        what = "Gratuitous Arp" if address.version == 4 else "Neighbour Advertisement"
        self.info(f"Sending {what} for {address} on {label or link.name} [{link.name}]")
        self.info(
            f"send_arp -i {interval_ms} -r {count} -p {pidfile} {link.name} {address} auto "
            f"{address} {target.hex()}"
        )
        try:
            wire = announce.open_wire(address, link)
            announce.announce(wire, address, link, target)
        except OSError as problem:
            self.warn(f"{address} could not be announced on {link.name}: {problem}")
            return
        background.kill(pidfile)

        def repeat() -> None:
            for _ in range(count - 1):
                signal.sigtimedwait([], interval_ms / 1000)
                announce.announce(wire, address, link, target)

        if self.values.is_true(self.background_parameter):
            background.detach(pidfile, "send_arp", repeat, keep=(wire.fileno(),))
        else:
            with contextlib.suppress(OSError):
                repeat()


def _sending(
    interval: str, interval_ms: int, count: str, times: int, bg: str
) -> tuple[Parameter, ...]:
    return (
        Parameter(
            interval,
            "Interval between announcements in ms",
            "Milliseconds between two announcements of the address.",
            kind=Kind.INTEGER,
            default=str(interval_ms),
        ),
        Parameter(
            count,
            "Number of announcements",
            "How often the address is announced, the first time before start ends.",
            kind=Kind.INTEGER,
            default=str(times),
        ),
        Parameter(
            bg,
            "Announce in the background",
            "Whether start ends after the first announcement.",
            kind=Kind.BOOLEAN,
            default="true",
        ),
    )


def _target(name: str) -> Parameter:
    return Parameter(
        name,
        "Hardware address the announcements go to",
        "The hardware address gratuitous ARP packets are sent to; all of ff: everybody.",
        default="ffffffffffff",
        check=_hardware_complaint,
    )


def _unsupported(name: str, short: str, why: str) -> Parameter:
    return Parameter(name, short, f"{short}; refused: {why}.", unsupported=why)


_ACTIONS = (
    Action("start", 20),
    Action("stop", 20),
    Action("status", 20, interval_s=10, depth=0),
    Action("monitor", 20, interval_s=10, depth=0),
    Action("validate-all", 20),
    Action("meta-data", 5),
)


class IPaddr(FloatingAddress):
    """The agent of the Heartbeat days: the address is an alias `nic:N`."""

    name = "IPaddr"
    short = "Holds an IP address as an alias interface"
    long = (
        "Puts an IP address on a network interface under an alias name (eth0:0), announces it to "
        "the neighbours, and takes it away again."
    )
    numbers_aliases = True
    interval_parameter = "ARP_INTERVAL_MS"
    count_parameter = "ARP_REPEAT"
    background_parameter = "ARP_BACKGROUND"
    target_parameter = "ARP_NETMASK"
    actions = _ACTIONS
    parameters = (
        *_COMMON,
        *_sending("ARP_INTERVAL_MS", 500, "ARP_REPEAT", 10, "ARP_BACKGROUND"),
        _target("ARP_NETMASK"),
        _unsupported(
            "local_start_script", "Script run after start", "use a resource of its own and an order"
        ),
        _unsupported(
            "local_stop_script", "Script run before stop", "use a resource of its own and an order"
        ),
    )


class IPaddr2(FloatingAddress):
    """The newer agent: no alias name unless one is asked for."""

    name = "IPaddr2"
    short = "Holds an IPv4 or IPv6 address"
    long = (
        "Puts an IP address on a network interface, announces it to the neighbours, and takes it "
        "away again."
    )
    numbers_aliases = False
    interval_parameter = "arp_interval"
    count_parameter = "arp_count"
    background_parameter = "arp_bg"
    target_parameter = "arp_mac"
    actions = _ACTIONS
    parameters = (
        *_COMMON,
        *_sending("arp_interval", 200, "arp_count", 5, "arp_bg"),
        _target("arp_mac"),
        _unsupported("mac", "Hardware address of a cluster IP", "an address has one owner here"),
        _unsupported("clusterip_hash", "Hash of a cluster IP", "an address has one owner here"),
    )
