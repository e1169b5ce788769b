"""How the cluster layer of a node fares: nodes, links, what is wrong and whose fault that is."""

from __future__ import annotations

from collections.abc import Iterator

from cli.view import lack, quorum_source
from crm.api.membership import (
    Capability,
    ClusterDescription,
    LinkDescription,
    LinkStatus,
    NodeDescription,
    NodeKind,
    NodeStatus,
)

_WELL = (NodeStatus.ACTIVE, NodeStatus.PING)


def as_text(cluster: ClusterDescription) -> str:
    """A line for each node, one below it for each of its links, the view, and why it has quorum."""
    return "\n".join(_lines(cluster))


def as_json(cluster: ClusterDescription) -> dict[str, object]:
    """The same as a value for programs."""
    view = cluster.view
    return {
        "node": cluster.node,
        "quorate": view is not None and view.quorate,
        "members": [] if view is None else [member.name for member in view.members],
        "nodes": [
            {
                "name": node.node,
                "kind": node.kind.value,
                "status": node.status.value,
                "trouble": _trouble(node),
                "links": [
                    {"name": link.name, "status": link.status.value, "silent_ms": link.silent_ms}
                    for link in node.links
                ],
            }
            for node in cluster.nodes
        ],
        "quorum": quorum_source.as_json(cluster.quorum),
        "wrong": wrong(cluster),
    }


def wrong(cluster: ClusterDescription) -> list[str]:
    """What an administrator may have to look at, one sentence each; empty if all is well."""
    found: list[str] = []
    for node in cluster.nodes:
        what = "ping node" if node.kind is NodeKind.PING else "node"
        if node.status not in _WELL or node.trouble:
            why = f": {_trouble(node)}" if _trouble(node) else ""
            found.append(f"{what} {node.node} is {node.status.value}{why}")
        elif node.kind is NodeKind.NORMAL:
            found += [
                f"node {node.node} is not heard over {link.name}"
                for link in node.links
                if link.status is not LinkStatus.UP
            ]
    if cluster.view is None:
        found.append(f"node {cluster.node} is in no membership")
    elif not cluster.view.quorate:
        why = quorum_source.why(cluster.quorum)
        found.append("this partition has no quorum" + (f": {why}" if why else ""))
    return [*found, *quorum_source.troubles(cluster.quorum)]


def _lines(cluster: ClusterDescription) -> Iterator[str]:
    yield f"Cluster layer as node {cluster.node} sees it:"
    for node in cluster.nodes:
        yield f"  {_of_node(node, is_own=node.node == cluster.node)}"
        if node.kind is NodeKind.NORMAL:
            for link in node.links:
                yield f"    {_of_link(link)}"
    missing = lack.problem(cluster, Capability.LINKS)
    if missing:
        yield f"  {missing.message}: {missing.hint}"
    view = cluster.view
    if view is None:
        yield "  in no membership"
        return
    quorum = "quorum" if view.quorate else "no quorum"
    members = " ".join(member.name for member in view.members)
    yield f"  membership {view.id}, {quorum}, {len(view.members)} of {view.total_nodes}: {members}"
    why = quorum_source.why(cluster.quorum)
    if why:
        yield f"  {quorum}: {why}"


def _of_node(node: NodeDescription, *, is_own: bool) -> str:
    kind = "ping node " if node.kind is NodeKind.PING else ""
    here = " (this node)" if is_own else ""
    trouble = _trouble(node)
    return f"{kind}{node.node}{here}: {node.status.value}{f': {trouble}' if trouble else ''}"


def _of_link(link: LinkDescription) -> str:
    if link.silent_ms < 0:
        return f"{link.name}: {link.status.value}, never heard"
    return f"{link.name}: {link.status.value}, heard {link.silent_ms} ms ago"


def _trouble(node: NodeDescription) -> str:
    """Why there is no contact with a node, as far as anybody can know."""
    if node.trouble or node.status is not NodeStatus.DEAD:
        return node.trouble
    if node.links and all(link.silent_ms < 0 for link in node.links):
        return "never heard since heartbeat was started here"
    return ""
