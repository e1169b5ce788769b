"""Orderings of what happens on remote and guest nodes with what happens to their connections.

Whatever is done there needs the connection. Starts wait for it; stops come before it goes down
for good, but after it is up again elsewhere if the member that held it is lost. What is a mark
only, like the start that ends a migration, needs nothing.

Source: docs/scheduler/remote.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from pengine.act.actions import Action, Actions, Task
from pengine.facts.facts import Facts
from pengine.facts.nodes import Link, NodeFacts
from pengine.order.board import Board
from pengine.order.plan import PLAIN, Every, Meaning, Ordering, Statement

_NOTHING: frozenset[Meaning] = frozenset()
_OWN = frozenset({Meaning.OWN})
_NEEDS = _OWN | {Meaning.BLOCKS}
_SPREADS = frozenset({Meaning.NEED_SPREADS})
_PULLS = frozenset({Meaning.NEED_PULLS})
_BLOCKS = frozenset({Meaning.BLOCKS})
_STARTS = frozenset({Task.START, Task.PROMOTE})
_STOPS = frozenset({Task.STOP, Task.DEMOTE})
_MOVES = frozenset({Task.MIGRATE_TO, Task.MIGRATE_FROM})
"""What is carried out, like a stop, by the member that has the connection now."""


def remote_statements(facts: Facts, actions: Actions) -> Iterator[Statement]:
    """Yield what remote and guest nodes bring, for the newest action first."""
    remote = {node.name: node for node in facts.nodes if node.is_remote}
    if not remote:
        return
    for action in reversed(tuple(actions)):
        if action.instance is None:
            continue
        if action.owner in facts.connections and action.task is Task.CLEAR_FAIL_COUNT:
            yield Statement(action.id, Every(action.owner, Task.START), PLAIN, "clear before start")
            continue
        node = remote.get(action.node)
        if node is None or node.connection not in facts.connections or _is_mark(action):
            continue
        if action.task is Task.START:
            yield from _leave_last(actions, action, node)
        if node.kind == "guest":
            yield from _in_guest(facts, action, node)
        else:
            yield from _on_remote(action, node)
    for node in remote.values():
        for probe in actions.probes(node.container) if node.container else ():
            source = "container may be found running"
            yield Statement(probe.id, Every(node.connection, Task.STOP), PLAIN, source)


def _is_mark(action: Action) -> bool:
    """Tell whether nothing is done for an action; what fencing implies would have been done."""
    if action.task in _STOPS:
        return False
    return action.is_pseudo or (action.migration is not None and action.task is Task.START)


def _leave_last(actions: Actions, start: Action, node: NodeFacts) -> Iterator[Statement]:
    """Keep what moves to a remote node where it is until the node can be reached."""
    for stop in reversed(actions.of(start.owner, Task.STOP)):
        if stop.node != start.node:
            yield Statement(Every(node.connection, Task.START), stop.id, PLAIN, "connection first")


def _after_start(
    owner: str, then: Action, meanings: frozenset[Meaning] = _NOTHING
) -> Iterator[Statement]:
    yield Statement(Every(owner, Task.START), then.id, _NEEDS | meanings, "connection first")


def _before_stop(
    first: Action, owner: str, meanings: frozenset[Meaning] = _NOTHING
) -> Iterator[Statement]:
    source = "before the connection goes"
    yield Statement(first.id, Every(owner, Task.STOP), _OWN | meanings, source)


def _on_remote(action: Action, node: NodeFacts) -> Iterator[Statement]:
    link, connection = node.link, node.connection
    if action.task in _STARTS:
        yield from _after_start(connection, action, _SPREADS if link is Link.FAILED else _NOTHING)
    elif action.task is Task.STOP or action.task in _MOVES:
        if link is Link.ALIVE:
            yield from _before_stop(action, connection, _PULLS)
        elif link is Link.FAILED:
            return  # It ends by the fencing of the node.
        elif not node.goes_by:
            yield from _before_stop(action, connection, _PULLS)
        else:
            yield from _after_start(connection, action)
    elif action.task is Task.DEMOTE:
        # Else the stop says enough; waiting for a connection that goes would block it.
        if link in (Link.RESTING, Link.UNKNOWN):
            yield from _after_start(connection, action)
    elif action.interval_ms > 0:
        yield from _after_start(connection, action, _SPREADS)
    elif node.came_by and link is Link.STOPPED:
        # It is up for the last time: what is looked at is looked at before it goes.
        yield from _before_stop(action, connection, _BLOCKS)
    else:
        yield from _after_start(connection, action)


def _in_guest(facts: Facts, action: Action, node: NodeFacts) -> Iterator[Statement]:
    if action.task in _STARTS:
        yield from _after_start(node.container, action, _SPREADS)
        yield from _after_start(node.connection, action)
    elif action.task in _STOPS or action.task in _MOVES:
        # A container that failed takes along what is in it.
        if not facts.activity[node.container].failed:
            yield from _before_stop(action, node.connection)
    elif action.interval_ms > 0:
        if action.task is not Task.CANCEL:
            yield from _after_start(node.connection, action, _SPREADS)
    else:
        yield from _after_start(node.connection, action)


# --- resets -----------------------------------------------------------------------------------


def reset_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Say when a guest counts as fenced: once its container is stopped, or its host is fenced."""
    guests = {node.name: node for node in facts.nodes if node.kind == "guest"}
    meanings = frozenset({Meaning.NEED_SPREADS, Meaning.BLOCKS})
    for label in actions:
        node = guests.get(label.node)
        if node is None or label.task is not Task.FENCE or not label.is_pseudo:
            continue
        stop = next(reversed(actions.of(node.container, Task.STOP)), None)
        if stop is None:
            for down in actions.of(node.connection, Task.STOP)[-1:]:
                yield Ordering(down.id, label.id, PLAIN, "its connection is stopped")
            continue
        host = _fencing_of_host(facts, actions, node, stop)
        if host is not None:
            yield Ordering(host.id, label.id, meanings, "its host is fenced")
        else:
            yield Ordering(stop.id, label.id, meanings, "its container is stopped")


def _fencing_of_host(
    facts: Facts, actions: Actions, node: NodeFacts, stop: Action
) -> Action | None:
    """Find the fencing that implies the stop of a container.

    Nodes are judged by name: of a host that comes after its guest it is not known yet that it
    is fenced, and the stop is as good (case guest-node-host-dies).
    """
    names = [n.name for n in facts.nodes]
    if not stop.is_pseudo or names.index(stop.node) > names.index(node.name):
        return None
    fencings = (a for a in actions if a.task is Task.FENCE and a.node == stop.node)
    return next((a for a in fencings if not a.is_pseudo and a.fencing_action != "on"), None)


def drop_contradictions(board: Board) -> None:
    """Drop what would keep a container waiting for something that ends with it.

    An administrator may have ordered a guest after what runs in it; that is no use.
    """
    containers = {n.name: n.container for n in board.facts.nodes if n.kind == "guest"}
    if not containers:
        return
    for then in board.standings.values():
        if then.owner in containers.values():
            for edge in then.before:
                inside = edge.first.item is not None and containers.get(edge.first.node)
                if inside == then.owner and Meaning.OWN not in edge.meanings:
                    edge.drop()
