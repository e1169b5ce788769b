"""What goes wrong in a run of the profile `cib`: disks, crashes within a write, partitions.

Rules of the game. A disk may lose what was not synced, be full, fail and be read-only at any
time, on any number of nodes. What was durable is damaged on one node only, while everything else
is whole and agreed (`damage` has calm before and after it): no protocol can keep what the disks
of a quorum have lost.
"""

from __future__ import annotations

import random

from tests.sim.faults import Fault, Script

EARLY_S = 1.0
FIRST_FAULT_S = 18.0
CALM_S = 26.0
"""Enough to detect, elect, join and install after any fault."""

DAMAGED_FIRST = 0.5
"""So often a cluster that had time to come to rest meets a damaged disk before all else."""

DETECTED_S = 9.0
"""So long after a cut both sides have a membership of their own."""

MAX_CALLS = 26
"""A write of configuration and history makes about so many calls."""

KINDS = {
    "crash": 5,
    "blink": 4,
    "power-at-call": 8,
    "kill-at-call": 6,
    "kill": 5,
    "blackout": 4,
    "split": 5,
    "bridge": 2,
    "one-way": 3,
    "flap": 2,
    "weather": 2,
    "slow-disk": 2,
    "full": 5,
    "sync-error": 5,
    "broken": 2,
    "read-only": 2,
    "leave": 1,
    "damage": 3,
    "edit": 4,
}
PARTITIONS = ("split", "bridge", "one-way", "flap", "weather")
FULL_CALLS = ("create", "write", "fsync", "rename", "link", "sync_folder")
SYNC_CALLS = ("fsync", "sync_folder")
DAMAGES = (
    "empty",
    "torn",
    "flipped",
    "zeroed",
    "older",
    "foreign",
    "removed",
    "new-disk",
    "journal",
    "journal-removed",
    "promise",
    "signature",
)
DAEMONS = ("cib", "cib", "crmd", "crmd", "heartbeat")


def write(chance: random.Random, nodes: list[str], length_s: float) -> Script:
    """Think up a script."""
    script = Script(quiet_from=length_s)
    now = chance.choice((EARLY_S, FIRST_FAULT_S)) + chance.uniform(0, 4)
    if now >= FIRST_FAULT_S and chance.random() < DAMAGED_FIRST:
        script.faults, busy_s = _damage(chance, now, chance.choice(nodes))
        now += busy_s
    while now < length_s:
        faults, busy_s = _misfortune(chance, now, nodes)
        script.faults += faults
        now += busy_s + chance.choice((0.2, 2.0, 8.0)) * chance.random()
    script.faults = [each for each in script.faults if each.when < length_s]
    script.faults.sort(key=lambda fault: fault.when)
    return script


def writes(chance: random.Random, nodes: list[str], length_s: float) -> list[Fault]:
    """When writers write: now and then alone, now and then all at once."""
    found = []
    now = 1.0
    while now < length_s:
        now += chance.expovariate(1.2)
        found.append(Fault(now, "write", chance.choice(nodes)))
        if chance.random() < 0.15:
            burst = [now + chance.uniform(0, 0.4) for _ in range(chance.randint(3, 12))]
            found += [Fault(when, "write", chance.choice(nodes)) for when in burst]
    return [each for each in found if each.when < length_s]


