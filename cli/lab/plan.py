"""What a lab consists of: nodes with their files, networks, addresses; read or made up.

A plan is made either from a directory with a cluster's own files (`ha.cf`, `authkeys`,
`haresources`, `hosts`; or a sub-directory of these for each node), or for N nodes from nothing.
Addresses come from the hosts file (`NAME` or `NAME-hb`) and, for a second network, from the
addresses that haresources wants to hold.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from crm.plumbing.errors import ConfigurationError

_CIB = """\
<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0">
  <configuration>
    <crm_config>
      <cluster_property_set id="cib-bootstrap-options">
        <nvpair id="cib-bootstrap-options-stonith-enabled" name="stonith-enabled" value="false"/>
      </cluster_property_set>
    </crm_config>
    <nodes/>
    <resources/>
    <constraints/>
  </configuration>
  <status/>
</cib>
"""

CLIENT = "client"
"""The host that plays the outside world: it is on every network but holds nothing."""


@dataclass(frozen=True)
class Host:
    """One machine of the lab: its name, its addresses by interface, its files below the root.

    `addresses` are in CIDR form ("192.168.71.21/24"). `files` are relative paths and contents.
    A host without files runs no cluster.
    """

    name: str
    addresses: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabPlan:
    """All hosts of a lab, and the addresses that answer for things outside it (routers).

    Interfaces of the same name share one network. `routers` maps an interface to an address in
    CIDR form that the lab itself answers on.
    """

    hosts: tuple[Host, ...]
    routers: dict[str, str] = field(default_factory=dict)
    host_names: str = ""

    @property
    def nodes(self) -> tuple[Host, ...]:
        """The hosts that run the cluster."""
        return tuple(host for host in self.hosts if host.files)

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Every network of the lab, by interface name, in order of first use."""
        seen: dict[str, None] = {}
        for host in self.hosts:
            seen.update(dict.fromkeys(host.addresses))
        return tuple(seen)


_FILES = ("ha.cf", "authkeys", "haresources")
_MEDIUM = re.compile(r"^\s*(ucast|bcast|mcast)\s+(\S+)", re.MULTILINE)
_NODE_LINE = re.compile(r"^\s*node\s+([^#\n]+)", re.MULTILINE)
_PING_LINE = re.compile(r"^\s*ping\s+([^#\n]+)", re.MULTILINE)
_HELD = re.compile(r"(\d+\.\d+\.\d+\.\d+)(?:/(\d+))?(?:/([A-Za-z][\w.:-]*))?")


def read_plan(directory: Path) -> LabPlan:
    """Make a plan from a directory with a cluster's own files.

    Raises: ConfigurationError if a file is missing or an address cannot be told.
    """
    shared = _read_files(directory)
    names = _node_names(directory, shared)
    per_node = {name: _read_files(directory / name) or shared for name in names}
    hosts_file = _hosts_file(directory, names)
    known = _addresses_of(hosts_file)
    first = per_node[names[0]]
    medium = _MEDIUM.search(first["ha.cf"])
    if medium is None:
        raise ConfigurationError(f"{directory}: ha.cf names no ucast, bcast or mcast interface")
    heartbeat_nic = medium.group(2)
    peers = re.findall(r"^\s*ucast\s+\S+\s+(\S+)", first["ha.cf"], re.MULTILINE)
    held = _HELD.search(first.get("haresources", ""))
    hosts = []
    routers: dict[str, str] = {}
    lines = [hosts_file.rstrip()]
    for number, name in enumerate(names):
        own = known.get(name) or known.get(f"{name}-hb")
        if own is None and len(peers) == len(names):
            own = peers[number]
        if own is None:
            raise ConfigurationError(f"{directory}: no address of node '{name}' in its hosts file")
        addresses = {heartbeat_nic: f"{own}/24"}
        if held is not None:
            _add_public(addresses, held, number, heartbeat_nic)
        hosts.append(Host(name, addresses, _node_files(per_node[name])))
        lines.append(f"{_bare(next(iter(addresses.values())))} {name}")
    nic, network = _public_network(hosts[0], held, heartbeat_nic)
    for router in _words(_PING_LINE, first["ha.cf"]):
        routers[nic] = f"{network[254]}/{network.prefixlen}"
        lines.append(f"{network[254]} {router}")
    client = Host(CLIENT, {nic: f"{network[250]}/{network.prefixlen}"})
    return LabPlan((*hosts, client), routers, "\n".join(lines) + "\n")


