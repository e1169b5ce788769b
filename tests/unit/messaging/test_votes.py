"""Nodes that weigh differently, and nodes that count differently, in a small network."""

from __future__ import annotations

from dataclasses import replace

from tests.kit.messaging import TIMING, Network

D = TIMING.deadtime_s


def test_a_node_that_counts_quorum_otherwise_takes_no_part() -> None:
    network = Network(3)
    alike = network.settings
    network.start("a", "b")
    network.run(2 * D, until=lambda: network.is_agreed("ab"))
    network.settings = replace(alike, weights={"c": 300})
    network.start("c")
    network.settings = alike
    network.run(3 * D)

    view = network.lives["a"].machine.view
    assert network.is_agreed("ab") and view is not None and view.quorate
    alone = network.lives["c"].machine.view
    assert alone is not None and not alone.quorate
    for name in "ac":
        assert any("counts quorum otherwise" in text for text in network.lives[name].texts())


def test_nodes_that_never_agreed_how_to_count_gain_no_quorum() -> None:
    network = Network(3)
    by_votes = replace(network.settings, environment={"quorum": "weight"})
    network.settings = replace(by_votes, weights={"a": 300})
    network.start("a")
    network.settings = by_votes
    network.start("b", "c")
    network.run(5 * D)

    assert not any(view is not None and view.quorate for view in network.views().values())
    network.crash("a")
    network.run(2 * D)
    view = network.lives["b"].machine.view
    assert view is not None and view.quorate


def test_the_side_with_more_votes_goes_on() -> None:
    network = Network(4)
    network.settings = replace(
        network.settings, weights={"a": 250}, environment={"quorum": "weight:twonodes"}
    )
    network.start()
    network.run(2 * D, until=lambda: network.is_agreed("abcd"))
    network.partition("ab", "cd")
    network.run(2 * D)

    quorate = {name: view is not None and view.quorate for name, view in network.views().items()}
    assert quorate == {"a": True, "b": True, "c": False, "d": False}
    assert network.is_agreed("ab") and network.is_agreed("cd")
