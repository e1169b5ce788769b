"""Merges scores between resources that belong together or apart.

Two directions. The *dependent* goes where its primary was placed: a mandatory colocation forbids
all other nodes and adds nothing, a finite one adds its score. The *primary*, placed first, is
pulled to where its dependents would like to be: their scores are added to its own, weakened by
the score of the colocation, and so on through their dependents.

Source: docs/scheduler/placement.md; published cases coloc_fp_logic, enforce-colo1, rsc_dep3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from crm.model import score
from crm.model.roles import Role
from crm.model.score import INFINITY, MINUS_INFINITY, ZERO, Score
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Placeable,
    bundles_in,
    clones_in,
    instances_of,
)
from pengine.facts.links import Together
from pengine.place.passes import times
from pengine.place.placement import Contribution
from pengine.place.tally import Tally, everything_in


@dataclass(frozen=True, slots=True)
class Ties:
    """Colocations by the instance that carries them, the important ones first.

    `with_others[x]` are those in which x is the dependent, `others_with[x]` those in which it is
    the primary. Groups carry theirs on their first and last member, and each member is tied to
    the one before it.
    """

    with_others: Mapping[str, tuple[Together, ...]]
    others_with: Mapping[str, tuple[Together, ...]]
    items: Mapping[str, Placeable]
    members: Mapping[str, tuple[str, ...]]
    roles_with_others: Mapping[str, tuple[Together, ...]]
    """Colocations of a dependent in role Promoted: they count when copies are promoted."""


def tie(facts: Facts) -> Ties:
    """Find who carries which colocation."""
    items: dict[str, Placeable] = {}
    for top in facts.everything:
        for part in everything_in(top):
            items[part.id] = part
        for clone in clones_in((top,)):
            items.setdefault(clone.child_id, clone)
    with_others: dict[str, list[Together]] = {}
    others_with: dict[str, list[Together]] = {}
    by_role: dict[str, list[Together]] = {}
    for link in facts.links.together:
        roles = _roles(link)
        if link.score == 0 or (None not in roles and Role.PROMOTED not in roles):
            # The next roles are not known when nodes are scored (case template-coloc-3).
            continue
        dependent, primary = items.get(link.dependent), items.get(link.primary)
        if dependent is None or primary is None or dependent is primary:
            continue
        if link.dependent_role is not None:
            # The next role is not known when nodes are scored; it matters for promotion alone.
            by_role.setdefault(_first(dependent), []).append(link)
            with_others.setdefault(_first(dependent), []).append(link)
            others_with.setdefault(_last(primary), []).append(link)
            continue
        with_others.setdefault(_first(dependent), []).append(link)
        others_with.setdefault(_last(primary), []).append(link)
    for item in items.values():
        if isinstance(item, GroupInstance):
            for before, after in zip(item.members[:-1], item.members[1:], strict=True):
                link = Together(item.id, after.id, before.id, INFINITY)
                with_others.setdefault(after.id, []).append(link)
                others_with.setdefault(before.id, []).append(link)
    members = {
        item.id: tuple(m.id for m in item.members)
        for item in items.values()
        if isinstance(item, GroupInstance)
    }
    return Ties(
        {key: _sorted(links, items, of_primary=True) for key, links in with_others.items()},
        {key: _sorted(links, items, of_primary=False) for key, links in others_with.items()},
        items,
        members,
        {key: _sorted(links, items, of_primary=True) for key, links in by_role.items()},
    )


def _first(item: Placeable) -> str:
    return item.members[0].id if isinstance(item, GroupInstance) else item.id


def _last(item: Placeable) -> str:
    return item.members[-1].id if isinstance(item, GroupInstance) else item.id


def _rank(item: Placeable) -> int:
    match item:
        case BundleInstance():
            return -1
        case CloneInstance():
            return 0
        case GroupInstance():
            return 1
        case Instance():
            return 2


def _sorted(
    links: Iterable[Together], items: Mapping[str, Placeable], *, of_primary: bool
) -> tuple[Together, ...]:
    def key(link: Together) -> tuple[int, int, str]:
        other = items[link.primary if of_primary else link.dependent]
        return (-other.meta.priority, _rank(other), other.id)

    return tuple(sorted(links, key=key))


class Merger:
    """Applies colocations to a tally while instances are being placed."""

    def __init__(self, facts: Facts, tally: Tally, ties: Ties) -> None:
        self._facts = facts
        self._tally = tally
        self._ties = ties
        self.may_run = {node.name for node in facts.nodes if node.may_run}
        self.placed: dict[str, str | None] = {}
        self.roles: dict[str, Role] = {}
        self._only_raise = False
        self.load: dict[str, int] = {}
        self._sunk: set[str] = set()
        bundles = tuple(bundles_in(facts.items))
        self._bundles = {b.clone.id: b.id for b in bundles if b.clone is not None}

    # --- the dependent follows its primary --------------------------------------------------

    def follow(self, dependent: str, link: Together) -> None:
        """Change the scores of a dependent now that its primary is placed."""
        if link.dependent_role is Role.PROMOTED or None not in _roles(link):
            return
        table = self._tally.scores[dependent]
        targets = self._where(link)
        if targets is not None and self._goes_by_copy(dependent, link):
            targets = self._beside(table, targets)
        if targets is None:
            if link.primary_role is not None and not link.is_mandatory:
                return
            self._follow_nobody(dependent, link)
            return
        wanted = {self._attribute(node, link.node_attribute) for node in targets}
        work = dict(table)
        reasons: list[Contribution] = []
        for node in table:
            matches = self._attribute(node, link.node_attribute) in wanted
            amount = _pull(link.score, matches)
            if amount != 0:
                work[node] = score.add(work[node], amount)
                reasons.append(
                    Contribution(
                        dependent,
                        node,
                        amount,
                        "colocation",
                        link.constraint,
                        f"with {link.primary}",
                    )
                )
        if link.score >= INFINITY or link.score <= MINUS_INFINITY or self._has_room(work):
            self._tally.scores[dependent] = work
            self._tally.contributions += reasons

    def _goes_by_copy(self, dependent: str, link: Together) -> bool:
        """Tell whether a copy follows one copy of an interleaved clone, not all of them."""
        mine, other = self._ties.items[link.dependent], self._ties.items[link.primary]
        if isinstance(other, BundleInstance):
            return isinstance(mine, CloneInstance | BundleInstance) and dependent != mine.id
        if not isinstance(mine, CloneInstance) or not isinstance(other, CloneInstance):
            return False
        return dependent != mine.id and mine.is_interleaved and mine.node_max == other.node_max

    def _beside(self, table: Mapping[str, Score], targets: list[str]) -> list[str] | None:
        """Choose the copy on the best of a dependent's nodes as the one to follow."""
        usable = [n for n, value in table.items() if value >= 0 and n in self.may_run]
        found = [n for n in usable if n in targets]
        return [min(found, key=lambda n: (-table[n], self.load.get(n, 0), n))] if found else None

    def _follow_nobody(self, dependent: str, link: Together) -> None:
        if link.score <= 0:
            return
        table = self._tally.scores[dependent]
        amount = MINUS_INFINITY if link.score >= INFINITY else Score(-link.score)
        work = {node: score.add(value, amount) for node, value in table.items()}
        if amount == MINUS_INFINITY or self._has_room(work):
            text = f"{link.primary} does not run"
            for node in table:
                self._tally.add(dependent, node, amount, "colocation", link.constraint, text)

    def _where(self, link: Together) -> list[str] | None:
        """Say on which nodes the primary will be, or None if nowhere."""
        primary = self._ties.items[link.primary]
        if isinstance(primary, GroupInstance):
            nodes = [self.placed.get(member.id) for member in primary.members]
            if link.score > 0 and None in nodes:
                return None
            found = [node for node in nodes if node is not None]
            return found[-1:] or None
        found = sorted(set(self._places(primary, link.primary_role)))
        return found or None

    def _places(self, item: Placeable, role: Role | None) -> list[str]:
        """List where an item will be in a role; of a bundle, where the containers will be."""
        if isinstance(item, BundleInstance):
            pairs = [(r.container, r.copy or r.container) for r in item.replicas]
        else:
            pairs = [(instance, instance) for instance in instances_of(item)]
        found = [self.placed.get(one.id) for one, lead in pairs if self._is_in_role(lead, role)]
        return [node for node in found if node is not None]

    def _is_in_role(self, instance: Instance, role: Role | None) -> bool:
        """Tell whether an instance that is placed will be in a role."""
        if role in (None, Role.STARTED):
            return True
        return self.roles.get(instance.id) is role

    # --- promotion ---------------------------------------------------------------------------

    def promotion_pull(self, copy: str, node: str, link: Together) -> Score:
        """Say what a colocation of role Promoted is worth to a copy on its node."""
        primary = self._ties.items[link.primary]
        places = self._places(primary, link.primary_role)
        if isinstance(primary, GroupInstance):
            places = places[:1]
        mine = self._attribute(node, link.node_attribute)
        wanted = {self._attribute(place, link.node_attribute) for place in places}
        if mine is not None and mine in wanted:
            return link.score
        return MINUS_INFINITY if link.score >= INFINITY else ZERO

    def pulled_for_promotion(
        self, clone: CloneInstance, table: dict[str, Score]
    ) -> dict[str, Score]:
        """Add to the scores of nodes what others would like about where the clone is promoted."""
        work = table
        for link in self._of_role(self._ties.roles_with_others, clone):
            if link.dependent_role is Role.PROMOTED and link.is_mandatory:
                source = _last(self._ties.items[link.primary])
                work = self._with_scores(work, source, link)
        for link in self._of_role(self._ties.others_with, clone):
            dependent = self._ties.items[link.dependent]
            if link.primary_role is not Role.PROMOTED:
                continue
            if link.influence is False or (link.influence is None and not dependent.meta.critical):
                continue
            if isinstance(dependent, CloneInstance | BundleInstance):
                work = self._with_scores(work, dependent.id, link)
            else:
                factor = link.score / INFINITY
                busy = frozenset({clone.id})
                work, _ = self._merged(work, _first(dependent), factor, link, busy)
        return work

    def _of_role(
        self, links: Mapping[str, tuple[Together, ...]], clone: CloneInstance
    ) -> tuple[Together, ...]:
        """List what is said of the promoted role of a clone, or of the bundle it is in."""
        bundle = self._bundles.get(clone.id, "")
        return (*links.get(clone.id, ()), *links.get(bundle, ()))

    def host(self, node: str) -> str:
        """Name the node that a container of a bundle is on, for the node inside it."""
        return self._tally.hosts.get(node, node)

    def _with_scores(
        self, table: dict[str, Score], source: str, link: Together
    ) -> dict[str, Score]:
        result, _ = self._add_scores(table, source, link.score / INFINITY, link)
        return result if self._has_room(result) else table

    def _attribute(self, node: str, name: str) -> str | None:
        node = self.host(node)
        if name == "#uname":
            return node
        return self._facts.node(node).attributes.get(name)

    def _has_room(self, table: Mapping[str, Score]) -> bool:
        return any(value >= 0 and node in self.may_run for node, value in table.items())

    # --- the primary is pulled by its dependents --------------------------------------------

    def be_pulled(self, primary: str, link: Together) -> None:
        """Add what a dependent that is not placed yet would like to the primary's scores."""
        if None not in _roles(link):
            return
        dependent = self._ties.items[link.dependent]
        if not self._has_influence(primary, dependent, link):
            return
        factor = link.score / INFINITY
        self._only_raise = isinstance(self._ties.items[primary], CloneInstance)
        self._sunk.clear()
        work, reasons = self._merged(
            dict(self._tally.scores[primary]),
            _first(dependent),
            factor,
            link,
            frozenset({primary}),
        )
        for node in self._sunk:
            work[node] = Score(1)
        self._only_raise = False
        self._tally.scores[primary] = work
        self._tally.contributions += [replace(r, resource=primary) for r in reasons]

    def _has_influence(self, primary: str, dependent: Placeable, link: Together) -> bool:
        if link.influence is not None:
            wanted = link.influence
        else:
            wanted = dependent.meta.critical
        instances = instances_of(self._ties.items[primary])
        return wanted or not any(self._facts.activity[i.id].nodes for i in instances)

    def _merged(
        self,
        work: dict[str, Score],
        source: str,
        factor: float,
        link: Together,
        busy: frozenset[str],
    ) -> tuple[dict[str, Score], list[Contribution]]:
        """Add the scores of one dependent and, weakened, of its own dependents."""
        item = self._ties.items[source]
        if source in busy or any(i.id in self.placed for i in instances_of(item)):
            return work, []
        if isinstance(item, CloneInstance | BundleInstance):
            return work, []
        result, reasons = self._add_scores(work, source, factor, link)
        if not self._has_room(result):
            return work, []
        for further in self._ties.others_with.get(source, ()):
            if not self._has_influence(source, self._ties.items[further.dependent], further):
                continue
            dependent = _first(self._ties.items[further.dependent])
            result, more = self._merged(
                result,
                dependent,
                factor * further.score / INFINITY,
                further,
                busy | {source},
            )
            reasons += more
        return result, reasons

    def _add_scores(
        self, work: dict[str, Score], source: str, factor: float, link: Together
    ) -> tuple[dict[str, Score], list[Contribution]]:
        result, reasons = dict(work), []
        given = self._by_attribute(source, link.node_attribute)
        for node in work:
            amount = given.get(self._attribute(node, link.node_attribute) or "", ZERO)
            if factor < 0 and amount < 0 and not self._must_avoid(source):
                # Avoiding where somebody we avoid would not go is no reason to go there.
                continue
            delta = times(amount, factor)
            if self._only_raise and (node in self._sunk or result[node] + delta < 0):
                # A clone is not kept from a node; that it was wanted there counts for little.
                if result[node] > 0:
                    self._sunk.add(node)
                continue
            if delta != 0:
                result[node] = score.add(result[node], delta)
                reasons.append(
                    Contribution(
                        "", node, delta, "colocation", link.constraint, f"preference of {source}"
                    )
                )
        return result, reasons

    def _by_attribute(self, source: str, name: str) -> dict[str, Score]:
        table = self._tally.scores[source]
        if name == "#uname":
            return {
                node: value if node in self.may_run else MINUS_INFINITY
                for node, value in table.items()
            }
        best: dict[str, Score] = {}
        for node, value in table.items():
            key = self._attribute(node, name)
            if key is not None and node in self.may_run:
                best[key] = max(best.get(key, MINUS_INFINITY), value)
        return best

    def _must_avoid(self, source: str) -> bool:
        """Tell whether a dependent has but one node to be on."""
        table = self._tally.scores[source]
        return sum(1 for n, v in table.items() if v >= 0 and n in self.may_run) == 1


def _pull(amount: Score, matches: bool) -> Score:
    """Say what a colocation does to a node, given whether the primary is there."""
    if amount >= INFINITY:
        return ZERO if matches else MINUS_INFINITY
    return amount if matches else ZERO


def _roles(link: Together) -> tuple[Role | None, Role | None]:
    return (link.dependent_role, link.primary_role)
