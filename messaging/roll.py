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
from messaging.quorum import Electorate


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
    """Say the list to all peers, then count these nodes."""

    names: tuple[str, ...]


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
        return frame.Nodes(self.nodes.version, self.nodes.names, self.nodes.deleted)

    def want(
        self,
        client: str,
        wish: api.ChangeNodes,
        view: api.View | None,
        status_of: Callable[[str], api.NodeStatus],
        electorate: Electorate,
    ) -> list[Effect]:
        """An administrator adds or deletes a node."""
        known = self.nodes
        problem = nodelist.refusal(wish.add, wish.delete, known, view, status_of, electorate)
        if problem:
            return [Tell(client, api.NodesReply(wish.request, known.names, problem))]
        new = known.with_node(wish.add) if wish.add else known.without_node(wish.delete)
        text = f"node {wish.add} added" if wish.add else f"node {wish.delete} deleted"
        return [
            info("heartbeat", f"{text} by an administrator"),
            *self._take(new),
            Tell(client, api.NodesReply(wish.request, new.names)),
        ]

    def hear(self, peer: str, message: frame.Nodes) -> list[Effect]:
        """A peer tells the list it knows."""
        told = nodelist.NodeList(message.names, message.version, message.deleted)
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
        return [*effects, CountAnew(new.names)]
