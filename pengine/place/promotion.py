"""Chooses which copies of a promotable clone are promoted.

Agents say with node attributes (`master-RSC`) how well a copy would lead on a node. A positive
promotion score also attracts a copy to the node, before anything is placed. When the copies have
their nodes, those with the best scores are promoted, as many as the clone may have.

Source: docs/scheduler/promotion.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cmp_to_key

from crm.model import options, score
from crm.model.roles import Role
from crm.model.score import INFINITY, MINUS_INFINITY, ZERO, Score
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    CloneInstance,
    GroupInstance,
    Instance,
    bundles_in,
    instances_of,
)
from pengine.facts.links import Together
from pengine.facts.settings import QuorumPolicy
from pengine.place.colocation import Merger, Ties
from pengine.place.tally import Tally

Copy = Instance | GroupInstance

_NO_SCORE = Score(-1)
"""What a copy without a promotion score has: a preference for role Promoted can still lift it."""


def promotion_score(
    facts: Facts, tally: Tally, clone: CloneInstance, copy: Copy, node: str
) -> Score | None:
    """Read how well a copy would lead on a node; None if nothing says so."""
    if isinstance(copy, GroupInstance):
        found = [promotion_score(facts, tally, clone, m, node) for m in copy.members]
        known = [value for value in found if value is not None]
        return score.limit(sum(known)) if known else None
    if not _applies(facts, tally, clone, copy, node):
        return None
    attributes = facts.node(tally.asked_of(copy, node)).attributes
    for name in _names(facts, copy, node):
        if (text := attributes.get(f"master-{name}")) is not None:
            try:
                return options.as_score(text)
            except ValueError:
                return None
    return None


def _names(facts: Facts, copy: Instance, node: str) -> list[str]:
    on_node = facts.activity[copy.id].at(node)
    names = [on_node.name] if on_node is not None and on_node.name else []
    names.append(copy.history_id)
    return list(dict.fromkeys(names))


def _applies(facts: Facts, tally: Tally, clone: CloneInstance, copy: Instance, node: str) -> bool:
    """Tell whether a score on a node is about this copy."""
    if tally.scores[copy.id].get(node, MINUS_INFINITY) < 0:
        return False
    state = facts.activity[copy.id]
    if not copy.is_unique:
        siblings = [i for i in instances_of(clone) if i.resource.id == copy.resource.id]
        active = next((i for i in siblings if node in facts.activity[i.id].nodes), None)
        if active is copy:
            return True
        if active is None and any(facts.activity[i.id].is_known_on(node) for i in siblings):
            return True
    if not state.nodes and not any(o.is_known for o in (state.on_node or {}).values()):
        return True
    return state.is_known_on(node) or node in state.nodes


def attract(facts: Facts, tally: Tally, clone: CloneInstance) -> None:
    """Let promotion scores draw copies to nodes, before any is placed."""
    for copy in clone.copies:
        for node in facts.nodes:
            if not node.may_run or node.name not in tally.scores[copy.id]:
                continue
            found = promotion_score(facts, tally, clone, copy, node.name)
            if found is not None and found > 0:
                tally.add(copy.id, node.name, found, "promotion", "promotion score")


@dataclass(frozen=True, slots=True)
class Ranked:
    """A copy with its node and its final promotion score."""

    copy: Copy
    node: str | None
    total: Score
    is_promoted: bool


def rank(
    facts: Facts,
    tally: Tally,
    merger: Merger,
    ties: Ties,
    clone: CloneInstance,
    copies: tuple[Copy, ...],
) -> tuple[Ranked, ...]:
    """Sort the copies for promotion and say which of them are promoted."""
    return _Ranking(facts, tally, merger, ties, clone).rank(copies)


class _Ranking:
    """The ranking of one clone; it does not leave the module."""

    def __init__(
        self, facts: Facts, tally: Tally, merger: Merger, ties: Ties, clone: CloneInstance
    ) -> None:
        self._facts = facts
        self._tally = tally
        self._merger = merger
        self._ties = ties
        self._clone = clone
        bundle = next((b for b in bundles_in(facts.items) if b.clone is clone), None)
        self._bundle = "" if bundle is None else bundle.id
        self._roles = [
            p
            for p in facts.links.preferences
            if p.role is Role.PROMOTED and p.resource in (clone.id, clone.child_id, self._bundle)
        ]

    def rank(self, copies: tuple[Copy, ...]) -> tuple[Ranked, ...]:
        nodes = {copy.id: self._node(copy) for copy in copies}
        priority = {copy.id: self._priority(copy, nodes[copy.id]) for copy in copies}
        table = dict(self._tally.scores[self._clone.id])
        for copy in copies:
            node = nodes[copy.id]
            if node is not None and node in table and priority[copy.id] >= 0:
                table[node] = score.add(table[node], priority[copy.id])
        table = self._merger.pulled_for_promotion(self._clone, table)
        if self._clone.id in (self._facts.tickets.unpromotable or {}):
            table = dict.fromkeys(table, MINUS_INFINITY)
        total = {}
        for copy in copies:
            node = nodes[copy.id]
            own = priority[copy.id]
            if node is not None and self._is_held(copy):
                own = INFINITY
            elif node is not None and own >= 0:
                own = table.get(node, MINUS_INFINITY)
            total[copy.id] = own
        order = {copy.id: index for index, copy in enumerate(copies)}
        role = {copy.id: self._role(copy) for copy in copies}

        def compare(one: Copy, other: Copy) -> int:
            if total[one.id] != total[other.id]:
                return total[other.id] - total[one.id]
            if role[one.id] != role[other.id]:
                return role[other.id] - role[one.id]
            return order[one.id] - order[other.id]

        best = sorted(copies, key=cmp_to_key(compare))
        return tuple(self._promote(best, nodes, total))

    def _node(self, copy: Copy) -> str | None:
        return next(
            (n for i in instances_of(copy) if (n := self._merger.placed.get(i.id)) is not None),
            None,
        )

    def _role(self, copy: Copy) -> Role:
        return max(
            (self._facts.activity[i.id].role for i in instances_of(copy)), default=Role.STOPPED
        )

    def _is_held(self, copy: Copy) -> bool:
        """Tell whether a copy is promoted and may not be touched."""
        is_managed = all(self._facts.is_managed(i) for i in instances_of(copy))
        return not is_managed and self._role(copy) is Role.PROMOTED

    def _priority(self, copy: Copy, node: str | None) -> Score:
        if node is None:
            return MINUS_INFINITY
        if copy.meta.target_role is Role.UNPROMOTED or self._is_limited(copy):
            return MINUS_INFINITY
        found = promotion_score(self._facts, self._tally, self._clone, copy, node)
        total = _NO_SCORE if found is None else found
        for preference in self._roles:
            for name, amount in preference.scores:
                if name in (node, self._merger.host(node)):
                    total = score.add(total, amount)
        for link in self._own_ties(copy):
            total = score.add(total, self._merger.promotion_pull(copy.id, node, link))
        return total

    def _is_limited(self, copy: Copy) -> bool:
        """Tell whether something failed after which a copy must not lead."""
        return any(
            self._facts.activity[i.id].limit in (Role.STOPPED, Role.UNPROMOTED)
            for i in instances_of(copy)
        )

    def _own_ties(self, copy: Copy) -> list[Together]:
        first = copy.members[0].id if isinstance(copy, GroupInstance) else copy.id
        keys = dict.fromkeys((copy.id, first, self._clone.id, self._bundle))
        return [
            link
            for key in keys
            for link in self._ties.roles_with_others.get(key, ())
            if link.dependent_role is Role.PROMOTED
        ]

    def _promote(
        self, best: list[Copy], nodes: dict[str, str | None], total: dict[str, Score]
    ) -> list[Ranked]:
        is_managed = self._clone.meta.is_managed
        on_node: dict[str, int] = {}
        count, found = 0, []
        for copy in best:
            node = nodes[copy.id]
            wants = total[copy.id] >= 0 and node is not None
            has_room = count < self._clone.promoted_max or not is_managed
            chosen = wants and has_room and self._may_lead(copy, node or "", on_node)
            if chosen and node is not None:
                count += 1
                on_node[node] = on_node.get(node, 0) + 1
            found.append(Ranked(copy, node, total[copy.id], chosen))
        return found

    def _may_lead(self, copy: Copy, node: str, on_node: dict[str, int]) -> bool:
        if not all(self._facts.is_managed(i) for i in instances_of(copy)):
            return self._role(copy) is Role.PROMOTED
        if node not in self._merger.may_run:
            return False
        if on_node.get(node, 0) >= self._clone.promoted_node_max:
            return False
        policy = self._facts.settings.no_quorum_policy
        if not self._facts.has_quorum and policy is QuorumPolicy.FREEZE:
            return self._role(copy) is Role.PROMOTED
        return not (not self._facts.has_quorum and policy is QuorumPolicy.DEMOTE)


__all__ = ["ZERO", "Ranked", "attract", "promotion_score", "rank"]
