"""Counting: the chain of plugins, and what any two counts that may be in use have in common."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.quorum import Electorate, problem_of

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CHAINS = [
    ("majority",),
    ("majority", "twonodes"),
    ("weight", "twonodes"),
    ("majority", "weight"),
    ("weight", "majority", "ping", "twonodes"),
]


@pytest.mark.parametrize(
    ("members", "total", "expected", "asked"),
    [
        (1, 1, True, ["majority"]),
        (1, 2, True, ["majority", "twonodes"]),
        (2, 2, True, ["majority"]),
        (1, 3, False, ["majority"]),
        (2, 3, True, ["majority"]),
        (2, 4, False, ["majority", "twonodes"]),
        (3, 4, True, ["majority"]),
        (2, 5, False, ["majority"]),
    ],
)
def test_the_chain_of_plugins_decides(
    members: int, total: int, expected: bool, asked: list[str]
) -> None:
    electorate = Electorate(tuple(LETTERS[:total]))

    assert electorate.decide(LETTERS[:members]) == (expected, asked)


@given(
    st.lists(st.integers(0, 300), min_size=3, max_size=9),
    st.sampled_from(CHAINS),
    st.booleans(),
    st.data(),
)
def test_at_most_one_of_two_partitions_has_quorum_unless_there_are_two_nodes(
    weights: list[int], chain: tuple[str, ...], reaches_out: bool, data: st.DataObject
) -> None:
    nodes = tuple(LETTERS[: len(weights)])
    electorate = Electorate(nodes, dict(zip(nodes, weights, strict=True)), chain)
    side = data.draw(st.sets(st.sampled_from(nodes)))
    other = set(nodes) - side

    assert not (
        electorate.has_quorum(side, reaches_out=reaches_out)
        and electorate.has_quorum(other, reaches_out=reaches_out)
    )


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
    st.integers(0, 3),
    st.sampled_from(CHAINS),
    st.booleans(),
)
@settings(deadline=None)
def test_a_count_is_changed_only_where_both_counts_have_a_node_in_common(
    weights: list[int], changed: int, chain: tuple[str, ...], is_added: bool
) -> None:
    nodes = tuple(LETTERS[: len(weights)])
    votes = dict(zip(nodes, weights, strict=True))
    before = Electorate(nodes[1:] if is_added else nodes, votes, chain)
    after = Electorate(nodes, {**votes, "a": changed}, chain)
    if not before.may_become(after):
        return
    assert after.may_become(before)

    for mine in itertools.chain.from_iterable(
        itertools.combinations(nodes, size) for size in range(1, len(nodes))
    ):
        theirs = [node for node in nodes if node not in mine]
        known = [node for node in mine if node in before.nodes]
        both = before.has_quorum(known) and after.has_quorum(theirs)
        assert not both or 2 in (len(before.nodes), len(after.nodes))


def test_heads_may_be_added_one_by_one_and_votes_as_far_as_all_are_multiples() -> None:
    abc, abcd = Electorate(("a", "b", "c")), Electorate(("a", "b", "c", "d"))
    by_votes = Electorate(("a", "b", "c"), {"a": 150}, ("weight",))
    server = Electorate(("a", "b", "c"), {}, ("majority", "quorumd"), "qs")

    assert abc.may_become(abcd) and abcd.may_become(abc)
    assert not abc.may_become(Electorate(("a", "b", "c", "d", "e")))
    assert not by_votes.may_become(Electorate(("a", "b", "c", "d"), {"a": 150}, ("weight",)))
    assert not abc.may_become(Electorate(("a", "b", "c"), {}, ("weight", "twonodes")))
    grown = Electorate(("a", "b", "c", "d"), {}, ("majority", "quorumd"), "qs")
    assert not server.may_become(grown), "ab of three, and cd of four with the tie"


def test_votes_count_where_the_chain_says_so() -> None:
    weights = {"a": 300}
    by_heads = Electorate(("a", "b", "c"), weights)
    by_votes = Electorate(("a", "b", "c"), weights, ("weight", "twonodes"))

    assert not by_heads.has_quorum("a") and by_heads.has_quorum("bc")
    assert by_votes.has_quorum("a") and not by_votes.has_quorum("bc")


def test_four_nodes_have_no_tie_when_one_weighs_more() -> None:
    electorate = Electorate(("a", "b", "c", "d"), {"a": 101}, ("weight",))

    for side in itertools.combinations("abcd", 2):
        assert electorate.has_quorum(side) is ("a" in side)


def test_the_quorum_server_decides_ties_only() -> None:
    electorate = Electorate(("a", "b", "c", "d"), {}, ("majority", "quorumd"), "qs")

    assert [electorate.needs_tie("abcd"[:size]) for size in range(5)] == [
        False, False, True, False, False,
    ]  # fmt: skip
    assert electorate.has_quorum("ab", holds_tie=True) and not electorate.has_quorum("ab")
    assert not electorate.has_quorum("a", holds_tie=True)


def test_a_ping_node_withholds_quorum_and_never_gives_it() -> None:
    electorate = Electorate(("a", "b"), {}, ("majority", "ping", "twonodes"))

    assert electorate.has_quorum("a") and electorate.has_quorum("b"), "fencing has to decide"
    assert not electorate.has_quorum("a", reaches_out=False)
    assert electorate.has_quorum("ab", reaches_out=False)


@pytest.mark.parametrize(
    ("chain", "problem"),
    [
        ("majority:twonodes", ""),
        ("weight:majority:ping:quorumd", ""),
        ("majorty", "there is no quorum plugin 'majorty'"),
        ("twonodes", "the first quorum plugin has to count"),
        ("", "there is no quorum plugin ''"),
        ("majority:majority", "can be asked once only"),
        ("majority:quorumd:twonodes", "nothing may follow the quorum plugin 'quorumd'"),
        ("majority:ping", "'ping' only withholds quorum"),
    ],
)
def test_a_chain_that_cannot_be_is_refused(chain: str, problem: str) -> None:
    found = problem_of(chain.split(":"))

    assert found.startswith(problem) or problem in found
    assert bool(found) == bool(problem)


def test_the_debug_lines_are_those_of_the_tutorial() -> None:
    electorate = Electorate(("a", "b", "c"))

    assert electorate.debug_lines("ab", electorate.decide("ab")[1], "linux-ha") == [
        "quorum plugin: majority",
        "cluster:linux-ha, member_count=2, member_quorum_votes=200",
        "total_node_count=3, total_quorum_votes=300",
    ]


def test_who_counts_otherwise_has_another_charter() -> None:
    charters = {
        Electorate(("a", "b")).charter,
        Electorate(("a", "c")).charter,
        Electorate(("a", "b"), {"a": 200}).charter,
        Electorate(("a", "b"), {}, ("weight",)).charter,
        Electorate(("a", "b"), {}, ("majority", "quorumd"), "one").charter,
        Electorate(("a", "b"), {}, ("majority", "quorumd"), "two").charter,
    }

    assert len(charters) == 6
    assert Electorate(("a", "b"), {"a": 100}).charter == Electorate(("b", "a")).charter
