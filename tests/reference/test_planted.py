"""Planted errors: each stage forgets or distorts something, and a published case notices.

A case that agrees proves little if it would agree without the behaviour as well. Each plant of
`tests/kit/plants.py` names a case that agrees at some level and no longer does when it is planted.
"""

from __future__ import annotations

import pytest

from tests.kit import plants
from tests.kit.plants import Plant, planted
from tests.reference.test_scheduler import CASES, cases, expected, judge, produce

LEVELS = ("L1r", "L2", "L3c", "L4", "L5")

NOTICED_BY: dict[str, tuple[str, ...]] = {
    "stickiness is forgotten": ("inc3", "migrate-1"),
    "target-role is forgotten": ("stopped-monitor-31", "use-after-free-merge"),
    "nothing may migrate": ("migrate-1", "10-a-then-bm-b-move-a-clone"),
    "everything is managed": ("stopped-monitor-11", "stopped-monitor-09"),
    "fail counts are forgotten": ("coloc-group", "bug-5025-2"),
    "location constraints are forgotten": ("group6", "use-after-free-merge"),
    "colocation constraints are forgotten": ("coloc-group", "container-2"),
    "order constraints are forgotten": ("order6", "group6"),
    "lost tickets are not missed": ("ticket-primitive-13", "ticket-group-20"),
    "health is not looked at": ("systemhealtho2", "systemhealthp2"),
    "room is not looked at": ("placement-priority", "colocated-utilization-group"),
    "no node is unclean": ("rec-node-8", "systemhealthp2"),
    "nothing has failed": ("container-2", "unmanaged-stop-1"),
    "digests are lost": ("order6", "ticket-clone-15"),
    "clones do not notify": ("notify-3", "promoted-2"),
    "clones do not interleave": ("unfence-startup", "reload-becomes-restart"),
    "quorum is always there": ("rec-node-9", "rec-node-8"),
    "nobody leads": ("ticket-promoted-2", "promoted_monitor_restart"),
    "scores are miscounted": ("order6", "group6"),
    "everything goes to one node": ("order6", "group6"),
    "inability is ignored": ("rec-node-8", "unmanaged-stop-1"),
    "nothing is probed": ("order6", "group6"),
    "monitors do not recur": ("stopped-monitor-31", "promoted_monitor_restart"),
    "nothing is cancelled": ("stopped-monitor-08", "node-maintenance-1"),
    "nobody is fenced": ("ticket-clone-9", "systemhealtho2"),
    "no node is shut down": ("simple7", "params-2"),
    "counts are not cleared": ("bug-5025-4", "bug-5069-op-disabled"),
    "leftovers are not deleted": ("params-2", "bug-5025-4"),
    "nothing waits in the plan": ("order6", "group6"),
    "what cannot be done is done": ("rec-node-8", "unmanaged-stop-1"),
    "nothing waits in the graph": ("order6", "group6"),
    "the graph is written backwards": ("order6", "group6"),
}
"""For each plant two cases, of which one has to notice."""

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not CASES.is_dir(), reason=f"no published cases in {CASES}"),
]


def texts(name: str, plant: Plant) -> dict[str, str]:
    """Make the texts a case is judged by, with something planted."""
    return produce(name, cases()[name], lambda cluster, now: planted(cluster, now, plant))


def agreeing(name: str, plant: Plant) -> set[str]:
    """List the levels at which a case agrees."""
    made = texts(name, plant)
    found = judge().compare_texts(expected(name), made, LEVELS)
    return {level for level in LEVELS if found[level]["ok"]}


def test_without_a_plant_the_decision_is_that_of_the_pipeline() -> None:
    for name in ("order6", "promoted-2", "rec-node-8"):
        assert texts(name, Plant()) == produce(name, cases()[name])


def test_every_plant_has_a_case_that_is_to_notice() -> None:
    assert set(NOTICED_BY) == set(plants.ALL)


@pytest.mark.parametrize("plant", sorted(NOTICED_BY))
def test_a_published_case_notices_that(plant: str) -> None:
    assert any(
        agreeing(name, Plant()) - agreeing(name, plants.ALL[plant]) for name in NOTICED_BY[plant]
    )
