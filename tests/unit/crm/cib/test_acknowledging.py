"""A member says that something is durable as soon as it is, whatever it was writing meanwhile."""

from __future__ import annotations

from crm.api import cib as api
from crm.api import membership
from crm.cib import operations, wire
from crm.cib.disk import Append, KeepPromise, Persist, Persisted
from crm.cib.replica import Replica
from crm.cib.warrants import Warrant
from crm.model.version import Reign
from crm.plumbing.codec import Message
from crm.plumbing.machine import MessageArrived, Tell
from tests.kit.cib import LENIENT, create, document

REIGN = Reign(1, "n1")


class Member:
    """A member whose disk writes when it is told to, and a master made of words."""

    def __init__(self) -> None:
        self.masters = document()
        self.replica = Replica(document(), rules=LENIENT, node="n2", life=7)
        self.sequence = 1
        self.tickets: list[int] = []
        self.acknowledged: list[int] = []
        self.now = 0.0
        self.warrant = Warrant()

    def hear(self, message: Message) -> None:
        told = membership.ClusterMessage("n1", api.SERVICE, wire.PEERS.encode(message))  # type: ignore[arg-type]
        self._do(self.replica.receive(MessageArrived("heartbeat", told), self.now))

    def finish_write(self) -> None:
        """Let the write that began first end well."""
        done = Persisted(self.tickets.pop(0), True, may_append=True)
        self._do(self.replica.receive(done, self.now))

    def _do(self, effects: list[object]) -> None:
        for effect in effects:
            match effect:
                case Persist() | Append() | KeepPromise():
                    self.tickets.append(effect.ticket)
                case Tell(message=membership.SendCluster(payload=payload)):
                    said = wire.PEERS.decode(payload)
                    if isinstance(said, wire.Acknowledge):
                        self.acknowledged.append(said.sequence)

    def snapshot(self) -> None:
        """Send the master's copy, and let the member read it."""
        pieces = self.masters.packed_pieces(1_000_000)
        assert pieces is not None
        self.hear(wire.Snapshot(REIGN, self.sequence, self.warrant, pieces, life=3))
        self._do(self.replica.tick(self.now))

    def apply(self, *steps: api.Operation, is_lost: bool = False) -> None:
        """Make a change at the master, and send it."""
        carried = operations.carry_out(self.masters, steps, LENIENT)
        digest = self.masters.digest() if carried.configuration else ""
        if carried.configuration:
            self.warrant = self.warrant.with_quorum(REIGN, carried.after)
        change = wire.Replicated(
            carried.before, carried.after, carried.patch, carried.touched, api.Origin("test")
        )
        self.sequence += 1
        if not is_lost:
            self.hear(wire.Apply(REIGN, self.sequence, self.warrant, (change,), digest))


def test_what_came_with_a_copy_while_the_same_was_being_written_is_acknowledged() -> None:
    member = Member()
    member.hear(wire.Hail(REIGN))
    member.finish_write()  # the promise
    member.snapshot()
    assert member.acknowledged == [1]
    member.apply(create("first"))
    member.apply(create("second"))  # waits until the first is written
    load = api.SetNodeAttribute("n1", "uuid-1", "load", "1")
    member.apply(load, is_lost=True)
    member.apply(load)  # a gap: the member follows nobody until it has a copy
    member.finish_write()
    member.snapshot()
    assert member.acknowledged == [1]

    while member.tickets:
        member.finish_write()

    assert member.acknowledged[-1] == member.sequence
