"""Breaks loops of orderings, so that every graph runs to its end.

Constraints can contradict each other, or the order inside a group. Of each loop the ordering
that was stated last is left out, and named: what follows from the nature of things was stated
first.
"""

from __future__ import annotations

import graphlib
import itertools
from collections.abc import Sequence

from crm.plumbing import errors
from crm.plumbing.errors import Problem
from pengine.act.actions import ActionId
from pengine.order.plan import Ordering

Edge = tuple[ActionId, ActionId]


def break_loops(orderings: Sequence[Ordering]) -> tuple[set[Edge], list[Problem]]:
    """Find edges to leave out so that no loop remains, and say which constraints lose."""
    rank: dict[Edge, int] = {}
    for index, ordering in enumerate(orderings):
        # An edge that is stated twice counts from where it was stated first.
        rank.setdefault((ordering.first, ordering.then), index)
    dropped: set[Edge] = set()
    problems: list[Problem] = []
    while (loop := _find_loop(rank, dropped)) is not None:
        worst = max(loop, key=lambda edge: rank[edge])
        dropped.add(worst)
        problems.append(_problem(orderings[rank[worst]], loop))
    return dropped, problems


def _find_loop(rank: dict[Edge, int], dropped: set[Edge]) -> list[Edge] | None:
    sorter: graphlib.TopologicalSorter[ActionId] = graphlib.TopologicalSorter()
    for first, then in rank:
        if (first, then) not in dropped:
            sorter.add(then, first)
    try:
        sorter.prepare()
    except graphlib.CycleError as found:
        nodes: list[ActionId] = found.args[1]
        pairs = list(itertools.pairwise(nodes))
        return pairs if pairs[0] in rank else [(b, a) for a, b in pairs]
    return None


def _problem(ordering: Ordering, loop: Sequence[Edge]) -> Problem:
    names = ", ".join(dict.fromkeys(f"{first[0]}" for first, _ in loop))
    return errors.warning(
        "ordering-loop",
        ordering.source,
        f"ordering '{ordering.source}' closes a loop ({names}) and is not observed"
        f" between {ordering.first[0]} and {ordering.then[0]}",
        "remove one of the orders",
    )
