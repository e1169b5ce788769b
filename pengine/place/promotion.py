"""Chooses which copies of a promotable clone are promoted.

Agents say with node attributes (`master-RSC`) how well a copy would lead on a node. A positive
promotion score also attracts a copy to the node, before anything is placed. When the copies have
their nodes, those with the best scores are promoted, as many as the clone may have.

Source: docs/scheduler/promotion.md.
"""

from __future__ import annotations

from functools import cmp_to_key

import msgspec

from crm.model import options, score
from crm.model.roles import Role
from crm.model.score import INFINITY, MINUS_INFINITY, Score
from pengine.facts.instances import (
    CloneInstance,
    GroupInstance,
    Instance,
    instances_of,
)
from pengine.facts.settings import QuorumPolicy
from pengine.place.following import Following
from pengine.place.ledger import Ledger, all_parts
from pengine.place.standing import Standing
from pengine.place.ties import Ties
from pengine.place.wishes import Manner, Wishes

Copy = Instance | GroupInstance

_NO_SCORE = Score(-1)
"""What a copy without a promotion score has: a preference for role Promoted can still lift it."""


def promotion_score(ledger: Ledger, clone: CloneInstance, copy: Copy, node: str) -> Score | None:
    """Read how well a copy would lead on a node; None if nothing says so."""
    if isinstance(copy, GroupInstance):
        found = [promotion_score(ledger, clone, m, node) for m in copy.members]
        known = [value for value in found if value is not None]
        return score.limit(sum(known)) if known else None
    asked = ledger.asked_of(copy, node)
    if asked is None:
        return None
    attributes = ledger.nodes[asked].attributes
    names = ledger.told_names(copy)
    text = next((attributes[name] for name in names if name in attributes), None)
    if text is None or not _applies(ledger, clone, copy, node):
        return None
    try:
        return options.as_score(text)
    except ValueError:
        return None


def _applies(ledger: Ledger, clone: CloneInstance, copy: Instance, node: str) -> bool:
    activity = ledger.facts.activity
    state = activity[copy.id]
    if ledger.tally.scores[copy.id].get(node, MINUS_INFINITY) < 0:
        return False
    if not clone.is_unique:
        siblings = ledger.siblings(clone, copy)
        active = next((i for i in siblings if node in activity[i.id].nodes), None)
        if active is copy:
            return True
        if active is None and any(activity[i.id].is_known_on(node) for i in siblings):
            return True
    if not state.nodes and not any(o.is_known for o in (state.on_node or {}).values()):
        return True
    return state.is_known_on(node) or node in state.nodes


def attract(ledger: Ledger, clone: CloneInstance) -> None:
    """Let promotion scores draw copies to nodes, before any is placed.

    The best score of a copy is its priority until it is known where it goes: who would lead best
    chooses first.
    """
    tally = ledger.tally
    for copy in clone.copies:
        for node in list(tally.scores[copy.id]):
            if node not in ledger.may_run:
                continue
            found = promotion_score(ledger, clone, copy, node)
            if found is None:
                continue
            if found > 0:
                tally.add(copy.id, node, found, "promotion", "promotion score")
            if found > ledger.priority_of(copy):
                ledger.priority[copy.id] = found


class Ranked(msgspec.Struct, frozen=True):
    """A copy with its node and its final promotion score; `because` says why it does not lead."""

    copy: Copy
    node: str | None
    total: Score
    because: str

    @property
    def is_promoted(self) -> bool:
        """Tell whether it leads."""
        return not self.because