def _misfortune(chance: random.Random, now: float, nodes: list[str]) -> tuple[list[Fault], float]:
    """One misfortune, and how long nothing else should begin (seconds)."""
    weights = {kind: KINDS[kind] for kind in KINDS if len(nodes) > 2 or kind not in PARTITIONS}
    kind = chance.choices(list(weights), list(weights.values()))[0]
    node = chance.choice(nodes)
    length_s = chance.choice((0.3, 2.0, 6.0, 12.0)) * chance.uniform(0.5, 1.5)
    if kind in PARTITIONS:
        return _partition(chance, kind, now, nodes, length_s)
    if kind in ("full", "sync-error", "broken", "read-only", "slow-disk"):
        return _bad_disk(chance, kind, now, nodes, length_s), chance.choice((0.5, length_s))
    if kind == "edit":
        return _edit(chance, now, nodes, node, length_s), length_s
    if kind == "damage":
        faults, busy_s = _damage(chance, now + CALM_S, node)
        return faults, CALM_S + busy_s
    if kind == "blackout":
        return _blackout(chance, now, nodes), 4.0
    if kind == "kill":
        daemon = chance.choice(DAEMONS)
        if daemon == "heartbeat":  # the whole node, without its power
            return [Fault(now, "halt", node), Fault(now + length_s, "boot", node)], length_s
        return [Fault(now, f"kill:{daemon}", node)], chance.choice((0.1, 2.0))
    if kind in ("power-at-call", "kill-at-call"):
        return _at_call(chance, kind, now, node, length_s), length_s
    if kind == "leave":
        return [Fault(now, "leave", node), Fault(now + 12, "boot", node)], 10.0
    away_s = chance.uniform(0.05, 1.0) if kind == "blink" else length_s
    return [Fault(now, "crash", node), Fault(now + away_s, "boot", node)], away_s * 0.7


def _damage(chance: random.Random, now: float, node: str) -> tuple[list[Fault], float]:
    """Something spoils the disk of one node while it is down; all before it was agreed."""
    made = f"damage:{chance.choice(DAMAGES)}"
    away_s = chance.uniform(0.5, 4)
    faults = [Fault(now, "crash", node), Fault(now + 0.1, made, node)]
    return [*faults, Fault(now + away_s, "boot", node)], away_s + CALM_S


def _at_call(
    chance: random.Random, kind: str, now: float, node: str, length_s: float
) -> list[Fault]:
    """The power fails, or the cib dies, at a call of the next write; and there is one."""
    number = chance.randrange(MAX_CALLS)
    faults = [Fault(now, kind, node, number=number)]
    faults += [Fault(now + 0.02 * n, "write", node) for n in range(1, 4)]
    if kind == "power-at-call":
        faults.append(Fault(now + 0.5 + length_s, "boot", node))
    return faults


def _bad_disk(
    chance: random.Random, kind: str, now: float, nodes: list[str], length_s: float
) -> list[Fault]:
    count = 1 if chance.random() < 0.7 else chance.randint(1, len(nodes))
    faults: list[Fault] = []
    for node in chance.sample(nodes, count):
        detail, number = "", 0.0
        if kind == "full":
            detail, number = ":" + chance.choice(FULL_CALLS), chance.choice((1, 2, 1000))
        elif kind == "sync-error":
            detail, number = ":" + chance.choice(SYNC_CALLS), chance.choice((1, 1, 2, 3))
        elif kind == "slow-disk":
            number = chance.choice((0.2, 1.0, 3.0))
        faults.append(Fault(now, kind + detail, node, number=number))
        faults.append(Fault(now + length_s, "good-disk", node))
        if kind == "sync-error" and chance.random() < 0.6:
            # What the sync has lost can be read until the power fails.
            faults += [Fault(now + 0.03 * n, "write", node) for n in range(1, 6)]
            faults.append(Fault(now + 0.03 + chance.uniform(0, 1.5), "crash", node))
            faults.append(Fault(now + length_s + 1.6, "boot", node))
        if kind in ("broken", "read-only"):
            faults.append(Fault(now + length_s + 1.0, "boot", node))
    return faults


def _partition(
    chance: random.Random, kind: str, now: float, nodes: list[str], length_s: float
) -> tuple[list[Fault], float]:
    shuffled = chance.sample(nodes, len(nodes))
    heal = Fault(now + length_s, "heal")
    if kind == "split":
        return _split(chance, now, shuffled, length_s)
    if kind == "weather":
        loss = chance.choice((0.05, 0.2, 0.3))
        return [Fault(now, "weather", number=loss), heal], length_s
    one, other = shuffled[:2]
    if kind == "one-way":
        return [Fault(now, "cut", nodes=((one, other),)), heal], length_s + 2
    if kind == "bridge":  # both ways between two, while others reach both
        cuts = [Fault(now, "cut", nodes=((a, b),)) for a, b in ((one, other), (other, one))]
        return [*cuts, heal], length_s + 2
    faults = []
    period_s = chance.choice((0.3, 2.0, 8.0))
    for number in range(4):  # flap
        start = now + number * period_s
        faults.append(Fault(start, "split", nodes=((one,), tuple(shuffled[1:]))))
        faults.append(Fault(start + period_s * chance.uniform(0.3, 0.8), "heal"))
    return faults, 4 * period_s + 1


