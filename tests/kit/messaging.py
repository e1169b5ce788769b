"""A small network of `Messaging` machines under a simulated clock, for the tests of that room."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from crm.api import membership as api
from crm.plumbing.machine import (
    Exit,
    HangUp,
    MessageArrived,
    Note,
    PeerLost,
    StopRequested,
    Tell,
)
from messaging import children, core, events, rotation
from messaging.authkeys import KeyFile, SharedKey
from messaging.children import ChildPlan
from messaging.cluster_settings import ClusterSettings, Medium, MediumKind, Timing
from messaging.frame import Ack, Data, Join, SeatOf
from messaging.nodelist import NodeList
from messaging.quorum import Electorate

KEYS = KeyFile(1, (SharedKey(1, "sha1", b"a secret of the tests"),))
TIMING = Timing(keepalive_s=0.2, deadtime_s=1.0, warntime_s=0.6, initdead_s=2.0, deadping_s=1.0)
LINK = "eth1"


def settings(
    nodes: int | tuple[str, ...], timing: Timing = TIMING, links: tuple[str, ...] = (LINK,)
) -> ClusterSettings:
    """A cluster of n nodes called a, b, c …, on broadcast networks."""
    names = tuple("abcdefghij"[:nodes]) if isinstance(nodes, int) else nodes
    media = tuple(Medium(MediumKind.BCAST, link) for link in links)
    return ClusterSettings(nodes=names, media=media, timing=timing)


def random_bytes(rng: random.Random) -> Callable[[int], bytes]:
    """A source of random bytes that a seed repeats."""
    return lambda count: rng.getrandbits(8 * count).to_bytes(count, "big")


def seats(names: str, born: int = 1) -> tuple[SeatOf, ...]:
    """The seats of one-letter members of a view."""
    return tuple(SeatOf(name, f"life-{name}", f"uuid-{name}", born) for name in names)


def join(
    name: str,
    reach: str,
    *,
    members: tuple[SeatOf, ...] = (),
    view_id: int = 0,
    quorate: bool = False,
    broken: tuple[str, ...] = (),
    nodes: int = 3,
    number: int = 1,
    disputes: bool = False,
) -> Join:
    """What a node says in a round: whom it reaches (one letter each), where it comes from."""
    return Join(
        round=number,
        origin=name,
        incarnation=f"life-{name}",
        uuid=f"uuid-{name}",
        nodes=nodes,
        reach=tuple((other, f"life-{other}") for other in reach if other != name),
        broken=broken,
        highest_id=view_id,
        view_id=view_id,
        cookie=f"cookie-{view_id}" if view_id else "",
        quorate=quorate,
        members=members,
        charter=Electorate(tuple("abcdefghij"[:nodes])).charter,
        disputes=disputes,
    )


def table(*joins: Join) -> dict[str, Join]:
    """The table of a round."""
    return {each.origin: each for each in joins}


@dataclass
class Life:
    """One life of a node: its machine and what it has told its clients and the log."""

    machine: core.Messaging
    told: list[tuple[float, str, msgspec.Struct]] = field(default_factory=list)
    notes: list[tuple[float, Note]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    signals: list[tuple[str, int]] = field(default_factory=list)
    exit_code: int | None = None
    wakes_at: float | None = None
    clock_ahead_s: float = 0.0
    """How far the node's own clock is ahead of that of the network."""

    def messages(self, client: str = "crmd") -> list[msgspec.Struct]:
        """What one client was told, in order."""
        return [message for _, peer, message in self.told if peer == client]

    def payloads(self, client: str = "crmd") -> list[tuple[str, bytes]]:
        """The cluster messages one client got: from whom, and what."""
        return [
            (message.from_node, message.payload)
            for message in self.messages(client)
            if isinstance(message, api.ClusterMessage)
        ]

    def texts(self) -> list[str]:
        """The log lines."""
        return [note.text for _, note in self.notes]