def make_plan(
    nodes: int, *, keepalive_ms: int = 200, deadtime_ms: int = 1000, with_router: bool = True
) -> LabPlan:
    """Make a plan for `nodes` nodes node1 … nodeN from nothing, with short deadlines.

    There is nothing to fence with in a lab, so its CIB begins with stonith-enabled=false.

    Raises: ConfigurationError if the number is not between 1 and 16.
    """
    if not 1 <= nodes <= 16:
        raise ConfigurationError(f"a lab has 1 to 16 nodes, not {nodes}")
    names = [f"node{number}" for number in range(1, nodes + 1)]
    router = "ping router\n" if with_router else ""
    ha_cf = (
        "logfile /var/log/ha-log\n"
        f"keepalive {keepalive_ms}ms\ndeadtime {deadtime_ms}ms\n"
        f"warntime {deadtime_ms // 2}ms\ninitdead 10\n"
        + "".join(f"ucast eth1 10.77.1.{number}\n" for number in range(1, nodes + 1))
        + router
        + "".join(f"node {name}\n" for name in names)
        + "crm yes\n"
    )
    files = {
        "etc/ha.d/ha.cf": ha_cf,
        "etc/ha.d/authkeys": "auth 1\n1 sha1 a-lab-is-no-place-for-secrets\n",
        "var/lib/heartbeat/crm/cib.xml": _CIB,
    }
    hosts = [
        Host(name, {"eth0": f"10.77.0.{number}/24", "eth1": f"10.77.1.{number}/24"}, dict(files))
        for number, name in enumerate(names, 1)
    ]
    lines = ["127.0.0.1 localhost"]
    lines += [f"10.77.0.{number} {name}" for number, name in enumerate(names, 1)]
    lines += ["10.77.0.254 router"]
    client = Host(CLIENT, {"eth0": "10.77.0.250/24"})
    return LabPlan((*hosts, client), {"eth0": "10.77.0.254/24"}, "\n".join(lines) + "\n")


def _read_files(directory: Path) -> dict[str, str]:
    files = {}
    for name in _FILES:
        path = directory / name
        if path.is_file():
            files[name] = path.read_text(encoding="utf-8")
    return files if "ha.cf" in files else {}


def _node_names(directory: Path, shared: dict[str, str]) -> list[str]:
    source = shared
    if not source:
        for child in sorted(directory.iterdir()):
            if child.is_dir() and (source := _read_files(child)):
                break
    if not source:
        raise ConfigurationError(f"{directory}: there is no ha.cf, neither here nor per node")
    names = [name.lower() for name in _words(_NODE_LINE, source["ha.cf"])]
    if not names:
        raise ConfigurationError(f"{directory}: ha.cf names no node")
    return sorted(names)


def _words(pattern: re.Pattern[str], text: str) -> list[str]:
    return [word for line in pattern.findall(text) for word in re.split(r"[\s,]+", line) if word]


def _hosts_file(directory: Path, names: list[str]) -> str:
    for place in (directory, *(directory / name for name in names)):
        if (place / "hosts").is_file():
            return "127.0.0.1 localhost\n" + (place / "hosts").read_text(encoding="utf-8")
    return "127.0.0.1 localhost\n"


def _addresses_of(hosts_file: str) -> dict[str, str]:
    known: dict[str, str] = {}
    for line in hosts_file.splitlines():
        words = line.split("#")[0].split()
        for name in words[1:]:
            known.setdefault(name.lower(), words[0])
    return known


def _add_public(
    addresses: dict[str, str], held: re.Match[str], number: int, heartbeat_nic: str
) -> None:
    """Give a node an address in the network of the address it may hold, on the nic it names."""
    network = ipaddress.ip_network(f"{held.group(1)}/{held.group(2) or 24}", strict=False)
    own = ipaddress.ip_interface(addresses[heartbeat_nic])
    if own.ip in network:
        addresses[heartbeat_nic] = f"{own.ip}/{network.prefixlen}"
        return
    nic = (held.group(3) or "eth0").split(":")[0]
    public = {nic: f"{network[21 + number]}/{network.prefixlen}"}
    addresses.update({**public, **{k: v for k, v in addresses.items() if k != nic}})


def _public_network(
    host: Host, held: re.Match[str] | None, heartbeat_nic: str
) -> tuple[str, ipaddress.IPv4Network]:
    nic = heartbeat_nic
    if held is not None and len(host.addresses) > 1:
        nic = next(name for name in host.addresses if name != heartbeat_nic)
    network = ipaddress.ip_interface(host.addresses[nic]).network
    assert isinstance(network, ipaddress.IPv4Network)
    return nic, network


def _node_files(files: dict[str, str]) -> dict[str, str]:
    return {f"etc/ha.d/{name}": text for name, text in files.items()}


def _bare(cidr: str) -> str:
    return cidr.split("/")[0]
