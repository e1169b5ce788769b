"""Processes of one node: lives of machines, joined by the local bus.

A process is a machine with a timer. The bus joins diallers to servers by name, as the real one
does: `PeerConnected` on both sides when both live, messages first in, first out, `PeerLost` after
the last message when one of them ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from crm.api import attributes, cib, controller, fencing, lrm, membership, scheduler
from crm.plumbing.codec import Codec
from crm.plumbing.machine import (
    Exit,
    HangUp,
    Machine,
    MessageArrived,
    Note,
    PeerConnected,
    PeerLost,
    Tell,
)
from tests.sim.engine import Engine

SERVICES: Mapping[str, tuple[Codec, Codec]] = {
    "heartbeat": (membership.TO_HEARTBEAT, membership.TO_CLIENT),
    "cib": (cib.TO_CIB, cib.FROM_CIB),
    "lrmd": (lrm.TO_LRMD, lrm.FROM_LRMD),
    "attrd": (attributes.TO_ATTRD, attributes.FROM_ATTRD),
    "pengine": (scheduler.TO_PENGINE, scheduler.FROM_PENGINE),
    "crmd": (controller.TO_CRMD, controller.FROM_CRMD),
    "stonithd": (fencing.TO_STONITHD, fencing.FROM_STONITHD),
}

RECONNECT_S = 0.05

DIALS: Mapping[str, tuple[str, ...]] = {
    "heartbeat": (),
    "cib": ("heartbeat",),
    "attrd": ("heartbeat", "cib"),
    "crmd": ("heartbeat", "cib", "pengine", "lrmd", "attrd", "stonithd"),
    "stonithd": ("heartbeat", "cib"),
    "pengine": (),
    "lrmd": (),
    "mgmtd": ("heartbeat", "cib", "crmd", "attrd", "lrmd", "stonithd"),
}


class Process:
    """One life of one daemon."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        label: str,
        machine: Machine[Any, Any],
        clock: Callable[[], float],
    ) -> None:
        self.engine = engine
        self.name = name
        self.label = label
        self.machine = machine
        self.alive = True
        self.ended_at: float | None = None
        self.carry_out: Callable[[Any], None] = _nobody
        self.ended: Callable[[Process, int], None] = _nobody_ends
        self.bus: Bus | None = None
        self.watchers: list[Callable[[Process, Any], None]] = []
        self._clock = clock
        self._timer = 0
        self._due: float | None = None

    def receive(self, event: Any) -> None:
        """Hand an event to the machine and carry out what it answers, in order."""
        if not self.alive:
            return
        self.engine.remember(self.label, ">", event)
        self._carry(self.machine.receive(event, self._clock()))

    def end(self) -> None:
        """The process is gone; its machine is never called again."""
        if self.alive:
            self.ended_at = self.engine.now
        self.alive = False

    def _tick(self, timer: int) -> None:
        if not self.alive or timer != self._timer:
            return
        self._due = None
        self._carry(self.machine.tick(self._clock()))

    def _carry(self, effects: list[Any]) -> None:
        for effect in effects:
            if not self.alive:
                return
            match effect:
                case Note():
                    if self.engine.keeps_notes or effect.level > 20:
                        self.engine.remember(self.label, "#", f"{effect.entity}: {effect.text}")
                case Tell(peer, message):
                    self.engine.remember(self.label, "<", effect)
                    assert self.bus is not None
                    self.bus.tell(self, peer, message)
                case HangUp(peer):
                    self.engine.remember(self.label, "<", effect)
                    assert self.bus is not None
                    self.bus.hang_up(self, peer)
                case Exit(code):
                    self.engine.remember(self.label, "<", effect)
                    self.ended(self, code)
                case _:
                    self.engine.remember(self.label, "<", effect)
                    self.carry_out(effect)
            for watch in self.watchers:
                watch(self, effect)
        if self.alive:
            self._set_timer()

    def _set_timer(self) -> None:
        deadline = self.machine.next_deadline()
        if deadline == self._due:
            return
        self._timer += 1
        self._due = deadline
        if deadline is not None:
            delay_s = max(deadline - self._clock(), 0.0)
            # A little late, as a real timer is; never early.
            self.engine.after(delay_s + 0.0002, self._tick, self._timer)


