"""Each promise is kept because it is looked at: a stack that breaks it is found."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from tests.contract import plants, test_promises
from tests.contract.plants import JUDGED, Plant
from tests.contract.stage import Stage
from tests.contract.torment import torment

SEEDS = range(1, 31)


def is_noticed(plant: type[Plant], seed: int, judge: Callable[[Stage], None]) -> bool:
    stage = torment("closed-groups", seed, plants={"closed-group": plant}, settles=False)
    try:
        judge(stage)
    except (AssertionError, KeyError):
        return True
    return False


@pytest.mark.parametrize(
    ("plant", "judge"), JUDGED, ids=[f"{a.__name__}-{b.__name__}" for a, b in JUDGED]
)
def test_a_broken_promise_is_found_by_its_judge(
    plant: type[Plant], judge: Callable[[Stage], None]
) -> None:
    assert any(is_noticed(plant, seed, judge) for seed in SEEDS)


STORIES = [
    (plants.KeepsTheNameWithTheFirst, test_promises.test_p03_a_name_belongs_to_who_signed_on_last),
    (
        plants.HidesWhoJoins,
        test_promises.test_p03_a_name_belongs_to_who_signed_on_last,
    ),
    (plants.LosesTheFirst, test_promises.test_p07_who_hears_of_a_client_reaches_it),
    (
        plants.HearsItsOwn,
        test_promises.test_p08_a_message_to_all_goes_to_all_others_and_one_to_a_node_to_that,
    ),
    (plants.Overtakes, test_promises.test_p10_a_large_message_arrives_as_it_was),
    (plants.ForgetsANode, test_promises.test_p14_a_node_that_is_gone_or_back_is_told_of),
    (plants.LosesNobody, test_promises.test_p18_a_life_that_comes_back_is_another),
    (
        plants.AlwaysHasQuorum,
        test_promises.test_p21_only_one_side_of_a_partition_has_quorum_and_all_come_together,
    ),
    (
        plants.AnswersWithAnotherNumber,
        test_promises.test_p23_a_question_is_answered_with_its_number,
    ),
    (
        plants.AnswersWithAnotherNumber,
        test_promises.test_p24_what_a_stack_lacks_it_says_and_refuses,
    ),
]


@pytest.mark.parametrize(
    ("plant", "story"), STORIES, ids=[f"{a.__name__}-{b.__name__[5:8]}" for a, b in STORIES]
)
def test_a_broken_promise_is_found_by_its_story(
    plant: type[Plant], story: Callable[[test_promises.MakeStage], None]
) -> None:
    make = functools.partial(Stage, "closed-groups", plants={"closed-group": plant})

    with pytest.raises((AssertionError, ValueError, IndexError)):
        story(make)


def test_every_judge_has_a_plant() -> None:
    judges = {
        each
        for name, test in vars(test_promises).items()
        if name.startswith("test_p")
        for each in getattr(test, "judges", ())
    }
    assert judges and judges <= {judge for _, judge in JUDGED}