class Network:
    """Nodes, their clocks, and the wires between them."""

    def __init__(
        self,
        nodes: int | tuple[str, ...] = 3,
        *,
        seed: int = 0,
        timing: Timing = TIMING,
        links: tuple[str, ...] = (LINK,),
        clients: tuple[str, ...] = ("crmd",),
        child_plans: tuple[ChildPlan, ...] = (),
    ) -> None:
        self.rng = random.Random(seed)
        self.settings = settings(nodes, timing, links)
        self.clients = clients
        self.child_plans = child_plans
        self.timings: dict[str, Timing] = {}
        """Of nodes whose ha.cf states other deadlines than those of the others."""

        self.now = 1000.0
        self.lives: dict[str, Life] = {}
        self.past: list[Life] = []
        self.loss = 0.0
        self.duplication = 0.0
        self.corruption = 0.0
        self.losses: dict[tuple[str, str], float] = {}
        self.delay_s = (0.0002, 0.0008)
        self.detours_s: dict[str, float] = {}
        self.dead_links: set[str] = set()
        self.carries: dict[str, int] = {}
        """By link: longer packets are dropped there without a word."""

        self.packet_bytes: dict[str, int] = {}
        """By link: what its interface carries uncut, as the nodes that start know it."""

        self.cuts: set[tuple[str, str]] = set()
        self.frozen: dict[str, list[tuple[float, object]]] = {}
        self.clocks_differ = False
        self.make = core.Messaging
        self.packets = 0
        self.tap: list[tuple[str, bytes]] = []
        self.keys = dict.fromkeys(self.settings.nodes, KEYS)
        self.full_disks: set[str] = set()
        self.watch: Callable[[str], None] = lambda _: None
        self.known_nodes: NodeList | None = None
        self.devices: dict[str, Callable[[object], None]] = {}
        self._queue: list[tuple[float, int, str, str, Life | None, object]] = []
        self._numbers = itertools.count()

    # --- life and death ---------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start nodes (all without names) at this moment."""
        for name in names or self.settings.nodes:
            stated = self.settings
            if self.known_nodes is not None:
                stated = self.known_nodes.applied_to(stated)
            stated = replace(stated, timing=self.timings.get(name, stated.timing))
            ahead_s = self.rng.uniform(0, 1e6) if self.clocks_differ else 0.0
            machine = self.make(
                stated,
                self.keys.get(name, KEYS),
                node=name,
                uuid=f"uuid-{name}",
                now=self.now + ahead_s,
                random_bytes=random_bytes(random.Random(self.rng.getrandbits(64))),
                child_plans=self.child_plans,
                known_nodes=self.known_nodes,
            )
            life = self.lives[name] = Life(machine, clock_ahead_s=ahead_s)
            self.feed(name, events.Started(self.packet_bytes))
            for client in self.clients:
                self.feed(name, MessageArrived(client, api.SignOn(client, 1)))
            assert life.exit_code is None

    def crash(self, name: str) -> None:
        """End a node without a word."""
        self.past.append(self.lives.pop(name))
        self.frozen.pop(name, None)

    def stop(self, name: str) -> None:
        """Ask a node to end in order."""
        self.feed(name, StopRequested())

    def freeze(self, name: str) -> None:
        """Stop a node's process; what arrives waits."""
        self.frozen[name] = []
        self.watch(name)

    def thaw(self, name: str) -> None:
        """Let a stopped process go on: first what waited, in order, with the kernel's stamps."""
        for at, event in self.frozen.pop(name):
            if isinstance(event, events.DatagramArrived):
                event = replace(event, age_s=self.now - at)
            if name in self.lives:
                self.feed(name, event)
        if name in self.lives:
            self._schedule(name)

    def take_nothing(self, name: str, sender: str) -> None:
        """Have a node take no piece of a message from another one, though it hears it."""
        streams = vars(self.lives[name].machine)["_delivery"]
        real = type(streams).receive.__get__(streams)

        def receive(peer: str, session: bytes, message: Data | Ack, now: float) -> list[Any]:
            is_taken = peer != sender or isinstance(message, Ack)
            return real(peer, session, message, now) if is_taken else []  # type: ignore[no-any-return]

        vars(streams)["receive"] = receive

    def take_all(self, name: str) -> None:
        """Have a node take messages again."""
        vars(vars(self.lives[name].machine)["_delivery"]).pop("receive", None)

    def step_clock(self, name: str, by_s: float) -> None:
        """Have a node's own clock jump forward, as it does when its machine slept."""
        self.lives[name].clock_ahead_s += by_s
        self._schedule(name)

    def cut(self, *pairs: tuple[str, str], one_way: bool = False) -> None:
        """Cut wires; `one_way` only from the first to the second."""
        for a, b in pairs:
            self.cuts.add((a, b))
            if not one_way:
                self.cuts.add((b, a))

    def partition(self, *groups: str) -> None:
        """Cut every wire between the groups (each a string of one-letter names)."""
        for one, other in itertools.combinations(groups, 2):
            self.cut(*itertools.product(one, other))

    def heal(self) -> None:
        """Mend all wires."""
        self.cuts.clear()

    def send(self, name: str, payload: bytes, *, client: str = "crmd", to: str = "") -> None:
        """Let a client of a node send a message to the clients of the same name."""
        self.feed(name, MessageArrived(client, api.SendCluster(client, payload, to)))

    # --- time -------------------------------------------------------------------------------

    def feed(self, name: str, event: object) -> None:
        """Hand an event to a node now."""
        if name in self.frozen:
            self.frozen[name].append((self.now, event))
            return
        life = self.lives[name]
        now = self.now + life.clock_ahead_s
        self._carry_out(name, life, life.machine.receive(event, now))  # type: ignore[arg-type]

    def deliver(self, name: str, event: object, after_s: float) -> None:
        """Hand an event to a node after a while."""
        at = self.now + after_s
        heapq.heappush(self._queue, (at, next(self._numbers), name, "", None, event))

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> float:
        """Let time pass; stop early when `until` holds. Gives the seconds that passed."""
        begin, end = self.now, self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            if until is not None and until():
                return self.now - begin
            at, _, name, _link, life, event = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            current = self.lives.get(name)
            if current is None or current.exit_code is not None:
                continue
            if event is not None:
                if name in self.frozen or name in self.lives:
                    self.feed(name, event)
            elif current is life and life.wakes_at == at and name not in self.frozen:
                self._carry_out(name, life, life.machine.tick(self.now + life.clock_ahead_s))
            self.watch(name)
        if until is not None and until():
            return self.now - begin
        self.now = end
        return seconds

    def views(self) -> dict[str, api.View | None]:
        """The present view of every living node."""
        return {name: life.machine.view for name, life in sorted(self.lives.items())}

    def is_agreed(self, *groups: str) -> bool:
        """Whether each group has one view that names exactly its nodes."""
        for group in groups:
            views = [self.lives[name].machine.view for name in group]
            first = views[0]
            if first is None or any(
                view is None or (view.id, view.members) != (first.id, first.members)
                for view in views
            ):
                return False
            if "".join(member.name for member in first.members) != group:
                return False
        return True

    def _schedule(self, name: str) -> None:
        life = self.lives[name]
        due = life.machine.next_deadline()
        if due is None or life.exit_code is not None:
            return
        rounding_s = 1e-6 if life.clock_ahead_s else 0.0
        due = max(due - life.clock_ahead_s + rounding_s, self.now)
        if life.wakes_at is not None and life.wakes_at == due:
            return
        life.wakes_at = due
        heapq.heappush(self._queue, (due, next(self._numbers), name, "", life, None))

    def _carry_out(self, name: str, life: Life, effects: list[events.Effect]) -> None:
        look = self.devices.get(name)
        for effect in effects:
            if look is not None:
                look(effect)
            match effect:
                case events.SendDatagram(link, data, destination):
                    self._transmit(name, link, data, destination)
                case Tell(peer, message):
                    life.told.append((self.now, peer, message))
                case Note():
                    life.notes.append((self.now, effect))
                case rotation.WriteKeys():
                    self._write_keys(name, effect)
                case children.StartChild(child):
                    life.started.append(child)
                case HangUp(client):
                    lost = PeerLost(client)
                    heapq.heappush(
                        self._queue, (self.now, next(self._numbers), name, "", None, lost)
                    )
                case children.SignalChild(child, number):
                    life.signals.append((child, number))
                case Exit(code):
                    life.exit_code = code
                    self.past.append(self.lives.pop(name))
                    return
                case _:
                    pass
        life.wakes_at = None
        self._schedule(name)

    def _write_keys(self, name: str, write: rotation.WriteKeys) -> None:
        """A disk that takes two milliseconds, or is full."""
        problem = "no space left on device" if name in self.full_disks else ""
        if not problem:
            self.keys[name] = write.keys
        self.deliver(name, rotation.KeysWritten(write.keys, problem), 0.002)

    def _transmit(self, name: str, link: str, data: bytes, destination: str) -> None:
        self.tap.append((name, data))
        del self.tap[:-5000]
        for other in self.settings.nodes:
            if other == name or destination not in ("", other) or (name, other) in self.cuts:
                continue
            if link in self.dead_links or len(data) > self.carries.get(link, len(data)):
                continue
            self.packets += 1
            copies = 1 + (self.rng.random() < self.duplication)
            for _ in range(copies):
                if self.rng.random() < self.losses.get((name, other), self.loss):
                    continue
                at = self.now + self.rng.uniform(*self.delay_s) + self.detours_s.get(link, 0.0)
                arrived = self._damaged(data) if self.rng.random() < self.corruption else data
                event = events.DatagramArrived(link, name, arrived)
                heapq.heappush(self._queue, (at, next(self._numbers), other, link, None, event))

    def _damaged(self, data: bytes) -> bytes:
        """What a bad wire makes of a packet: a bit turned over, or the end cut off."""
        if self.rng.random() < 0.3:
            return data[: self.rng.randrange(len(data))]
        at = self.rng.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self.rng.randrange(8)]) + data[at + 1 :]


