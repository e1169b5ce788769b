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

from crm.api.membership import ChangeNodes, NodeStatus, View
from messaging.cluster_settings import ClusterSettings
from messaging.quorum import Electorate

MAX_NODES = 100
MAX_VOTES = 1_000_000
_SITE = re.compile(r"[!-~]{1,100}\Z")
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,99}\Z")


@dataclass(frozen=True, slots=True)
class NodeList:
    """One version of the list. `deleted` are names no ha.cf brings back.

    `weights` and `sites` are what hb_setweight and hb_setsite said; they hold, and not ha.cf.
    """

    names: tuple[str, ...]
    version: int = 0
    deleted: tuple[str, ...] = ()
    weights: tuple[tuple[str, int], ...] = ()
    sites: tuple[tuple[str, str], ...] = ()

    def with_node(self, name: str) -> NodeList:
        """Make the next version, with a node more."""
        rest = tuple(each for each in self.deleted if each != name)
        return replace(self, names=(*self.names, name), version=self.version + 1, deleted=rest)

    def without_node(self, name: str) -> NodeList:
        """Make the next version, with a node less."""
        rest = tuple(each for each in self.names if each != name)
        gone = tuple(sorted({*self.deleted, name}))
        return replace(self, names=rest, version=self.version + 1, deleted=gone)

    def changed_by(self, wish: ChangeNodes) -> NodeList:
        """Make the next version, as an administrator wishes."""
        if wish.add:
            return self.with_node(wish.add)
        if wish.delete:
            return self.without_node(wish.delete)
        if wish.weigh:
            weights = {**dict(self.weights), wish.weigh: wish.votes}
            return replace(self, weights=tuple(sorted(weights.items())), version=self.version + 1)
        sites = {**dict(self.sites), wish.place: wish.site}
        return replace(self, sites=tuple(sorted(sites.items())), version=self.version + 1)

    def applied_to(self, settings: ClusterSettings) -> ClusterSettings:
        """Make the settings that hold with this list."""
        return replace(
            settings,
            nodes=self.names,
            weights={**settings.weights, **dict(self.weights)},
            sites={**settings.sites, **dict(self.sites)},
        )

    def overrules(self, other: NodeList) -> bool:
        """Tell whether this list holds instead of another one.

        Two lists of one version were made by two people at the same moment: the one whose names
        come first holds, and who made the other is told by `hb_addnode` that it did not last.
        """
        if self.version != other.version:
            return self.version > other.version
        return self._order < other._order

    @property
    def _order(self) -> tuple[object, ...]:
        return tuple(sorted(self.names)), self.deleted, self.weights, self.sites

    def read_with(self, stated: tuple[str, ...]) -> NodeList:
        """Join a list that was kept with the nodes ha.cf states now."""
        known = dict.fromkeys((*stated, *self.names))
        return replace(self, names=tuple(name for name in known if name not in self.deleted))


def refusal(
    wish: ChangeNodes,
    known: NodeList,
    view: View | None,
    status_of: Callable[[str], NodeStatus],
    settings: ClusterSettings,
) -> str:
    """Say why the list cannot be changed like that now; "" if it can."""
    if len([name for name in (wish.add, wish.delete, wish.weigh, wish.place) if name]) != 1:
        return "a change adds one node or deletes one, or says its weight, or its site"
    if view is None or not view.quorate:
        return "this partition has no quorum"
    if view.total_nodes != len(known.names):
        return NOT_AGREED
    members = [member.name for member in view.members]
    before, after = settings.electorate, known.changed_by(wish).applied_to(settings).electorate
    if wish.add:
        problem = _refusal_to_add(wish.add, known, members, after)
    elif wish.delete:
        problem = _refusal_to_delete(wish.delete, known, status_of)
    else:
        problem = _refusal_to_describe(wish, known, members, after)
    return problem or _refusal_to_count(before, after)


NOT_AGREED = "the last change of the list is not agreed yet"


def _refusal_to_count(before: Electorate, after: Electorate) -> str:
    """Two parts that count differently for a while must not both have quorum."""
    if before.may_become(after):
        return ""
    step = before.safe_step_to(after)
    smaller = f"; votes may change by {step} at a time" if step else ""
    return (
        "a part of the cluster could have quorum by the old count and another by the new one:"
        f" stop heartbeat on all nodes, change ha.cf and start them again{smaller}"
    )


def _refusal_to_describe(
    wish: ChangeNodes, known: NodeList, members: Sequence[str], after: Electorate
) -> str:
    name = wish.weigh or wish.place
    if name not in known.names:
        return f"there is no node '{name}' in the cluster"
    if wish.place and not _SITE.match(wish.site):
        return f"'{wish.site}' is no site; expected one word of at most 100 characters"
    if wish.weigh and not 0 <= wish.votes <= MAX_VOTES:
        return f"a node has 0 to {MAX_VOTES} votes, not {wish.votes}"
    if wish.weigh and not after.has_quorum(members):
        return "the members of this view would have no quorum: start the others first"
    return ""


def is_sound(told: NodeList) -> bool:
    """Tell whether a list of a peer can be a list of nodes."""
    described = {name for name, _ in (*told.weights, *told.sites)}
    return (
        0 < len(told.names) <= MAX_NODES
        and all(is_name(name) for name in (*told.names, *told.deleted, *described))
        and all(0 <= votes <= MAX_VOTES for _, votes in told.weights)
        and all(_SITE.match(site) for _, site in told.sites)
    )


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a node, as `uname -n` prints it, in lower case."""
    return _NAME.match(text) is not None


def _refusal_to_add(name: str, known: NodeList, members: Sequence[str], after: Electorate) -> str:
    if not is_name(name):
        return f"'{name}' is no name of a node; expected one as 'uname -n' prints it"
    if name in known.names:
        return f"node '{name}' is in the cluster already"
    if len(known.names) >= MAX_NODES:
        return f"there are {MAX_NODES} nodes already"
    if not after.has_quorum(members):
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
