"""The strongest set of nodes that all hear each other, found the same way by everybody.

Responsible for the search in a graph. Not responsible for who hears whom, nor for what follows
(`verdict`).

Of several sets of the same strength one is chosen by what everybody sees in the table: first those
to which the tie is given already, then those to which the quorum server could give it, as they
share a member with every set that has it; then those with the leader, then those with the smaller
names. So partial contact does not end the quorum of a half that holds the tie in favour of one
that would be refused it.

Source: docs/protocol/membership.md, "Rounds".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

MAX_EXACT_NODES = 32
"""Above so many nodes a good subset is found instead of the largest."""


def largest_clique(
    neighbours: Mapping[str, frozenset[str]],
    leader: str,
    strength_of: Callable[[str], int] = lambda _: 1,
    *,
    ties: Mapping[frozenset[str], int] = MappingProxyType({}),
) -> frozenset[str]:
    """The strongest fully connected subset; on a tie see above.

    With nodes of equal strength it is the largest. A strength is at least 1. `ties` are the sets to
    which the quorum server gave the tie, with how many say so.
    """
    names = sorted(neighbours)
    if all(len(neighbours[name]) == len(names) - 1 for name in names):
        return frozenset(names)
    if len(names) > MAX_EXACT_NODES:
        return _shrink_to_clique(neighbours)
    bits = {name: 1 << index for index, name in enumerate(names)}
    graph = _Graph(
        [sum(bits[other] for other in neighbours[name]) for name in names],
        [strength_of(name) for name in names],
    )
    left = (1 << len(names)) - 1
    lacking = graph.strength_of_clique(left)
    held = [
        (-count, leader not in each, sorted(each))
        for each, count in ties.items()
        if _is_clique(each, neighbours) and sum(map(strength_of, each)) == lacking
    ]
    if held:
        return frozenset(min(held)[2])
    touched = [sum(bits.get(name, 0) for name in each) for each in ties]
    if not graph.has_clique(left, lacking, touched):
        touched = []
    chosen: set[str] = set()
    for name in [leader, *names]:
        bit = bits.get(name, 0)
        if name in chosen or not bit & left:
            continue
        index = names.index(name)
        rest, needed = left & graph.adjacent[index], lacking - graph.strengths[index]
        others = [each for each in touched if not each & bit]
        if graph.has_clique(rest, needed, others):
            chosen.add(name)
            left, lacking, touched = rest, needed, others
    return frozenset(chosen)


def _is_clique(names: frozenset[str], neighbours: Mapping[str, frozenset[str]]) -> bool:
    return all(name in neighbours and names - {name} <= neighbours[name] for name in names)


@dataclass(frozen=True)
class _Graph:
    """Nodes by number: to whom each is adjacent (bits), and how strong it is."""

    adjacent: Sequence[int]
    strengths: Sequence[int]

    def has_clique(self, among: int, strength: int, touched: Sequence[int]) -> bool:
        """Whether a clique in a set is so strong and has a member in each of these sets."""
        if self.strength_of_clique(among, strength - 1) < strength:
            return False
        if not touched:
            return True
        wanted = touched[0] & among
        while wanted:
            bit = wanted & -wanted
            wanted ^= bit
            index = bit.bit_length() - 1
            others = [each for each in touched if not each & bit]
            rest, needed = among & self.adjacent[index], strength - self.strengths[index]
            if self.has_clique(rest, needed, others):
                return True
        return False

    def strength_of_clique(self, among: int, known: int = 0) -> int:
        """How strong the strongest clique in a set (bits) is, or `known` if that is more.

        Branch and bound: nodes that one colour can paint are not connected, so a clique has at most
        one of each colour. A colour weighs as much as the weakest of its nodes, and takes that off
        each; what is left of the stronger ones is painted again. Sources: Tomita and Seki, DMTCS
        2003, "MCQ"; Tavares et al., 2015, for nodes of unlike weights.
        """
        painted: list[tuple[int, int]] = []
        uncoloured, bound, known = among, 0, max(known, 0)
        bare = list(self.strengths)
        while uncoloured:
            free, colour = uncoloured, []
            while free:
                bit = free & -free
                index = bit.bit_length() - 1
                colour.append(index)
                free &= ~(bit | self.adjacent[index])
            weight = min(bare[index] for index in colour)
            bound += weight
            for index in colour:
                bare[index] -= weight
                if not bare[index]:
                    painted.append((1 << index, bound))
                    uncoloured ^= 1 << index
        for bit, most in reversed(painted):
            if most <= known:
                return known
            index = bit.bit_length() - 1
            own = self.strengths[index]
            known = own + self.strength_of_clique(among & self.adjacent[index], known - own)
            among ^= bit
        return known


def _shrink_to_clique(neighbours: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Drop the least connected node until all are connected (large clusters only)."""
    left = set(neighbours)
    while True:
        degrees = {name: len(neighbours[name] & left) for name in sorted(left)}
        if all(degree == len(left) - 1 for degree in degrees.values()):
            return frozenset(left)
        worst = min(
            sorted(left, reverse=True),
            key=lambda name: (
                degrees[name],
                sum(degrees[other] for other in neighbours[name] & left),
            ),
        )
        left.remove(worst)
