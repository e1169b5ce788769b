"""Elections: a total order of facts, and answers from everybody."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.api.peers import NoVote, Vote
from crm.controller.election import Election, SendVote, Standing, Verdict, feature_numbers


def election(node: str, born: dict[str, int], feature_set: str = "3.0.1") -> Election:
    machine = Election(node, feature_set)
    machine.set_electorate(born, 0)
    return machine


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (("3.0.1", 9, "z"), ("3.0.2", 1, "a")),
        (("3.0.9", 9, "z"), ("3.0.10", 1, "a")),
        (("3.0.1", 1, "z"), ("3.0.1", 2, "a")),
        (("3.0.1", 1, "a"), ("3.0.1", 1, "B")),
    ],
)
def test_lower_feature_set_then_older_then_smaller_name_wins(
    better: tuple[str, int, str], worse: tuple[str, int, str]
) -> None:
    one = Standing(feature_numbers(better[0]), better[1], better[2])
    two = Standing(feature_numbers(worse[0]), worse[1], worse[2])
    assert one.beats(two)
    assert not two.beats(one)


def test_a_lone_elector_has_won_as_soon_as_it_stands() -> None:
    machine = election("a", {"a": 1})
    machine.stand(0.0, 0)
    assert machine.is_won


def test_answers_to_an_older_election_do_not_count() -> None:
    machine = election("a", {"a": 1, "b": 1})
    machine.stand(0.0, 0)
    machine.stand(1.0, 0)
    machine.count("b", NoVote("a", 1))
    assert machine.missing() == ["b"]
    machine.count("b", NoVote("a", 2))
    assert machine.is_won


def test_a_vote_we_beat_counts_as_an_answer() -> None:
    machine = election("a", {"a": 1, "b": 1})
    machine.stand(0.0, 0)
    assert machine.judge("b", Vote(7, "3.0.1")) is Verdict.WE_WIN
    assert machine.is_won


def test_losing_ends_our_own_standing_and_names_the_favourite() -> None:
    machine = election("b", {"a": 1, "b": 1})
    machine.stand(0.0, 0)
    assert machine.judge("a", Vote(1, "3.0.1")) is Verdict.WE_LOSE
    answer = machine.give_way("a", Vote(1, "3.0.1"), 4)
    assert answer.no_vote == NoVote("a", 1, reign=4)
    assert (machine.is_running, machine.favourite, machine.deadline) == (False, "a", None)


def test_a_vote_from_outside_the_view_is_kept_until_the_view_has_caught_up() -> None:
    machine = election("a", {"a": 1})
    assert machine.judge("b", Vote(1, "3.0.1")) is Verdict.KEPT
    assert machine.take_kept() == []
    machine.set_electorate({"a": 1, "b": 2}, 0)
    assert machine.take_kept() == [("b", Vote(1, "3.0.1"))]
    assert machine.take_kept() == []


def test_whoever_leaves_is_no_longer_waited_for() -> None:
    machine = election("a", {"a": 1, "b": 1, "c": 1})
    machine.stand(0.0, 0)
    machine.count("c", NoVote("a", 1))
    machine.set_electorate({"a": 1, "c": 1}, 0)
    assert machine.is_won


def test_a_newcomer_is_sent_the_running_vote() -> None:
    machine = election("a", {"a": 1})
    machine.stand(0.0, 3)
    sent = machine.set_electorate({"a": 1, "b": 2}, 3)
    assert sent == [SendVote(Vote(1, "3.0.1", 3), "b")]
    assert not machine.is_won


def test_a_silent_elector_is_asked_again_after_two_minutes() -> None:
    machine = election("a", {"a": 1, "b": 1})
    machine.stand(5.0, 0)
    assert machine.deadline == 125.0


@given(
    st.lists(
        st.tuples(st.sampled_from(["3.0.1", "3.0.2", "3.1"]), st.integers(1, 3)),
        min_size=2,
        max_size=5,
    )
)
def test_exactly_one_of_any_electorate_wins_and_it_is_the_best(
    facts: list[tuple[str, int]],
) -> None:
    names = "abcde"[: len(facts)]
    born = {name: fact[1] for name, fact in zip(names, facts, strict=True)}
    machines = {
        name: election(name, born, fact[0]) for name, fact in zip(names, facts, strict=True)
    }
    votes = {name: machine.stand(0.0, 0)[0].vote for name, machine in machines.items()}
    for one, two in itertools.permutations(names, 2):
        if machines[one].judge(two, votes[two]) is Verdict.WE_LOSE:
            answer = machines[one].give_way(two, votes[two], 0)
            machines[two].count(one, answer.no_vote)
    best = min(
        names, key=lambda name: (feature_numbers(facts[names.index(name)][0]), born[name], name)
    )
    assert [name for name in names if machines[name].is_won] == [best]
