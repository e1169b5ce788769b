"""A peer that takes nothing again and again: contact with it is made ever more rarely."""

from __future__ import annotations

import itertools

import pytest

from crm.api import membership as api
from crm.plumbing.machine import MessageArrived
from messaging.holdoff import FORGIVEN_AFTER, LONGEST_S, HoldOff
from tests.kit.messaging import TIMING, Network, Watch

STALL_S = TIMING.stall_s


def agreed(nodes: int = 3) -> Network:
    network = Network(nodes)
    network.start()
    names = "".join(network.settings.nodes)
    assert network.run(1.0, until=lambda: network.is_agreed(names)) < 0.1
    network.run(TIMING.deadtime_s)
    Watch(network)
    return network


def let_b_take_nothing(network: Network) -> None:
    """Of node a, that is; and there is something to be taken."""
    network.take_nothing("b", "a")
    network.send("a", b"is anybody there?")


def stalls(network: Network, name: str) -> list[float]:
    return [
        at
        for at, note in network.lives[name].notes
        if note.text.startswith("node b does not take what is sent to it")
    ]


def trouble(network: Network, name: str, peer: str) -> str:
    network.feed(name, MessageArrived("mgmtd", api.AskCluster(1)))
    answer = network.lives[name].messages("mgmtd")[-1]
    assert isinstance(answer, api.ClusterDescription)
    return next(node.trouble for node in answer.nodes if node.node == peer)


def views(network: Network, name: str) -> int:
    return sum(isinstance(each, api.ViewInstalled) for each in network.lives[name].messages())


def test_the_pause_is_none_at_first_then_doubles_and_has_a_limit() -> None:
    holdoff, now = HoldOff(), 1000.0
    pauses = []
    for _ in range(9):
        holdoff.contact_made(now)
        now += STALL_S
        pauses.append(holdoff.stalled(now, STALL_S))
        now += pauses[-1]

    assert pauses == [0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, LONGEST_S, LONGEST_S]


def test_a_contact_that_lasts_makes_up_for_earlier_stalls() -> None:
    holdoff = HoldOff()
    for _ in range(5):
        holdoff.contact_made(0.0)
        holdoff.stalled(STALL_S, STALL_S)
    holdoff.contact_made(0.0)

    assert holdoff.stalled(FORGIVEN_AFTER * STALL_S + 1.0, STALL_S) == 0.0


def test_a_new_life_of_the_peer_begins_anew() -> None:
    network = agreed()
    let_b_take_nothing(network)
    network.run(2.5 * STALL_S, until=lambda: len(stalls(network, "a")) == 2)
    assert trouble(network, "a", "b")
    network.run(TIMING.deadtime_s)
    network.crash("b")
    network.start("b")

    assert network.run(2 * TIMING.deadtime_s, until=lambda: network.is_agreed("abc")) < 0.5
    assert trouble(network, "a", "b") == ""


@pytest.mark.parametrize("nodes", [3, 5])
def test_an_ever_stalling_peer_makes_views_come_and_go_ever_more_rarely(nodes: int) -> None:
    network = agreed(nodes)
    let_b_take_nothing(network)

    network.run(13 * STALL_S)

    seen = stalls(network, "a")
    gaps = [later - earlier for earlier, later in itertools.pairwise(seen)]
    assert len(seen) == 5, gaps
    assert all(later > 1.4 * earlier for earlier, later in itertools.pairwise(gaps))


def test_nothing_changes_while_the_contact_is_held_off_and_both_sides_say_why() -> None:
    network = agreed()
    let_b_take_nothing(network)
    network.run(9 * STALL_S, until=lambda: len(stalls(network, "a")) == 4)
    network.run(2 * TIMING.deadtime_s)
    before = {name: views(network, name) for name in "abc"}

    network.run(1.9 * STALL_S)

    assert {name: views(network, name) for name in "abc"} == before
    said = trouble(network, "a", "b")
    assert said.startswith("does not take what is sent to it, 4 times in a row")
    assert "contact is made again in 19 s" in said
    assert trouble(network, "b", "a") == "makes no contact: this node did not take what it sent"
    assert any("no contact for 40 s" in text for text in network.lives["a"].texts())
    assert any(
        text == "node a makes no contact: this node did not take what it sent"
        for text in network.lives["b"].texts()
    )


def test_contact_is_made_again_after_the_pause_when_the_peer_takes_messages() -> None:
    network = agreed()
    let_b_take_nothing(network)
    network.run(9 * STALL_S, until=lambda: len(stalls(network, "a")) == 3)
    network.take_all("b")

    took_s = network.run(5 * STALL_S, until=lambda: network.is_agreed("abc"))

    assert 2 * STALL_S <= took_s < 2 * STALL_S + 0.1
    network.run(STALL_S)
    assert network.is_agreed("abc")
    assert trouble(network, "a", "b") == trouble(network, "b", "a") == ""
