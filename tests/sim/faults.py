"""What goes wrong in a run, decided before it begins: a list of moments and misfortunes.

Rules of the game. Invariant I1 is promised without fencing only where a node that is cut off can
still let go in time, so a daemon is not killed shortly before or during a cut; a node may crash
at any time. Everything is healed at `quiet_from`; what follows must come to rest.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

DAEMONS = ("cib", "crmd", "attrd", "lrmd", "pengine")
NETWORK = ("split", "one-way", "weather")
LOCAL = {
    "crash": 5,
    "kill": 5,
    "fail": 3,
    "write": 4,
    "disk": 2,
    "leave": 2,
    "blackout": 2,
    "standby": 2,
}
"""How often what goes wrong, compared with the rest."""

EARLY_S = 1.0
"""Some clusters meet their first fault while they are still starting,"""
FIRST_FAULT_S = 22.0
"""others when they have come to rest."""
CALM_BEFORE_CUT_S = 14.0


@dataclass(frozen=True)
class Fault:
    """Something that happens at `when` (virtual seconds)."""

    when: float
    kind: str
    node: str = ""
    nodes: tuple[tuple[str, ...], ...] = ()
    number: float = 0.0

    def __str__(self) -> str:
        parts = [self.kind, self.node, "|".join(",".join(group) for group in self.nodes)]
        return " ".join(part for part in parts if part)


@dataclass
class Script:
    """The faults of a run, in order, and the moment from which nothing goes wrong any more."""

    faults: list[Fault] = field(default_factory=list)
    quiet_from: float = 0.0


def write(chance: random.Random, nodes: list[str], resources: list[str], length_s: float) -> Script:
    """Think up a script for a cluster."""
    script = Script(quiet_from=length_s)
    now = chance.choice((EARLY_S, FIRST_FAULT_S)) + chance.uniform(0, 4)
    while now < length_s:
        faults, busy_s = _misfortune(chance, now, nodes, resources)
        script.faults += faults
        now += busy_s + chance.choice((0.5, 3.0, 8.0)) * chance.random()
    script.faults = [each for each in script.faults if each.when < length_s]
    script.faults.sort(key=lambda fault: fault.when)
    return script


def _misfortune(
    chance: random.Random, now: float, nodes: list[str], resources: list[str]
) -> tuple[list[Fault], float]:
    """One misfortune and how long nothing else should begin (seconds)."""
    # Two nodes without fencing cannot tell a cut from a crash: both would rightly take over.
    network = (4, 2, 3) if len(nodes) > 2 else (0, 0, 0)
    weights = dict(zip(NETWORK, network, strict=True)) | LOCAL
    kind = chance.choices(list(weights), list(weights.values()))[0]
    node = chance.choice(nodes)
    length_s = chance.choice((0.3, 2.0, 5.0, 7.0, 12.0)) * chance.uniform(0.5, 1.5)
    if kind == "crash":
        return [Fault(now, "crash", node), Fault(now + length_s, "boot", node)], length_s * 0.7
    if kind == "leave":
        return [Fault(now, "leave", node), Fault(now + 12, "boot", node)], 10.0
    if kind == "split":
        groups = _groups(chance, nodes)
        return [Fault(now, "split", nodes=groups), Fault(now + length_s, "heal")], length_s + 4
    if kind == "one-way":
        other = chance.choice([each for each in nodes if each != node])
        cut = Fault(now, "cut", nodes=((node, other),))
        return [cut, Fault(now + length_s, "heal")], length_s + 4
    if kind == "weather":
        loss = chance.choice((0.05, 0.2, 0.3))
        storm = Fault(now, "weather", number=loss)
        return [storm, Fault(now + length_s, "heal")], length_s + 1
    if kind == "kill":
        victims = [Fault(now + chance.random(), "kill:" + chance.choice(DAEMONS), node)]
        if chance.random() < 0.3:
            victims.append(Fault(now + chance.random(), "kill:" + chance.choice(DAEMONS), node))
        return victims, CALM_BEFORE_CUT_S
    if kind == "fail":
        return [Fault(now, "fail:" + chance.choice(resources), node)], 1.0
    if kind == "disk":
        slow = Fault(now, "slow-disk", node, number=chance.choice((0.2, 1.0, 3.0)))
        return [slow, Fault(now + length_s, "good-disk", node)], 0.5
    if kind == "standby":
        return [Fault(now, "standby", node), Fault(now + length_s, "online", node)], 0.5
    if kind == "blackout":
        return _blackout(chance, now, nodes), 22.0
    return [Fault(now + chance.random() * n, "write", chance.choice(nodes)) for n in range(4)], 0.5


def _blackout(chance: random.Random, now: float, nodes: list[str]) -> list[Fault]:
    """The power fails everywhere, in the middle of changes that slow disks have not yet taken."""
    slow = [Fault(now, "slow-disk", each, number=chance.uniform(0.05, 1.0)) for each in nodes]
    writes = [Fault(now + 0.05 * n, "write", chance.choice(nodes)) for n in range(1, 8)]
    end = now + chance.uniform(0.1, 1.5)
    crashes = [Fault(end + 0.2 * chance.random(), "crash", each) for each in nodes]
    boots = [Fault(end + 3 + 4 * chance.random(), "boot", each) for each in nodes]
    good = [Fault(end + 2, "good-disk", each) for each in nodes]
    return slow + writes + crashes + boots + good


def _groups(chance: random.Random, nodes: list[str]) -> tuple[tuple[str, ...], ...]:
    shuffled = list(nodes)
    chance.shuffle(shuffled)
    cut = chance.randint(1, len(nodes) - 1)
    groups = [sorted(shuffled[:cut]), sorted(shuffled[cut:])]
    if len(groups[1]) > 2 and chance.random() < 0.2:
        groups = [groups[0], groups[1][:1], groups[1][1:]]
    return tuple(tuple(group) for group in groups)
