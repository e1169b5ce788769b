"""A few lives of the cluster layer with every fast test run, and proof that the checks see."""

from __future__ import annotations

import pytest

from crm.api import membership as api
from tests.kit.messaging import Life, Network
from tests.sim import wire_plants, wires
from tests.sim.listener import Listener


@pytest.mark.parametrize("seed", range(1, 3))
def test_the_cluster_layer_keeps_its_promises(seed: int) -> None:
    story = wires.live(seed)

    assert story.delivered > 0
    assert story.converged_in < 2


def test_the_same_seed_lives_the_same_life() -> None:
    assert wires.live(7) == wires.live(7)


@pytest.mark.parametrize("name", wire_plants.PLANTS)
def test_each_planted_bug_is_noticed_by_the_check_that_is_for_it(name: str) -> None:
    said = wire_plants.PLANTS[name].found
    found = (wires.run(seed, name, 1).violation for seed in range(1, 61))

    assert any(violation and said in violation for violation in found)


def told(*texts: str) -> Life:
    """A life whose client was told these messages, without a change of the view."""
    network = Network(3)
    network.start()
    life = network.lives["a"]
    messages = [api.ClusterMessage("b", "crmd", text.encode()) for text in texts]
    life.told.extend((0.0, "crmd", message) for message in messages)
    return life


@pytest.mark.parametrize(
    "texts",
    [("x * 1", "x * 1"), ("x * 2", "x * 1"), ("x * 1", "x * 3")],
    ids=["twice", "reordered", "lost"],
)
def test_a_message_that_does_not_come_once_and_in_order_is_found(texts: tuple[str, ...]) -> None:
    with pytest.raises(AssertionError):
        Listener(told(*texts)).check()


def test_streams_of_two_destinations_are_counted_apart() -> None:
    assert Listener(told("x * 1", "x a 1", "x * 2", "x a 2")).check() == 4
