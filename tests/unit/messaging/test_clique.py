"""The strongest set of nodes that all hear each other, judged by trying everything."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.clique import largest_clique
from messaging.quorum import Electorate


def graph(nodes: str, edges: set[tuple[str, str]]) -> dict[str, frozenset[str]]:
    return {
        name: frozenset(
            other for other in nodes if (name, other) in edges or (other, name) in edges
        )
        for name in nodes
    }


@settings(max_examples=300, deadline=None)
@given(st.integers(2, 7), st.data())
def test_the_largest_clique_is_what_trying_everything_finds(size: int, data: st.DataObject) -> None:
    nodes = "abcdefg"[:size]
    pairs = list(itertools.combinations(nodes, 2))
    edges = {pair for pair in pairs if data.draw(st.booleans())}
    neighbours = graph(nodes, edges)
    groups = [
        group
        for count in range(1, size + 1)
        for group in itertools.combinations(nodes, count)
        if all(pair in edges for pair in itertools.combinations(group, 2))
    ]
    leader = data.draw(st.sampled_from(nodes))
    votes = {name: data.draw(st.integers(0, 3)) for name in nodes}
    strengths = {name: size * votes[name] + 1 for name in nodes}
    held = st.sets(st.sampled_from(nodes), min_size=1).map(frozenset)
    ties = data.draw(st.dictionaries(held, st.integers(1, 3), max_size=3))

    clique = largest_clique(neighbours, leader, ties=ties)
    heaviest = largest_clique(neighbours, leader, strengths.__getitem__)

    def strength(group: tuple[str, ...]) -> int:
        return sum(strengths[name] for name in group)

    most = min(groups, key=lambda group: (-strength(group), leader not in group, group))
    assert tuple(sorted(heaviest)) == most
    best = min(
        groups,
        key=lambda group: (
            -len(group),
            -ties.get(frozenset(group), 0),
            not all(each & set(group) for each in ties),
            leader not in group,
            group,
        ),
    )
    assert tuple(sorted(clique)) == best


def test_a_half_that_could_be_refused_the_tie_is_not_chosen() -> None:
    """The server gave the tie to abc, who do not all hear each other any more."""
    edges = {("a", "b"), ("b", "d"), ("a", "d"), ("d", "e"), ("e", "f"), ("d", "f")}

    def goes_on(ties: dict[frozenset[str], int]) -> str:
        return "".join(sorted(largest_clique(graph("abcdef", edges), "f", ties=ties)))

    assert goes_on({}) == "def"
    assert goes_on({frozenset("abc"): 1}) == "abd"


def test_where_votes_are_counted_after_heads_the_half_with_more_votes_goes_on() -> None:
    chain = ("majority", "weight", "twonodes")
    electorate = Electorate(tuple("abcd"), {"a": 200}, chain=chain)
    neighbours = graph("abcd", {("a", "b"), ("b", "c"), ("c", "d")})

    clique = largest_clique(neighbours, "d", electorate.strength_of)

    assert electorate.has_quorum(clique)
