"""What constraints state: orders with their inverse for stopping, and keeping apart."""

from __future__ import annotations

from collections.abc import Iterator

from crm.model.constraints import OrderKind
from crm.model.roles import Role
from crm.model.score import MINUS_INFINITY
from pengine.act.actions import Action, Task
from pengine.facts.facts import Facts
from pengine.facts.instances import CloneInstance, Placeable
from pengine.facts.links import InOrder, Together
from pengine.order.naming import items_by_name
from pengine.order.plan import PLAIN, Every, Meaning, Statement

_TASKS = {
    "start": Task.START,
    "stop": Task.STOP,
    "promote": Task.PROMOTE,
    "demote": Task.DEMOTE,
}
_OPPOSITES = {
    Task.START: Task.STOP,
    Task.STOP: Task.START,
    Task.PROMOTE: Task.DEMOTE,
    Task.DEMOTE: Task.PROMOTE,
}
_RISING = frozenset({Task.START, Task.PROMOTE})
_INVERSE = PLAIN | {Meaning.NEED_PULLS}
_ALTERNATIVE = frozenset({Meaning.ONE_OF, Meaning.SHOWS_THEN})
_APART = frozenset({Meaning.APART})

End = tuple[Placeable, Task]


def marks_of_alternatives(facts: Facts) -> Iterator[Action]:
    """Yield the marks at which enough of several alternatives are there."""
    items = items_by_name(facts)
    found: dict[str, int] = {}
    for link in facts.links.in_order:
        name = _alternative(link, items.get(link.first))
        if name:
            found[name] = _minimum(items.get(link.first))
    for name, minimum in found.items():
        yield Action((name, ""), Task.ONE_OR_MORE, name, is_pseudo=True, minimum=minimum)


def _minimum(first: Placeable | None) -> int:
    return max(1, first.minimum) if isinstance(first, CloneInstance) else 1


def _alternative(link: InOrder, first: Placeable | None) -> str:
    """Name the mark that stands for enough copies of a clone, or for one of a set, or ""."""
    if link.alternative.startswith("one-or-more:"):
        return link.alternative
    if not isinstance(first, CloneInstance):
        return ""
    if link.alternative or (first.minimum > 0 and not link.is_in_set):
        return f"clone-one-or-more:{link.constraint}"
    return ""


def declared_statements(facts: Facts) -> Iterator[Statement]:
    """Yield what all order constraints and mandatory anti-colocations state."""
    items = items_by_name(facts)
    for together in facts.links.together:
        if together.score <= MINUS_INFINITY:
            yield from _apart(items, together)
    for link in facts.links.in_order:
        first, then = items.get(link.first), items.get(link.then)
        first_task, then_task = _TASKS.get(link.first_action), _TASKS.get(link.then_action)
        if first is None or then is None or first_task is None or then_task is None:
            continue
        yield from _forwards(link, (first, first_task), (then, then_task))
        if link.symmetrical and link.kind is not OrderKind.SERIALIZE:
            yield Statement(
                Every(then.id, _OPPOSITES[then_task]),
                Every(first.id, _OPPOSITES[first_task]),
                _INVERSE if link.kind is OrderKind.MANDATORY else PLAIN,
                link.constraint,
            )


def _forwards(link: InOrder, first: End, then: End) -> Iterator[Statement]:
    meanings = _meanings(link, first[1])
    later = Every(then[0].id, then[1])
    name = _alternative(link, first[0])
    if not name:
        yield Statement(Every(first[0].id, first[1]), later, meanings, link.constraint)
        return
    mark = (name, "")
    is_of_copies = not link.alternative.startswith("one-or-more:")
    firsts = first[0].copies if is_of_copies and isinstance(first[0], CloneInstance) else ()
    for one in firsts or (first[0],):
        yield Statement(Every(one.id, first[1]), mark, _ALTERNATIVE, link.constraint)
    yield Statement(mark, later, meanings | {Meaning.BLOCKS}, link.constraint)


def _meanings(link: InOrder, first: Task) -> frozenset[Meaning]:
    match link.kind:
        case OrderKind.SERIALIZE:
            return PLAIN | {Meaning.SERIALIZED}
        case OrderKind.MANDATORY if not link.symmetrical:
            return PLAIN | {Meaning.ONE_WAY}
        case OrderKind.MANDATORY:
            blocks = {Meaning.BLOCKS} if first in _RISING else set()
            return PLAIN | {Meaning.NEED_SPREADS} | blocks
        case _:
            return PLAIN


def _apart(items: dict[str, Placeable], link: Together) -> Iterator[Statement]:
    """Let one of two that must not meet leave its role before the other takes its own."""
    one, other = items.get(link.dependent), items.get(link.primary)
    if one is None or other is None:
        return
    ends = (one, link.dependent_role), (other, link.primary_role)
    for (first, first_role), (then, then_role) in (ends, ends[::-1]):
        for leaving in _leaving(first_role):
            for taking in _taking(then_role):
                yield Statement(
                    Every(first.id, leaving), Every(then.id, taking), _APART, link.constraint
                )


def _leaving(role: Role | None) -> tuple[Task, ...]:
    match role:
        case Role.PROMOTED:
            return (Task.DEMOTE,)
        case Role.UNPROMOTED:
            return (Task.STOP, Task.PROMOTE)
        case _:
            return (Task.STOP,)


def _taking(role: Role | None) -> tuple[Task, ...]:
    match role:
        case Role.PROMOTED:
            return (Task.PROMOTE,)
        case Role.UNPROMOTED:
            return (Task.START, Task.DEMOTE)
        case _:
            return (Task.START,)
