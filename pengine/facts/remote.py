"""Machines reached through a connection: remote nodes, and guests that run in a container.

A remote node is a primitive `ocf:pacemaker:remote`, its *connection*; the node has its name. A
guest node is named by the meta attribute `remote-node` of the resource that is its *container*
(a virtual machine, say); its connection is invented here. Such a node is there if and only if its
connection is up, so it is judged when the history of the connection has been read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from msgspec.structs import replace

from crm.model import options
from crm.model.agent import Agent
from crm.model.cluster import Cluster, Node
from crm.model.constraints import OrderKind
from crm.model.resources import (
    AttributeSet,
    Bundle,
    Clone,
    Group,
    Operation,
    Primitive,
    Resource,
    primitives_of,
)
from crm.model.score import INFINITY, Score
from pengine.facts import bundles
from pengine.facts.instances import Placeable, bundles_in
from pengine.facts.links import InOrder, Links, Together
from pengine.facts.nodes import NodeFacts, display_key, judge
from pengine.facts.presence import Presence
from pengine.facts.settings import Settings
from pengine.facts.values import flatten, situation

AGENT = bundles.CONNECTION


class Connection(msgspec.Struct, frozen=True):
    """What leads to a node: the instance that holds it, and the container of a guest, or ""."""

    node: str
    container: str = ""
    reconnect_ms: int = 0
    is_removed: bool = False
    """Set where only histories know of it: the node behind it is there until it is stopped."""
    bundle: str = ""
    """The bundle whose container it is, or ""."""


def is_connection(primitive: Primitive) -> bool:
    """Tell whether a primitive is a connection to a remote or guest node."""
    return primitive.agent == AGENT


def with_connections(cluster: Cluster, now: datetime) -> Cluster:
    """Complete the connections: invent those of guests, fill in what is special about others.

    A connection moves alive unless told otherwise; with a reconnect interval, that is how long
    its failures count.
    """
    cluster = with_guests(cluster, now)
    completed = tuple(
        _complete(resource, now)
        if isinstance(resource, Primitive) and is_connection(resource) and not _is_guest(resource)
        else resource
        for resource in cluster.resources
    )
    return replace(cluster, resources=completed)


def _is_guest(primitive: Primitive) -> bool:
    return any(name == "container" for found in primitive.meta for name, _ in found.values)


def _complete(primitive: Primitive, now: datetime) -> Primitive:
    interval_ms = _reconnect_ms(primitive, now)
    first = (("failure-timeout", f"{interval_ms}ms"),) if interval_ms else ()
    return replace(
        primitive,
        meta=(
            AttributeSet(f"{primitive.id}-reconnect", first),
            *primitive.meta,
            AttributeSet(f"{primitive.id}-live", (("allow-migrate", "true"),)),
        ),
    )


def with_guests(cluster: Cluster, now: datetime) -> Cluster:
    """Add the connections of guests behind all configured resources."""
    taken = {p.id for resource in cluster.resources for p in primitives_of(resource)}
    invented = []
    for resource in cluster.resources:
        if not isinstance(resource, Primitive | Group):
            continue
        for primitive in primitives_of(resource):
            meta = flatten(primitive.meta, situation(now))
            name = meta.get("remote-node", "")
            if name and name not in taken:
                taken.add(name)
                invented.append(_invent(primitive.id, name, meta))
    return replace(cluster, resources=(*cluster.resources, *invented)) if invented else cluster


def _invent(container: str, name: str, given: dict[str, str]) -> Primitive:
    meta = {"container": container, "internal-rsc": "true"}
    if "remote-allow-migrate" in given:
        meta["allow-migrate"] = given["remote-allow-migrate"]
    parameters = {
        short: given[long]
        for long, short in (("remote-addr", "addr"), ("remote-port", "port"))
        if long in given
    }
    start = (("timeout", given.get("remote-connect-timeout", "60s")),)
    return Primitive(
        id=name,
        agent=AGENT,
        meta=(AttributeSet(f"{name}-meta_attributes", tuple(meta.items())),),
        parameters=(AttributeSet(f"{name}-instance_attributes", tuple(parameters.items())),),
        operations=(
            Operation(f"{name}-monitor-interval-30s", "monitor", 30_000, (("timeout", "30s"),)),
            Operation(f"{name}-start-interval-0", "start", 0, start),
        ),
    )


def connections(cluster: Cluster, now: datetime) -> tuple[Connection, ...]:
    """List all connections, in the order of the configuration."""
    return tuple(
        Connection(
            primitive.id,
            flatten(primitive.meta, situation(now)).get("container", ""),
            _reconnect_ms(primitive, now),
            bundle=resource.id if isinstance(resource, Bundle) else "",
        )
        for resource in cluster.resources
        for primitive in _may_be_connections(resource)
        if is_connection(primitive)
    )


def removed_connections(cluster: Cluster, known: Iterable[Connection]) -> Iterator[Connection]:
    """Yield connections that histories tell of and the configuration does not.

    What runs behind them is stopped before they are.
    """
    configured = {p.id for resource in cluster.resources for p in primitives_of(resource)}
    seen = {connection.node for connection in known} | configured
    histories = [h for state in cluster.status for h in state.history]
    named = {history.id for history in histories} | configured
    for history in histories:
        agent = Agent(history.standard, history.provider, history.type)
        if agent != AGENT or history.id in seen or not history.entries:
            continue
        if any(history.id.startswith(f"{bundle}-") for bundle in cluster.unscheduled):
            continue
        seen.add(history.id)
        container = history.container if history.container in named else ""
        yield Connection(history.id, container, is_removed=True)


def _may_be_connections(resource: Resource) -> Iterator[Primitive]:
    match resource:
        case Primitive() | Group():
            yield from primitives_of(resource)
        case Bundle():
            yield from bundles.generated_primitives(resource)
        case Clone():
            return


def _reconnect_ms(primitive: Primitive, now: datetime) -> int:
    text = flatten(primitive.parameters, situation(now)).get("reconnect_interval", "")
    try:
        return options.as_duration_ms(text) if text else 0
    except ValueError:
        return 0


def remote_nodes(
    cluster: Cluster, known: tuple[Connection, ...], settings: Settings, now: datetime
) -> Iterator[NodeFacts]:
    """Yield the nodes behind connections, all of them away as long as nothing else is known."""
    configured = {node.name: node for node in cluster.nodes if node.kind == "remote"}
    states = {state.name or state.id: state for state in cluster.status}
    leftover = [name for name in configured if name not in {c.node for c in known}]
    for connection in (*known, *(Connection(name) for name in leftover)):
        # A node whose connection is gone is listed, and can only be away.
        name = connection.node
        kind = "guest" if connection.container else "remote"
        node = configured.get(name) or Node(id=name, name=name)
        state = states.get(name)
        is_silent = state is None and kind == "remote" and not connection.is_removed
        unclean = is_silent and name not in leftover
        unclean = unclean and settings.fencing_enabled and settings.startup_fencing
        made = judge(node, state, cluster, settings, now, Presence(unclean=unclean))
        known_as = {"#kind": "container" if kind == "guest" else "remote"}
        yield replace(
            made,
            kind=kind,
            attributes={**made.attributes, **known_as},
            shutting_down=made.shutting_down or connection.is_removed,
            connection=name,
            container=connection.container,
            is_unlisted=connection.is_removed and name not in configured,
            reconnect_ms=connection.reconnect_ms,
            is_unseen=unclean,
            was_fenced=state is not None and state.was_fenced,
        )


def all_nodes(members: tuple[NodeFacts, ...], remote: Iterator[NodeFacts]) -> tuple[NodeFacts, ...]:
    """Join members and remote nodes; a member keeps its name."""
    names = {node.name for node in members}
    found = (*members, *(node for node in remote if node.name not in names))
    return tuple(sorted(found, key=lambda node: display_key(node.name)))


def with_containers(
    links: Links, known: tuple[Connection, ...], items: tuple[Placeable, ...]
) -> Links:
    """Add what follows from a container: its connection is there with it, and after it.

    In a bundle an address is there with its container, and before it. The connection only prefers
    to be on the same node: a container on a remote node is reached from a member.
    """
    inside = [c for c in known if c.container]
    together = [
        Together(
            "resource-with-container",
            c.node,
            c.container,
            _NEARBY if c.bundle else INFINITY,
            is_implied=True,
        )
        for c in inside
    ]
    in_order = [
        InOrder("container", c.container, c.node, "start", "start", OrderKind.MANDATORY, True)
        for c in inside
        if not c.bundle
    ]
    for bundle in bundles_in(items):
        for replica in bundle.replicas:
            if replica.address is not None:
                ip, container = replica.address.id, replica.container.id
                together.append(
                    Together("ip-with-container", ip, container, INFINITY, is_implied=True)
                )
    return replace(
        links, together=(*links.together, *together), in_order=(*in_order, *links.in_order)
    )


_NEARBY = Score(10_000)
"""How much a connection prefers to be on the node of its container."""
