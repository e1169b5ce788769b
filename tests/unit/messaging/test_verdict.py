"""The view of a complete table: members, born, numbers, quorum."""

from __future__ import annotations

import msgspec

from messaging.frame import Join
from messaging.quorum import Electorate
from messaging.verdict import Verdict, is_mutual, judge
from tests.kit.messaging import join, seats, table

ABC = Electorate(("a", "b", "c"))


def names(verdict: Verdict) -> str:
    return "".join(seat.name for seat in verdict.members)


def test_nodes_that_start_together_are_all_born_in_the_first_view() -> None:
    verdict = judge(table(*(join(name, "abc") for name in "abc")), ABC)

    assert names(verdict) == "abc" and verdict.view_id == 1 and verdict.quorate
    assert {seat.born for seat in verdict.members} == {1}
    assert verdict.leader == "c"


def test_the_leader_is_the_oldest_and_among_equals_the_larger_name() -> None:
    members = (*seats("bc", born=3), *seats("a", born=5))
    joins = [join(name, "abc", members=members, view_id=5, quorate=True) for name in "abc"]

    assert judge(table(*joins), ABC).leader == "c"


def test_the_same_members_from_the_same_view_change_nothing() -> None:
    joins = [join(name, "abc", members=seats("abc"), view_id=4, quorate=True) for name in "abc"]

    verdict = judge(table(*joins), ABC)

    assert verdict.unchanged and verdict.view_id == 4


def test_a_single_cut_off_node_that_returns_is_born_again() -> None:
    alone = join("a", "abc", members=seats("a"), view_id=20)
    others = [join(name, "abc", members=seats("bc"), view_id=9, quorate=True) for name in "bc"]

    verdict = judge(table(alone, *others), ABC)

    assert verdict.view_id == 21
    assert {seat.name: seat.born for seat in verdict.members} == {"a": 21, "b": 1, "c": 1}


def test_a_restarted_member_is_born_again() -> None:
    others = [join(name, "abc", members=seats("abc"), view_id=9, quorate=True) for name in "bc"]

    verdict = judge(table(join("a", "abc"), *others), ABC)

    assert {seat.name: seat.born for seat in verdict.members} == {"a": 10, "b": 1, "c": 1}


def test_of_an_interrupted_pair_the_one_more_interrupted_is_born_again() -> None:
    def member(name: str, broken: str) -> Join:
        seated = seats("abc")
        return join(name, "abc", members=seated, view_id=9, quorate=True, broken=tuple(broken))

    verdict = judge(table(member("a", "bc"), member("b", "a"), member("c", "a")), ABC)

    assert [seat.name for seat in verdict.members if seat.born == 10] == ["a"]


def test_a_bridge_belongs_to_one_side_and_the_other_must_let_go() -> None:
    def member(name: str, reach: str) -> Join:
        return join(name, reach, members=seats("abc"), view_id=9, quorate=True)

    verdict = judge(table(member("a", "b"), member("b", "ac"), member("c", "b")), ABC)

    assert names(verdict) == "bc"  # c has been the leader
    assert verdict.must_let_go == ("a",)


def test_a_life_that_is_not_the_named_one_does_not_count_as_named() -> None:
    stale = Join(1, "b", "new-life", "u", 3, reach=(("a", "life-a"),), broken=(), highest_id=0)
    both = table(join("a", "b"), stale)

    assert not is_mutual(both)
    assert len(judge(both, ABC).members) == 1


def test_while_somebody_counts_otherwise_quorum_is_kept_but_not_gained() -> None:
    def member(name: str, *, view_id: int) -> Join:
        seated = seats("bc") if view_id else ()
        return join(
            name, "bc", members=seated, view_id=view_id, quorate=view_id > 0, disputes=name == "b"
        )

    assert judge(table(member("b", view_id=4), member("c", view_id=4)), ABC).quorate
    assert not judge(table(member("b", view_id=0), member("c", view_id=0)), ABC).quorate


def test_of_two_halves_the_one_that_holds_the_tie_goes_on() -> None:
    electorate = Electorate(tuple("abcd"), chain=("majority", "quorumd"), server="qs")

    def member(name: str, reach: str, tie: str = "") -> Join:
        said = join(name, reach, members=seats("abcd"), view_id=9, quorate=True, nodes=4)
        return msgspec.structs.replace(said, tie=tuple(tie))

    chain = [member("b", "ac"), member("c", "bd"), member("d", "c")]

    assert names(judge(table(member("a", "b"), *chain), electorate)) == "cd", "d is the leader"
    assert names(judge(table(member("a", "b", tie="ab"), *chain), electorate)) == "ab"
