"""A hung child is noticed, and a busy computer, a paused parent and a slow start are not."""

from __future__ import annotations

import random
import signal

from crm.plumbing.machine import AskAlive, Caller, PeerAlive, PeerConnected, PeerLost
from messaging import children
from messaging.children import (
    ChildEnded,
    ChildPlan,
    Children,
    ChildStarted,
    Effect,
    ProcessAttached,
    ProcessDetached,
    ProcessHeard,
    SignalChild,
    StartChild,
)
from messaging.pulse import MAX_UNANSWERED, MAX_UNANSWERED_AT_START, PAUSE_S
from tests.kit.messaging import Network

KILL = int(signal.SIGKILL)
PLANS = [
    ChildPlan("cib", "cib", is_vital=True, is_on_bus=True),
    ChildPlan("crmd", "crmd", is_vital=True, is_on_bus=True),
    ChildPlan("guard-1", "/bin/guard"),
]
PIDS = {"cib": 100, "crmd": 101, "guard-1": 102}


class House:
    """Children under a simulated clock; those in `stuck` answer no question."""

    def __init__(self, attached: tuple[str, ...] = ("cib", "crmd")) -> None:
        self.children = Children(PLANS)
        self.now = 0.0
        self.stuck: set[str] = set()
        self.asked: list[tuple[float, str]] = []
        self.killed: list[tuple[float, str]] = []
        self.started: list[str] = []
        self.take(self.children.start(0.0))
        for name, pid in PIDS.items():
            self.take(self.children.receive(ChildStarted(name, pid), 0.0))
        for name in attached:
            self.take(self.children.receive(ProcessAttached(name, PIDS[name]), 0.0))

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case AskAlive(peer):
                    self.asked.append((self.now, peer))
                    if peer not in self.stuck:
                        self.take(self.children.receive(ProcessHeard(peer), self.now))
                case SignalChild(name, number) if number == KILL:
                    self.killed.append((self.now, name))
                case StartChild(name):
                    self.started.append(name)

    def run(self, until: float) -> None:
        while (due := self.children.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.take(self.children.tick(self.now))
        self.now = until


def test_a_child_that_answers_is_asked_on_and_on_and_never_killed() -> None:
    house = House()

    house.run(3600.0)

    assert house.killed == []
    assert len([peer for _, peer in house.asked if peer == "cib"]) == 3600 / PAUSE_S


def test_a_hung_child_is_killed_after_five_unanswered_questions_and_the_others_are_not() -> None:
    house = House()
    house.run(60.0)
    house.stuck.add("crmd")

    house.run(120.0)

    first_unanswered = 60.0 + PAUSE_S
    assert house.killed[0] == (first_unanswered + MAX_UNANSWERED * PAUSE_S, "crmd")
    assert {name for _, name in house.killed} == {"crmd"}


def test_a_killed_child_is_started_again_and_the_new_one_is_watched() -> None:
    house = House()
    house.stuck.add("crmd")
    house.run(40.0)
    house.started.clear()
    house.take(house.children.receive(ProcessDetached("crmd"), 40.0))
    house.take(house.children.receive(ChildEnded("crmd", 0, KILL), 40.0))
    assert house.started == ["crmd"]
    house.take(house.children.receive(ChildStarted("crmd", 201), 40.0))
    house.take(house.children.receive(ProcessAttached("crmd", 201), 40.1))
    house.killed.clear()

    house.run(100.0)

    assert {name for _, name in house.killed} == {"crmd"}
    house.stuck.clear()
    house.take(house.children.receive(ProcessHeard("crmd"), house.now))
    house.killed.clear()
    house.run(1000.0)
    assert house.killed == []


def test_four_unanswered_questions_are_forgotten_with_the_fifth_answer() -> None:
    house = House()
    for turn in range(20):
        house.stuck.add("cib")
        house.run((turn * 2 + 1) * (MAX_UNANSWERED - 1) * PAUSE_S)
        house.stuck.clear()
        house.run((turn * 2 + 2) * (MAX_UNANSWERED - 1) * PAUSE_S)

    assert house.killed == []


def test_a_parent_that_slept_for_a_day_kills_nobody() -> None:
    house = House()
    house.run(30.0)
    house.stuck = {"cib", "crmd"}
    house.now = 86_400.0
    house.take(house.children.tick(house.now))
    house.stuck.clear()

    house.run(86_500.0)

    assert house.killed == []


def test_a_child_whose_connection_is_gone_is_killed_in_the_same_time() -> None:
    house = House()
    house.run(9.0)
    house.take(house.children.receive(ProcessDetached("cib"), 9.5))

    house.run(60.0)

    assert house.killed[0] == (9.0 + PAUSE_S + MAX_UNANSWERED * PAUSE_S, "cib")


def test_a_child_that_reconnects_in_time_is_alive() -> None:
    house = House()
    for at in range(10, 400, 10):
        house.run(float(at))
        house.take(house.children.receive(ProcessDetached("cib"), house.now))
        house.run(at + 9.0)
        house.take(house.children.receive(ProcessAttached("cib", 100), house.now))

    assert house.killed == []


def test_a_child_may_take_a_minute_to_come_to_the_bus_but_not_longer() -> None:
    house = House(attached=("cib",))

    house.run(1000.0)

    assert house.killed[0] == ((MAX_UNANSWERED_AT_START + 1) * PAUSE_S, "crmd")


def test_a_child_on_the_bus_before_its_birth_was_reported_is_known_by_its_pid() -> None:
    children = Children(PLANS)
    children.start(0.0)
    children.receive(ProcessAttached("crmd", 101), 0.0)
    children.receive(ChildStarted("crmd", 101), 0.1)

    assert AskAlive("crmd") in children.tick(0.1 + PAUSE_S)


def test_a_program_of_somebody_else_is_not_asked() -> None:
    house = House()
    house.run(100.0)

    assert {peer for _, peer in house.asked} == {"cib", "crmd"}


def test_a_stopping_node_still_replaces_nobody_but_ends_the_hung() -> None:
    house = House()
    house.run(10.0)
    house.stuck.add("crmd")
    house.take(house.children.stop(10.0))
    house.started.clear()

    house.run(60.0)
    house.take(house.children.receive(ChildEnded("crmd", 0, KILL), 60.0))

    assert house.killed[0][1] == "crmd"
    assert house.started == []


def test_whatever_answers_come_late_only_silence_of_fifteen_seconds_kills() -> None:
    for seed in range(50):
        rng = random.Random(seed)
        house = House()
        silent_since: float | None = None
        at = 0.0
        while at < 600.0:
            at += rng.uniform(0.5, 12.0)
            house.run(at)
            for when, _ in house.killed:
                assert silent_since is not None and when - silent_since > 15.0
            house.killed.clear()
            if rng.random() < 0.5:
                house.stuck.clear()
                house.take(house.children.receive(ProcessHeard("cib"), at))
                silent_since = None
            elif silent_since is None:
                house.stuck.add("cib")
                silent_since = at


def test_heartbeat_asks_its_children_over_the_bus_and_kills_the_hung_one() -> None:
    network = Network(1, clients=(), child_plans=tuple(PLANS[:2]))
    network.start()
    network.run(5.0)
    life = network.lives["a"]
    for name in ("cib", "crmd"):
        network.feed("a", children.ChildStarted(name, PIDS[name]))
        network.feed("a", PeerConnected(name, Caller(0, 0, PIDS[name])))

    for _ in range(20):
        network.run(PAUSE_S)
        network.feed("a", PeerAlive("cib"))
    assert life.signals == [("crmd", KILL)] * (20 // MAX_UNANSWERED - 1)

    network.feed("a", PeerLost("crmd"))
    network.feed("a", children.ChildEnded("crmd", 0, KILL))
    assert life.started == ["cib", "crmd", "crmd"]
