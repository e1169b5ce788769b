"""The list of nodes of a running cluster: who may change it, and what follows from a change.

Responsible for taking a wish of an administrator, or a list that a peer tells, and for saying in
which order the parts of this node learn of it. Not responsible for what a list is and when it may
be changed (`nodelist`), nor for doing what follows (`core`).

What follows, in order: the list is kept on disk; whoever is new is let in, then whoever is gone is
forgotten; the peers are told, before any round that counts the new list; then the round begins.

Source: docs/protocol/membership.md, "The list of nodes".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crm.api import membership as api
from crm.plumbing.machine import Note, Tell, debug, info
from messaging import frame, nodelist
from messaging.cluster_settings import ClusterSettings


@dataclass(frozen=True, slots=True)
class Adopt:
    """This list holds from now on: keep it."""

    nodes: nodelist.NodeList


@dataclass(frozen=True, slots=True)
class Admit:
    """A node was added: listen to it."""

    node: str


@dataclass(frozen=True, slots=True)
class Dismiss:
    """A node was deleted: forget it."""

    node: str


@dataclass(frozen=True, slots=True)
class CountAnew:
    """Say the list to all peers, then count by it."""


@dataclass(frozen=True, slots=True)
class WeAreDeleted:
    """The new list does not name this node."""


Effect = Adopt | Admit | Dismiss | CountAnew | WeAreDeleted | Tell | Note


class Roll:
    """The list as this node knows it now, in `nodes`."""

    def __init__(self, node: str, nodes: nodelist.NodeList) -> None:
        self._node = node
        self.nodes = nodes

    @property
    def is_changed(self) -> bool:
        """Whether this list is another one than that of ha.cf, so that new contacts are told."""
        return self.nodes.version > 0

    def message(self) -> frame.Nodes:
        """The words that tell a peer the list."""
        nodes = self.nodes
        return frame.Nodes(nodes.version, nodes.names, nodes.deleted, nodes.weights, nodes.sites)

    def want(
        self,
        client: str,
        wish: api.ChangeNodes,
        view: api.View | None,
        status_of: Callable[[str], api.NodeStatus],
        settings: ClusterSettings,
        *,
        is_counted: bool,
    ) -> list[Effect]:
        """An administrator adds, deletes or describes a node.

        `is_counted` tells whether the present view counts by the present list.
        """
        known = self.nodes
        problem = nodelist.refusal(wish, known, view, status_of, settings)
        problem = problem or ("" if is_counted else nodelist.NOT_AGREED)
        if problem:
            return [Tell(client, api.NodesReply(wish.request, known.names, problem))]
        new = known.changed_by(wish)
        return [
            info("heartbeat", f"{_in_words(wish)} by an administrator"),
            *self._take(new),
            Tell(client, api.NodesReply(wish.request, new.names)),
        ]

    def hear(self, peer: str, message: frame.Nodes) -> list[Effect]:
        """A peer tells the list it knows."""
        told = nodelist.NodeList(
            message.names, message.version, message.deleted, message.weights, message.sites
        )
        if not nodelist.is_sound(told) or not told.overrules(self.nodes):
            return []
        names = ", ".join(told.names)
        text = f"node {peer} knows a newer list of nodes: {names}"
        return [info("heartbeat", text), *self._take(told)]

    def _take(self, new: nodelist.NodeList) -> list[Effect]:
        """Count other nodes from now on."""
        old, self.nodes = self.nodes, new
        effects: list[Effect] = [
            debug("heartbeat", f"get_delnodelist: delnodelist={','.join(new.deleted)}"),
            Adopt(new),
        ]
        if self._node not in new.names:
            return [*effects, WeAreDeleted()]
        effects += [Admit(name) for name in new.names if name not in old.names]
        effects += [Dismiss(name) for name in old.names if name not in new.names]
        return [*effects, CountAnew()]


def _in_words(wish: api.ChangeNodes) -> str:
    if wish.add:
        return f"node {wish.add} added"
    if wish.delete:
        return f"node {wish.delete} deleted"
    if wish.weigh:
        return f"node {wish.weigh} has {wish.votes} votes, set"
    return f"node {wish.place} is at site {wish.site}, set"
