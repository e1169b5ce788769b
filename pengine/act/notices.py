"""The marks around which the copies of a clone are told what is about to happen, or has happened.

With notify=true every start, stop, promotion and demotion of a clone is framed: *pre* before it
begins, *post* after it has ended, each confirmed when all copies have been told. Which copies are
told depends on what is needed in the end (`pengine.order.notices`).
"""

from __future__ import annotations

from collections.abc import Iterator

from pengine.act.actions import Action, ActionId, Actions, Task
from pengine.act.builder import Builder
from pengine.facts.instances import CloneInstance

PAIRS = (
    (Task.START, Task.RUNNING),
    (Task.STOP, Task.STOPPED),
    (Task.PROMOTE, Task.PROMOTED),
    (Task.DEMOTE, Task.DEMOTED),
)


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


def marks_of(clone: str, begin: Task, end: Task) -> tuple[ActionId, ...]:
    """List the marks around one step, in the order in which they are passed."""
    return (
        pre(clone, begin),
        told_before(clone, begin),
        post(clone, end),
        told_after(clone, end),
    )


def add_notice_marks(builder: Builder, clone: CloneInstance, begin: Task, end: Task) -> None:
    """Add the marks around one step of a clone that wants to be told."""
    if not clone.notifies:
        return
    needed = builder.actions[f"{clone.id}_{begin.value}_0", ""].needed
    for key in marks_of(clone.id, begin, end):
        builder.add(Action(key, Task.NOTIFY, clone.id, is_pseudo=True, needed=needed))


def framed(actions: Actions, clone: str) -> Iterator[tuple[Task, Task]]:
    """Yield the steps of a clone that have marks around them."""
    for begin, end in PAIRS:
        if pre(clone, begin) in actions.by_id:
            yield begin, end
