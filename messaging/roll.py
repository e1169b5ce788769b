"""The list of nodes of a running cluster: who may change it, and what follows from a change.

Responsible for taking a wish of an administrator, a list that a peer tells, or a node that joins by
itself, and for saying in which order the parts of this node learn of it. Not responsible for what a
list is and when it may be changed (`nodelist`), nor for doing what follows (`core`).

What follows, in order: the list is kept on disk; whoever is new is let in, then whoever is gone is
forgotten; the peers are told, before any round that counts the new list; then the round begins.

Source: docs/protocol/membership.md, "The list of nodes".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from crm.api import membership as api
from crm.api.membership import NodeStatus
from crm.plumbing.machine import Note, Tell, debug, info, warn
from messaging import frame, nodelist
from messaging.cluster_settings import ClusterSettings

MAX_NOTED = 64


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
        self._noted: dict[str, str] = {}

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

    @property
    def is_joining(self) -> bool:
        """Whether this node is in no list that it knows, so that it takes no part yet."""
        return self._node not in self.nodes.names

    def meet(
        self,
        stranger: str,
        *,
        is_joining: bool,
        wants_in: bool,
        view: api.View | None,
        settings: ClusterSettings,
        is_counted: bool,
    ) -> list[Effect]:
        """A node has proven itself that no list names (`autojoin`).

        Who is in no list itself only begins to listen to it; a quorum adds it, by its leader.
        """
        if stranger in self.nodes.names:
            return []
        if self.is_joining:
            if is_joining or len(self.nodes.names) >= nodelist.MAX_NODES:
                return []
            self.nodes = replace(self.nodes, names=(*self.nodes.names, stranger))
            text = f"node {stranger} is in a cluster: waiting to be let in"
            return [info("heartbeat", text), Admit(stranger)]
        if not wants_in:
            return self._note(stranger, "is in a cluster of its own that does not name this node")
        if stranger in self.nodes.deleted:
            return self._note(stranger, f"was deleted: 'hb_addnode {stranger}' lets it in again")
        if view is None or view.leader != self._node:
            return []
        known = self.nodes
        wish = api.ChangeNodes(0, add=stranger)
        problem = nodelist.refusal(wish, known, view, lambda _: NodeStatus.UP, settings)
        problem = problem or ("" if is_counted else nodelist.NOT_AGREED)
        if problem:
            return self._note(stranger, f"is not let in yet: {problem}")
        self._noted.pop(stranger, None)
        text = f"node {stranger} joins by itself, as autojoin allows"
        return [info("heartbeat", text), *self._take(known.changed_by(wish))]

    def _note(self, stranger: str, text: str) -> list[Effect]:
        """Say why a stranger stays outside, once for each reason."""
        if self._noted.get(stranger) == text:
            return []
        self._noted[stranger] = text
        while len(self._noted) > MAX_NOTED:
            del self._noted[next(iter(self._noted))]
        return [warn("heartbeat", f"node {stranger}, which is not listed, {text}")]

    def hear(self, peer: str, message: frame.Nodes) -> list[Effect]:
        """A peer tells the list it knows."""
        told = nodelist.NodeList(
            message.names, message.version, message.deleted, message.weights, message.sites
        )
        if not nodelist.is_sound(told):
            return []
        if self.is_joining:
            if self._node not in told.names:
                return []
            text = f"node {peer} lets this node in: {', '.join(told.names)}"
            return [info("heartbeat", text), *self._take(told)]
        if not told.version or not told.overrules(self.nodes):
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
        strangers = (name for name in new.names if name not in (*old.names, self._node))
        effects += [Admit(name) for name in strangers]
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
