"""The programs that run while this node is active: when they start, start again, and stop.

Responsible for their order and for the respawn rule. Not responsible for making processes
(`daemon` does, through the nursery).

Theory of operation. All start in the order of the list once the node is active. One that ends with
code 100 stays ended, and if the node cannot work without it, the node leaves. Any other end is
mended: at once after a run of `SHORT_RUN_S`, else after `PAUSE_S`; after more than
`MAX_SHORT_RUNS` short runs in a row it is given up, and if the node cannot work without it, the
node leaves. Those that are on the bus are asked for signs of life (`pulse`); a hung one is
killed, and then mended like any that ended. To stop, one after the other gets SIGTERM and is
waited for: the controller first, because it moves its resources and needs all others for that,
then the rest in reverse order. What does not end in time is killed, and one that the node cannot
work without and that does not end by itself with code 0 may have left work undone: a controller
that was killed has not moved its resources, so the end is then not said to be in order.

Source: docs/protocol/links.md, "Children"; Heartbeat's respawn rule.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from crm.plumbing.machine import AskAlive, Note, error, info
from messaging import pulse

EXIT_DO_NOT_RESPAWN = 100
SHORT_RUN_S = 30.0
PAUSE_S = 1.0
MAX_SHORT_RUNS = 10
STOP_LIMIT_S = 1200.0
KILL_LIMIT_S = 10.0
FIRST_TO_STOP = "crmd"


@dataclass(frozen=True)
class ChildPlan:
    """A program to keep running. `title` is what the log calls it.

    One that `is_on_bus` is a daemon of ours, which is attached to heartbeat's end of the bus and
    gives signs of life there; of any other program nobody can tell. `patience` is the number of
    unanswered questions after which it is hung.
    """

    name: str
    title: str
    is_vital: bool = False
    is_failfast: bool = False
    is_on_bus: bool = False
    patience: int = pulse.MAX_UNANSWERED


# --- events -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """A child runs."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """A child (or the attempt to start it) ended, with a code or by a signal (else 0)."""

    name: str
    code: int
    signal: int = 0


@dataclass(frozen=True, slots=True)
class ProcessAttached:
    """A process of ours is on the bus, under the name `peer`."""

    peer: str
    pid: int


@dataclass(frozen=True, slots=True)
class ProcessHeard:
    """The process of that name on the bus has given a sign of life."""

    peer: str


@dataclass(frozen=True, slots=True)
class ProcessDetached:
    """The process of that name is no longer on the bus."""

    peer: str


Event = ChildStarted | ChildEnded | ProcessAttached | ProcessHeard | ProcessDetached

# --- effects ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start this child; answered by `ChildStarted` or `ChildEnded`."""

    name: str


@dataclass(frozen=True, slots=True)
class SignalChild:
    """Send a signal to this child and to what it started in its process group."""

    name: str
    signal: int


@dataclass(frozen=True, slots=True)
class ChildrenGone:
    """Every child has ended; `in_order` if each that is vital did what it was asked to before."""

    in_order: bool = True


@dataclass(frozen=True, slots=True)
class VitalChildFailed:
    """A child this node cannot work without stays down: the node has to leave."""

    name: str


Effect = StartChild | SignalChild | AskAlive | ChildrenGone | VitalChildFailed | Note


@dataclass
class _Child:
    plan: ChildPlan
    pid: int = 0
    has_run: bool = False
    is_wanted: bool = False
    is_running: bool = False
    started_at: float = 0.0
    start_due: float | None = None
    short_runs: int = 0


