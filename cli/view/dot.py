"""A transition graph for graphviz, with what was considered and cannot be done."""

from __future__ import annotations

from collections.abc import Iterator

from pengine import Decision
from pengine.act.actions import Action, Task


def lines(decision: Decision, *, everything: bool = False) -> Iterator[str]:
    """Yield the lines of a dot file; with `everything` also what is not needed."""
    plan = decision.plan
    yield ' digraph "g" {'
    shown = {a.id for a in plan.actions.values() if a.needed or everything}
    for action in plan.actions.values():
        if action.id in shown:
            done = plan.is_in_graph(action.id)
            color = "green" if done else "red" if action.needed else "blue"
            style = "bold" if done else "dashed"
            font = "orange" if action.is_pseudo else "black"
            yield f'"{_name(action)}" [ style={style} color="{color}" fontcolor="{font}"]'
    for ordering in plan.orderings:
        if ordering.first not in shown or ordering.then not in shown:
            continue
        first, then = plan.actions[ordering.first], plan.actions[ordering.then]
        done = plan.is_in_graph(first.id) and plan.is_in_graph(then.id)
        style = "bold" if done else "dashed"
        yield f'"{_name(first)}" -> "{_name(then)}" [ style = {style}]'
    yield "}"


def _name(action: Action) -> str:
    prefix = "Cancel " if action.task is Task.CANCEL else ""
    return f"{prefix}{action.key}{' ' + action.node if action.node else ''}"
