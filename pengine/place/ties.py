"""Who carries which colocation, the important ones first.

A constraint names two resources; who has to observe it is another matter. A group's colocations
are carried by its first member as a dependent and by its last as a primary, and so are those an
administrator wrote for members in between: the chain of members passes them on. Each copy of a
clone carries what its clone does.

Lists are sorted by the priority of the other resource, then clones before groups before single
resources, then by its id (cases colocation-priority-group, enforce-colo1).
"""

from __future__ import annotations

import bisect

import msgspec

from crm.model.roles import Role
from crm.model.score import INFINITY, MINUS_INFINITY, Score
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
)
from pengine.facts.links import Together
from pengine.place.ledger import Ledger


class Tie(msgspec.Struct, frozen=True, eq=False):
    """`dependent` with `primary`. `is_explicit` if an administrator wrote it.

    A tie with influence lets the dependent draw its primary; without, only one that is not
    active yet.
    """

    constraint: str
    dependent: Placeable
    primary: Placeable
    score: Score
    dependent_role: Role | None
    primary_role: Role | None
    node_attribute: str
    has_influence: bool
    is_explicit: bool

    @property
    def is_mandatory(self) -> bool:
        """Tell whether the score is infinite either way."""
        return self.score >= INFINITY or self.score <= MINUS_INFINITY


_Key = tuple[int, int, int, str]


