"""The cluster layer alone, from a seed: nodes, wires, and everything that goes wrong with them.

A life is a row of acts; each brings one kind of fault (crash, restart, pause, stop, partitions of
every kind, some wires of a full break mended, bridges, one-way cuts, a missing wire between two,
flapping wires, loss, duplication, reordering, damage, clocks that jump), and between them clients
send numbered messages. Two to seven nodes, each with a clock of its own, in some lives with votes
of their own, or with a quorum server that has faults as well. What must hold:

- at most one quorate partition acts at a time, after every event (`Watch`);
- others go on only after whoever is left out has had its margin to stop;
- of two halves exactly one goes on where a quorum server is heard, and none where it is not;
- whoever can talk to all of its side, and to nobody else, agrees on one view of exactly that side;
- of four in a row or ring that hear their neighbours only, two have quorum all the time where a
  quorum server is heard;
- a bridge between two sides, or a missing wire, ends in one quorate view that stays;
- below 20 % of loss alone nobody is declared dead;
- a crash is agreed upon by all within the deadtime and one round of messages;
- a node that was paused accuses nobody;
- a flapping wire changes the membership no more often than a deadtime allows;
- a node that takes nothing of another one is given up ever more rarely, and comes back in the end;
- messages of one client arrive in order, none twice, and none is missing unless a view came between
  that its sender, or the receiver, was not in or is new in (`Listener`);
- two deadtimes after the last fault everybody is in one view.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from crm.api import membership as api
from messaging.cluster_settings import Timing
from messaging.quorumserver import QuorumServer
from tests.kit.messaging import Network, Watch
from tests.kit.quorum_server import ServerBeside
from tests.sim.cluster import RunResult
from tests.sim.listener import Listener
from tests.sim.wire_plants import PLANTS, Bug

ACTS = 10
ROUND_S = 0.1
"""What agreement may take after the last deadline."""

STABLE = 3.0
"""Deadtimes after which a partition that nothing disturbs must have agreed."""

TIMINGS = (
    Timing(keepalive_s=0.2, deadtime_s=1.0, warntime_s=0.6, initdead_s=2.0, deadping_s=1.0),
    Timing(keepalive_s=0.1, deadtime_s=0.5, warntime_s=0.3, initdead_s=1.0, deadping_s=0.5),
    Timing(keepalive_s=0.05, deadtime_s=0.4, warntime_s=0.2, initdead_s=1.0, deadping_s=0.4),
    Timing(keepalive_s=1.0, deadtime_s=10.0, warntime_s=5.0, initdead_s=12.0, deadping_s=10.0),
)

STALLS = 7
"""So many contacts in a row could stand still while a node takes nothing."""

FEW_STALLS = 4
"""How many do, as the pauses between them grow."""


@dataclass
class Story:
    """One life of a cluster: what happened, and what was counted."""

    seed: int
    acts: list[str] = field(default_factory=list)
    delivered: int = 0
    packets: int = 0
    converged_s: float = 0.0
    """The longest time from the end of a fault until all were in one view."""

    converged_in: float = 0.0
    """The same in deadtimes."""


class Broken(AssertionError):
    """Something that must hold did not."""


def live(seed: int, bug: Bug | None = None) -> Story:
    """Live one life; raises `Broken` with the acts that led to it."""
    story = Story(seed)
    try:
        _Stage(story, bug or Bug()).play()
    except AssertionError as broken:
        acts = "\n  ".join(story.acts)
        raise Broken(f"seed {seed}: {broken}\n  {acts}") from broken
    return story


def run(seed: int, plant: str, lines: int) -> RunResult:
    """Live one life for `./run sim`; `lines` is how many acts a report may have at the end."""
    try:
        story = live(seed, PLANTS[plant] if plant else None)
    except Broken as broken:
        what, *acts = str(broken).splitlines()
        return RunResult(seed, violation=what, report="\n".join(acts[-lines:]))
    return RunResult(
        seed,
        rested_s=story.converged_s,
        events=story.delivered,
        datagrams=story.packets,
    )


class _Stage:
    """The network of one life, its clients, and the acts."""

    def __init__(self, story: Story, bug: Bug) -> None:
        self.story = story
        self.rng = random.Random(story.seed)
        self.timing = bug.timing or self.rng.choice(TIMINGS)
        self.deadtime_s = self.timing.deadtime_s
        nodes = self.rng.choice((2, 3, 3, 4, 5, 5, 6, 7))
        timing = bug.really or self.timing
        self.network = Network(nodes, seed=story.seed, timing=timing)
        self.network.clocks_differ = True
        self.network.make = bug.make
        self._weigh(random.Random(f"votes {story.seed}"))
        self.server = self._find_a_server(random.Random(f"server {story.seed}"), bug)
        self.names = self.network.settings.nodes
        Watch(self.network)
        self._acts = bug.acts
        self._numbers: dict[tuple[str, str], int] = {}

    def _weigh(self, rng: random.Random) -> None:
        """In every third life the nodes have different votes."""
        settings = self.network.settings
        if len(settings.nodes) > 2 and rng.random() < 0.33:
            weights = {name: rng.choice((1, 50, 100, 100, 150, 400)) for name in settings.nodes}
            chain = {"quorum": "weight:majority:twonodes"}
            self.network.settings = replace(settings, weights=weights, environment=chain)
            self._note(f"votes {weights}")

    def _find_a_server(self, rng: random.Random, bug: Bug) -> ServerBeside | None:
        """In every third life a quorum server decides ties."""
        network = self.network
        if rng.random() > 0.33 and bug.server is QuorumServer:
            return None
        server = ServerBeside(network, seed=self.story.seed, make=bug.server)
        if network.settings.weights:
            chain = {"quorum": "weight:majority:quorumd"}
            network.settings = replace(network.settings, environment=chain)
        self._note(f"a quorum server, chain {':'.join(network.settings.electorate.chain)}")
        return server

    def play(self) -> None:
        """All acts, then peace."""
        network = self.network
        network.start()
        self._note(f"{len(self.names)} nodes, deadtime {self.deadtime_s} s")
        self._await_peace("the start", cold=True)
        acts = (
            self._crash_and_return,
            self._crash_alone,
            self._restart_at_once,
            self._pause,
            self._jump,
            self._stop_in_order,
            self._split,
            self._mend_a_few,
            self._bridge,
            self._cut_one_way,
            self._lose_one_wire,
            self._flap,
            self._lose_some,
            self._lose_many,
            self._bad_wires,
            self._many_at_once,
        )
        if self.server is not None:
            acts = (*acts, self._split_in_halves, self._split_in_halves, self._hear_neighbours)
        wanted = [act for act in acts if not self._acts or act.__name__[1:] in self._acts]
        for _ in range(ACTS):
            self._trouble_the_server()
            self.rng.choice(wanted)()
            self._mend_the_server()
        self._take_nothing(random.Random(f"stall {self.story.seed}"))
        self._heal()
        self._await_peace("the last fault")
        self._check_every_listener()
        self.story.packets = network.packets

    # --- acts ---------------------------------------------------------------------------------

    def _crash_and_return(self) -> None:
        name = self.rng.choice(self.names)
        self._note(f"{name} crashes")
        self.network.crash(name)
        self._talk(self.rng.uniform(0.1, STABLE) * self.deadtime_s)
        self._note(f"{name} comes back")
        self.network.start(name)
        self._await_peace("a crash")

    def _crash_alone(self) -> None:
        """One node crashes and nothing else happens: the others agree at their deadline."""
        name = self.rng.choice(self.names)
        self._talk(self.rng.uniform(0, 1) * self.timing.keepalive_s)
        self._note(f"{name} crashes alone")
        self.network.crash(name)
        others = "".join(other for other in self.names if other != name)
        took_s = self.network.run(3 * self.deadtime_s, until=lambda: self._is_agreed(others))
        assert took_s <= self.deadtime_s + ROUND_S, (
            f"a crash was agreed upon after {took_s:.3f} s: {self._views()}"
        )
        self.network.start(name)
        self._await_peace("a crash alone")

    def _restart_at_once(self) -> None:
        name = self.rng.choice(self.names)
        self._note(f"{name} is restarted faster than anybody notices")
        self.network.crash(name)
        self._talk(self.rng.uniform(0.01, 0.3) * self.deadtime_s)
        self.network.start(name)
        self._await_peace("a restart")

    def _pause(self) -> None:
        name = self.rng.choice(self.names)
        for_s = self.rng.choice((0.5, 0.9, 1.1, 3.0)) * self.deadtime_s
        self._note(f"{name} is paused for {for_s:.2f} s")
        self.network.freeze(name)
        self._talk(for_s)
        heard_nothing = self.rng.random() < 0.3
        if heard_nothing:
            self.network.frozen[name].clear()
        with self._accusing_nobody(name):
            self.network.thaw(name)
            self._await_peace("a pause")

    def _jump(self) -> None:
        name = self.rng.choice(self.names)
        by_s = self.rng.choice((0.3, 0.9, 1.5, 10.0)) * self.deadtime_s
        self._note(f"the clock of {name} jumps by {by_s:.2f} s")
        with self._accusing_nobody(name):
            self.network.step_clock(name, by_s)
            self._await_peace("a jump of a clock")

    def _stop_in_order(self) -> None:
        name = self.rng.choice(self.names)
        self._note(f"{name} is stopped in order")
        self.network.stop(name)
        self._talk(max(STABLE * self.deadtime_s, 1.5))
        assert name not in self.network.lives, f"{name} did not end"
        self.network.start(name)
        self._await_peace("a stop")

    def _split(self) -> None:
        names = list(self.names)
        self.rng.shuffle(names)
        parts = self.rng.randint(2, min(3, len(names)))
        sides = ["".join(sorted(names[part::parts])) for part in range(parts)]
        self._note(f"partition {' | '.join(sides)}")
        self.network.partition(*sides)
        self._talk(STABLE * self.deadtime_s)
        for side in sides:
            assert self._is_agreed(side), f"{side} does not agree: {self._views()}"
        self._talk(self.rng.uniform(0, 1) * self.deadtime_s)
        self._heal()
        self._await_peace("a partition")

    def _take_nothing(self, rng: random.Random) -> None:
        """Where it does not take too long: a node hears another, and takes no message of it."""
        network, stall_s = self.network, self.timing.stall_s
        if len(self.names) > 4 or self.timing.keepalive_s < 0.2:
            return
        name, sender = rng.sample(self.names, 2)
        self._note(f"{name} takes nothing of {sender}")
        notes = network.lives[sender].notes
        count = len(notes)
        network.take_nothing(name, sender)
        self._say(sender, name)
        network.run(STALLS * stall_s)
        text = f"node {name} does not take what is sent to it"
        stalls = sum(note.text.startswith(text) for _, note in notes[count:])
        assert 2 <= stalls <= FEW_STALLS, f"{stalls} contacts that stood still"
        network.take_all(name)
        network.run(2.0 ** (stalls - 2) * stall_s)
        self._await_peace("a node that took nothing")

    def _split_in_halves(self) -> None:
        """Neither side is a majority: the quorum server decides, as far as it is heard."""
        names = self.rng.sample(self.names, len(self.names))
        sides = ["".join(sorted(names[part::2])) for part in range(2)]
        needs_tie = self.network.settings.electorate.needs_tie
        if not self.server or not all(map(needs_tie, sides)):
            return
        self._note(f"halves {' | '.join(sides)}")
        self.network.partition(*sides)
        self._talk(STABLE * self.deadtime_s)
        if not self.server.is_troubled:
            self._check_one_half(sides)
            self._turn_the_halves()
        if self.rng.random() < 0.5:
            self._restart_the_server()
            self._talk(2 * self.deadtime_s)
        for side in sides:
            assert self._is_agreed(side), f"{side} does not agree: {self._views()}"
        self._heal()
        self._await_peace("halves")

    def _turn_the_halves(self) -> None:
        """The half that goes on loses the server: the other one follows, after a margin."""
        assert self.server is not None
        winners = self._quorate()
        self._note(f"{' '.join(winners)} lose the quorum server")
        since = self.network.now
        self.server.cut |= set(winners)
        if self.rng.random() < 0.3:
            self._restart_the_server()
        self._talk((STABLE + 1) * self.deadtime_s)
        others = [name for name in self.names if name not in winners]
        assert self._quorate() == others, f"{others} do not go on: {self._views()}"
        self._check_margin(others, since)

    def _hear_neighbours(self) -> None:
        """Four in a row or a ring: there is no majority whose members all hear each other."""
        settings = self.network.settings
        if len(self.names) != 4 or settings.weights or not self.server:
            return
        self._talk(self.server.longest_s)
        if self.server.is_troubled:
            return
        row = self.rng.sample(self.names, 4)
        is_ring = self.rng.random() < 0.5
        self._note(
            f"{' '.join(row)} hear their neighbours only, as a {'ring' if is_ring else 'row'}"
        )
        self.network.cut((row[0], row[2]), (row[1], row[3]))
        if not is_ring:
            self.network.cut((row[0], row[3]))
        limit_s = (STABLE + 2) * self.deadtime_s
        took_s = self.network.run(limit_s, until=lambda: not self._quorate())
        assert took_s == limit_s, f"nobody has quorum after {took_s:.3f} s: {self._views()}"
        self._check_one_stable_view("a row or a ring")
        self._heal()
        self._await_peace("a row or a ring")

    def _check_one_half(self, sides: list[str]) -> None:
        found = "".join(self._quorate())
        assert found in sides, f"not one half goes on but '{found}': {self._views()}"

    def _trouble_the_server(self) -> None:
        """Sometimes the quorum server is away, slow, or not heard by some."""
        if self.server is None or self.rng.random() < 0.6:
            return
        kind = self.rng.choice(("away", "slow", "lossy", "cut", "restarted"))
        self._note(f"the quorum server is {kind}")
        match kind:
            case "away":
                self.server.stop()
            case "slow":
                self.server.delay_s = (0.0, self.deadtime_s)
            case "lossy":
                self.server.loss = 0.5
            case "cut":
                self.server.cut = set(self.rng.sample(self.names, len(self.names) // 2))
            case _:
                self.server.start()

    def _restart_the_server(self) -> None:
        assert self.server is not None
        self._note("the quorum server is restarted")
        self.server.start()

    def _mend_the_server(self) -> None:
        if self.server is not None:
            self.server.mend()

    def _mend_a_few(self) -> None:
        """All wires go, and those within a majority come back as the first node lets go."""
        if len(self.names) < 3:
            return
        names = self.rng.sample(self.names, len(self.names))
        side = self._quorum_of(names)
        if len(side) == len(names):
            return
        paused = [name for name in names if self.rng.random() < 0.3]
        self._note(f"no wire is left, {' '.join(paused) or 'nobody'} is paused")
        since = self.network.now
        wires = list(itertools.combinations(names, 2))
        self.rng.shuffle(wires)
        for wire in wires:
            self.network.cut(wire)
            self.network.run(self.rng.uniform(0, self.timing.keepalive_s / len(wires)))
        for name in paused:
            self.network.freeze(name)
        self.network.run(self.rng.uniform(0.6, 1.0) * self.timing.lease_s)
        for name in paused:
            self.network.thaw(name)
        self.network.run(self.deadtime_s, until=lambda: len(self._quorate()) < len(names))
        self._note(f"{' '.join(side)} hear each other again")
        self.network.cuts -= set(itertools.permutations(side, 2))
        self._talk(2 * self.deadtime_s)
        if not paused:
            self._check_margin(side, since)
        self._heal()
        self._await_peace("a few mended wires")

    def _quorum_of(self, names: list[str]) -> list[str]:
        """As many of these names, from the first, as have quorum."""
        has_quorum = self.network.settings.electorate.has_quorum
        sides = (names[:size] for size in range(1, len(names) + 1))
        return next(side for side in sides if has_quorum(side))

    def _bridge(self) -> None:
        """Two sides that hear each other only by way of one node: not everybody can stay."""
        if len(self.names) < 3:
            return
        bridge, *names = self.rng.sample(self.names, len(self.names))
        middle = self.rng.randint(1, len(names) - 1)
        sides = ["".join(sorted(names[:middle])), "".join(sorted(names[middle:]))]
        self._note(f"{bridge} is the bridge of {sides[0]} and {sides[1]}")
        self.network.partition(*sides)
        self._talk((STABLE + 2) * self.deadtime_s)
        self._check_one_stable_view("a bridge")
        self._heal()
        self._await_peace("a bridge")

    def _cut_one_way(self) -> None:
        speaker, *deaf = self.rng.sample(self.names, self.rng.randint(2, len(self.names)))
        self._note(f"{speaker} is not heard by {' '.join(deaf)}")
        self.network.cut(*((speaker, other) for other in deaf), one_way=True)
        self._talk(self.rng.uniform(1, STABLE) * self.deadtime_s)
        self._heal()
        self._await_peace("a one-way cut")

    def _lose_one_wire(self) -> None:
        one, other = self.rng.sample(self.names, 2)
        self._note(f"the wire between {one} and {other} is cut")
        self.network.cut((one, other))
        self._talk((STABLE + 2) * self.deadtime_s)
        if len(self.names) > 2:
            self._check_one_stable_view("a missing wire")
        self._heal()
        self._await_peace("a missing wire")

    def _flap(self) -> None:
        one, *others = self.rng.sample(self.names, self.rng.choice((2, len(self.names))))
        is_one_way = self.rng.random() < 0.3
        half_s = self.rng.choice((0.05, 0.2, 1.0, 5.0))
        rounds = min(40, max(4, round(10 / half_s / 2)))
        before = self._highest_view()
        kind = "to" if is_one_way else "of"
        self._note(f"wires {kind} {one} flap {rounds} times, {half_s} s each way")
        for _ in range(rounds):
            self.network.cut(*((other, one) for other in others), one_way=is_one_way)
            self._talk(half_s)
            self.network.heal()
            self._talk(half_s)
        views = self._highest_view() - before
        bound = 4 + 4 * (2 * rounds * half_s) / self.deadtime_s
        assert views <= bound, f"{views} views while wires flapped, at most {bound:.0f} expected"
        self._await_peace("a flapping wire")

    def _lose_some(self) -> None:
        loss = self.rng.uniform(0.01, 0.19)
        self._note(f"{loss:.0%} of all packets are lost")
        before = self._views()
        with self._wires(loss=loss):
            self._talk(20 * self.deadtime_s)
            assert self._views() == before, f"a false death at {loss:.0%} loss: {self._views()}"

    def _lose_many(self) -> None:
        loss = self.rng.uniform(0.2, 0.5)
        one = self.rng.choice(self.names)
        everywhere = self.rng.random() < 0.3
        self._note(
            f"{loss:.0%} of {'all packets' if everywhere else 'the packets to ' + one} are lost"
        )
        pairs = itertools.permutations(self.names, 2)
        losses = {pair: loss for pair in pairs if everywhere or pair[1] == one}
        with self._wires(losses=losses):
            self._talk(5 * self.deadtime_s)
        self._await_peace("heavy loss")

    def _bad_wires(self) -> None:
        self._note("packets come twice, late, out of order, and damaged")
        before = self._views()
        longest_s = self.timing.keepalive_s / 4
        with self._wires(duplication=0.3, corruption=0.1, delay_s=(0.0002, longest_s)):
            self._talk(10 * self.deadtime_s)
            assert self._views() == before, f"a false death on bad wires: {self._views()}"

    def _many_at_once(self) -> None:
        gone = self.rng.sample(self.names, self.rng.randint(1, len(self.names)))
        self._note(f"{' '.join(gone)} crash together")
        for name in gone:
            self.network.crash(name)
        self._talk(self.rng.uniform(0.1, 2) * self.deadtime_s)
        for name in gone:
            self.network.start(name)
            self._talk(self.rng.choice((0.0, 0.1, 0.5)) * self.deadtime_s)
        self._await_peace("a mass failure", cold=True)

    # --- time and talk ------------------------------------------------------------------------

    def _talk(self, seconds: float) -> None:
        """Let time pass while every client sends numbered messages."""
        end = self.network.now + seconds
        while end - self.network.now > 1e-6:
            self.network.run(min(self.timing.keepalive_s, end - self.network.now))
            for name in list(self.network.lives):
                if name not in self.network.frozen:
                    self._say(name)

    def _say(self, name: str, to: str | None = None) -> None:
        machine = self.network.lives[name].machine
        to = self.rng.choice(("", "", *self.names)) if to is None else to
        key = (machine.incarnation, to)
        number = self._numbers.get(key, 0) + 1
        self._numbers[key] = number
        text = f"{machine.incarnation} {to or '*'} {number}"
        self.network.send(name, text.encode(), to=to)

    def _await_peace(self, after: str, *, cold: bool = False) -> None:
        """All nodes are in one view within two deadtimes (of `initdead` where nobody knew one)."""
        names = "".join(self.names)
        limit_s = 2 * self.deadtime_s + (self.timing.initdead_s if cold else 0.0)
        took_s = self.network.run(limit_s, until=lambda: self._is_agreed(names))
        assert self._is_agreed(names), (
            f"not in one view {limit_s:.2f} s after {after}: {self._views()}"
        )
        self.story.converged_s = max(self.story.converged_s, took_s)
        self.story.converged_in = max(self.story.converged_in, took_s / self.deadtime_s)
        self._note(f"peace {took_s:.2f} s after {after}")
        self._talk(self.deadtime_s)

    def _heal(self) -> None:
        self._note("all wires are mended")
        self.network.heal()

    @contextmanager
    def _wires(
        self,
        *,
        loss: float = 0.0,
        losses: dict[tuple[str, str], float] | None = None,
        duplication: float = 0.0,
        corruption: float = 0.0,
        delay_s: tuple[float, float] = (0.0002, 0.0008),
    ) -> Iterator[None]:
        """Change what the wires do for a while."""
        network = self.network
        names = ("loss", "losses", "duplication", "corruption", "delay_s")
        before = {name: getattr(network, name) for name in names}
        bad = dict(zip(names, (loss, losses or {}, duplication, corruption, delay_s), strict=True))
        for name, value in bad.items():
            setattr(network, name, value)
        yield
        for name, value in before.items():
            setattr(network, name, value)

    # --- what must hold -----------------------------------------------------------------------

    def _check_every_listener(self) -> None:
        network = self.network
        for life in (*network.past, *network.lives.values()):
            self.story.delivered += Listener(life).check()

    def _is_agreed(self, names: str) -> bool:
        return self.network.is_agreed(names)

    def _check_one_stable_view(self, during: str) -> None:
        """Exactly one quorate view, which does not change any more."""

        def quorate() -> set[tuple[int, str]]:
            return {
                (view.id, "".join(member.name for member in view.members))
                for view in self.network.views().values()
                if view is not None and view.quorate
            }

        before = quorate()
        assert len(before) == 1, f"not one quorate view with {during}: {self._views()}"
        self._talk(2 * self.deadtime_s)
        assert quorate() == before, f"views come and go with {during}: {self._views()}"

    def _quorate(self) -> list[str]:
        views = self.network.views()
        return [name for name, view in views.items() if view is not None and view.quorate]

    def _check_margin(self, side: list[str], since: float) -> None:
        """Whoever is not on this side had let go for a margin when the side went on."""
        told = {
            name: [
                (at, message)
                for at, _, message in self.network.lives[name].told
                if isinstance(message, api.ViewInstalled)
                and at > since
                and message.event is not api.ViewEvent.NOT_PRIMARY
            ]
            for name in self.names
        }
        went_on = [at for name in side for at, message in told[name] if message.view.quorate]
        let_go = [told[name][0][0] for name in self.names if name not in side]
        had_s = min(went_on, default=self.network.now) - max(let_go)
        assert had_s >= self.timing.margin_s - 2e-3, f"only {had_s:.3f} s to stop services"

    @contextmanager
    def _accusing_nobody(self, name: str) -> Iterator[None]:
        """A node that had no chance to listen calls nobody dead in the meantime."""
        life = self.network.lives[name]
        count = len(life.notes)
        yield
        said = [note.text for _, note in life.notes[count:] if note.text.endswith(": is dead")]
        assert not said, f"{name} was away and accuses: {said}"

    def _views(self) -> dict[str, tuple[int, str]]:
        return {
            name: (view.id, "".join(member.name for member in view.members))
            for name, view in self.network.views().items()
            if view is not None
        }

    def _highest_view(self) -> int:
        return max((number for number, _ in self._views().values()), default=0)

    def _note(self, text: str) -> None:
        self.story.acts.append(f"{self.network.now:9.3f} {text}")
