"""The marks around which the copies of a clone are told what is about to happen, or has happened.

With notify=true every start, stop, promotion and demotion of a clone is framed: *pre* before it
begins, *post* after it has ended, each confirmed when all copies have been told. Which copies are
told depends on what is needed in the end (`pengine.order.notices`).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from pengine.act.actions import ENDS, Action, ActionId, Actions, Task
from pengine.act.builder import Builder
from pengine.facts.instances import CloneInstance


def pre(clone: str, begin: Task) -> ActionId:
    """Name the mark at which copies are told that something is about to begin."""
    return (f"{clone}_pre_notify_{begin.value}_0", "")


def told_before(clone: str, begin: Task) -> ActionId:
    """Name the mark at which all have been told before."""
    return (f"{clone}_confirmed-pre_notify_{begin.value}_0", "")


def post(clone: str, end: Task) -> ActionId:
    """Name the mark at which copies are told that something has ended."""
    return (f"{clone}_post_notify_{end.value}_0", "")


def told_after(clone: str, end: Task) -> ActionId:
    """Name the mark at which all have been told after."""
    return (f"{clone}_confirmed-post_notify_{end.value}_0", "")


def add_notice_marks(builder: Builder, clone: CloneInstance, begin: Task, end: Task) -> None:
    """Add the marks around one step of a clone that wants to be told."""
    if not clone.notifies:
        return
    first = builder.actions[f"{clone.id}_{begin.value}_0", ""]
    last = builder.actions[f"{clone.id}_{end.value}_0", ""]
    for about, of, keys in (
        (begin, first, (pre(clone.id, begin), told_before(clone.id, begin))),
        (end, last, (post(clone.id, end), told_after(clone.id, end))),
    ):
        for key in keys:
            mark = Action(key, Task.NOTIFY, clone.id, is_pseudo=True, needed=of.needed)
            is_told = key != keys[0]
            is_possible = about is begin or of.runnable
            builder.add(replace(mark, about=about, is_told=is_told, runnable=is_possible))


def framed(actions: Actions, clone: str) -> Iterator[tuple[Task, Task]]:
    """Yield the steps of a clone that have marks around them."""
    for begin, end in ENDS.items():
        if pre(clone, begin) in actions.by_id:
            yield begin, end
