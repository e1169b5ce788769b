"""Constraints made concrete: rules judged per node, tags and sets resolved into pairs.

Afterwards a *preference* is about one resource, a *colocation* and an *order* are about two. The
id of the constraint stays with each, because reasons point at it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

import msgspec

from crm.model import options, roles, rules
from crm.model.cluster import Cluster
from crm.model.constraints import (
    Colocation,
    Discovery,
    Location,
    Order,
    OrderKind,
    ResourceSet,
)
from crm.model.roles import Role
from crm.model.rules import Rule, Situation
from crm.model.score import INFINITY, MINUS_INFINITY, ZERO, Score
from crm.plumbing import errors
from crm.plumbing.errors import Problem
from pengine.facts.nodes import NodeFacts


class Preference(msgspec.Struct, frozen=True):
    """How much a resource is wanted on some nodes. `role` None means in any role."""

    constraint: str
    resource: str
    scores: tuple[tuple[str, Score], ...]
    role: Role | None = None
    discovery: Discovery | None = None


class Together(msgspec.Struct, frozen=True):
    """`dependent` with `primary`, by nodes of equal `node_attribute`."""

    constraint: str
    dependent: str
    primary: str
    score: Score
    dependent_role: Role | None = None
    primary_role: Role | None = None
    node_attribute: str = "#uname"
    influence: bool | None = None
    is_implied: bool = False
    """Set where it follows from what a resource is; nobody wrote it."""

    @property
    def is_mandatory(self) -> bool:
        """Tell whether the score is infinite either way."""
        return abs(self.score) >= INFINITY


class InOrder(msgspec.Struct, frozen=True):
    """`first_action` of `first` before `then_action` of `then`."""

    constraint: str
    first: str
    then: str
    first_action: str
    then_action: str
    kind: OrderKind
    symmetrical: bool
    alternative: str = ""
    """Names the mark after which one of several firsts is there (require-all=false), or ""."""
    is_in_set: bool = False
    """Set where sets are ordered: clone-min is not looked at there."""


class Links(msgspec.Struct, frozen=True):
    """All constraints in their concrete form."""

    preferences: tuple[Preference, ...]
    together: tuple[Together, ...]
    in_order: tuple[InOrder, ...]
    next_change: datetime | None


Parameters = Callable[[str, Mapping[str, str]], Mapping[str, str]]
"""Gives the parameters of a resource on a node with certain attributes."""


def conclude_links(
    cluster: Cluster,
    nodes: tuple[NodeFacts, ...],
    resources: Iterable[str],
    parameters: Parameters,
    meta: Mapping[str, Mapping[str, str]],
    now: datetime,
) -> tuple[Links, list[Problem]]:
    """Resolve every constraint against the known resources and nodes."""
    resolver = _Resolver(cluster, nodes, tuple(resources), parameters, meta, now)
    for constraint in cluster.constraints:
        match constraint:
            case Location():
                resolver.take_location(constraint)
            case Colocation():
                resolver.take_colocation(constraint)
            case Order():
                resolver.take_order(constraint)
    return (
        Links(
            tuple(resolver.preferences),
            tuple(resolver.together),
            tuple(resolver.in_order),
            min((change for change in resolver.changes if change > now), default=None),
        ),
        resolver.problems,
    )


class _Resolver:
    """Collects what constraints resolve to; it does not leave this module."""

    def __init__(
        self,
        cluster: Cluster,
        nodes: tuple[NodeFacts, ...],
        resources: tuple[str, ...],
        parameters: Parameters,
        meta: Mapping[str, Mapping[str, str]],
        now: datetime,
    ) -> None:
        self.preferences: list[Preference] = []
        self.together: list[Together] = []
        self.in_order: list[InOrder] = []
        self.problems: list[Problem] = []
        self.changes: list[datetime] = []
        self._tags = dict(cluster.tags)
        self._nodes = nodes
        self._resources = resources
        self._known = frozenset(resources)
        self._tops = tuple(resource.id for resource in cluster.resources)
        self._parameters = parameters
        self._meta = meta
        self._now = now

    def _expand(self, key: str, constraint: str) -> tuple[str, ...]:
        """Replace a tag or template by what it stands for; report what nothing is."""
        if key in self._known:
            return (key,)
        if key in self._tags:
            return tuple(i for i in self._tags[key] if i in self._known)
        near = options.nearest(key, self._resources)
        hint = f"there is a resource '{near}'" if near else ""
        self.problems.append(
            errors.warning(
                "unknown-resource",
                constraint,
                f"constraint '{constraint}' names '{key}', which does not exist",
                hint,
            )
        )
        return ()

    def _role(self, text: str, constraint: str) -> Role | None:
        if not text:
            return None
        try:
            role = roles.parse(text)
        except ValueError as problem:
            self.problems.append(
                errors.warning("bad-value", constraint, f"constraint '{constraint}': {problem}")
            )
            return None
        return role

    # --- locations --------------------------------------------------------------------------

    def take_location(self, location: Location) -> None:
        """Judge a location for each of its resources."""
        ids = [i for key in location.resources for i in self._expand(key, location.id)]
        for key in ids:
            self._prefer(location, key, ())
        if location.pattern:
            for key, matches in self._matching(location):
                self._prefer(location, key, matches)

    def _matching(self, location: Location) -> list[tuple[str, tuple[str, ...]]]:
        """List resources that a pattern means, with what it matched of their names.

        It means what is configured by itself; what is in a group or clone goes with that.
        """
        try:
            pattern = re.compile(location.pattern)
        except re.error as problem:
            self.problems.append(
                errors.warning(
                    "bad-pattern",
                    location.id,
                    f"location '{location.id}': '{location.pattern}' is no pattern: {problem}",
                )
            )
            return []
        found = []
        for key in self._tops:
            match = pattern.search(key)
            if match is not None and not location.inverted:
                found.append((key, (match[0], *(text or "" for text in match.groups()))))
            elif match is None and location.inverted:
                found.append((key, ()))
        return found

    def _prefer(self, location: Location, key: str, matches: tuple[str, ...]) -> None:
        role = self._role(location.role, location.id)
        if location.node:
            wanted = location.node.lower()
            scores = [
                (node.name, location.score or ZERO)
                for node in self._nodes
                if node.name.lower() == wanted
            ]
            self.preferences.append(
                Preference(location.id, key, tuple(scores), role, location.discovery)
            )
        for rule in location.rules:
            self._prefer_by_rule(location, rule, key, matches)

    def _prefer_by_rule(
        self, location: Location, rule: Rule, key: str, matches: tuple[str, ...]
    ) -> None:
        scores = []
        for node in self._nodes:
            situation = Situation(
                self._now,
                node.attributes,
                self._parameters(key, node.attributes),
                self._meta.get(key, {}),
                matches=matches,
            )
            verdict = rules.judge(rule, situation)
            self.changes += verdict.changes
            if verdict.holds:
                found = self._rule_score(rule, node, matches)
                if found is not None:
                    scores.append((node.name, found))
        role = self._role(rule.role, rule.id) or self._role(location.role, location.id)
        self.preferences.append(Preference(rule.id, key, tuple(scores), role, location.discovery))

    def _rule_score(self, rule: Rule, node: NodeFacts, matches: tuple[str, ...]) -> Score | None:
        if not rule.score_attribute:
            return rule.score if rule.score is not None else ZERO
        text = node.attributes.get(rules.with_matches(rule.score_attribute, matches))
        if text is None:
            return MINUS_INFINITY  # A node that says nothing is none of those the rule is about.
        try:
            return options.as_score(text)
        except ValueError:
            self.problems.append(
                errors.warning(
                    "bad-value",
                    rule.id,
                    f"rule '{rule.id}': node attribute '{rule.score_attribute}' of"
                    f" '{node.name}' is '{text}', which is no score",
                )
            )
            return None

    # --- colocations ------------------------------------------------------------------------

    def take_colocation(self, constraint: Colocation) -> None:
        """Resolve a colocation of two resources or of sets."""
        if not constraint.sets:
            self._take_pair(constraint)
            return
        previous: ResourceSet | None = None
        for item in constraint.sets:
            self._take_set(constraint, item)
            if previous is not None:
                self._take_sets(constraint, previous, item)
            previous = item

    def _complain_of_itself(self, constraint: str, resource: str) -> None:
        self.problems.append(
            errors.warning(
                "self-reference",
                constraint,
                f"constraint '{constraint}' is about '{resource}' and itself, and is not observed",
            )
        )

    def _complain_of_tags(self, constraint: Colocation) -> None:
        """Report a colocation of two tags or templates, or of two things that do not exist."""
        if all(key in self._tags for key in (constraint.dependent, constraint.primary)):
            self.problems.append(
                errors.warning(
                    "two-tags",
                    constraint.id,
                    f"colocation '{constraint.id}' is about two tags or templates,"
                    " and is not observed",
                    "name a resource on one side, or use resource sets",
                )
            )
            return
        for key in (constraint.dependent, constraint.primary):
            self._expand(key, constraint.id)

    def _take_pair(self, constraint: Colocation) -> None:
        if constraint.dependent == constraint.primary:
            self._complain_of_itself(constraint.id, constraint.dependent)
            return
        if constraint.dependent not in self._known and constraint.primary not in self._known:
            self._complain_of_tags(constraint)
            return
        for dependent in self._expand(constraint.dependent, constraint.id):
            for primary in self._expand(constraint.primary, constraint.id):
                self.together.append(
                    Together(
                        constraint.id,
                        dependent,
                        primary,
                        constraint.score,
                        self._role(constraint.dependent_role, constraint.id),
                        self._role(constraint.primary_role, constraint.id),
                        constraint.node_attribute,
                        constraint.influence,
                    )
                )

    def _members(self, constraint: str, item: ResourceSet) -> list[str]:
        return [i for key in item.resources for i in self._expand(key, constraint)]

    def _take_set(self, constraint: Colocation, item: ResourceSet) -> None:
        score = constraint.score if item.score is None else item.score
        if not item.sequential or score == 0:
            return
        role = self._role(item.role, item.id)
        members = self._members(constraint.id, item)
        if item.is_listed:
            members.reverse()
        if score > 0:
            pairs = list(zip(members[1:], members[:-1], strict=True))
        else:
            pairs = [(b, a) for i, b in enumerate(members) for a in members[:i]]
        for dependent, primary in pairs:
            self.together.append(
                Together(
                    item.id, dependent, primary, score, role, role, "#uname", constraint.influence
                )
            )

    def _take_sets(self, constraint: Colocation, one: ResourceSet, two: ResourceSet) -> None:
        dependents = self._members(constraint.id, one)
        primaries = self._members(constraint.id, two)
        if one.sequential:
            dependents = dependents[:1]
        if two.sequential:
            primaries = primaries[-1:]
        for dependent in dependents:
            for primary in primaries:
                self.together.append(
                    Together(
                        constraint.id,
                        dependent,
                        primary,
                        constraint.score,
                        self._role(one.role, one.id),
                        self._role(two.role, two.id),
                        "#uname",
                        constraint.influence,
                    )
                )

    # --- orders -----------------------------------------------------------------------------

    def take_order(self, order: Order) -> None:
        """Resolve an order of two resources or of sets."""
        if not order.sets:
            self._take_order_pair(order)
            return
        previous: ResourceSet | None = None
        for item in order.sets:
            self._order_set(order, item)
            if previous is not None:
                self._order_sets(order, previous, item)
            previous = item

    def _symmetrical(self, order: Order, kind: OrderKind) -> bool:
        if kind is OrderKind.SERIALIZE:
            return False
        return True if order.symmetrical is None else order.symmetrical

    def _take_order_pair(self, order: Order) -> None:
        if order.first == order.then:
            self._complain_of_itself(order.id, order.first)
            return
        first_action = order.first_action or "start"
        alternative = "" if order.require_all else f"clone-one-or-more:{order.id}"
        for first in self._expand(order.first, order.id):
            for then in self._expand(order.then, order.id):
                self.in_order.append(
                    InOrder(
                        order.id,
                        first,
                        then,
                        first_action,
                        order.then_action or first_action,
                        order.kind,
                        self._symmetrical(order, order.kind),
                        alternative,
                    )
                )

    def _order_set(self, order: Order, item: ResourceSet) -> None:
        kind = item.kind or order.kind
        members = self._members(order.id, item)
        action = item.action or "start"
        for first, then in _pairs_in_set(members, item.sequential, kind):
            self.in_order.append(
                InOrder(
                    item.id,
                    first,
                    then,
                    action,
                    action,
                    kind,
                    self._symmetrical(order, kind),
                    is_in_set=True,
                )
            )

    def _order_sets(self, order: Order, one: ResourceSet, two: ResourceSet) -> None:
        firsts, thens = self._members(order.id, one), self._members(order.id, two)
        kind = one.kind or order.kind
        alternative = ""
        if one.require_all:
            firsts = firsts[-1:] if one.sequential else firsts
        else:
            alternative = f"one-or-more:{one.id}"
        if two.sequential:
            thens = thens[:1]
        for then in thens:
            for first in firsts:
                self.in_order.append(
                    InOrder(
                        order.id,
                        first,
                        then,
                        one.action or "start",
                        two.action or "start",
                        kind,
                        self._symmetrical(order, kind),
                        alternative,
                        is_in_set=True,
                    )
                )


def _pairs_in_set(
    members: list[str], sequential: bool, kind: OrderKind
) -> Iterator[tuple[str, str]]:
    if kind is OrderKind.SERIALIZE:
        for index, first in enumerate(members):
            for then in members[index + 1 :]:
                yield first, then
    elif sequential:
        yield from itertools.pairwise(members)
