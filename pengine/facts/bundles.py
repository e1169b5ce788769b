"""What a bundle consists of: for each replica a container, and what goes with it.

A container is a generated primitive of the engine's agent. If the bundle has an address range,
each replica has an address; if a primitive is in it, the container is a node of its own
(`BUNDLE-N`) with a connection that leads there, and the primitive is cloned over these nodes.

All of this is text made from configuration; nothing here depends on the state of the cluster.
The paths are parameters of the containers, so their digests depend on them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import msgspec

from crm.model.agent import Agent
from crm.model.resources import (
    AttributeSet,
    Bundle,
    Clone,
    Operation,
    PortMapping,
    Primitive,
    StorageMapping,
)

NODE_AGENT = "/usr/sbin/pacemaker-remoted"
LOG_FOLDER = "/var/log/pacemaker/bundles"
KEY = "/etc/pacemaker/authkey"

DEFAULT_CONTROL_PORT = "3121"
DEFAULT_NETMASK = "32"

HOST_OF_CONTAINER = "#uname"
"""Stands as address of a connection for the name of the node its container is on."""

CONNECTION = Agent("ocf", "pacemaker", "remote")


class ReplicaParts(msgspec.Struct, frozen=True):
    """The primitives of one replica. `node` is the name of the node in the container, or ""."""

    number: int
    container: Primitive
    address: Primitive | None = None
    connection: Primitive | None = None
    node: str = ""
    external_address: str = ""


def parts_of(bundle: Bundle) -> tuple[ReplicaParts, ...]:
    """Make the primitives of every replica of a bundle."""
    addresses = _addresses(bundle)
    return tuple(_replica(bundle, number, addresses) for number in range(bundle.replicas))


def generated_primitives(bundle: Bundle) -> Iterator[Primitive]:
    """Walk over all primitives that a bundle stands for, but the one configured in it."""
    for parts in parts_of(bundle):
        for found in (parts.address, parts.container, parts.connection):
            if found is not None:
                yield found


def clone_of(bundle: Bundle) -> Clone | None:
    """Make the clone of the primitive in a bundle."""
    if bundle.child is None:
        return None
    word = "master" if bundle.promoted_max else "clone"
    meta = {
        "ordered": "true",
        "clone-max": str(bundle.replicas),
        "clone-node-max": str(bundle.replicas_per_host),
        "globally-unique": "true" if bundle.replicas_per_host > 1 else "false",
    }
    if bundle.promoted_max:
        meta |= {"promotable": "true", "promoted-max": str(bundle.promoted_max)}
    key = f"{bundle.id}-{word}"
    return Clone(key, bundle.child, (_set(f"{key}-meta", meta), *bundle.meta))


def node_name(bundle: Bundle, number: int) -> str:
    """Name the node in a replica of a bundle."""
    return f"{bundle.id}-{number}"


def _replica(bundle: Bundle, number: int, addresses: list[str]) -> ReplicaParts:
    address = addresses[number] if addresses else ""
    container = _container(bundle, number, address, addresses)
    has_child = bundle.child is not None
    return ReplicaParts(
        number=number,
        container=container,
        address=_address(bundle, address) if address else None,
        connection=_connection(bundle, number, container.id, address) if has_child else None,
        node=node_name(bundle, number) if has_child else "",
        external_address=address,
    )


def _addresses(bundle: Bundle) -> list[str]:
    """List the address of each replica, one after the other; none if no range is given."""
    first = bundle.network.first_address
    if not first:
        return []
    try:
        start = ipaddress.ip_address(first)
        return [str(start + number) for number in range(bundle.replicas)]
    except ValueError:
        return [first] * bundle.replicas


def _set(key: str, values: dict[str, str]) -> AttributeSet:
    return AttributeSet(key, tuple(values.items()))


def _monitor(key: str, interval_ms: int, timeout: str = "") -> Operation:
    attributes = (("timeout", timeout),) if timeout else ()
    return Operation(
        f"{key}-monitor-interval-{interval_ms // 1000}s", "monitor", interval_ms, attributes
    )


def _address(bundle: Bundle, address: str) -> Primitive:
    key = f"{bundle.id}-ip-{address}"
    values = {"ip": address}
    if bundle.network.interface:
        values["nic"] = bundle.network.interface
    values["cidr_netmask"] = bundle.network.netmask or DEFAULT_NETMASK
    return Primitive(
        id=key,
        agent=Agent("ocf", "heartbeat", "IPaddr2"),
        parameters=(_set(f"{key}-attributes", values),),
        operations=(_monitor(key, 60_000),),
    )


def _connection(bundle: Bundle, number: int, container: str, address: str) -> Primitive:
    key = node_name(bundle, number)
    values = {
        "addr": address or HOST_OF_CONTAINER,
        "port": bundle.network.control_port or DEFAULT_CONTROL_PORT,
    }
    meta = {"internal-rsc": "true", "container": container}
    return Primitive(
        id=key,
        agent=CONNECTION,
        meta=(_set(f"{key}-meta_attributes", meta),),
        parameters=(_set(f"{key}-instance_attributes", values),),
        operations=(_monitor(key, 30_000, "30s"),),
    )


def _container(bundle: Bundle, number: int, address: str, addresses: list[str]) -> Primitive:
    key = f"{bundle.id}-{bundle.engine}-{number}"
    values = {
        "image": bundle.image,
        "allow_pull": "true",
        "force_kill": "false",
        "reuse": "false",
        "run_opts": _run_options(bundle, number, address, addresses),
        "mount_points": ",".join(
            _source(bundle, number, mapping) for mapping in _storage(bundle) if mapping.is_root
        ),
        "monitor_cmd": "/bin/true",
    }
    command = bundle.run_command or (NODE_AGENT if bundle.child is not None else "")
    if command:
        values["run_cmd"] = command
    return Primitive(
        id=key,
        agent=Agent("ocf", "heartbeat", bundle.engine),
        parameters=(_set(f"{key}-attributes", values),),
        operations=(_monitor(key, 60_000),),
    )


def _storage(bundle: Bundle) -> tuple[StorageMapping, ...]:
    """List what is mounted; the node agent needs its key and a place for its logs."""
    if bundle.child is None:
        return bundle.storage
    key = StorageMapping("", KEY, KEY)
    logs = StorageMapping("", LOG_FOLDER, "/var/log", is_root=True)
    return (*bundle.storage, key, logs)


def _source(bundle: Bundle, number: int, mapping: StorageMapping) -> str:
    if not mapping.is_root:
        return mapping.source
    return f"{mapping.source}/{node_name(bundle, number)}"


def _ports(bundle: Bundle) -> tuple[PortMapping, ...]:
    """List the ports that lead inside; the node agent has one of them."""
    ports = bundle.network.ports
    if bundle.child is None:
        return ports
    control = bundle.network.control_port or DEFAULT_CONTROL_PORT
    return (*ports, PortMapping("remote-port", control, control))


def _run_options(bundle: Bundle, number: int, address: str, addresses: list[str]) -> str:
    """Write the command line of the engine, to the blank: it is part of the digest."""
    words = ["--restart=no"] if bundle.engine == "docker" else []
    if address:
        words.append(f"-h {node_name(bundle, number)}")
    words.append("-e PCMK_stderr=1")
    if bundle.host_network:
        words.append(f"--net={bundle.host_network}")
    port = bundle.network.control_port or DEFAULT_CONTROL_PORT
    words.append(f"-e PCMK_remote_port={port}")
    for mapping in _storage(bundle):
        options = f":{mapping.options}" if mapping.options else ""
        words.append(f"-v {_source(bundle, number, mapping)}:{mapping.target}{options}")
    for mapped in _ports(bundle):
        if address:
            words.append(f"-p {address}:{mapped.host}:{mapped.inside}")
        elif bundle.host_network != "host":
            words.append(f"-p {mapped.host}:{mapped.inside}")
    if bundle.options:
        words.append(bundle.options)
    hosts = ""
    if bundle.network.adds_hosts:
        hosts = "".join(
            f" --add-host={node_name(bundle, index)}:{each}" for index, each in enumerate(addresses)
        )
    return "".join(f" {word}" for word in words) + f" {hosts}"
