"""What follows from what things are: stop before start, groups in line, marks around their parts.

Source: docs/scheduler/ordering.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from pengine.act.actions import Task
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Replica,
    is_promotable,
)
from pengine.order.plan import PLAIN, Every, Meaning, Statement
from pengine.place.listing import Listing

_BLOCKS = frozenset({Meaning.BLOCKS})
_SHOWS_FIRST = frozenset({Meaning.SHOWS_FIRST})
_SHOWS_THEN = frozenset({Meaning.SHOWS_THEN})
_UP = frozenset({Meaning.NEED_SPREADS, Meaning.BLOCKS})
_DOWN = frozenset({Meaning.NEED_PULLS})
_ROOM = frozenset({Meaning.ROOM})


def implied_statements(facts: Facts, listing: Listing) -> Iterator[Statement]:
    """Yield all that no constraint has to state."""
    names = {item.id for item in facts.items}
    for item in listing.items():
        if isinstance(item, Instance) and item.is_removed and item.id in names:
            continue  # A clone bears the name now (case obsolete-lrm-resource).
        if isinstance(item, CloneInstance):
            yield from _of_clone(facts, listing, item, promotable=is_promotable(item))
        elif isinstance(item, BundleInstance):
            yield from _of_bundle(facts, listing, item)
        else:
            yield from _of_part(facts, item, promotable=is_promotable(item))


def _state(
    first: str, first_task: Task, then: str, then_task: Task, meanings: frozenset[Meaning]
) -> Statement:
    source = first if len(first) >= len(then) else then
    return Statement(Every(first, first_task), Every(then, then_task), meanings, source)


def _of_part(
    facts: Facts, item: Instance | GroupInstance, *, promotable: bool
) -> Iterator[Statement]:
    match item:
        case Instance():
            yield from _of_instance(facts, item, promotable=promotable)
        case GroupInstance():
            yield from _of_group(facts, item, promotable=promotable)


def _of_instance(facts: Facts, instance: Instance, *, promotable: bool) -> Iterator[Statement]:
    if not facts.is_managed(instance):
        return
    me = instance.id
    restart = PLAIN | {Meaning.NEED_SPREADS, Meaning.RESTART}
    yield _state(me, Task.STOP, me, Task.START, restart)
    if promotable or facts.activity[me].is_promoted:
        pulls = frozenset({Meaning.NEED_PULLS_PROMOTED})
        yield _state(me, Task.DEMOTE, me, Task.STOP, pulls)
        yield _state(me, Task.START, me, Task.PROMOTE, _BLOCKS)
    if facts.utilization.needs.get(me):
        yield from _room(facts, me)


def _room(facts: Facts, me: str) -> Iterator[Statement]:
    """Let what leaves a node make room before anything that needs room comes there."""
    for name in facts.activity[me].nodes:
        yield Statement(Every(me, Task.STOP), _load_mark(name), _ROOM, "room on the node")
    for node in facts.nodes:
        for task in (Task.START, Task.MIGRATE_TO):
            yield Statement(_load_mark(node.name), Every(me, task), _ROOM, "room on the node")


def _load_mark(node: str) -> tuple[str, str]:
    return (f"load_stopped_{node}", "")


_BACK = frozenset({Meaning.NEED_PULLS, Meaning.BLOCKS})
_NO = frozenset({"false", "no", "off", "n", "0"})
"""An old attribute of groups: members that start and stop in any sequence."""

# --- groups -----------------------------------------------------------------------------------


def _of_group(facts: Facts, group: GroupInstance, *, promotable: bool) -> Iterator[Statement]:
    me = group.id
    yield _state(me, Task.STOP, me, Task.STOPPED, _BLOCKS)
    yield _state(me, Task.STOPPED, me, Task.START, PLAIN)
    yield _state(me, Task.START, me, Task.RUNNING, _BLOCKS)
    before: Instance | None = None
    last_active: Instance | None = None
    in_line = group.meta.pairs.get("ordered", "true").lower() not in _NO
    for member in group.members:
        yield from _of_instance(facts, member, promotable=promotable)
        leads = in_line and before is None
        yield from _member(me, member.id, is_first=leads, promotable=promotable)
        if not in_line:
            continue
        if before is not None:
            yield from _chain(before.id, member.id, promotable=promotable)
        if facts.activity[member.id].nodes:
            leaves_a_gap = before is not None and not facts.activity[before.id].nodes
            if before is not None and leaves_a_gap:
                # Down first, then up in line (case unmanaged-block-restart).
                yield _state(member.id, Task.STOP, before.id, Task.START, _BACK)
            if leaves_a_gap and last_active is not None:
                # A group that is only partly active goes down in sequence all the same.
                yield _state(member.id, Task.STOP, last_active.id, Task.STOP, PLAIN)
            last_active = member
        before = member


def _member(group: str, member: str, *, is_first: bool, promotable: bool) -> Iterator[Statement]:
    """Put a member between the marks of its group."""
    # Only the first member, which goes last, takes the mark down with it.
    down = PLAIN | _SHOWS_FIRST if is_first else _SHOWS_FIRST
    gone = frozenset({Meaning.NEED_SPREADS}) if is_first else _SHOWS_THEN
    up = _UP | _SHOWS_THEN
    if promotable:
        yield _state(group, Task.DEMOTE, member, Task.DEMOTE, down)
        yield _state(member, Task.DEMOTE, group, Task.DEMOTED, gone)
        yield _state(member, Task.PROMOTE, group, Task.PROMOTED, up)
        yield _state(group, Task.PROMOTE, member, Task.PROMOTE, _SHOWS_FIRST)
    yield _state(group, Task.STOP, member, Task.STOP, down)
    yield _state(member, Task.STOP, group, Task.STOPPED, gone)
    yield _state(group, Task.START, member, Task.START, _SHOWS_FIRST)
    yield _state(member, Task.START, group, Task.RUNNING, up)


def _chain(before: str, after: str, *, promotable: bool) -> Iterator[Statement]:
    """Start members in order, stop them in reverse."""
    yield _state(before, Task.START, after, Task.START, _UP)
    yield _state(after, Task.STOP, before, Task.STOP, PLAIN | {Meaning.RESTART})
    if promotable:
        yield _state(before, Task.PROMOTE, after, Task.PROMOTE, _UP)
        yield _state(after, Task.DEMOTE, before, Task.DEMOTE, PLAIN)


# --- clones -----------------------------------------------------------------------------------


def _of_clone(
    facts: Facts, listing: Listing, clone: CloneInstance, *, promotable: bool
) -> Iterator[Statement]:
    me = clone.id
    yield _state(me, Task.STOPPED, me, Task.START, PLAIN)
    yield _state(me, Task.START, me, Task.RUNNING, _BLOCKS)
    yield _state(me, Task.STOP, me, Task.STOPPED, _BLOCKS)
    if promotable:
        yield _state(me, Task.DEMOTED, me, Task.STOP, PLAIN)
        yield _state(me, Task.RUNNING, me, Task.PROMOTE, _BLOCKS)
    copies = listing.copies(clone)
    if clone.is_ordered:
        copies = tuple(sorted(copies, key=_number))
    for index, copy in enumerate(copies):
        # Copies of an ordered clone start by number, each after all before it (case inc4).
        earlier = copies[:index] if clone.is_ordered else ()
        yield from _of_part(facts, copy, promotable=promotable)
        yield _state(me, Task.START, copy.id, Task.START, _BLOCKS | _SHOWS_FIRST)
        yield _state(copy.id, Task.START, me, Task.RUNNING, _SHOWS_THEN)
        for before in earlier:
            yield _state(before.id, Task.START, copy.id, Task.START, PLAIN)
        yield _state(me, Task.STOP, copy.id, Task.STOP, _SHOWS_FIRST)
        yield _state(copy.id, Task.STOP, me, Task.STOPPED, _SHOWS_THEN)
        for before in earlier:
            yield _state(copy.id, Task.STOP, before.id, Task.STOP, PLAIN)
    if promotable:
        yield from _roles(clone, copies)


def _number(copy: Instance | GroupInstance) -> int:
    return copy.number or 0


def _between_roles(me: str) -> Iterator[Statement]:
    """Let a clone or bundle demote before it stops, and promote when all else is done."""
    yield _state(me, Task.STOPPED, me, Task.START, PLAIN)
    yield _state(me, Task.STOPPED, me, Task.PROMOTE, PLAIN)
    for then in (Task.STOP, Task.START, Task.PROMOTE):
        yield _state(me, Task.DEMOTED, me, then, PLAIN)
    yield _state(me, Task.RUNNING, me, Task.PROMOTE, PLAIN)
    yield _state(me, Task.DEMOTE, me, Task.DEMOTED, PLAIN)


def _roles(
    clone: CloneInstance, copies: tuple[Instance | GroupInstance, ...]
) -> Iterator[Statement]:
    """Put the changes of role of copies between the marks of their clone."""
    me = clone.id
    yield from _between_roles(me)
    before = ""
    for copy in copies:
        yield _state(copy.id, Task.DEMOTE, copy.id, Task.PROMOTE, PLAIN)
        yield _state(me, Task.PROMOTE, copy.id, Task.PROMOTE, PLAIN)
        yield _state(copy.id, Task.PROMOTE, me, Task.PROMOTED, PLAIN)
        if clone.is_ordered and before:
            yield _state(before, Task.PROMOTE, copy.id, Task.PROMOTE, PLAIN)
        yield _state(me, Task.DEMOTE, copy.id, Task.DEMOTE, _SHOWS_FIRST)
        yield _state(copy.id, Task.DEMOTE, me, Task.DEMOTED, _SHOWS_THEN)
        if clone.is_ordered and before:
            yield _state(copy.id, Task.DEMOTE, before, Task.DEMOTE, PLAIN)
        before = copy.id


# --- bundles ----------------------------------------------------------------------------------


def _of_bundle(facts: Facts, listing: Listing, bundle: BundleInstance) -> Iterator[Statement]:
    """Put containers, and the clone of what runs inside, between the marks of a bundle."""
    me = bundle.id
    for replica in bundle.replicas:
        yield from _of_replica(facts, me, replica)
    clone = bundle.clone
    if clone is None:
        return
    yield from _nested(me, clone.id, Task.START, Task.RUNNING)
    yield from _nested(me, clone.id, Task.STOP, Task.STOPPED)
    yield from _of_clone(facts, listing, clone, promotable=is_promotable(clone))
    if is_promotable(clone):
        yield from _between_roles(me)
        yield from _nested(me, clone.id, Task.DEMOTE, Task.DEMOTED)
        yield from _nested(me, clone.id, Task.PROMOTE, Task.PROMOTED)


def _nested(outer: str, inner: str, begin: Task, end: Task) -> Iterator[Statement]:
    yield _state(outer, begin, inner, begin, _SHOWS_FIRST)
    yield _state(inner, end, outer, end, _SHOWS_THEN)


def _of_replica(facts: Facts, bundle: str, replica: Replica) -> Iterator[Statement]:
    """Start an address, its container and the connection in this order, stop them in reverse.

    That the copy inside comes after the connection follows from where it runs.
    """
    container = replica.container.id
    yield from _of_instance(facts, replica.container, promotable=False)
    yield _state(bundle, Task.START, container, Task.START, _BLOCKS | _SHOWS_FIRST)
    if replica.copy is not None:
        yield _state(bundle, Task.STOP, replica.copy.id, Task.STOP, _SHOWS_FIRST)
    yield _state(bundle, Task.STOP, container, Task.STOP, _SHOWS_FIRST)
    yield _state(container, Task.START, bundle, Task.RUNNING, _SHOWS_THEN)
    yield _state(container, Task.STOP, bundle, Task.STOPPED, _SHOWS_THEN)
    if replica.address is not None:
        address = replica.address.id
        yield from _of_instance(facts, replica.address, promotable=False)
        yield _state(address, Task.START, container, Task.START, _BLOCKS | {Meaning.OWN})
        yield _state(container, Task.STOP, address, Task.STOP, _DOWN | {Meaning.OWN})
    if replica.connection is not None:
        connection = replica.connection.id
        yield from _of_instance(facts, replica.connection, promotable=False)
        yield _state(container, Task.START, connection, Task.START, _UP)
        yield _state(connection, Task.STOP, container, Task.STOP, _DOWN)
