"""The second of the five values: which instance goes to which node, with every reason.

A `ScoreTable` remembers each contribution to each score (who, where, how much, because of which
CIB id) and the totals at the moment an item was placed. Scores, summary and explanations are
printed from it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from crm.model.roles import Role
from crm.model.score import Score
from pengine.facts.nodes import NodeFacts


class Contribution(msgspec.Struct, frozen=True):
    """One change of one score. `source` is a CIB id or a named cause, `stage` the pass."""

    resource: str
    node: str
    amount: Score
    stage: str
    source: str
    text: str = ""


class ScoreLine(msgspec.Struct, frozen=True):
    """A total at the moment `placed` (primitive, group, clone) was looked at."""

    placed: str
    resource: str
    node: str
    total: Score


class PromotionLine(msgspec.Struct, frozen=True):
    """The final promotion score of a copy on its node ("" if it has none).

    `after` is the number of score lines there were at that moment; `because` says why the copy
    does not lead, "" if it does.
    """

    resource: str
    node: str
    total: Score
    after: int = 0
    because: str = ""


class ScoreTable(msgspec.Struct, frozen=True):
    """All contributions in the order they were made, and all totals printed."""

    contributions: tuple[Contribution, ...]
    lines: tuple[ScoreLine, ...]
    promotions: tuple[PromotionLine, ...] = ()

    def about(self, resource: str) -> tuple[Contribution, ...]:
        """List what contributed to the scores of one resource."""
        return tuple(c for c in self.contributions if c.resource == resource)


class Choice(msgspec.Struct, frozen=True):
    """Where an instance goes (`node` None: nowhere), in what role, and why."""

    instance: str
    node: str | None
    role: Role
    reason: str
    final_scores: Mapping[str, Score]


class Placement(msgspec.Struct, frozen=True):
    """All choices by instance id, in the order they were made."""

    choices: Mapping[str, Choice]
    table: ScoreTable
    nodes: tuple[NodeFacts, ...] = ()
    """The nodes with remote ones judged by where their connections go."""
    copies: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """The ids of the copies of each clone, in the order in which they were placed."""
    order: tuple[str, ...] = ()
    """The ids of the top-level items, in the order in which they had their turn."""

    def without(self, refused: frozenset[str]) -> Placement:
        """Give the same placement with some instances nowhere: they cannot be active after all."""
        if not refused:
            return self
        reason = "there is nothing it could go with"
        choices = {
            key: replace(choice, node=None, role=Role.STOPPED, reason=reason)
            if key in refused
            else choice
            for key, choice in self.choices.items()
        }
        return replace(self, choices=choices)

    def node_of(self, instance: str) -> str | None:
        """Say where an instance goes."""
        return self.choices[instance].node

    def role_of(self, instance: str) -> Role:
        """Say in what role an instance will be."""
        return self.choices[instance].role
