"""What ties mean for a dependent once its primary has a place.

A mandatory tie forbids all other nodes and adds nothing to the right one; a finite one adds its
score there. A primary that goes nowhere costs a wanted dependent the score: everything, if the
tie is mandatory. Ties to a role are about the copies of a promotable clone that will be in it.

Source: docs/scheduler/placement.md; published cases enforce-colo1, rsc_dep3, coloc-attr.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from crm.model import score
from crm.model.roles import Role
from crm.model.score import INFINITY, MINUS_INFINITY, ZERO, Score
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
)
from pengine.place.choosing import Chooser
from pengine.place.ledger import Ledger, inside
from pengine.place.placement import Contribution
from pengine.place.ties import Tie


class Effect(enum.Enum):
    """What a tie is about, at the moment it is looked at."""

    NOTHING = "nothing"
    PLACE = "place"
    PROMOTION = "promotion"
    """The dependent has its node; what is open is whether it leads."""


class Following:
    """Applies ties to dependents."""

    def __init__(
        self, ledger: Ledger, chooser: Chooser, refuse: Callable[[Instance], None]
    ) -> None:
        self._ledger = ledger
        self._chooser = chooser
        self._refuse = refuse

    def apply(self, dependent: Instance | GroupInstance, primary: Placeable, tie: Tie) -> None:
        """Apply a tie to a dependent: to its scores, or to its wish to lead."""
        if isinstance(dependent, GroupInstance):
            dependent = dependent.members[0]
        match primary:
            case Instance():
                self._follow(dependent, primary, tie)
            case GroupInstance():
                if self._ledger.is_settled(primary):
                    for member in _representing(primary, tie):
                        self._follow(dependent, member, tie)
            case CloneInstance():
                if self._ledger.is_settled(primary):
                    self._follow_copies(dependent, primary, tie)
            case BundleInstance():
                if self._ledger.is_settled(primary):
                    self._follow_containers(dependent, primary, tie)

    def effect(
        self, dependent: Placeable, primary: Placeable, tie: Tie, *, ahead: bool = False
    ) -> Effect:
        """Say what a tie is about. `ahead`: before either has its place."""
        ledger = self._ledger
        if not ahead and not ledger.is_settled(primary):
            return Effect.NOTHING
        actor = ledger.contents.get(dependent.id, dependent)
        leads = isinstance(actor, Instance) and actor.is_promotable
        is_about_leading = tie.dependent_role in (Role.UNPROMOTED, Role.PROMOTED)
        if is_about_leading and leads and ledger.is_settled(actor):
            return Effect.PROMOTION
        if not ahead and ledger.is_settled(dependent):
            return Effect.NOTHING
        if tie.dependent_role not in (None, ledger.role_to_be(actor)):
            return Effect.NOTHING
        leader = ledger.contents.get(primary.id, primary)
        if tie.primary_role not in (None, ledger.role_to_be(leader)):
            return Effect.NOTHING
        return Effect.PLACE

    # --- a single primary --------------------------------------------------------------------

    def _follow(self, dependent: Instance, primary: Instance, tie: Tie) -> None:
        match self.effect(dependent, primary, tie):
            case Effect.PLACE:
                self._follow_to_place(dependent, primary, tie)
            case Effect.PROMOTION:
                self._follow_to_lead(dependent, primary, tie)
            case Effect.NOTHING:
                pass

    def _follow_to_place(self, dependent: Instance, primary: Instance, tie: Tie) -> None:
        place = self._ledger.node_of[primary.id]
        if place is None and tie.score < 0:
            return
        table = self._ledger.tally.scores[dependent.id]
        work, reasons = dict(table), []
        for node in table:
            if place is None:
                amount, text = Score(-tie.score), f"{primary.id} does not run"
            else:
                amount = self._worth(node, place, tie)
                text = _said(tie, primary)
            if amount != 0:
                work[node] = score.add(amount, work[node])
                reasons.append(
                    Contribution(dependent.id, node, amount, "colocation", tie.constraint, text)
                )
        if tie.is_mandatory or self._ledger.any_available(work):
            self._ledger.tally.scores[dependent.id] = work
            self._ledger.tally.contributions += reasons

    def _worth(self, node: str, place: str, tie: Tie) -> Score:
        """Say what a tie is worth on a node, given where the primary goes."""
        if self._matches(node, place, tie):
            return ZERO if tie.score >= INFINITY else tie.score
        return MINUS_INFINITY if tie.score >= INFINITY else ZERO

    def _matches(self, one: str, other: str, tie: Tie) -> bool:
        mine = self._ledger.attribute(one, tie.node_attribute)
        theirs = self._ledger.attribute(other, tie.node_attribute)
        if mine is None or theirs is None:
            return mine is theirs
        return mine.lower() == theirs.lower()

    def _follow_to_lead(self, dependent: Instance, primary: Instance, tie: Tie) -> None:
        here, there = self._ledger.node_of[dependent.id], self._ledger.node_of[primary.id]
        if here is None:
            return
        if there is None or not self._matches(here, there, tie):
            if tie.score >= INFINITY and tie.dependent_role is Role.PROMOTED:
                self._wish(dependent, here, MINUS_INFINITY, tie)
            return
        leader = self._ledger.contents.get(primary.id, primary)
        if tie.primary_role in (None, self._ledger.role_to_be(leader)):
            sign = -1 if tie.dependent_role is Role.UNPROMOTED else 1
            self._wish(dependent, here, Score(sign * tie.score), tie)

    def _wish(self, instance: Instance, node: str, amount: Score, tie: Tie) -> None:
        """Change how much a copy would like to lead; what is said of its first member counts."""
        parent = self._ledger.parents.get(instance.id)
        copy = parent if isinstance(parent, GroupInstance) else instance
        before = Score(self._ledger.priority_of(copy))
        self._ledger.priority[copy.id] = score.add(amount, before)
        text = f"promotion with {tie.primary.id}"
        self._ledger.tally.contributions.append(
            Contribution(copy.id, node, amount, "promotion", tie.constraint, text)
        )

    # --- copies of a clone -------------------------------------------------------------------

    def _follow_copies(self, dependent: Instance, primary: CloneInstance, tie: Tie) -> None:
        if primary.promotable and tie.primary_role is not None:
            if not self._ledger.is_settled(dependent):
                self._follow_role(dependent, primary, tie)
                return
            if tie.dependent_role is Role.PROMOTED:
                self._lead_with_copy(dependent, primary, tie)
                return
        if _interleaves(tie, primary):
            copy = self._copy_for(dependent, primary)
            if copy is not None:
                self.apply(dependent, copy, tie)
            elif tie.score >= INFINITY and not self._ledger.is_settled(dependent):
                self._refuse(dependent)
            return
        if tie.score >= INFINITY:
            places = {
                place: ZERO
                for copy in primary.copies
                if (place := self._ledger.place_of(copy)) is not None
                and not self._ledger.is_blocked(copy)
            }
            self._keep_to(dependent, places, tie)
            return
        for copy in primary.copies:
            self.apply(dependent, copy, tie)

    def _follow_containers(self, dependent: Instance, primary: BundleInstance, tie: Tie) -> None:
        if isinstance(tie.dependent, CloneInstance | BundleInstance):
            container = self._container_for(dependent, primary)
            if container is not None:
                self.apply(dependent, container, tie)
            elif tie.score >= INFINITY and not self._ledger.is_settled(dependent):
                self._refuse(dependent)
            return
        places: dict[str, Score] = {}
        for replica in primary.replicas:
            container = replica.container
            place = self._ledger.node_of.get(container.id)
            if tie.score < INFINITY:
                self.apply(dependent, container, tie)
            elif place is not None and not self._ledger.is_blocked(container):
                copy = replica.copy
                leads = copy is not None and self._ledger.role_to_be(copy) is Role.PROMOTED
                if leads or tie.primary_role is not Role.PROMOTED:
                    places[place] = ZERO
        if tie.score >= INFINITY:
            self._keep_to(dependent, places, tie)

    def _container_for(self, dependent: Instance, primary: BundleInstance) -> Instance | None:
        """Find the container an instance can be with: where it is placed, or would be."""
        here = self._ledger.node_of.get(dependent.id)
        table = self._ledger.tally.scores[dependent.id]
        nodes = self._chooser.sorted(table, table) if here is None else [self._ledger.host(here)]
        for node in nodes:
            for container in primary.copies:
                is_there = self._ledger.node_of.get(container.id) == node
                if is_there and not self._ledger.is_blocked(container):
                    return container
        return None

    def _keep_to(self, dependent: Instance, places: dict[str, Score], tie: Tie) -> None:
        """Forbid all nodes but some; each adds what it is worth."""
        tally = self._ledger.tally
        if self._ledger.is_settled(dependent):
            return
        for node in list(tally.scores[dependent.id]):
            if node not in places:
                text = f"{tie.primary.id} is not there"
                tally.add(dependent.id, node, MINUS_INFINITY, "colocation", tie.constraint, text)
            elif places[node] != 0:
                text = f"with {tie.primary.id}"
                tally.add(dependent.id, node, places[node], "colocation", tie.constraint, text)

    def _follow_role(self, dependent: Instance, primary: CloneInstance, tie: Tie) -> None:
        """Follow those copies that will be in a role, which all are placed and ranked."""
        tally, places = self._ledger.tally, {}
        for copy in primary.copies:
            place = self._ledger.place_of(copy)
            if place is None or self._ledger.role_to_be(copy) is not tie.primary_role:
                continue
            places[place] = self._weight(copy)
            if tie.score >= INFINITY:
                continue
            for node in list(tally.scores[dependent.id]):
                if self._matches(node, place, tie):
                    text = _said(tie, copy)
                    tally.add(dependent.id, node, tie.score, "colocation", tie.constraint, text)
        both = (tie.dependent_role, tie.primary_role)
        if tie.score >= INFINITY and both != (Role.PROMOTED, Role.PROMOTED):
            self._keep_to(dependent, places, tie)

    def _weight(self, copy: Placeable) -> Score:
        """Give the score a copy had where it was placed."""
        first = copy
        while parts := inside(first):
            first = parts[0]
        return self._ledger.weight.get(first.id, ZERO)

    def _lead_with_copy(self, dependent: Instance, primary: CloneInstance, tie: Tie) -> None:
        here = self._ledger.node_of[dependent.id]
        if here is None:
            return
        places = [
            place
            for copy in primary.copies
            if (place := self._ledger.place_of(copy)) is not None
            and self._ledger.role_to_be(copy) is tie.primary_role
            and not self._ledger.is_blocked(copy)
        ]
        if any(self._matches(here, place, tie) for place in places):
            self._wish(dependent, here, tie.score, tie)
        elif tie.score >= INFINITY:
            self._wish(dependent, here, MINUS_INFINITY, tie)

    def _copy_for(
        self, dependent: Instance, primary: CloneInstance
    ) -> Instance | GroupInstance | None:
        """Find the copy an instance can be with: where it is placed, else where it would be."""
        here = self._ledger.node_of.get(dependent.id)
        table = self._ledger.tally.scores[dependent.id]
        for node in self._chooser.sorted(table, table) if here is None else [here]:
            for copy in primary.copies:
                is_there = self._ledger.place_of(copy) == node
                if is_there and not self._ledger.is_blocked(copy):
                    return copy
        return None


def _representing(group: GroupInstance, tie: Tie) -> tuple[Instance, ...]:
    """List the members that stand for a group as the primary of a tie.

    What must be with a group needs all of it: the last member tells. One that is not together
    cannot be followed at all costs.
    """
    if group.is_colocated:
        return group.members[-1:] if tie.score >= INFINITY else group.members[:1]
    return () if tie.score >= INFINITY else group.members


def _said(tie: Tie, primary: Placeable) -> str:
    """Say of a contribution what the tie asks for; `pengine.why` makes a sentence of it."""
    return f"with {primary.id}" if tie.score > 0 else f"away from {primary.id}"


def _interleaves(tie: Tie, primary: CloneInstance) -> bool:
    """Tell whether each copy follows one copy, which the dependent clone decides."""
    dependent = tie.dependent
    if not isinstance(dependent, CloneInstance) or not dependent.is_interleaved:
        return False
    return dependent.node_max == primary.node_max
