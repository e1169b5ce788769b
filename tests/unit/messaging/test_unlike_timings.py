"""Nodes whose ha.cf state different deadtimes: each has the margin that follows from its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crm.api import membership as api
from crm.api.membership import ViewEvent
from messaging.cluster_settings import Timing
from tests.kit.messaging import TIMING, Network, Watch

SLOW = Timing(keepalive_s=0.5, deadtime_s=6.0, warntime_s=3.0, initdead_s=7.0, deadping_s=6.0)


def agreed(*slow: str, nodes: int = 3, seed: int = 0) -> Network:
    network = Network(nodes, seed=seed)
    network.timings = dict.fromkeys(slow, SLOW)
    network.start()
    names = "".join(network.settings.nodes)
    assert network.run(SLOW.initdead_s, until=lambda: network.is_agreed(names)) < 0.1
    network.run(2 * SLOW.deadtime_s)
    Watch(network)
    return network


def is_quorate(network: Network, name: str) -> bool:
    view = network.lives[name].machine.view
    return view is not None and view.quorate


def told_without(network: Network, name: str, other: str) -> float:
    """When the clients of a node were told a quorate view without another node."""
    return next(
        at
        for at, _, message in network.lives[name].told
        if isinstance(message, api.ViewInstalled)
        and message.view.quorate
        and other in message.view.lost
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("slow", ["a", "bc", ""])
def test_who_gives_the_others_up_has_its_own_margin_and_not_theirs(slow: str, seed: int) -> None:
    network = agreed(*slow, seed=seed)
    own = network.timings.get("a", TIMING)
    network.cut(("b", "a"), ("c", "a"), one_way=True)
    network.run(2 * SLOW.deadtime_s, until=lambda: not is_quorate(network, "a"))
    let_go_at = network.now

    network.run(2 * SLOW.deadtime_s, until=lambda: network.is_agreed("bc"))

    assert network.is_agreed("bc")
    assert network.now - let_go_at >= own.margin_s - 2e-3


@pytest.mark.parametrize("slow", ["a", "b", "ab", "c", ""])
def test_a_node_that_is_left_out_has_its_own_margin_and_not_the_others(slow: str) -> None:
    network = agreed(*slow)
    network.cut(("a", "b"))
    network.run(3 * SLOW.deadtime_s)

    (out,) = (name for name in "ab" if network.lives[name].machine.view is None)
    evicted_at = next(
        at
        for at, _, message in network.lives[out].told
        if isinstance(message, api.ViewInstalled) and message.event is ViewEvent.EVICTED
    )
    own = network.timings.get(out, TIMING)
    for name in "abc".replace(out, ""):
        assert told_without(network, name, out) - evicted_at >= own.margin_s - 2e-3


def test_who_returns_to_a_survivor_waits_for_the_deadtime_that_the_survivor_states() -> None:
    network = Network(3, timing=replace(TIMING, initdead_s=20.0))
    network.timings = {"c": SLOW}
    network.start()
    network.run(1.0, until=lambda: network.is_agreed("abc"))
    network.crash("a")
    network.crash("b")
    network.run(2 * SLOW.deadtime_s)
    network.start("b")

    waited_s = network.run(20.0, until=lambda: network.is_agreed("bc"))

    assert SLOW.deadtime_s <= waited_s < SLOW.deadtime_s + 0.1
