"""The cluster layer alone, from a seed: nodes, wires, and everything that goes wrong with them.

A life is a row of acts; each brings one kind of fault (crash, restart, pause, stop, partitions of
every kind, one-way cuts, a missing wire between two, a flapping one, loss, duplication, reordering,
damage), and between them clients send numbered messages. What must hold:

- at most one quorate partition acts at a time, after every event (`Watch`);
- whoever can talk to all of its side, and to nobody else, agrees on one view of exactly that side;
- below 20 % of loss alone nobody is declared dead;
- a flapping wire changes the membership no more often than a deadtime allows;
- messages of one client arrive in order, none twice, and none is missing unless a view came between
  that its sender, or the receiver, was not in or is new in;
- two deadtimes after the last fault everybody is in one view.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from crm.api import membership as api
from messaging.cluster_settings import Timing
from tests.kit.messaging import Life, Network, Watch
from tests.sim.cluster import RunResult

ACTS = 10
STABLE = 3.0
"""Deadtimes after which a partition that nothing disturbs must have agreed."""

TIMINGS = (
    Timing(keepalive_s=0.2, deadtime_s=1.0, warntime_s=0.6, initdead_s=2.0, deadping_s=1.0),
    Timing(keepalive_s=0.1, deadtime_s=0.5, warntime_s=0.3, initdead_s=1.0, deadping_s=0.5),
    Timing(keepalive_s=0.05, deadtime_s=0.4, warntime_s=0.2, initdead_s=1.0, deadping_s=0.4),
    Timing(keepalive_s=1.0, deadtime_s=10.0, warntime_s=5.0, initdead_s=12.0, deadping_s=10.0),
)


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


class LongLease(Timing):
    """A planted bug: a node relies on its quorum long after the others have gone on."""

    @property
    def lease_s(self) -> float:
        """Three deadtimes instead of less than one."""
        return 3 * self.deadtime_s


PLANTS = {"long-lease": (LongLease(keepalive_s=0.2, deadtime_s=1.0, initdead_s=2.0),)}
"""Bugs that the checks must notice, as the timings that carry them."""


class Broken(AssertionError):
    """Something that must hold did not."""


def live(seed: int, timings: Sequence[Timing] = TIMINGS) -> Story:
    """Live one life; raises `Broken` with the acts that led to it."""
    story = Story(seed)
    try:
        _Stage(story, timings).play()
    except AssertionError as broken:
        acts = "\n  ".join(story.acts)
        raise Broken(f"seed {seed}: {broken}\n  {acts}") from broken
    return story


def run(seed: int, plant: str, lines: int) -> RunResult:
    """Live one life for `./run sim`; `lines` is how many acts a report may have at the end."""
    try:
        story = live(seed, PLANTS[plant] if plant else TIMINGS)
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

    def __init__(self, story: Story, timings: Sequence[Timing]) -> None:
        self.story = story
        self.rng = random.Random(story.seed)
        self.timing = self.rng.choice(timings)
        self.deadtime_s = self.timing.deadtime_s
        self.network = Network(self.rng.randint(3, 7), seed=story.seed, timing=self.timing)
        self.names = self.network.settings.nodes
        Watch(self.network)
        self._numbers: dict[tuple[str, str], int] = {}

    def play(self) -> None:
        """All acts, then peace."""
        network = self.network
        network.start()
        self._note(f"{len(self.names)} nodes, deadtime {self.deadtime_s} s")
        self._await_peace("the start")
        acts = (
            self._crash_and_return,
            self._restart_at_once,
            self._pause,
            self._stop_in_order,
            self._split,
            self._cut_one_way,
            self._lose_one_wire,
            self._flap,
            self._lose_some,
            self._lose_many,
            self._bad_wires,
            self._many_at_once,
        )
        for _ in range(ACTS):
            self.rng.choice(acts)()
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
        self.network.thaw(name)
        self._await_peace("a pause")

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
        majority = [side for side in sides if 2 * len(side) > len(self.names)]
        for side in majority:
            assert self.network.is_agreed(side), f"{side} does not agree: {self._views()}"
        self._talk(self.rng.uniform(0, 1) * self.deadtime_s)
        self._heal()
        self._await_peace("a partition")

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
        views = [view for view in self.network.views().values() if view is not None]
        quorate = {(view.id, view.members) for view in views if view.quorate}
        assert len(quorate) == 1, f"no one quorate view with a wire missing: {self._views()}"
        self._heal()
        self._await_peace("a missing wire")

    def _flap(self) -> None:
        one, other = self.rng.sample(self.names, 2)
        half_s = self.rng.choice((0.05, 0.2, 1.0, 5.0))
        rounds = min(40, max(4, round(10 / half_s / 2)))
        before = self._highest_view()
        self._note(f"the wire {one}-{other} flaps {rounds} times, {half_s} s each way")
        for _ in range(rounds):
            self.network.cut((one, other))
            self._talk(half_s)
            self.network.heal()
            self._talk(half_s)
        views = self._highest_view() - before
        bound = 4 + 4 * (2 * rounds * half_s) / self.deadtime_s
        assert views <= bound, f"{views} views while a wire flapped, at most {bound:.0f} expected"
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
        self._note(f"{loss:.0%} of the packets to {one} are lost")
        with self._wires(losses={(name, one): loss for name in self.names}):
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
        self._await_peace("a mass failure")

    # --- time and talk ------------------------------------------------------------------------

    def _talk(self, seconds: float) -> None:
        """Let time pass while every client sends numbered messages."""
        end = self.network.now + seconds
        while self.network.now < end:
            self.network.run(min(self.timing.keepalive_s, end - self.network.now))
            for name in list(self.network.lives):
                if name not in self.network.frozen:
                    self._say(name)

    def _say(self, name: str) -> None:
        machine = self.network.lives[name].machine
        to = self.rng.choice(("", "", *self.names))
        key = (machine.incarnation, to)
        number = self._numbers.get(key, 0) + 1
        self._numbers[key] = number
        text = f"{machine.incarnation} {to or '*'} {number}"
        self.network.send(name, text.encode(), to=to)

    def _await_peace(self, after: str) -> None:
        """All nodes are in one view within two deadtimes."""
        names = "".join(self.names)
        limit_s = 2 * self.deadtime_s + self.timing.initdead_s
        took_s = self.network.run(limit_s, until=lambda: self.network.is_agreed(names))
        assert self.network.is_agreed(names), (
            f"not agreed {limit_s} s after {after}: {self._views()}"
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


class Listener:
    """One life's client: checks what it was told, in the order it was told."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._last: dict[tuple[str, str], int] = {}
        self._may_have_missed: set[tuple[str, str]] = set()

    def check(self) -> int:
        """Go through everything; returns how many messages there were."""
        count = 0
        for message in self._life.messages():
            match message:
                case api.ViewInstalled():
                    self._take_view(message)
                case api.ClusterMessage(payload=payload):
                    count += 1
                    self._take_message(payload.decode())
        return count

    def _take_view(self, installed: api.ViewInstalled) -> None:
        """Who is new in a view, or outside it, may have been missed; everybody, if we are new."""
        view = installed.view
        stayed = [member for member in view.members if member.name not in view.new]
        own = self._life.machine.incarnation
        is_continued = installed.event is api.ViewEvent.NEW_MEMBERSHIP and any(
            member.incarnation == own for member in stayed
        )
        lives = {member.incarnation for member in stayed if is_continued}
        self._may_have_missed |= {stream for stream in self._last if stream[0] not in lives}

    def _take_message(self, text: str) -> None:
        sender, to, number_text = text.split()
        stream, number = (sender, to), int(number_text)
        last = self._last.get(stream)
        self._last[stream] = number
        if last is None:
            return
        own = self._life.machine.incarnation
        assert number > last, f"{own} got {text} after number {last}"
        if stream not in self._may_have_missed:
            assert number == last + 1, f"{own} got {text} right after number {last}"
        self._may_have_missed.discard(stream)
