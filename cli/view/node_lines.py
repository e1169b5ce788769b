"""The lines of nodes in a status: what state each is in, as the scheduler sees it.

Wording and layout are those users of the classic tools know; the cases beside the repository hold
them.
"""

from __future__ import annotations

from collections.abc import Iterator

from cli.view.resource_lines import Scope
from pengine.facts.facts import Facts
from pengine.facts.nodes import NodeFacts
from pengine.facts.values import truth

_PREFIX = {"member": "", "remote": "Remote", "guest": "Guest"}
_OLDEST = "<3.15.1"
"""The feature set of nodes that do not tell theirs."""


def lists(
    facts: Facts,
    scope: Scope = Scope(),  # noqa: B008 - it is frozen
    *,
    classic: bool = False,
) -> Iterator[str]:
    """Yield a line for each node with something special, and lists of the others."""
    online: dict[str, list[str]] = {kind: [] for kind in _PREFIX}
    offline: dict[str, list[str]] = {kind: [] for kind in _PREFIX}
    for node in facts.nodes:
        if not scope.has_node(node.name):
            continue
        special = _special_state(facts, node, classic=classic)
        if special:
            yield f"{title(node)}: {special}"
        elif node.online:
            online[kind_of(node)].append(node.name)
        else:
            offline[kind_of(node)].append(node.name)
    # A guest that is down is no more than a container that is stopped.
    listed = (
        ("Online", online["member"]),
        ("OFFLINE", offline["member"]),
        ("RemoteOnline", online["remote"]),
        ("RemoteOFFLINE", offline["remote"]),
        ("GuestOnline", online["guest"]),
    )
    yield from (f"{word}: [ {' '.join(names)} ]" for word, names in listed if names)


def title(node: NodeFacts, name: str = "") -> str:
    """Write what kind of node it is, and its name."""
    return f"{_PREFIX[kind_of(node)]}Node {name or node.name}"


def full_name(facts: Facts, node: NodeFacts) -> str:
    """Write the name of a node with its id; that of a guest with where its container is."""
    if kind_of(node) == "guest":
        hosts = facts.activity[node.container].nodes if node.container in facts.activity else ()
        return f"{node.name}@{hosts[0] if hosts else ''}"
    return node.name if node.id in ("", node.name) else f"{node.name} ({node.id})"


def detail(facts: Facts, node: NodeFacts) -> str:
    """Write the state of a node with the release it runs."""
    feature_set = node.attributes.get("#feature-set", "" if node.is_remote else _OLDEST)
    word = state(facts, node)
    return f"{word}, feature set {feature_set}" if node.online and feature_set else word


def kind_of(node: NodeFacts) -> str:
    """Name the kind of a node: member, remote or guest."""
    return node.kind if node.is_remote else "member"


def state(facts: Facts, node: NodeFacts, *, classic: bool = True) -> str:
    """Name the state of a node."""
    return _special_state(facts, node, classic=classic) or ("online" if node.online else "OFFLINE")


def _special_state(facts: Facts, node: NodeFacts, *, classic: bool) -> str:
    """Say what is special about a node, or "" if it is only online or offline."""
    colour = facts.health.colours.get(node.name)
    found = _state_of(facts, node, classic=classic)
    if colour is not None:
        return f"{found or ('online' if node.online else 'OFFLINE')} (health is {colour})"
    return found


def in_maintenance(facts: Facts, node: NodeFacts, *, classic: bool = False) -> bool:
    """Tell whether a node is in maintenance by itself, not just because the cluster is.

    With `classic` a remote node is so with the cluster, as it was before release 2.1.6.
    """
    own = truth(node.attributes.get("maintenance"), default=False)
    is_with_all = facts.settings.maintenance and not (classic and node.is_remote)
    return node.maintenance and (own or not is_with_all)


def _state_of(facts: Facts, node: NodeFacts, *, classic: bool) -> str:
    if node.unclean:
        word = "online" if node.online else "pending" if node.pending else "offline"
        return f"UNCLEAN ({word})"
    if node.pending:
        return "pending"
    if node.standby_by_failure and node.online:
        return "standby (on-fail)"
    if node.standby and node.online:
        is_busy = any(node.name in state.nodes for state in facts.activity.values())
        return "standby (with active resources)" if is_busy else "standby"
    if node.standby:
        return "OFFLINE (standby)"
    if in_maintenance(facts, node, classic=classic):
        return "maintenance" if node.online else "OFFLINE (maintenance)"
    return ""
