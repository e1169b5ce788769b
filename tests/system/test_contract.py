"""The contract of the cluster layer, held to real heartbeats: the same stories."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cli.lab.plan import LabPlan
from cli.lab.remote import Lab
from tests.contract import test_promises
from tests.contract.lab_stage import LabStage

pytestmark = pytest.mark.system

Make = Callable[..., LabStage]

_STORIES = (
    test_promises.test_p03_a_name_belongs_to_who_signed_on_last,
    functools.partial(
        test_promises.test_p04_who_signs_off_or_ends_has_left_for_everybody, how="says so"
    ),
    functools.partial(
        test_promises.test_p04_who_signs_off_or_ends_has_left_for_everybody, how="ends"
    ),
    test_promises.test_p07_who_hears_of_a_client_reaches_it,
    test_promises.test_p08_a_message_to_all_goes_to_all_others_and_one_to_a_node_to_that,
    test_promises.test_p09_what_is_said_to_who_is_not_there_is_not_kept,
    test_promises.test_p10_a_large_message_arrives_as_it_was,
    test_promises.test_p14_a_node_that_is_gone_or_back_is_told_of,
    test_promises.test_p18_a_life_that_comes_back_is_another,
    test_promises.test_p21_only_one_side_of_a_partition_has_quorum_and_all_come_together,
    functools.partial(
        test_promises.test_p22_a_node_that_leaves_in_order_is_not_waited_for, by="a client"
    ),
    test_promises.test_p23_a_question_is_answered_with_its_number,
    test_promises.test_p24_what_a_stack_lacks_it_says_and_refuses,
    test_promises.test_p25_only_the_gate_changes_keys_and_nodes,
)


@pytest.fixture
def make(make_lab: Callable[[LabPlan], Lab]) -> Iterator[Make]:
    """Stages in labs, each let go of in the end."""
    made: list[LabStage] = []

    def make_stage(*arguments: Any, **named: Any) -> LabStage:
        made.append(LabStage(make_lab, *arguments, **named))
        return made[-1]

    yield make_stage
    for stage in made:
        stage.close()


def _name(story: Callable[..., None] | functools.partial[None]) -> str:
    if isinstance(story, functools.partial):
        return f"{story.func.__name__[5:8]}-{' '.join(story.keywords.values())}"
    return story.__name__[5:8]


@pytest.mark.parametrize("story", _STORIES, ids=_name)
def test_a_promise_is_kept_by_real_heartbeats(make: Make, story: Callable[[Make], None]) -> None:
    story(make)
