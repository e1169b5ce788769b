"""What stands in for Corosync: closed groups with one order of messages, and votes.

Responsible for who forms a ring with whom under the simulated network, for one order of messages
in it, and for counting votes; `kit.closed_group` makes the contract's words of that.

A ring works while all its members hear each other. Once it does not, nothing is delivered any more,
and after the token timeout those that still hear each other form smaller rings; what waited is
delivered there first. Rings that hear each other become one. What was delivered to one member was
delivered to all. The number of a ring is above all that its members knew, also before a crash.
Quorum is that of `votequorum`: more than half of the expected votes, one per node; with two nodes
one is enough, once both have been seen together (`two_node`, `wait_for_all`).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tests.kit.closed_group import (
    ClosedGroup,
    Configured,
    Delivered,
    LeaveGroup,
    Multicast,
    VotesCounted,
)
from tests.sim.engine import Engine
from tests.sim.layers import Layer
from tests.sim.network import Network
from tests.sim.processes import Process

if TYPE_CHECKING:
    from tests.sim.nodes import Node

TOKEN_S = 2.0
MARGIN_S = 2.0
LOOK_EVERY_S = 0.05


class Daemon:
    """One life of the group's daemon on one node."""

    def __init__(self, name: str, one: int, listener: Callable[[object], None]) -> None:
        self.name = name
        self.id = one
        self.listener = listener
        self.alive = True
        self.waiting: deque[bytes] = deque()
        self.ring = Ring(0, (self,))
        self.has_seen_all = False
        self.told_at = 0.0


class Ring:
    """Who shares one order of messages."""

    def __init__(self, seq: int, members: Sequence[Daemon]) -> None:
        self.seq = seq
        self.members = tuple(members)
        self.broken_at: float | None = None

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(daemon.id for daemon in self.members)


