"""The fourth of the five values: what must wait for what, and what is needed after all."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from crm.plumbing.errors import Problem
from pengine.act.actions import Action, ActionId


class Meaning(enum.Enum):
    """What an ordering does besides putting one action before another."""

    NEED_SPREADS = "need spreads"
    """When the first is needed, so is the then: what restarts takes along what stands on it."""

    NEED_PULLS = "need pulls"
    """When the then is needed, so is the first: nothing stops under something that runs."""

    BLOCKS = "blocks"
    """When the first cannot run, neither can the then."""

    BLOCKS_NEEDED = "blocks when needed"
    """When the first is needed and cannot run, neither can the then: a stop waits for a stop."""

    ONE_OF = "one of"
    """The then, a mark, can run as soon as any of its firsts can."""

    TOGETHER = "together"
    """The then runs with the first: where the first cannot start, the then does not either."""

    RESTART = "restart"
    """Stop and start of one instance: needing, or being unable, to start again means to stop."""

    MIGRATION = "migration"
    """Both are parts of a live migration: the first is done only if the then is part of it."""

    UNLESS_MIGRATED = "unless migrated"
    """Holds only while the first is not part of a live migration."""

    ENDS_MIGRATION = "ends migration"
    """When the first is needed, the then is no part of a live migration."""

    CANCELLED = "cancelled"
    """When the then is needed, the first is not: what is stopped need not be reloaded."""

    HIDDEN = "hidden"
    """Only flags pass; the graph shows the mark of the group or clone instead."""


PLAIN: frozenset[Meaning] = frozenset()
"""Only an order: whoever acts, in this sequence."""


@dataclass(frozen=True, slots=True)
class Ordering:
    """One edge between two actions. `source` is the CIB id or the named cause."""

    first: ActionId
    then: ActionId
    meanings: frozenset[Meaning] = PLAIN
    source: str = ""

    @property
    def is_hidden(self) -> bool:
        """Tell whether the edge is left out of the graph."""
        return Meaning.HIDDEN in self.meanings


@dataclass(frozen=True, slots=True)
class Plan:
    """All actions with their final flags, and all orderings."""

    actions: Mapping[ActionId, Action]
    orderings: tuple[Ordering, ...]
    by_owner: Mapping[str, tuple[Action, ...]]
    problems: tuple[Problem, ...] = ()

    def actions_of(self, owner: str) -> tuple[Action, ...]:
        """List the actions of one item, in the order they came up."""
        return self.by_owner.get(owner, ())

    def is_in_graph(self, action: ActionId) -> bool:
        """Tell whether an action will be carried out."""
        found = self.actions[action]
        return found.needed and found.runnable