class Bus:
    """The local bus of one life of one node."""

    def __init__(self, engine: Engine, node: str) -> None:
        self._engine = engine
        self._node = node
        self._processes: dict[str, Process] = {}
        self._links: dict[tuple[str, str], _Link] = {}

    def process(self, name: str) -> Process | None:
        """The living process of a name."""
        process = self._processes.get(name)
        return process if process is not None and process.alive else None

    def join(self, process: Process) -> None:
        """A process starts: it is connected to every living one it talks with."""
        process.bus = self
        self._processes[process.name] = process
        for other in list(self._processes.values()):
            if other is process or not other.alive:
                continue
            if other.name in DIALS.get(process.name, ()) and other.name in SERVICES:
                self._connect(process, other)
            elif process.name in DIALS.get(other.name, ()) and process.name in SERVICES:
                self._connect(other, process)

    def leave(self, process: Process) -> None:
        """A process has ended: those connected to it learn it, after its last messages."""
        for (dialler, server), link in list(self._links.items()):
            if process.name in (dialler, server):
                del self._links[dialler, server]
                other = link.server if process is link.dialler else link.dialler
                link.deliver(other, PeerLost(process.name))

    def hang_up(self, server: Process, dialler: str) -> None:
        """A server ends the conversation with a dialler, who soon begins another."""
        link = self._links.pop((dialler, server.name), None)
        if link is None:
            return
        link.deliver(link.server, PeerLost(dialler))
        link.deliver(link.dialler, PeerLost(server.name))
        self._engine.after(RECONNECT_S, self._connect_again, link)

    def _connect_again(self, link: _Link) -> None:
        if link.server.alive and link.dialler.alive:
            self._connect(link.dialler, link.server)

    def tell(self, sender: Process, peer: str, message: msgspec.Struct) -> None:
        """Send a message on the connection between two names, if there is one."""
        if (sender.name, peer) in self._links:
            link, receiver = self._links[sender.name, peer], None
            receiver = link.server
            allowed = SERVICES[peer][0].members
        elif (peer, sender.name) in self._links:
            link = self._links[peer, sender.name]
            receiver = link.dialler
            allowed = SERVICES[sender.name][1].members
        else:
            return
        assert type(message) in allowed, f"{sender.label} may not tell {peer} {message!r}"
        link.deliver(receiver, MessageArrived(sender.name, message))

    def _connect(self, dialler: Process, server: Process) -> None:
        link = _Link(self._engine, dialler, server)
        self._links[dialler.name, server.name] = link
        link.deliver(server, PeerConnected(dialler.name), 0.001)
        link.deliver(dialler, PeerConnected(server.name), 0.0011)


class _Link:
    """One connection: two first-in-first-out ways."""

    def __init__(self, engine: Engine, dialler: Process, server: Process) -> None:
        self._engine = engine
        self.dialler = dialler
        self.server = server
        self._last = {id(dialler): 0.0, id(server): 0.0}

    def deliver(self, receiver: Process, event: object, delay_s: float = 0.0) -> None:
        delay_s = delay_s or self._engine.random.uniform(0.00005, 0.0004)
        when = max(self._engine.now + delay_s, self._last[id(receiver)] + 1e-9)
        self._last[id(receiver)] = when
        self._engine.at(when, receiver.receive, event)


def _nobody(effect: Any) -> None:
    raise AssertionError(f"nobody carries out {effect!r}")


def _nobody_ends(process: Process, code: int) -> None:
    raise AssertionError(f"{process.label} ended with {code}")