class Ties:
    """All ties, by who carries them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._mine: dict[str, list[Tie]] = {}
        self._theirs: dict[str, list[Tie]] = {}
        self._with_others: dict[tuple[str, bool], tuple[Tie, ...]] = {}
        self._others_with: dict[tuple[str, bool], tuple[Tie, ...]] = {}
        for link in ledger.facts.links.together:
            self._take(link)
        for item in ledger.facts.items:
            self._chain(item)

    # --- collecting --------------------------------------------------------------------------

    def _take(self, link: Together) -> None:
        items = self._ledger.items
        dependent, primary = items.get(link.dependent), items.get(link.primary)
        if link.score == 0 or dependent is None or primary is None or dependent is primary:
            return
        if link.is_implied and self._implies_nothing(dependent):
            return
        influence = dependent.meta.critical if link.influence is None else link.influence
        self._enter(
            Tie(
                link.constraint,
                dependent,
                primary,
                link.score,
                _limiting(link.dependent_role),
                _limiting(link.primary_role),
                link.node_attribute,
                influence,
                is_explicit=not link.is_implied,
            )
        )

    def _implies_nothing(self, dependent: Placeable) -> bool:
        """Tell whether something is in a container but need not stay there.

        Nothing follows from what is not managed (case bundle-probe-order-3).
        """
        facts = self._ledger.facts
        is_inside = dependent.id in facts.connections or dependent.id in facts.contents
        return is_inside and isinstance(dependent, Instance) and facts.is_left_alone(dependent)

    def _chain(self, item: Placeable) -> None:
        """Tie each member of a group to the one before it."""
        if isinstance(item, CloneInstance):
            for copy in item.copies:
                self._chain(copy)
        elif isinstance(item, GroupInstance) and item.is_colocated:
            for before, after in zip(item.members[:-1], item.members[1:], strict=True):
                self.bind(after, before, INFINITY, "#group-members")

    def bind(self, dependent: Placeable, primary: Placeable, score: Score, name: str) -> None:
        """Add a tie that follows from the make of a resource."""
        influence = dependent.meta.critical
        self._enter(
            Tie(
                name,
                dependent,
                primary,
                score,
                None,
                None,
                "#uname",
                influence,
                is_explicit=False,
            )
        )

    def _enter(self, tie: Tie) -> None:
        mine = self._mine.setdefault(tie.dependent.id, [])
        bisect.insort_left(mine, tie, key=_by_primary)
        theirs = self._theirs.setdefault(tie.primary.id, [])
        bisect.insort_left(theirs, tie, key=_by_dependent)

    # --- asking ------------------------------------------------------------------------------

    def with_others(self, item: Placeable) -> tuple[Tie, ...]:
        """List the ties an item observes as the dependent."""
        key = (item.id, self._is_about_roles(item))
        found = self._with_others.get(key)
        if found is None:
            gathered: list[Tie] = []
            self._gather_mine(item, item, gathered)
            found = self._with_others[key] = tuple(gathered)
        return found

    def others_with(self, item: Placeable) -> tuple[Tie, ...]:
        """List the ties an item observes as the primary."""
        key = (item.id, self._is_about_roles(item))
        found = self._others_with.get(key)
        if found is None:
            gathered: list[Tie] = []
            self._gather_theirs(item, item, gathered)
            found = self._others_with[key] = tuple(gathered)
        return found

    def _is_about_roles(self, item: Placeable) -> bool:
        """Tell whether who asks for the ties of what is in a container wants to know who leads."""
        if isinstance(item, CloneInstance):
            return item.id in self._ledger.ranking
        return self._ledger.is_settled(item)

    def _concerns(self, bundle: BundleInstance, carrier: Placeable) -> bool:
        """Tell whether somebody in a bundle observes the ties of the bundle.

        Containers do; what runs inside only does when it is chosen who leads.
        """
        if carrier is bundle or any(carrier is container for container in bundle.copies):
            return True
        clone = bundle.clone
        if clone is None or not clone.promotable:
            return False
        is_inside = carrier is clone or self._ledger.parents.get(carrier.id) is clone
        return is_inside and self._is_about_roles(carrier)

    def _gather_mine(self, item: Placeable, carrier: Placeable, found: list[Tie]) -> None:
        own = self._mine.get(item.id, [])
        match item:
            case Instance():
                if item is not carrier:
                    _add(found, [tie for tie in own if tie.is_explicit], mine=True)
                    return
                _add(found, own, mine=True)
                parent = self._ledger.parents.get(item.id)
                if parent is not None:
                    self._gather_mine(parent, carrier, found)
            case GroupInstance():
                self._gather_group(item, carrier, own, found)
            case CloneInstance():
                _add(found, own, mine=True)
                parent = self._ledger.parents.get(item.id)
                if parent is not None:
                    self._gather_mine(parent, carrier, found)
            case BundleInstance():
                if self._concerns(item, carrier):
                    _add(found, own, mine=True)

    def _gather_group(
        self, group: GroupInstance, carrier: Placeable, own: list[Tie], found: list[Tie]
    ) -> None:
        if carrier is group or carrier is group.members[0]:
            _add(found, own, mine=True)
            parent = self._ledger.parents.get(group.id)
            if parent is not None:
                self._gather_mine(parent, carrier, found)
            for member in group.members if group.is_colocated else ():
                if member is not carrier:
                    self._gather_mine(member, carrier, found)
            return
        for member in group.members:
            if member is carrier:
                return
            if not self._ledger.facts.is_managed(member):
                # What is not managed stays where it is and breaks the chain of members: those
                # behind it observe what must be themselves (case colocate-unmanaged-group).
                _add(found, [tie for tie in own if tie.score >= INFINITY], mine=True)
                return

    def _gather_theirs(self, item: Placeable, carrier: Placeable, found: list[Tie]) -> None:
        own = self._theirs.get(item.id, [])
        match item:
            case Instance():
                if item is not carrier:
                    _add(found, [tie for tie in own if tie.is_explicit], mine=False)
                    return
                _add(found, own, mine=False)
                parent = self._ledger.parents.get(item.id)
                if parent is not None:
                    self._gather_theirs(parent, carrier, found)
            case GroupInstance():
                if carrier is not item and carrier is not item.members[-1]:
                    return
                _add(found, own, mine=False)
                parent = self._ledger.parents.get(item.id)
                if parent is not None:
                    self._gather_theirs(parent, carrier, found)
                for member in item.members if item.is_colocated else ():
                    if member is not carrier:
                        self._gather_theirs(member, carrier, found)
            case CloneInstance():
                _add(found, own, mine=False)
                parent = self._ledger.parents.get(item.id)
                if parent is not None:
                    self._gather_theirs(parent, carrier, found)
            case BundleInstance():
                if self._concerns(item, carrier):
                    _add(found, own, mine=False)


def _limiting(role: Role | None) -> Role | None:
    """Give the role a tie is limited to; being started limits nothing."""
    return None if role in (None, Role.STARTED, Role.UNKNOWN) else role


def _add(found: list[Tie], ties: list[Tie], *, mine: bool) -> None:
    if not found:
        found.extend(ties)
        return
    for tie in ties:
        bisect.insort_left(found, tie, key=_by_primary if mine else _by_dependent)


def _by_primary(tie: Tie) -> _Key:
    return _importance(tie.primary)


def _by_dependent(tie: Tie) -> _Key:
    return _importance(tie.dependent)


def _importance(other: Placeable) -> _Key:
    match other:
        case BundleInstance():
            rank = (-1, 0)
        case CloneInstance():
            rank = (0, 0 if other.promotable else 1)
        case GroupInstance():
            rank = (1, 0)
        case Instance():
            rank = (2, 0)
    return (-other.meta.priority, *rank, other.id)
