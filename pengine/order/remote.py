"""Orderings of what happens on remote and guest nodes with what happens to their connections.

Whatever is done there needs the connection. Starts wait for it; stops come before it goes down
for good, but after it is up again elsewhere if the member that held it is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

from pengine.act.actions import Action, ActionId, Actions, Task
from pengine.facts.facts import Facts
from pengine.facts.nodes import Link, NodeFacts
from pengine.order.plan import PLAIN, Meaning, Ordering

_SPREADS = frozenset({Meaning.NEED_SPREADS})
_PULLS = frozenset({Meaning.NEED_PULLS})
_STARTS = frozenset({"start", "promote"})
_STOPS = frozenset({"stop"})


def remote_orderings(facts: Facts, actions: Actions) -> Iterator[Ordering]:
    """Yield what remote and guest nodes bring."""
    remote = {node.name: node for node in facts.nodes if node.is_remote}
    if not remote:
        return
    for action in actions:
        if action.instance is None:
            continue
        if action.owner in facts.connections and action.task is Task.CLEAR_FAIL_COUNT:
            for start in actions.of(action.owner, Task.START):
                yield Ordering(action.id, start.id, PLAIN, "clear before start")
        node = remote.get(action.node)
        if node is None or action.task is Task.FENCE:
            continue
        if action.task is Task.START:
            yield from _leave_last(actions, action, node)
        if node.kind == "guest":
            yield from _in_guest(facts, actions, action, node)
        else:
            yield from _on_remote(actions, action, node)
    for node in remote.values():
        if node.kind == "guest":
            yield from _reset(actions, node)


def _leave_last(actions: Actions, start: Action, node: NodeFacts) -> Iterator[Ordering]:
    """Keep what moves to a remote node where it is until the node can be reached."""
    for stop in actions.of(start.owner, Task.STOP):
        if stop.node != start.node:
            yield from _after_start(actions, node.connection, stop.id)


def _after_start(
    actions: Actions, connection: str, then: ActionId, meanings: frozenset[Meaning] = PLAIN
) -> Iterator[Ordering]:
    for start in actions.of(connection, Task.START):
        yield Ordering(start.id, then, meanings, "connection first")


def _before_stop(
    actions: Actions, connection: str, first: ActionId, meanings: frozenset[Meaning]
) -> Iterator[Ordering]:
    for stop in actions.of(connection, Task.STOP):
        yield Ordering(first, stop.id, meanings, "before the connection goes")


def _on_remote(actions: Actions, action: Action, node: NodeFacts) -> Iterator[Ordering]:
    link, connection = node.link, node.connection
    task = action.task.value
    if task in _STARTS:
        meanings = _SPREADS if link is Link.FAILED else PLAIN
        yield from _after_start(actions, connection, action.id, meanings)
    elif task in _STOPS:
        if link is Link.ALIVE or (link in (Link.UNKNOWN, Link.STOPPED) and not node.goes_by):
            yield from _before_stop(actions, connection, action.id, _PULLS)
        elif link is not Link.FAILED:
            yield from _after_start(actions, connection, action.id)
    elif task == "demote":
        if link in (Link.RESTING, Link.UNKNOWN):
            yield from _after_start(actions, connection, action.id)
    elif action.interval_ms > 0 and action.task is Task.MONITOR:
        yield from _after_start(actions, connection, action.id, _SPREADS)
    elif node.came_by and link is Link.STOPPED:
        yield from _before_stop(actions, connection, action.id, PLAIN)
    else:
        yield from _after_start(actions, connection, action.id)


def _in_guest(
    facts: Facts, actions: Actions, action: Action, node: NodeFacts
) -> Iterator[Ordering]:
    task = action.task.value
    if task in _STARTS:
        for start in actions.of(node.container, Task.START):
            yield Ordering(start.id, action.id, _SPREADS, "container first")
        yield from _after_start(actions, node.connection, action.id)
    elif task in _STOPS or task == "demote":
        if not facts.activity[node.container].failed:
            yield from _before_stop(actions, node.connection, action.id, PLAIN)
    elif action.interval_ms > 0 and action.task is Task.MONITOR:
        yield from _after_start(actions, node.connection, action.id, _SPREADS)
    else:
        yield from _after_start(actions, node.connection, action.id)


def _reset(actions: Actions, node: NodeFacts) -> Iterator[Ordering]:
    """Say when a guest counts as fenced: once its container is stopped, or its host is fenced."""
    for probe in actions.probes(node.container):
        for stop in actions.of(node.connection, Task.STOP):
            yield Ordering(probe.id, stop.id, PLAIN, "container may be found running")
    labels = [a for a in actions if a.task is Task.FENCE and a.node == node.name and a.is_pseudo]
    stops = actions.of(node.container, Task.STOP)
    hosts = {a.node: a for a in actions if a.task is Task.FENCE and not a.is_pseudo}
    meanings = frozenset({Meaning.NEED_SPREADS, Meaning.BLOCKS})
    for label in labels:
        if stops and stops[0].is_pseudo and stops[0].node in hosts:
            yield Ordering(hosts[stops[0].node].id, label.id, meanings, "its host is fenced")
        elif stops:
            yield Ordering(stops[0].id, label.id, meanings, "its container is stopped")
        else:
            for stop in actions.of(node.connection, Task.STOP):
                yield Ordering(stop.id, label.id, PLAIN, "its connection is stopped")
