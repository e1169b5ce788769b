"""Who has quorum: a chain of plugins, each of which says yes, no, or tie.

Responsible for counting heads and votes. Not responsible for who the heads are (`ccm`), for when a
node must let go (`links`), nor for how an arbitrator is asked (`arbitration`).

All nodes must count alike, or two partitions could both find that they have quorum: what the count
depends on is the *charter*, which nodes compare before they form a view together.

Of two sets without a common member at most one has quorum, by any chain that `problem_of` accepts:
if the first plugin says yes to one, the other has less than half and hears no; if it says tie to
one, the other hears tie or no, and the next plugin judges. `quorumd` says yes to one set at a time.
The exception is `twonodes`, by which each of two nodes goes on alone: it needs fencing.

Source: docs/protocol/membership.md, "Quorum".
"""

from __future__ import annotations

import enum
import functools
import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

DEFAULT_WEIGHT = 100
DEFAULT_CHAIN = ("majority", "twonodes")
CHAIN_WITH_SERVER = ("majority", "quorumd")


class Verdict(enum.Enum):
    """What a plugin says; on a tie the next one is asked."""

    YES = "yes"
    NO = "no"
    TIE = "tie"


class Count(NamedTuple):
    """What a plugin is shown: members and their votes, of all nodes and all votes.

    `holds_tie`: the quorum server has given the tie to these very members. `reaches_out`: a ping
    node answers one of them at least.
    """

    members: int
    nodes: int
    votes: int
    all_votes: int
    holds_tie: bool
    reaches_out: bool


def majority(count: Count) -> Verdict:
    """More than half of all nodes; exactly half is a tie."""
    return _more_than_half(count.members, count.nodes)


def weight(count: Count) -> Verdict:
    """More than half of all votes; exactly half is a tie."""
    return _more_than_half(count.votes, count.all_votes)


def twonodes(count: Count) -> Verdict:
    """One of two nodes goes on alone (which needs fencing to be safe)."""
    return Verdict.YES if count.nodes == 2 and count.members >= 1 else Verdict.NO


def ping(count: Count) -> Verdict:
    """Nobody whom no ping node answers; both halves may be answered, so the next one decides."""
    return Verdict.TIE if count.reaches_out else Verdict.NO


def quorumd(count: Count) -> Verdict:
    """The half to which the quorum server has given the tie."""
    return Verdict.YES if count.holds_tie else Verdict.NO


def _more_than_half(part: int, whole: int) -> Verdict:
    if 2 * part > whole:
        return Verdict.YES
    return Verdict.TIE if 2 * part == whole else Verdict.NO


PLUGINS: Mapping[str, Callable[[Count], Verdict]] = MappingProxyType(
    {
        "majority": majority,
        "weight": weight,
        "twonodes": twonodes,
        "ping": ping,
        "quorumd": quorumd,
    }
)
"""The plugins by the names a chain is written with (`env quorum=weight:twonodes`)."""

_COUNTING = ("majority", "weight")


def problem_of(chain: Sequence[str]) -> str:
    """Say why a chain of plugins cannot be; "" if it can."""
    for name in chain:
        if name not in PLUGINS:
            return f"there is no quorum plugin '{name}' ({', '.join(PLUGINS)})"
        if chain.count(name) > 1:
            return f"the quorum plugin '{name}' can be asked once only"
    if not chain or chain[0] not in _COUNTING:
        return f"the first quorum plugin has to count ({' or '.join(_COUNTING)})"
    if "quorumd" in chain[:-1]:
        return "nothing may follow the quorum plugin 'quorumd': what it refuses stays refused"
    if chain[-1] == "ping":
        return "'ping' only withholds quorum: let 'twonodes' or 'quorumd' follow it"
    return ""


@dataclass(frozen=True)
class Rulings:
    """What arbitrators have told this node.

    Exactly the nodes in `tie` have the tie, until `tie_until` (monotonic seconds), and have had it
    without a break since `tie_since`. `reaches_out`: a ping node answers.
    """

    tie: frozenset[str] = frozenset()
    tie_until: float = float("-inf")
    reaches_out: bool = False
    tie_since: float = float("-inf")

    def tie_at(self, now: float) -> frozenset[str]:
        """Who has the tie at a moment."""
        return self.tie if now < self.tie_until else frozenset()