class Children:
    """The machine that keeps the children running."""

    def __init__(self, plans: Sequence[ChildPlan]) -> None:
        self._children = {plan.name: _Child(plan) for plan in plans}
        self._stopping: list[str] | None = None
        self._kill_due: float | None = None
        self._was_killed = False
        self._in_order = True
        self._pulse = pulse.Pulse()

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the running children, by name."""
        return {name: child.pid for name, child in self._children.items() if child.pid}

    def start(self, now: float) -> list[Effect]:
        """Start all, in order."""
        effects: list[Effect] = []
        if self._stopping is not None:
            return effects
        for child in self._children.values():
            child.is_wanted = True
            if not child.is_running:
                effects += self._start(child, now)
        return effects

    def stop(self, now: float) -> list[Effect]:
        """Stop all, one after the other."""
        if self._stopping is not None:
            return []
        names = [name for name in reversed(self._children) if name != FIRST_TO_STOP]
        if FIRST_TO_STOP in self._children:
            names.insert(0, FIRST_TO_STOP)
        for child in self._children.values():
            if child.plan.is_vital and child.start_due is not None:
                self._in_order = False  # it ended by itself and can be asked for nothing
            child.is_wanted = False
            child.start_due = None
        self._stopping = names
        self._kill_due = now + STOP_LIMIT_S
        return self._stop_next()

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in what became of a child."""
        match event:
            case ProcessAttached(peer, pid):
                self._pulse.connect(peer, pid)
            case ProcessHeard(peer):
                self._pulse.hear(peer)
            case ProcessDetached(peer):
                self._pulse.disconnect(peer)
            case ChildStarted(name, pid) if name in self._children:
                child = self._children[name]
                child.pid, child.has_run = pid, True
                if child.plan.is_on_bus:
                    self._pulse.watch(name, pid, now, patience=child.plan.patience)
            case ChildEnded(name) if name in self._children:
                return self._take_end(self._children[name], event, now)
        return []

    def _take_end(self, child: _Child, event: ChildEnded, now: float) -> list[Effect]:
        was_short = now - child.started_at < SHORT_RUN_S
        self._pulse.unwatch(child.plan.name)
        child.pid = 0
        child.is_running = False
        if self._stopping is not None:
            has_failed = child.has_run and (event.code or event.signal)
            if not child.plan.is_vital or not has_failed:
                return self._stop_next()
            self._in_order = False
            text = f'Client "{child.plan.title}" {_how(event)} while it stopped'
            return [error("heartbeat", text), *self._stop_next()]
        return self._mend(child, event, was_short, now)

    def _mend(self, child: _Child, event: ChildEnded, was_short: bool, now: float) -> list[Effect]:
        title = child.plan.title
        how = _how(event)
        if event.code == EXIT_DO_NOT_RESPAWN and not event.signal:
            child.is_wanted = False
            note = info("heartbeat", f'Client "{title}" {how}: exit and do not respawn')
            failed = [VitalChildFailed(child.plan.name)] if child.plan.is_vital else []
            return [note, *failed]
        if child.plan.is_failfast and (event.code or event.signal):
            child.is_wanted = False
            return [
                error("heartbeat", f'Failfast client "{title}" {how}'),
                VitalChildFailed(child.plan.name),
            ]
        child.short_runs = child.short_runs + 1 if was_short else 0
        if child.short_runs > MAX_SHORT_RUNS:
            child.is_wanted = False
            effects: list[Effect] = [
                error("heartbeat", f'Client "{title}" respawning too fast ({how})')
            ]
            if child.plan.is_vital:
                effects.append(VitalChildFailed(child.plan.name))
            return effects
        note = error("heartbeat", f'Respawning client "{title}": ({how})')
        if not was_short:
            return [note, *self._start(child, now)]
        child.start_due = now + PAUSE_S
        return [note]

    def _start(self, child: _Child, now: float) -> list[Effect]:
        child.is_running = True
        child.started_at = now
        child.start_due = None
        return [
            info("heartbeat", f'Starting child client "{child.plan.title}"'),
            StartChild(child.plan.name),
        ]

    def _stop_next(self) -> list[Effect]:
        """Signal the next that still runs; say so when none is left."""
        assert self._stopping is not None
        while self._stopping and not self._children[self._stopping[0]].is_running:
            self._stopping.pop(0)
        if not self._stopping:
            self._kill_due = None
            return [ChildrenGone(self._in_order and not self._was_killed)]
        child = self._children[self._stopping[0]]
        number = int(signal.SIGKILL if self._was_killed else signal.SIGTERM)
        return [
            info("heartbeat", f"killing {child.plan.title} process group {child.pid}"),
            SignalChild(child.plan.name, number),
        ]

    def tick(self, now: float) -> list[Effect]:
        """Start what has paused long enough; kill what does not end."""
        effects: list[Effect] = []
        for child in self._children.values():
            if child.start_due is not None and now >= child.start_due:
                effects += self._start(child, now)
        if self._kill_due is not None and now >= self._kill_due:
            self._kill_due = now + KILL_LIMIT_S
            self._was_killed = True
            effects.append(error("heartbeat", "the children do not end: killing all of them"))
            effects += [
                SignalChild(name, int(signal.SIGKILL))
                for name, child in self._children.items()
                if child.is_running
            ]
        for finding in self._pulse.tick(now):
            effects += self._kill_hung(finding) if isinstance(finding, pulse.Hung) else [finding]
        return effects

    def _kill_hung(self, hung: pulse.Hung) -> list[Effect]:
        """End a process that does nothing any more; SIGKILL alone reaches a stopped one."""
        child = self._children[hung.name]
        silent_s = hung.unanswered * pulse.PAUSE_S
        text = (
            f'Client "{child.plan.title}" (pid {child.pid}) has given no sign of life for'
            f" {silent_s:.0f} s: killing it"
        )
        return [error("heartbeat", text), SignalChild(hung.name, int(signal.SIGKILL))]

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        soonest = self._pulse.next_deadline()
        for due in (self._kill_due, *(child.start_due for child in self._children.values())):
            if due is not None and (soonest is None or due < soonest):
                soonest = due
        return soonest


def _how(event: ChildEnded) -> str:
    return f"killed by signal {event.signal}" if event.signal else f"exited with {event.code}"