def _split(
    chance: random.Random, now: float, nodes: list[str], length_s: float
) -> tuple[list[Fault], float]:
    """Two sides; a master that is cut off goes on counting for as long as he does not know it."""
    place = chance.randint(1, len(nodes) - 1)
    small, large = sorted((tuple(nodes[:place]), tuple(nodes[place:])), key=len)
    faults = [Fault(now, "split", nodes=(small, large))]
    if chance.random() < 0.5:
        moments = [now + 0.1 + chance.uniform(0, 2) for _ in range(10)]
        faults += [Fault(moment, "write", chance.choice(small)) for moment in moments]
        if chance.random() < 0.5:
            moment = now + chance.uniform(0, 2)
            faults.append(Fault(moment, "write:raise-admin-epoch", chance.choice(small)))
    if chance.random() < 0.4:
        length_s = max(length_s, DETECTED_S + chance.choice((2.0, 6.0)))
        faults += _knowing_it(chance, now, now + length_s, small, large)
    return [*faults, Fault(now + length_s, "heal")], length_s + chance.choice((0.5, 4.0))


def _knowing_it(
    chance: random.Random, now: float, end: float, small: tuple[str, ...], large: tuple[str, ...]
) -> list[Fault]:
    """Both sides go on: the small one is forced to, and now and then decides."""
    begin = now + DETECTED_S - 2
    counts = (chance.choice((3, 10, 40)), chance.choice((0, 1, 3)))
    faults = [
        Fault(chance.uniform(begin, end), "write", chance.choice(side))
        for side, count in zip((small, large), counts, strict=True)
        for _ in range(count)
    ]
    if chance.random() < 0.15:
        faults.append(Fault(end - 0.5, "write:decide", chance.choice(small)))
    return faults


def _edit(
    chance: random.Random, now: float, nodes: list[str], node: str, length_s: float
) -> list[Fault]:
    """Somebody changes the file of a node that is down, while the others go on."""
    down = chance.choice(("crash", "leave", "halt"))
    away_s = (12.0 if down == "leave" else 0.1) + length_s
    kind = "edit:decide" if chance.random() < 0.1 else "edit"
    edits = [Fault(now + away_s * chance.uniform(0.95, 1), kind, node) for _ in range(3)]
    others = [each for each in nodes if each != node]
    moments = [now + away_s * chance.random() for _ in range(chance.choice((0, 1, 4)))]
    writes = [Fault(moment, "write", chance.choice(others)) for moment in moments]
    boot = Fault(now + away_s + 0.1, "boot", node)
    return [Fault(now, down, node), *edits[: chance.randint(1, 3)], *writes, boot]


def _blackout(chance: random.Random, now: float, nodes: list[str]) -> list[Fault]:
    """The power fails everywhere, in the middle of changes that slow disks have not yet taken."""
    slow = [Fault(now, "slow-disk", each, number=chance.uniform(0.05, 1.0)) for each in nodes]
    changes = [Fault(now + 0.05 * n, "write", chance.choice(nodes)) for n in range(1, 10)]
    end = now + chance.uniform(0.1, 1.5)
    spread_s = chance.choice((0.0, 0.2, 3.0))
    crashes = [Fault(end + spread_s * chance.random(), "crash", each) for each in nodes]
    boots = [Fault(end + spread_s + 4 * chance.random(), "boot", each) for each in nodes]
    good = [Fault(end + spread_s, "good-disk", each) for each in nodes]
    return slow + changes + crashes + boots + good
