"""Shutdown locks: what a node ran when it was shut down cleanly waits for it to return.

With `shutdown-lock` a primitive or a member of a group that is active on exactly one node, which
is shutting down, is not recovered elsewhere. The lock then stands in the history of the node, and
ends after `shutdown-lock-limit`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from crm.model.cluster import Cluster
from pengine.facts.activity import Activity
from pengine.facts.instances import BundleInstance, CloneInstance, Instance, Placeable, instances_of
from pengine.facts.nodes import NodeFacts
from pengine.facts.remote import is_connection
from pengine.facts.settings import Settings


class Lock(msgspec.Struct, frozen=True):
    """An instance that only one node may run. Times are seconds since 1970."""

    instance: str
    node: str
    until_s: int | None
    has_ended: bool = False


def conclude_locks(
    cluster: Cluster,
    items: tuple[Placeable, ...],
    nodes: Mapping[str, NodeFacts],
    activity: Mapping[str, Activity],
    settings: Settings,
    now_s: float,
) -> dict[str, Lock]:
    """Conclude who is locked where, and which locks have ended."""
    if not settings.shutdown_lock:
        return {}
    recorded = dict(_recorded(cluster, nodes))
    found = {}
    for instance in _lockable(items):
        state = activity[instance.id]
        lock = recorded.get(instance.id)
        if lock is not None:
            node, since_s = lock
            until_s = _end_s(settings, since_s)
            ended = bool(state.nodes) or (until_s is not None and now_s > until_s)
            found[instance.id] = Lock(instance.id, node, until_s, ended)
        elif len(state.nodes) == 1:
            home = nodes[state.nodes[0]]
            if home.shutting_down and not home.unclean:
                until_s = _end_s(settings, _asked_s(home, now_s))
                found[instance.id] = Lock(instance.id, home.name, until_s)
    return found


def _lockable(items: tuple[Placeable, ...]) -> Iterator[Instance]:
    """Walk over what can be locked: no copies, no fence devices, no connections."""
    for item in items:
        if isinstance(item, CloneInstance | BundleInstance):
            continue
        for instance in instances_of(item):
            if not instance.resource.agent.is_fencing and not is_connection(instance.resource):
                yield instance


def _recorded(
    cluster: Cluster, nodes: Mapping[str, NodeFacts]
) -> Iterator[tuple[str, tuple[str, int]]]:
    names = {node.id: node.name for node in nodes.values()}
    for state in cluster.status:
        name = names.get(state.id, state.name)
        if name not in nodes:
            continue
        for history in state.history:
            if history.lock_s > 0:
                yield history.id, (name, history.lock_s)


def _asked_s(node: NodeFacts, now_s: float) -> int:
    text = node.transient.get("shutdown", "")
    return int(text) if text.isdigit() and int(text) > 1 else int(now_s)


def _end_s(settings: Settings, since_s: int) -> int | None:
    limit_s = settings.shutdown_lock_limit_ms // 1000
    return since_s + limit_s if limit_s > 0 else None
