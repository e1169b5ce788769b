"""Whether the children still work: each is asked for signs of life over its bus connection.

Responsible for asking and for the verdict "hung". Not for what follows from it (`children` kills
and starts again), nor for carrying questions (the bus).

Theory of operation. Every `PAUSE_S` all children are asked; a living event loop answers at once,
whatever the child is busy with, because nothing on a loop may block for more than 20 ms. A child
that has answered none of `MAX_UNANSWERED` questions in a row is hung: it is stopped, stuck in a
loop of its own, or waits for something that does not come.

What is counted is questions, not seconds: a question is asked only while we run ourselves, and
the next one a pause later. So a computer that sleeps, or starves all its processes, costs a child
one unanswered question at most, and no child is killed for the parent's own absence. A busy child
on a busy computer is safe: it would have to get no turn at all for `MAX_UNANSWERED * PAUSE_S`
(15 s, 750 times what a loop may block) while its parent, of the same priority, gets its turns.
The sum stays well below the 30 s for which a silent daemon is not yet a dead node (decision
0041), so that no resource moves while the child is replaced.

The policy engine alone does its work on its loop, one plan at a time, seconds of it for very large
clusters; it has `MAX_UNANSWERED_IN_WORK` (2 minutes). Nothing moves while it is silent either:
without a plan there are no actions.

A child that has not been on the bus yet is starting; that may take `MAX_UNANSWERED_AT_START`
questions. One that lost its connection is asked in vain, which counts.

Source: docs/protocol/links.md, "Children".
"""

from __future__ import annotations

from dataclasses import dataclass

from crm.plumbing.machine import AskAlive

PAUSE_S = 3.0
MAX_UNANSWERED = 5
MAX_UNANSWERED_IN_WORK = 40
MAX_UNANSWERED_AT_START = 20


@dataclass(frozen=True, slots=True)
class Hung:
    """This child has given no sign of life for too long."""

    name: str
    unanswered: int


Effect = AskAlive | Hung


@dataclass
class _Life:
    pid: int
    patience: int
    has_been_heard: bool = False
    unanswered: int = 0

    @property
    def is_hung(self) -> bool:
        most = self.patience if self.has_been_heard else MAX_UNANSWERED_AT_START
        return self.unanswered >= most


class Pulse:
    """The machine that asks the children."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}  # child name → its present process
        self._callers: dict[str, int] = {}  # bus name → pid
        self._ask_due: float | None = None

    def watch(self, name: str, pid: int, now: float, *, patience: int = MAX_UNANSWERED) -> None:
        """Begin to ask a child that has just been started.

        Units: `patience` counts unanswered questions, `PAUSE_S` apart.
        """
        is_known = pid in self._callers.values()
        self._lives[name] = _Life(pid, patience, has_been_heard=is_known)
        if self._ask_due is None:
            self._ask_due = now + PAUSE_S

    def unwatch(self, name: str) -> None:
        """Ask a child no more: it has ended."""
        self._lives.pop(name, None)
        if not self._lives:
            self._ask_due = None

    def connect(self, peer: str, pid: int) -> None:
        """Note that a process is on the bus now; whoever greets is alive."""
        self._callers[peer] = pid
        self.hear(peer)

    def disconnect(self, peer: str) -> None:
        """Note that a process is no longer on the bus."""
        self._callers.pop(peer, None)

    def hear(self, peer: str) -> None:
        """Take in a sign of life."""
        for life in self._lives.values():
            if life.pid == self._callers.get(peer):
                life.has_been_heard = True
                life.unanswered = 0

    def tick(self, now: float) -> list[Effect]:
        """Judge by the questions so far, and ask all again."""
        if self._ask_due is None or now < self._ask_due:
            return []
        self._ask_due = now + PAUSE_S
        peers = {pid: peer for peer, pid in self._callers.items()}
        effects: list[Effect] = []
        for name, life in self._lives.items():
            if life.is_hung:
                effects.append(Hung(name, life.unanswered))
                life.unanswered = 0
            life.unanswered += 1
            if life.pid in peers:
                effects.append(AskAlive(peers[life.pid]))
        return effects

    def next_deadline(self) -> float | None:
        """When to ask again; None while there is nobody to ask."""
        return self._ask_due
