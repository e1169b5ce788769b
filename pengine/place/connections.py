"""What the placement of connections means for the nodes behind them.

It settles whether such a node can be reached, through which member, and whether it has to be
fenced because what runs there can no longer be asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from pengine.facts.bundles import HOST_OF_CONTAINER
from pengine.facts.facts import Facts
from pengine.facts.nodes import Link, NodeFacts
from pengine.place.placement import Placement


def connect(facts: Facts, placement: Placement) -> Facts:
    """Give the facts with remote nodes judged by where their connections go."""
    if not facts.connections:
        return facts
    members = {node.name: node for node in placement.nodes}
    before = {node.name: node for node in facts.nodes}
    # A container in which nothing runs has no connection, whatever its network says.
    known = facts.connections.keys() & facts.activity.keys()
    nodes = tuple(
        _judge(facts, placement, members, node) if node.connection in known else node
        for node in placement.nodes
    )
    nodes = tuple(_with_past(node, before[node.name]) for node in nodes)
    return replace(facts, nodes=nodes, shared_parameters=_addressed(facts, placement))


def _with_past(node: NodeFacts, before: NodeFacts) -> NodeFacts:
    """Keep what a node was like before connections were placed."""
    return replace(
        node,
        was_online=before.online,
        was_able=before.may_run,
        is_given_up=node.unclean and not before.unclean,
    )


def _addressed(facts: Facts, placement: Placement) -> dict[str, Mapping[str, str]]:
    """Fill in the addresses of connections to containers that share the network of their node."""
    found = dict(facts.shared_parameters)
    for connection in facts.connections.values():
        given = found.get(connection.node, {})
        if not connection.bundle or given.get("addr") != HOST_OF_CONTAINER:
            continue
        active = facts.activity[connection.container].nodes
        host = placement.node_of(connection.container) or (active[0] if active else "")
        if host:
            found[connection.node] = {**given, "addr": host}
    return found


def _judge(
    facts: Facts, placement: Placement, members: dict[str, NodeFacts], node: NodeFacts
) -> NodeFacts:
    state = facts.activity[node.connection]
    here = state.here or ""
    there = placement.node_of(node.connection) or ""
    link = _link(facts, node, members.get(here), there)
    node = replace(node, link=link, came_by=here, goes_by=there)
    if node.kind == "guest":
        return _judge_guest(facts, node)
    if link is not Link.FAILED or not facts.settings.fencing_enabled:
        return node
    if not node.online and facts.settings.enable_startup_probes:
        return node.to_be_fenced("the connection is unrecoverable")
    if _runs_something(facts, node.name):
        return node.to_be_fenced("resources are active but connection is unrecoverable")
    if _hides_something(facts, node.name):
        because = "resources are in unknown state and connection is unrecoverable"
        return node.to_be_fenced(because)
    return node


def _judge_guest(facts: Facts, node: NodeFacts) -> NodeFacts:
    """A guest whose container failed has to be reset, whatever its connection says."""
    node = replace(node, is_cut_off=not facts.may_stop_container(node))
    container = facts.activity.get(node.container)
    if container is not None and container.failed:
        return replace(node, requires_reset=True)
    return node


def _link(facts: Facts, node: NodeFacts, host: NodeFacts | None, there: str) -> Link:
    state = facts.activity[node.connection]
    if not there:
        if host is not None and host.unclean:
            return Link.FAILED
        if not state.failed:
            return Link.STOPPED
        waits = facts.connections[node.connection].reconnect_ms > 0 and node.was_fenced
        return Link.UNKNOWN if waits and not node.wants_to_leave else Link.FAILED
    if host is None:
        return Link.UNKNOWN
    if host.unclean or not host.online:
        return Link.RESTING
    if state.migrating is not None and len(state.nodes) > 1:
        return Link.RESTING  # Half way, it answers only when it has arrived.
    return Link.ALIVE


def _hides_something(facts: Facts, node: str) -> bool:
    """Tell whether there is anything of which nobody knows whether it runs on a node."""
    if not facts.settings.enable_startup_probes:
        return False
    return any(
        not facts.activity[i.id].is_known_on(node)
        for i in facts.instances()
        if not i.is_removed and not facts.is_bound_to_members(i)
    )


def _runs_something(facts: Facts, node: str) -> bool:
    return any(node in facts.activity[i.id].nodes for i in facts.instances() if facts.is_managed(i))