class Watch:
    """Looks at all views after every event: nobody acts on a quorate view others have left."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._seen: dict[str, tuple[Life | None, api.View | None, bool]] = {}
        settings = network.settings
        if len(settings.nodes) != 2 or "twonodes" not in settings.electorate.chain:
            network.watch = self.look  # else each of two nodes may go on alone

    def look(self, name: str) -> None:
        """Look once, if anything has changed on a node; runs after every event."""
        network = self._network
        life = None if name in network.frozen else network.lives.get(name)
        state = (life, life and life.machine.view, life is not None and life.machine.is_leaving)
        if all(a is b for a, b in zip(state, self._seen.get(name, ()), strict=False)) and (
            name in self._seen
        ):
            return
        self._seen[name] = state
        quorate = [
            (name, life.machine.incarnation, life.machine.view)
            for name, life in network.lives.items()
            if name not in network.frozen
            and not life.machine.is_leaving
            and life.machine.view is not None
            and life.machine.view.quorate
        ]
        for name, incarnation, own in quorate:
            for other, _, view in quorate:
                lives = {member.incarnation for member in view.members}
                assert incarnation in lives or own.id > view.id, (
                    f"{network.now}: {name} acts on view {own.id} while {other} is in"
                    f" view {view.id} without it"
                )
