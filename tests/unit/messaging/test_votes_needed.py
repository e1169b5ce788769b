"""What is enough by itself, as clients are told it, against the chain of plugins that decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.quorum import Electorate

CHAINS = [
    ("majority",),
    ("majority", "twonodes"),
    ("majority", "quorumd"),
    ("majority", "ping", "twonodes"),
    ("weight", "twonodes"),
    ("weight", "majority", "ping", "twonodes"),
]


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=7).filter(any),
    st.sampled_from(CHAINS),
    st.data(),
)
def test_members_with_the_votes_needed_have_quorum_whatever_arbitrators_say(
    weights: list[int], chain: tuple[str, ...], data: st.DataObject
) -> None:
    nodes = tuple("abcdefg"[: len(weights)])
    electorate = Electorate(nodes, dict(zip(nodes, weights, strict=True)), chain)
    members = data.draw(st.sets(st.sampled_from(nodes)))
    votes = sum(map(electorate.votes_of, members))

    if votes >= electorate.votes_needed:
        assert electorate.has_quorum(members, holds_tie=False, reaches_out=False)
    elif 2 * votes < sum(map(electorate.votes_of, nodes)):
        assert not electorate.has_quorum(members, holds_tie=True, reaches_out=True)


@pytest.mark.parametrize(
    ("weights", "chain", "expected"),
    [
        ((100, 100, 100), ("majority", "twonodes"), 2),
        ((100, 100), ("majority", "twonodes"), 1),
        ((100, 100), ("majority", "quorumd"), 2),
        ((100, 100), ("weight", "twonodes"), 100),
        ((300, 100, 100), ("weight", "twonodes"), 251),
    ],
)
def test_the_votes_needed_are_counted_as_the_first_plugin_counts(
    weights: tuple[int, ...], chain: tuple[str, ...], expected: int
) -> None:
    nodes = tuple("abc"[: len(weights)])

    electorate = Electorate(nodes, dict(zip(nodes, weights, strict=True)), chain)

    assert electorate.votes_needed == expected
