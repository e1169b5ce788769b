"""The third of the five values: all that might have to be done, needed or not.

An action that is not needed takes part in orderings all the same: something that waits for it may
make it needed. `needed` and `runnable` here are what the action's own resource says; the next
stage settles them over all orderings.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

import msgspec

from pengine.facts.instances import Instance
from pengine.facts.operations import OperationFacts


class Task(enum.Enum):
    """What an action does. RUNNING and STOPPED mark that a whole group or clone has."""

    START = "start"
    STOP = "stop"
    PROMOTE = "promote"
    DEMOTE = "demote"
    RUNNING = "running"
    STOPPED = "stopped"
    PROMOTED = "promoted"
    DEMOTED = "demoted"
    NOTIFY = "notify"
    LOAD_STOPPED = "load_stopped"
    MONITOR = "monitor"
    MIGRATE_TO = "migrate_to"
    MIGRATE_FROM = "migrate_from"
    CANCEL = "cancel"
    RELOAD = "reload-agent"
    DELETE = "delete"
    ONE_OR_MORE = "one-or-more"
    CLEAR_FAIL_COUNT = "clear_failcount"
    SHUTDOWN = "do_shutdown"
    FENCE = "stonith"
    FORGET = "lrm_delete"

    __hash__ = object.__hash__
    """Tasks are looked up by the hundred thousand, and never listed in the order of a set."""


ENDS = {
    Task.START: Task.RUNNING,
    Task.STOP: Task.STOPPED,
    Task.PROMOTE: Task.PROMOTED,
    Task.DEMOTE: Task.DEMOTED,
}
"""The mark at which a step of a group or clone is over, by the step."""

ActionId = tuple[str, str]
"""Key and node: an action exists once per node. Cancels have a key of their own."""


class Action(msgspec.Struct, frozen=True):
    """One possible action. `owner` is the item it belongs to, "" for a node's own actions.

    `reasons` are in the words of the summary ("node shutdown"), the first is the deciding one.
    """

    id: ActionId
    task: Task
    owner: str
    node: str = ""
    interval_ms: int = 0
    instance: Instance | None = None
    operation: OperationFacts | None = None
    expected_rc: int | None = None
    call_id: int | None = None
    history_name: str = ""
    is_pseudo: bool = False
    migration: tuple[str, str] | None = None
    """Source and target, of an action that is part of a live migration while that is possible."""
    needed: bool = False
    runnable: bool = True
    fencing_action: str = ""
    """Reboot, off or on, of a fencing."""
    delay_s: int = 0
    digests: tuple[str, ...] = ()
    """What a fencing says of the devices that turn nodes on: id, agent, digest."""
    open_digests: tuple[str, ...] = ()
    """The same, of the parameters that are no secrets."""
    is_tidying: bool = False
    """Set for a stop where the instance has left already: nothing restarts for it."""
    is_left: bool = False
    """Set for a recurring operation where its resource is to go: only what takes it along, as a
    connection that restarts does, makes it needed."""
    is_shown: bool = False
    """Set where the action is in the graph although it is not needed."""
    is_movable: bool = False
    """Set on the stop of a clone of which no copy restarts: what stands on it may migrate."""
    about: Task | None = None
    """Of a notice and its marks: the step copies are told of, or (of a mark) the end of it.

    Of a cancel: the change of role that it comes before.
    """
    told_at: str = ""
    """Of a notice: the key of the mark that sets it off."""
    is_told: bool = False
    """Set on the mark at which all copies have been told."""
    shown_as: str = ""
    """What the graph names the action by, in place of its own task; "" for most."""
    minimum: int = 0
    """How many of its firsts a mark of alternatives needs."""
    reasons: tuple[str, ...] = ()

    @property
    def is_probe(self) -> bool:
        """Tell whether this is a one-time look at the state."""
        return self.task is Task.MONITOR and self.interval_ms == 0

    @property
    def key(self) -> str:
        """The operation key, under the name the history uses, without the mark of a cancel."""
        key = self.id[0].removeprefix("cancel ")
        if self.shown_as:
            key = f"{self.owner}_{self.shown_as}_0"
        if self.instance is None or not self.history_name:
            return key
        return self.history_name + key.removeprefix(self.instance.id)


class Actions(msgspec.Struct, frozen=True):
    """All actions by id, in the order they came up."""

    by_id: Mapping[ActionId, Action]
    by_owner: Mapping[str, tuple[Action, ...]] = msgspec.field(default_factory=dict)
    afresh: tuple[tuple[str, str], ...] = ()
    """Containers that stop, with items that are not looked for in their guest because of that."""

    def __iter__(self) -> Iterator[Action]:
        return iter(self.by_id.values())

    def of(self, owner: str, task: Task) -> tuple[Action, ...]:
        """List an owner's actions with one task; for MONITOR the recurring ones only."""
        return tuple(a for a in self.by_owner.get(owner, ()) if a.task is task and not a.is_probe)

    def probes(self, owner: str) -> tuple[Action, ...]:
        """List an owner's probes."""
        return tuple(a for a in self.by_owner.get(owner, ()) if a.is_probe)