class Promoting:
    """Ranks the copies of clones that are placed."""

    def __init__(self, ledger: Ledger, ties: Ties, wishes: Wishes, following: Following) -> None:
        self._ledger = ledger
        self._ties = ties
        self._wishes = wishes
        self._following = following

    def promote(self, clone: CloneInstance, copies: tuple[Copy, ...]) -> tuple[Ranked, ...]:
        """Sort the copies for promotion, say which are promoted, and note their roles."""
        self._ledger.ranking.add(clone.id)
        priority = {copy.id: self._priority(clone, copy) for copy in copies}
        self._draw(clone, copies, priority)
        total = {copy.id: self._total(clone, copy, priority[copy.id]) for copy in copies}
        standing = {
            copy.id: Standing(self._ledger, self._wishes, clone.id, copy) for copy in copies
        }

        def compare(one: Copy, other: Copy) -> int:
            if total[one.id] != total[other.id]:
                return total[other.id] - total[one.id]
            mine, theirs = self._ledger.role_now(one), self._ledger.role_now(other)
            return theirs - mine or standing[one.id].compare(standing[other.id])

        return tuple(self._choose(clone, sorted(copies, key=cmp_to_key(compare)), total))

    # --- how much each would like to lead ------------------------------------------------------

    def _priority(self, clone: CloneInstance, copy: Copy) -> Score:
        """Say how well a copy would lead where it goes, by all that is said about the copy."""
        ledger = self._ledger
        node = ledger.place_of(copy)
        if node is None:
            return MINUS_INFINITY
        if ledger.role_to_be(copy) in (Role.UNPROMOTED, Role.STOPPED):
            value = MINUS_INFINITY
        else:
            found = promotion_score(ledger, clone, copy, node)
            value = _NO_SCORE if found is None else found
        names = {clone.id, clone.child_id, *(p.id for p in [ledger.parents.get(clone.id)] if p)}
        for preference in ledger.facts.links.preferences:
            if preference.role is Role.PROMOTED and preference.resource in names:
                for name, amount in preference.scores:
                    if name == node:
                        value = score.add(value, amount)
        ledger.priority[copy.id] = value
        for tie in self._ties.with_others(copy):
            self._following.apply(copy, tie.primary, tie)
        return Score(ledger.priority_of(copy))

    def _draw(
        self, clone: CloneInstance, copies: tuple[Copy, ...], priority: dict[str, Score]
    ) -> None:
        """Add to the clone's scores what copies, and those tied to role Promoted, wish."""
        tally = self._ledger.tally
        self._ledger.merging.add(clone.id)
        for copy in copies:
            node = self._ledger.place_of(copy)
            if node is not None and node in tally.scores[clone.id] and priority[copy.id] >= 0:
                text = f"promotion of {copy.id}"
                tally.add(clone.id, node, priority[copy.id], "promotion", copy.id, text)
        for tie in self._ties.with_others(clone):
            if tie.dependent_role is Role.PROMOTED and tie.score >= INFINITY:
                self._wishes.add(clone, tie.primary, tie, Manner())
        for tie in self._ties.others_with(clone):
            if tie.primary_role is Role.PROMOTED and self._wishes.has_influence(tie):
                manner = Manner(undoes=True, only_raises=True)
                self._wishes.add(clone, tie.dependent, tie, manner)
        self._ledger.merging.discard(clone.id)
        lacking = (self._ledger.facts.tickets.unpromotable or {}).get(clone.id)
        if lacking is not None:
            for part in all_parts(clone):
                tally.ban_everywhere(part.id, "ticket", lacking, "its promotion has no ticket")

    def _total(self, clone: CloneInstance, copy: Copy, priority: Score) -> Score:
        node = self._ledger.place_of(copy)
        if node is None:
            return priority
        if self._is_held(copy):
            return INFINITY
        if priority < 0:
            return priority
        return self._ledger.tally.scores[clone.id].get(node, MINUS_INFINITY)

    def _is_held(self, copy: Copy) -> bool:
        """Tell whether a copy is promoted and may not be touched."""
        is_managed = all(self._ledger.facts.is_managed(i) for i in instances_of(copy))
        return not is_managed and self._ledger.role_now(copy) is Role.PROMOTED

    # --- who leads ---------------------------------------------------------------------------

    def _choose(
        self, clone: CloneInstance, best: list[Copy], total: dict[str, Score]
    ) -> list[Ranked]:
        on_node: dict[str, int] = {}
        ticket = (self._ledger.facts.tickets.unpromotable or {}).get(clone.id)
        lacking = f"it lacks a ticket ({ticket})" if ticket is not None else ""
        count, found = 0, []
        for copy in best:
            node = self._ledger.place_of(copy)
            has_room = count < clone.promoted_max or not clone.meta.is_managed
            if node is None:
                because = "it runs nowhere"
            elif total[copy.id] < 0:
                because = lacking or f"its promotion score is {score.text(total[copy.id])}"
            elif not has_room:
                mine = score.text(total[copy.id])
                because = f"others come before it (promotion score {mine})"
            else:
                because = self._kept_back(clone, copy, node, on_node)
            if node is not None and not because:
                count += 1
                on_node[node] = on_node.get(node, 0) + 1
            self._note(copy, not because)
            found.append(Ranked(copy, node, total[copy.id], because))
        return found

    def _note(self, copy: Copy, is_promoted: bool) -> None:
        """Note the role to be of everything in a copy."""
        roles, is_placed = self._ledger.next_role, self._ledger.place_of(copy) is not None
        for instance in instances_of(copy):
            if is_promoted:
                roles.setdefault(instance.id, Role.PROMOTED)
            else:
                here = is_placed and self._ledger.node_of.get(instance.id) is not None
                roles[instance.id] = Role.UNPROMOTED if here else Role.STOPPED

    def _kept_back(
        self, clone: CloneInstance, copy: Copy, node: str, on_node: dict[str, int]
    ) -> str:
        """Say what keeps a copy with a good score from leading, or "" if nothing does."""
        facts = self._ledger.facts
        leads = self._ledger.role_now(copy) is Role.PROMOTED
        if not all(facts.is_managed(i) for i in instances_of(copy)):
            return "" if leads else "it is not managed"
        if any(self._ledger.priority_of(part) < 0 for part in all_parts(copy)):
            return "a part of it is not to lead"
        if node not in self._ledger.may_run:
            return f"{node} cannot run it"
        if on_node.get(node, 0) >= clone.promoted_node_max:
            return f"{node} has its share of what leads (promoted-node-max)"
        policy = facts.settings.no_quorum_policy
        is_frozen = policy is QuorumPolicy.FREEZE and not leads
        if not facts.has_quorum and (is_frozen or policy is QuorumPolicy.DEMOTE):
            return f"there is no quorum (no-quorum-policy={policy.value})"
        return ""


__all__ = ["Promoting", "Ranked", "attract", "promotion_score"]
