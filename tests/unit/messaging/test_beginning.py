"""Nodes that start together: who speaks when, and how many words that takes."""

from __future__ import annotations

import random

from messaging import ccm, frame
from messaging.ccm import Activated, Heard, PeerActivated, PeerAppeared, PeerVanished
from tests.kit.messaging import TIMING, Network, join
from tests.unit.messaging.test_ccm import Node

LIMIT_S = TIMING.keepalive_s / 2


def rounds_of(node: Node) -> list[int]:
    """The rounds in which a node has spoken."""
    return [said.round for _, said in node.said if isinstance(said, frame.Join)]


def starting(peers: str = "bc", active: str = "b") -> Node:
    """An active node that is in contact with these peers, of which these are active."""
    node = Node("a")
    for peer in peers:
        node.feed(PeerAppeared(peer, f"life-{peer}"))
    node.feed(Activated())
    for peer in active:
        node.feed(PeerActivated(peer))
    return node


def test_a_node_is_silent_until_all_that_start_with_it_are_active() -> None:
    node = starting()
    assert rounds_of(node) == []

    node.feed(PeerActivated("c"))
    assert rounds_of(node) == [1]


def test_it_takes_part_in_the_round_that_others_have_opened() -> None:
    node = starting()
    node.feed(Heard("b", join("b", "ac", number=3)))
    assert rounds_of(node) == []

    node.feed(Heard("c", join("c", "ab", number=3)))

    assert rounds_of(node) == [3]
    assert node.machine.view is not None and len(node.machine.view.members) == 3


def test_it_waits_for_half_a_keepalive_and_no_longer() -> None:
    node = starting()
    node.feed(Heard("b", join("b", "ac", number=3)), 0.01)
    assert node.machine.next_deadline() == LIMIT_S
    node.tick(LIMIT_S)
    assert rounds_of(node) == [3]

    node.feed(PeerAppeared("d", "life-d"), 1.0)
    node.feed(Heard("b", join("b", "ac", number=4)), 1.0)
    assert rounds_of(node) == [3, 4], "it waits once in its life"


def test_it_does_not_wait_for_whom_it_lost() -> None:
    node = starting()
    node.feed(PeerVanished("c"), 0.01)

    assert rounds_of(node) == [1]


def test_it_does_not_wait_where_others_have_a_view() -> None:
    node = starting()
    seated = node.machine.view
    assert seated is None
    node.feed(Heard("b", join("b", "a", number=7, view_id=3, quorate=True)), 0.01)

    assert rounds_of(node) == [7]


def test_a_common_start_takes_a_few_words_of_each_node() -> None:
    """A round for each that becomes active would be as many words of each as there are nodes."""
    network = Network(8, seed=1)
    words: list[frame.Join] = []
    rng = random.Random(1)
    for at, name in sorted((rng.uniform(0, 0.05), name) for name in network.settings.nodes):
        network.run(1000.0 + at - network.now)
        network.start(name)
        _listen(network, name, words)
    network.run(TIMING.initdead_s, until=lambda: network.is_agreed("abcdefgh"))

    assert network.is_agreed("abcdefgh")
    assert len(words) <= 2 * 8


def _listen(network: Network, name: str, words: list[frame.Join]) -> None:
    machine = vars(network.lives[name].machine)["_ccm"]
    receive = machine.receive

    def listen(event: ccm.Event, now: float) -> list[ccm.Effect]:
        effects: list[ccm.Effect] = receive(event, now)
        said = (effect.message for effect in effects if isinstance(effect, ccm.Speak))
        words.extend(each for each in said if isinstance(each, frame.Join) and each.origin == name)
        return effects

    vars(machine)["receive"] = listen