@dataclass(frozen=True)
class Electorate:
    """All nodes of a cluster, what each weighs, and the plugins that are asked in turn."""

    nodes: tuple[str, ...]
    weights: Mapping[str, int] = field(default_factory=dict)
    chain: tuple[str, ...] = DEFAULT_CHAIN
    server: str = ""

    def weight_of(self, node: str) -> int:
        """The votes of a node."""
        return self.weights.get(node, DEFAULT_WEIGHT)

    def decide(
        self, members: Collection[str], *, holds_tie: bool = False, reaches_out: bool = True
    ) -> tuple[bool, list[str]]:
        """Ask the chain; also name the plugins that were asked, in order."""
        said = self.ask(members, holds_tie=holds_tie, reaches_out=reaches_out)
        return said[-1][1] is Verdict.YES, [name for name, _ in said]

    def ask(
        self, members: Collection[str], *, holds_tie: bool, reaches_out: bool
    ) -> list[tuple[str, Verdict]]:
        """Ask plugins in turn until one decides; what each of them says."""
        count = Count(
            members=len(members),
            nodes=len(self.nodes),
            votes=sum(map(self.weight_of, members)),
            all_votes=self._all_votes,
            holds_tie=holds_tie,
            reaches_out=reaches_out,
        )
        said: list[tuple[str, Verdict]] = []
        for name in self.chain:
            said.append((name, PLUGINS[name](count)))
            if said[-1][1] is not Verdict.TIE:
                break
        return said

    def has_quorum(
        self, members: Collection[str], *, holds_tie: bool = False, reaches_out: bool = True
    ) -> bool:
        """Tell whether these members may act."""
        return self.decide(members, holds_tie=holds_tie, reaches_out=reaches_out)[0]

    def lets_act(self, members: Collection[str], rulings: Rulings, now: float) -> bool:
        """Tell whether these members may act by what this node knows at a moment.

        Whether a ping node answers the others it does not know: that is judged in rounds.
        """
        holds_tie = rulings.tie_at(now) == frozenset(members)
        reaches_out = rulings.reaches_out or len(members) > 1
        return self.has_quorum(members, holds_tie=holds_tie, reaches_out=reaches_out)

    def needs_tie(self, members: Collection[str]) -> bool:
        """Tell whether these members may act if the quorum server says so, and only then."""
        return self.asks_server and (
            not self.has_quorum(members) and self.has_quorum(members, holds_tie=True)
        )

    def debug_lines(
        self, members: Collection[str], asked: Sequence[str], cluster: str
    ) -> list[str]:
        """The classic lines a membership decision leaves in the debug log."""
        votes = sum(map(self.weight_of, members))
        lines: list[str] = []
        for name in asked:
            lines.append(f"quorum plugin: {name}")
            lines.append(
                f"cluster:{cluster}, member_count={len(members)}, member_quorum_votes={votes}"
            )
            lines.append(
                f"total_node_count={len(self.nodes)}, total_quorum_votes={self._all_votes}"
            )
        return lines

    def strength_of(self, node: str) -> int:
        """What a node brings to a set of members: what is counted first decides first."""
        if self.chain[0] == "weight":
            return self.weight_of(node) * len(self.nodes) + 1
        return self._all_votes + 1 + self.weight_of(node) if "weight" in self.chain else 1

    @functools.cached_property
    def votes(self) -> tuple[tuple[str, int], ...]:
        """All nodes, by name, with their votes."""
        return tuple((node, self.weight_of(node)) for node in sorted(self.nodes))

    def with_votes(self, votes: Sequence[tuple[str, int]]) -> Electorate:
        """Make the electorate that counts these nodes, by the same chain."""
        return replace(self, nodes=tuple(node for node, _ in votes), weights=dict(votes))

    def may_become(self, other: Electorate) -> bool:
        """Tell whether what has quorum by this count and by the other always has a common member.

        The counts differ in one node that is added, deleted, or weighed anew. With the votes of
        that node growing by d, two disjoint sets Y (with quorum by the larger count) and X (by the
        smaller) need W - d < 2 w(Y) < W: no such number is a multiple of g, the greatest common
        divisor of all votes, if d is at most g. Where a tie can be decided for a half, more is
        needed, and a change has to wait until all nodes are stopped.

        Source: docs/protocol/membership.md, "The list of nodes".
        """
        if self._count_of_all == other._count_of_all:
            return True
        if self.chain != other.chain or not set(self.chain[1:]) <= {"twonodes", "ping"}:
            return False
        changed = [
            (self.votes_of(node), other.votes_of(node))
            for node in {*self.nodes, *other.nodes}
            if self.votes_of(node) != other.votes_of(node)
        ]
        every = [*map(self.votes_of, self.nodes), *map(other.votes_of, other.nodes)]
        return len(changed) <= 1 and all(
            abs(before - after) <= math.gcd(*every) for before, after in changed
        )

    def safe_step_to(self, other: Electorate) -> int:
        """By how many votes a node may change at a time, if such a change is wanted; else 0."""
        is_weighed = set(self.nodes) == set(other.nodes) and self.chain[0] == "weight"
        may_step = is_weighed and set(self.chain[1:]) <= {"twonodes", "ping"}
        return math.gcd(*map(self.votes_of, self.nodes)) if may_step else 0

    @property
    def _count_of_all(self) -> tuple[object, ...]:
        """All that a verdict depends on."""
        weighed = "weight" in self.chain
        votes = {node: self.weight_of(node) if weighed else 1 for node in self.nodes}
        return sorted(votes.items()), self.chain, self.server

    @functools.cached_property
    def votes_needed(self) -> int:
        """With so many votes of the first plugin members have quorum, whoever else may be asked."""
        whole = sum(map(self.votes_of, self.nodes))
        is_half_enough = len(self.nodes) == 2 and self.chain[1:2] == ("twonodes",)
        return (whole + 1) // 2 if is_half_enough else whole // 2 + 1

    def votes_of(self, node: str) -> int:
        """What a node counts for with the first plugin; nothing if it is none of ours."""
        if node not in self.nodes:
            return 0
        return 1 if self.chain[0] == "majority" else self.weight_of(node)

    @functools.cached_property
    def charter(self) -> str:
        """A word for all that the count depends on: equal where nodes count alike."""
        votes = " ".join(f"{node}={votes}" for node, votes in self.votes)
        text = f"{votes} {':'.join(self.chain)} {self.server}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def asks_server(self) -> bool:
        """Whether a quorum server decides ties."""
        return self.chain[-1] == "quorumd"

    @property
    def asks_ping_nodes(self) -> bool:
        """Whether ping nodes may withhold quorum."""
        return "ping" in self.chain

    @functools.cached_property
    def has_arbitrator(self) -> bool:
        """Whether the count depends on what somebody outside the cluster says."""
        return self.asks_server or self.asks_ping_nodes

    @functools.cached_property
    def _all_votes(self) -> int:
        return sum(map(self.weight_of, self.nodes))
