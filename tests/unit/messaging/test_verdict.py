"""The view of a complete table: members, born, numbers, quorum."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.frame import Join
from messaging.verdict import Verdict, is_mutual, judge, largest_clique
from tests.kit.messaging import join, seats, table


def names(verdict: Verdict) -> str:
    return "".join(seat.name for seat in verdict.members)


def test_nodes_that_start_together_are_all_born_in_the_first_view() -> None:
    verdict = judge(table(*(join(name, "abc") for name in "abc")), 3)

    assert names(verdict) == "abc" and verdict.view_id == 1 and verdict.quorate
    assert {seat.born for seat in verdict.members} == {1}
    assert verdict.leader == "c"


def test_the_leader_is_the_oldest_and_among_equals_the_larger_name() -> None:
    members = (*seats("bc", born=3), *seats("a", born=5))
    joins = [join(name, "abc", members=members, view_id=5, quorate=True) for name in "abc"]

    assert judge(table(*joins), 3).leader == "c"


def test_the_same_members_from_the_same_view_change_nothing() -> None:
    joins = [join(name, "abc", members=seats("abc"), view_id=4, quorate=True) for name in "abc"]

    verdict = judge(table(*joins), 3)

    assert verdict.unchanged and verdict.view_id == 4


def test_a_single_cut_off_node_that_returns_is_born_again() -> None:
    alone = join("a", "abc", members=seats("a"), view_id=20)
    others = [join(name, "abc", members=seats("bc"), view_id=9, quorate=True) for name in "bc"]

    verdict = judge(table(alone, *others), 3)

    assert verdict.view_id == 21
    assert {seat.name: seat.born for seat in verdict.members} == {"a": 21, "b": 1, "c": 1}


def test_a_restarted_member_is_born_again() -> None:
    others = [join(name, "abc", members=seats("abc"), view_id=9, quorate=True) for name in "bc"]

    verdict = judge(table(join("a", "abc"), *others), 3)

    assert {seat.name: seat.born for seat in verdict.members} == {"a": 10, "b": 1, "c": 1}


def test_of_an_interrupted_pair_the_one_more_interrupted_is_born_again() -> None:
    def member(name: str, broken: str) -> Join:
        seated = seats("abc")
        return join(name, "abc", members=seated, view_id=9, quorate=True, broken=tuple(broken))

    verdict = judge(table(member("a", "bc"), member("b", "a"), member("c", "a")), 3)

    assert [seat.name for seat in verdict.members if seat.born == 10] == ["a"]


def test_a_bridge_belongs_to_one_side_and_the_other_must_let_go() -> None:
    def member(name: str, reach: str) -> Join:
        return join(name, reach, members=seats("abc"), view_id=9, quorate=True)

    verdict = judge(table(member("a", "b"), member("b", "ac"), member("c", "b")), 3)

    assert names(verdict) == "bc"  # c has been the leader
    assert verdict.must_let_go == ("a",)


def test_a_life_that_is_not_the_named_one_does_not_count_as_named() -> None:
    stale = Join(1, "b", "new-life", "u", 3, reach=(("a", "life-a"),), broken=(), highest_id=0)
    both = table(join("a", "b"), stale)

    assert not is_mutual(both)
    assert len(judge(both, 3).members) == 1


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 7), st.data())
def test_the_largest_clique_is_what_trying_everything_finds(size: int, data: st.DataObject) -> None:
    nodes = "abcdefg"[:size]
    pairs = list(itertools.combinations(nodes, 2))
    edges = {pair for pair in pairs if data.draw(st.booleans())}
    neighbours = {
        name: frozenset(
            other for other in nodes if (name, other) in edges or (other, name) in edges
        )
        for name in nodes
    }
    groups = [
        group
        for count in range(1, size + 1)
        for group in itertools.combinations(nodes, count)
        if all(pair in edges for pair in itertools.combinations(group, 2))
    ]
    leader = data.draw(st.sampled_from(nodes))

    clique = largest_clique(neighbours, leader)

    best = min(groups, key=lambda group: (-len(group), leader not in group, group))
    assert tuple(sorted(clique)) == best