class Rings:
    """All daemons and rings of a simulated network."""

    def __init__(self, engine: Engine, network: Network, names: Sequence[str]) -> None:
        self._engine = engine
        self._network = network
        self._ids = {name: number for number, name in enumerate(names, 1)}
        self._daemons: dict[str, Daemon] = {}
        self._highest = dict.fromkeys(names, 0)
        """The ring number each node has on its disk."""
        engine.after(LOOK_EVERY_S, self._look)

    @property
    def names(self) -> dict[int, str]:
        """The nodes by id."""
        return {one: name for name, one in self._ids.items()}

    # --- life and death -----------------------------------------------------------------------

    def join(self, name: str, listener: Callable[[object], None]) -> None:
        """A daemon starts, in place of a former life that may still be missed."""
        former = self._daemons.get(name)
        daemon = self._daemons[name] = Daemon(name, self._ids[name], listener)
        if former is None:
            self._form([daemon], ())
        else:
            others = [each for each in former.ring.members if each is not former]
            self._form_anew([*others, daemon], {former.id: False})

    def leave(self, name: str) -> None:
        """A daemon ends in order: the others go on at once."""
        daemon = self._daemons.pop(name)
        daemon.alive = False
        self._form_anew(daemon.ring.members, {daemon.id: True})

    def die(self, name: str) -> None:
        """A daemon is gone; it is missed when the token is."""
        daemon = self._daemons.get(name)
        if daemon is not None:
            daemon.alive = False

    # --- messages -----------------------------------------------------------------------------

    def multicast(self, name: str, payload: bytes) -> None:
        """Send to all of the ring, the sender included."""
        daemon = self._daemons[name]
        daemon.waiting.append(payload)
        if self._is_whole(daemon.ring.members):
            self._pass_token(daemon.ring)

    def _pass_token(self, ring: Ring) -> None:
        """Deliver what waits to all, in one order."""
        for sender in ring.members:
            while sender.waiting:
                delivered = Delivered(sender.id, sender.waiting.popleft())
                for member in ring.members:
                    self._tell(member, delivered, self._delay_s(sender, member))

    def _delay_s(self, sender: Daemon, member: Daemon) -> float:
        """Half a turn of the token, and what a bad wire makes of it."""
        chance = self._engine.random
        path = self._network.paths.get((sender.name, member.name))
        slow_s = 0.0 if path is None else path.longest_s / (1 - path.loss)
        return chance.uniform(0.0002, 0.001) + chance.uniform(0.0, slow_s)

    def _tell(self, daemon: Daemon, event: object, delay_s: float) -> None:
        """Tell one thing after the other, so that the order is the same for all."""
        daemon.told_at = max(self._engine.now + delay_s, daemon.told_at + 1e-9)
        self._engine.at(daemon.told_at, self._hand_over, daemon, event)

    def _hand_over(self, daemon: Daemon, event: object) -> None:
        if daemon.alive:
            daemon.listener(event)

    # --- rings --------------------------------------------------------------------------------

    def _look(self) -> None:
        """Miss the token where it is lost, and find others that are heard again."""
        for ring in self._rings():
            if self._is_whole(ring.members):
                ring.broken_at = None
                self._pass_token(ring)
                continue
            if ring.broken_at is None:
                ring.broken_at = self._engine.now
            if self._engine.now - ring.broken_at >= TOKEN_S:
                self._form_anew(ring.members, {})
        self._merge()
        self._engine.after(LOOK_EVERY_S, self._look)

    def _rings(self) -> list[Ring]:
        found = {id(daemon.ring): daemon.ring for daemon in self._daemons.values()}
        return sorted(found.values(), key=lambda ring: ring.ids)

    def _is_whole(self, members: Sequence[Daemon]) -> bool:
        paths = self._network.paths
        return all(daemon.alive for daemon in members) and not any(
            paths[one.name, other.name].is_cut
            for one, other in itertools.permutations(members, 2)
            if one.name != other.name
        )

    def _merge(self) -> None:
        rings = [ring for ring in self._rings() if self._is_whole(ring.members)]
        for one, other in itertools.combinations(rings, 2):
            together = [*one.members, *other.members]
            if self._is_whole(together):
                self._form(together, ())
                return

    def _form_anew(self, daemons: Sequence[Daemon], gone: dict[int, bool]) -> None:
        """Those that live form rings of all who hear each other, the largest first."""
        for daemon in daemons:
            if not daemon.alive and self._daemons.get(daemon.name) is daemon:
                del self._daemons[daemon.name]  # it is missed by nobody any more
        left = [daemon for daemon in daemons if daemon.alive]
        while left:
            group = next(
                group
                for size in range(len(left), 0, -1)
                for group in itertools.combinations(left, size)
                if self._is_whole(group)
            )
            self._form(group, tuple(gone.items()))
            left = [daemon for daemon in left if daemon not in group]

    def _form(self, members: Sequence[Daemon], gone: tuple[tuple[int, bool], ...]) -> None:
        """Begin a ring and count the votes; what waited to be sent comes after that."""
        members = sorted(members, key=lambda daemon: daemon.id)
        seq = max(self._highest[daemon.name] for daemon in members) + 4
        ring = Ring(seq, members)
        for daemon in members:
            self._highest[daemon.name] = seq
            lost = {one: False for one in daemon.ring.ids if one not in ring.ids} | dict(gone)
            daemon.ring = ring
            self._tell(daemon, Configured(seq, ring.ids, tuple(sorted(lost.items()))), 0.0)
        self._pass_token(ring)
        quorate = self._count_votes(members)
        for daemon in members:
            self._tell(daemon, VotesCounted(seq, quorate), self._engine.random.uniform(0, 0.001))

    def _count_votes(self, members: Sequence[Daemon]) -> bool:
        expected = len(self._ids)
        is_all = len(members) == expected
        if is_all or any(daemon.has_seen_all for daemon in members):
            for daemon in members:
                daemon.has_seen_all = True
        if expected == 2:
            return members[0].has_seen_all
        return 2 * len(members) > expected


class ClosedGroupLayer(Layer):
    """A computer whose cluster layer is the second one."""

    def __init__(self, rings: Rings, node: Node) -> None:
        self._rings = rings
        self._node = node

    def make(self) -> Any:
        node = self._node
        own_id = next(one for one, name in self._rings.names.items() if name == node.name)
        return node.makers.get("closed-group", ClosedGroup)(
            self._rings.names,
            own_id=own_id,
            incarnation=node.engine.random.randbytes(8).hex(),
            now=node.clock(),
            margin_s=MARGIN_S,
            settle_s=TOKEN_S + MARGIN_S,
            child_plans=node.children,
        )

    def begin(self, process: Process) -> None:
        self._rings.join(self._node.name, process.receive)

    def carry_out(self, effect: object) -> None:
        match effect:
            case Multicast(payload):
                self._rings.multicast(self._node.name, payload)
            case LeaveGroup():
                self._rings.leave(self._node.name)
            case _:
                raise AssertionError(f"the closed group wants {effect!r}")

    def end(self) -> None:
        self._rings.die(self._node.name)
