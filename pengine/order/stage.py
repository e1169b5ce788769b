"""Runs the stage: states all orderings, spreads need and inability, and says what remains.

The sequence is part of the published behaviour: who comes first gives the reason that is shown,
and an action that is made because an ordering names it is there for the orderings after it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from crm.plumbing.errors import Problem
from pengine.act.actions import Action, ActionId, Actions
from pengine.facts.facts import Facts
from pengine.order.board import Board, Edge
from pengine.order.collectives import Collectives
from pengine.order.cycles import break_loops
from pengine.order.declared import declared_statements, marks_of_alternatives
from pengine.order.fencing import fencing_orderings
from pengine.order.implied import implied_statements
from pengine.order.inputs import Inputs
from pengine.order.migration import Equivalents, migration_statements
from pengine.order.notices import notice_orderings, tell, tell_of_ends
from pengine.order.plan import Meaning, Ordering, Plan, Statement
from pengine.order.probes import order_probes
from pengine.order.propagate import Propagation
from pengine.order.remote import drop_contradictions, remote_statements, reset_orderings
from pengine.order.steps import shutdown_statements, step_orderings, step_statements
from pengine.place.placement import Placement


def order(facts: Facts, placement: Placement, actions: Actions) -> Plan:
    """Settle all orderings and all flags."""
    marks = {mark.id: mark for mark in marks_of_alternatives(facts)}
    actions = replace(actions, by_id={**marks, **actions.by_id})
    board = Board(facts, placement, actions)
    collectives = Collectives(board)
    for ordering in _at_once(facts, actions):
        board.connect(ordering)
    tell_of_ends(board)
    for statement in _in_turn(facts, placement, actions, board):
        board.apply(statement)
    propagation = Propagation(board, collectives)
    propagation.block_dependents()
    order_probes(board, collectives)
    propagation.run()
    drop_contradictions(board)
    inputs = Inputs(board)
    inputs.break_load_loops()
    tell(board, collectives)
    return _settle(board, inputs)


def _at_once(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield what is ordered as soon as its actions are found."""
    yield from notice_orderings(facts, actions)
    yield from step_orderings(facts, actions)
    yield from fencing_orderings(facts, actions)
    yield from reset_orderings(facts, actions)


def _in_turn(
    facts: Facts, placement: Placement, actions: Actions, board: Board
) -> Iterator[Statement]:
    """Yield what is stated, in the sequence of statements, with what it means for migrations."""
    equivalents = Equivalents(facts, board.items, board.parents)

    def with_equivalents(statements: Iterator[Statement]) -> Iterator[Statement]:
        for statement in statements:
            yield statement
            yield from equivalents.of(statement, actions.by_id)

    yield from with_equivalents(declared_statements(facts))
    yield from with_equivalents(implied_statements(facts, board.listing))
    yield from with_equivalents(step_statements(facts, placement, board.listing, actions))
    yield from migration_statements(facts, actions)
    yield from shutdown_statements(facts, actions)
    yield from with_equivalents(remote_statements(facts, actions))


def _settle(board: Board, inputs: Inputs) -> Plan:
    included = [s for s in board.standings.values() if inputs.is_included(s)]
    edges = [e for then in included for e in inputs.merge(then) if inputs.is_input(e)]
    # Where orderings contradict each other, what constraints say gives way.
    declared = {link.constraint for link in board.facts.links.in_order}
    edges.sort(key=lambda edge: edge.rank)
    edges.sort(key=lambda edge: edge.source in declared)
    done = {standing.action.id for standing in included}
    orderings = [_ordering(edge) for edge in edges]
    dropped, problems = _loops(orderings, done)
    kept = [o for o in orderings if (o.first, o.then) not in dropped]
    waits: dict[ActionId, list[ActionId]] = {}
    for ordering in kept:
        waits.setdefault(ordering.then, []).append(ordering.first)
    actions = {s.action.id: s.settled() for s in board.standings.values()}
    by_owner: dict[str, list[Action]] = {}
    for action in actions.values():
        by_owner.setdefault(action.owner, []).append(action)
    return Plan(
        actions,
        tuple(kept),
        {owner: tuple(found) for owner, found in by_owner.items()},
        tuple(problems),
        frozenset(done),
        {then: tuple(firsts) for then, firsts in waits.items()},
        frozenset(board.refused),
        tuple(_idle(board, edges, done)),
    )


def _idle(
    board: Board, edges: list[Edge], done: set[ActionId]
) -> Iterator[tuple[ActionId, ActionId]]:
    """Yield what is ordered though nothing waits: not what makes room, and not what gave way."""
    waits = {(edge.first.action.id, edge.then.action.id) for edge in edges}
    shown = done | {s.action.id for s in board.standings.values() if s.needed}
    for then in board.standings.values():
        if then.action.id not in shown:
            continue
        for edge in then.before:
            pair = (edge.first.action.id, then.action.id)
            is_moot = not edge.meanings or edge.meanings == {Meaning.ROOM}
            if pair[0] in shown and pair not in waits and not is_moot:
                yield pair


def _ordering(edge: Edge) -> Ordering:
    return Ordering(edge.first.action.id, edge.then.action.id, edge.meanings, edge.source)


def _loops(
    orderings: list[Ordering], done: set[ActionId]
) -> tuple[set[tuple[ActionId, ActionId]], list[Problem]]:
    return break_loops([o for o in orderings if o.first in done])
