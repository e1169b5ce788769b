"""Which nodes belong to the cluster, when an administrator changes it while it runs.

Responsible for the list, for judging a wish to change it, and for which of two lists is the newer.
Not responsible for reaching the other nodes (`core`), for the files (`hostcache`), nor for who is
alive (`links`) and a member (`ccm`).

Theory of operation. The list of ha.cf has version 0. `hb_addnode` and `hb_delnode` make a list with
the next version, one node at a time, and only in a quorate view that counts the present list. The
node that makes it says it to its peers before anything else on the stream of membership messages,
and so does each that hears of it; a membership round with the new number of nodes follows. So
nobody hears a `Join` that counts nodes before the list it counts. Peers that come into contact tell
each other a changed list first. The higher version holds.

One at a time, and only where the old and the new count have a node in common in all that has quorum
(`Electorate.may_become`): two parts of a cluster that count differently are never both quorate.

Source: Heartbeat's hb_addnode and hb_delnode; docs/protocol/membership.md, "The list of nodes".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from crm.api.membership import NodeStatus, View
from messaging.quorum import Electorate

MAX_NODES = 100
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,99}\Z")


@dataclass(frozen=True, slots=True)
class NodeList:
    """One version of the list. `deleted` are names no ha.cf brings back."""

    names: tuple[str, ...]
    version: int = 0
    deleted: tuple[str, ...] = ()

    def with_node(self, name: str) -> NodeList:
        """Make the next version, with a node more."""
        rest = tuple(each for each in self.deleted if each != name)
        return replace(self, names=(*self.names, name), version=self.version + 1, deleted=rest)

    def without_node(self, name: str) -> NodeList:
        """Make the next version, with a node less."""
        rest = tuple(each for each in self.names if each != name)
        gone = tuple(sorted({*self.deleted, name}))
        return replace(self, names=rest, version=self.version + 1, deleted=gone)

    def overrules(self, other: NodeList) -> bool:
        """Tell whether this list holds instead of another one.

        Two lists of one version were made by two people at the same moment: the one whose names
        come first holds, and who made the other is told by `hb_addnode` that it did not last.
        """
        if self.version != other.version:
            return self.version > other.version
        return self._order < other._order

    @property
    def _order(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(sorted(self.names)), self.deleted

    def read_with(self, stated: tuple[str, ...]) -> NodeList:
        """Join a list that was kept with the nodes ha.cf states now."""
        known = dict.fromkeys((*stated, *self.names))
        return replace(self, names=tuple(name for name in known if name not in self.deleted))


def refusal(
    add: str,
    delete: str,
    known: NodeList,
    view: View | None,
    status_of: Callable[[str], NodeStatus],
    electorate: Electorate,
) -> str:
    """Say why the list cannot be changed like that now; "" if it can."""
    if bool(add) == bool(delete):
        return "a change adds one node or deletes one"
    if view is None or not view.quorate:
        return "this partition has no quorum"
    if view.total_nodes != len(known.names):
        return "the last change of the list is not agreed yet"
    if delete:
        return _refusal_to_delete(delete, known, status_of) or _refusal_to_count(
            electorate, known.without_node(delete)
        )
    members = [member.name for member in view.members]
    return _refusal_to_add(add, known, members, electorate) or _refusal_to_count(
        electorate, known.with_node(add)
    )


def _refusal_to_count(electorate: Electorate, new: NodeList) -> str:
    """Two parts that count differently for a while must not both have quorum."""
    if electorate.may_become(replace(electorate, nodes=new.names)):
        return ""
    return (
        "a part of the cluster could have quorum by the old count and another by the new one:"
        " stop heartbeat on all nodes, change the nodes in ha.cf and start them again"
    )


def is_sound(told: NodeList) -> bool:
    """Tell whether a list of a peer can be a list of nodes."""
    return 0 < len(told.names) <= MAX_NODES and all(is_name(name) for name in told.names)


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a node, as `uname -n` prints it, in lower case."""
    return _NAME.match(text) is not None


def _refusal_to_add(
    name: str, known: NodeList, members: Sequence[str], electorate: Electorate
) -> str:
    if not is_name(name):
        return f"'{name}' is no name of a node; expected one as 'uname -n' prints it"
    if name in known.names:
        return f"node '{name}' is in the cluster already"
    if len(known.names) >= MAX_NODES:
        return f"there are {MAX_NODES} nodes already"
    if not replace(electorate, nodes=(*known.names, name)).has_quorum(members):
        of_all = f"{len(members)} of {len(known.names) + 1} nodes"
        return f"{of_all} would have no quorum: start the others first"
    return ""


def _refusal_to_delete(name: str, known: NodeList, status_of: Callable[[str], NodeStatus]) -> str:
    if name not in known.names:
        return f"there is no node '{name}' in the cluster"
    status = status_of(name)
    if status is not NodeStatus.DEAD:
        return f"node '{name}' is {status.value}: only a dead node can be deleted, stop it first"
    for other in known.names:
        word = status_of(other)
        if other != name and word not in (NodeStatus.UP, NodeStatus.ACTIVE):
            return f"node '{other}' is {word.value}: all others have to be up meanwhile"
    return ""
