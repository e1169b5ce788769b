"""Writes down on paper what an operation leaves behind: entries of a history, and a fail count.

Entries have the ids the executor gives them, because a new one takes the place of the old one of
the same id and of no other: the last one-time operation of a resource is one entry, each recurring
operation has its own, and the last failure is kept beside them.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from crm.model.names import operation_key
from crm.model.outcomes import OperationStatus
from crm.model.resources import AttributeSet
from crm.model.status import HistoryEntry, NodeState, ResourceHistory
from pengine.facts.failures import parse_count

NOBODY = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
"""Who asked for what happened on paper only."""

_AS_STARTED = frozenset({"reload", "reload-agent"})


class Ended(msgspec.Struct, frozen=True):
    """An operation that ended. Units: interval in milliseconds, time in seconds since 1970."""

    task: str
    interval_ms: int
    exit_code: int
    expected_rc: int
    at_s: int
    digest: str = ""
    identity: str = ""
    """The id of its entry, of what has one of its own: what a copy was told."""
    migrate_source: str = ""
    migrate_target: str = ""


def write_down(state: NodeState, history: ResourceHistory, ended: Ended) -> NodeState:
    """Put an operation into a history of a node; the history may be a new one.

    Where a node has several histories of one name, none of them is written to.
    """
    call = 1 + max((entry.call_id for entry in history.entries), default=0)
    task = "start" if ended.task in _AS_STARTED else ended.task
    key = f"{call}:-1:{ended.expected_rc}:{NOBODY}"
    entries = {entry.id: entry for entry in history.entries}
    for identity in _identities(history.id, task, ended):
        entries[identity] = HistoryEntry(
            id=identity,
            operation=task,
            interval_ms=ended.interval_ms,
            call_id=call,
            exit_code=ended.exit_code,
            status=OperationStatus.DONE,
            target_rc=ended.expected_rc,
            transition_key=key,
            transition_magic=f"{int(OperationStatus.DONE)}:{ended.exit_code};{key}",
            digest=ended.digest,
            last_change_s=ended.at_s,
            migrate_source=ended.migrate_source,
            migrate_target=ended.migrate_target,
        )
    changed = replace(history, entries=tuple(entries.values()))
    known = [each for each in state.history if each.id == history.id]
    if len(known) != 1:
        return replace(state, history=(*state.history, changed))
    histories = tuple(changed if each is known[0] else each for each in state.history)
    return replace(state, history=histories)


def _identities(resource: str, task: str, ended: Ended) -> Iterator[str]:
    """Name the entries an operation is written to."""
    if ended.identity:
        yield ended.identity
    elif task in ("migrate_to", "migrate_from"):
        # Both ends are needed to understand a migration, so nothing may cover it.
        yield operation_key(resource, task, 0)
    elif ended.exit_code != ended.expected_rc:
        yield f"{resource}_last_failure_0"
        if ended.interval_ms == 0:
            yield f"{resource}_last_0"
    elif ended.interval_ms > 0:
        yield operation_key(resource, task, ended.interval_ms)
    else:
        yield f"{resource}_last_0"


def count_failure(
    state: NodeState, resource: str, ended: Ended
) -> tuple[NodeState, tuple[str, ...]]:
    """Count a failure; gives the state and what was set.

    What was not to be found running did not fail, and neither did what went well.
    """
    is_absent = ended.exit_code == 7 and ended.interval_ms == 0
    if ended.exit_code == 0 or is_absent:
        return state, ()
    about = f"{resource}#{ended.task}_{ended.interval_ms}"
    count, when = f"fail-count-{about}", f"last-failure-{about}"
    values = {name: value for item in state.attributes for name, value in item.values}
    total = parse_count(values.get(count, "0")) + 1
    first = state.attributes[0] if state.attributes else AttributeSet(f"status-{state.id}", ())
    kept = tuple(pair for pair in first.values if pair[0] not in (count, when))
    first = replace(first, values=(*kept, (count, str(int(total))), (when, str(ended.at_s))))
    return replace(state, attributes=(first, *state.attributes[1:])), (
        f"Injecting attribute {count}=value++ into /node_state '{state.id}'",
        f"Injecting attribute {when}={ended.at_s} into /node_state '{state.id}'",
    )
