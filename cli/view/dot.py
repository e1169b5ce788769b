"""A transition graph for graphviz, with what was considered and cannot be done."""

from __future__ import annotations

from collections.abc import Iterator

from pengine import Decision
from pengine.act.actions import Action, ActionId, Task
from pengine.emit.notices import words_of


def lines(decision: Decision, *, everything: bool = False) -> Iterator[str]:
    """Yield the lines of a dot file; with `everything` also what is not needed."""
    plan = decision.plan
    yield ' digraph "g" {'
    names: dict[ActionId, str] = {}
    for action in plan.actions.values():
        look = _look(decision, action, everything=everything)
        if look is not None:
            style, color, font = look
            name = names[action.id] = _name(decision, action)
            yield f'"{name}" [ style={style} color="{color}" fontcolor="{font}"]'
    waits = {(first, then): None for then, firsts in plan.inputs.items() for first in firsts}
    others = {pair: None for pair in plan.idle if pair not in waits}
    if everything:
        others |= {
            (o.first, o.then): None for o in plan.orderings if (o.first, o.then) not in waits
        }
    for style, drawn in (("bold", waits), ("dashed", others)):
        for first, then in drawn:
            if first in names and then in names:
                yield f'"{names[first]}" -> "{names[then]}" [ style = {style}]'
    yield "}"


def _look(decision: Decision, action: Action, *, everything: bool) -> tuple[str, str, str] | None:
    """Give style, colour and colour of the name, or None for what is not drawn.

    Green is done, red cannot be done, blue need not be; the name of what is nobody's work is
    orange, that of what may not be touched purple.
    """
    font = "orange" if action.is_pseudo else "black"
    if decision.plan.is_in_graph(action.id):
        return "bold", "green", font
    if action.instance is not None and not decision.facts.is_managed(action.instance):
        return ("dashed", "red", "purple") if everything else None
    if not action.needed:
        return ("dashed", "blue", font) if everything else None
    return "dashed", "red", font


def _name(decision: Decision, action: Action) -> str:
    """Name an action and its node, a notice to a copy that is known by its mark.

    What would have to be done somewhere is done at `<none>`.
    """
    if action.task is Task.FENCE:
        return f"stonith '{action.fencing_action}' {action.node}"
    if action.task is Task.SHUTDOWN:
        return f"do_shutdown {action.node}"
    key = action.key
    instance = action.instance
    known = decision.facts.activity[instance.id].known_as if instance is not None else ""
    if known and action.task is Task.NOTIFY:
        words = words_of(action)
        key = f"{known}_{words['notify_key_type']}_notify_{words['notify_key_operation']}_0"
    elif instance is not None and known and not action.history_name:
        key = known + key.removeprefix(instance.id)
    where = action.node or ("" if action.is_pseudo else "<none>")
    prefix = "Cancel " if action.task is Task.CANCEL else ""
    return f"{prefix}{key}{' ' + where if where else ''}"
