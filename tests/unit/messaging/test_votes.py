"""Nodes that weigh differently, and nodes that count differently, in a small network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from crm.api import membership as api
from crm.plumbing.machine import MessageArrived
from messaging import pings
from messaging.cluster_settings import PingTarget
from tests.kit.messaging import TIMING, Network, Watch

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


def by_votes() -> Network:
    network = Network(4)
    network.settings = replace(network.settings, environment={"quorum": "weight:twonodes"})
    Watch(network)
    network.start()
    network.run(2 * D, until=lambda: network.is_agreed("abcd"))
    return network


def wish(network: Network, at: str, **wanted: str | int) -> str:
    """Ask a node for a change; gives the problem, "" when it was made."""
    network.feed(at, MessageArrived("mgmtd", api.SignOn("mgmtd", 1)))
    network.feed(at, MessageArrived("mgmtd", api.ChangeNodes(7, **wanted)))  # type: ignore[arg-type]
    (*_, reply) = network.lives[at].messages("mgmtd")
    assert isinstance(reply, api.NodesReply)
    return reply.problem


def quorate(network: Network) -> list[str]:
    views = network.views().items()
    return [name for name, view in views if view is not None and view.quorate]


def test_a_weight_that_is_set_counts_at_once_and_a_tie_has_a_winner() -> None:
    network = by_votes()
    assert wish(network, "c", weigh="d", votes=200) == ""
    network.run(0.2)
    assert network.is_agreed("abcd") and quorate(network) == list("abcd")
    network.partition("ab", "cd")
    network.run(2 * D)

    assert quorate(network) == ["c", "d"]


def test_a_weight_changes_by_steps_that_leave_both_counts_a_common_member() -> None:
    network = by_votes()

    assert "votes may change by 100 at a time" in wish(network, "a", weigh="d", votes=300)
    assert wish(network, "a", weigh="d", votes=200) == ""
    assert (
        wish(network, "a", weigh="d", votes=300) == "the last change of the list is not agreed yet"
    )
    network.run(0.2)
    assert wish(network, "a", weigh="d", votes=300) == ""


def test_a_node_that_was_away_counts_by_the_weights_it_is_told() -> None:
    network = by_votes()
    network.crash("d")
    network.run(3 * D)
    assert wish(network, "a", weigh="a", votes=200) == ""
    network.run(0.2)
    network.start("d")
    network.run(3 * D, until=lambda: network.is_agreed("abcd"))

    assert network.is_agreed("abcd")
    assert network.lives["d"].machine.nodes.weights == (("a", 200),)


def test_a_site_is_told_to_all_and_moves_no_view() -> None:
    network = by_votes()
    before = network.views()
    assert wish(network, "a", place="d", site="two words").startswith("'two words' is no site")
    assert wish(network, "a", place="d", site="berlin") == ""
    network.run(0.2)

    assert network.views() == before
    network.feed("b", MessageArrived("mgmtd", api.SignOn("mgmtd", 1)))
    network.feed("b", MessageArrived("mgmtd", api.AskCluster(3)))
    (*_, told) = network.lives["b"].messages("mgmtd")
    assert isinstance(told, api.ClusterDescription)
    assert [node.site for node in told.nodes if node.node == "d"] == ["berlin"]


def test_a_node_of_two_whom_no_ping_node_answers_has_no_quorum_alone() -> None:
    network = Network(2)
    network.settings = replace(
        network.settings,
        pings=(PingTarget("router", ("router",)),),
        environment={"quorum": "majority:ping:twonodes"},
    )
    unreached = {"b"}

    def router_for(name: str) -> Callable[[object], None]:
        def look(effect: object) -> None:
            if isinstance(effect, pings.SendEcho) and name not in unreached:
                network.deliver(name, pings.EchoArrived(effect.host, effect.token), 0.001)

        return look

    for name in "ab":
        network.devices[name] = router_for(name)
    network.start()
    network.run(2 * D, until=lambda: network.is_agreed("ab"))
    network.run(D)
    assert quorate(network) == ["a", "b"]

    network.partition("a", "b")
    network.run(3 * D)
    assert quorate(network) == ["a"]
    unreached.remove("b")
    network.run(D)
    assert quorate(network) == ["a", "b"], "the router answers both: fencing has to decide"
    unreached.add("a")
    network.run(3 * D)
    assert quorate(network) == ["b"]


def test_of_two_weights_set_at_one_moment_one_holds_everywhere() -> None:
    network = by_votes()
    assert wish(network, "d", weigh="d", votes=200) == ""
    assert wish(network, "a", weigh="a", votes=200) == ""
    network.run(D)

    assert network.is_agreed("abcd") and quorate(network) == list("abcd")
    network.partition("ab", "cd")
    network.run(3 * D)
    assert quorate(network) == ["a", "b"]


@pytest.mark.parametrize("other", ["c", "d"])
def test_two_halves_that_change_the_list_before_they_know_of_the_cut_gain_nothing(
    other: str,
) -> None:
    network = by_votes()
    network.partition("ab", "cd")
    network.run(TIMING.keepalive_s)
    assert wish(network, "a", weigh="a", votes=200) == ""
    assert wish(network, other, weigh=other, votes=200) == ""
    network.run(5 * D)
    assert quorate(network) == [], "each half has most votes by its own list"

    network.heal()
    network.run(3 * D, until=lambda: network.is_agreed("abcd"))
    assert quorate(network) == list("abcd")
    network.run(1.0)
    network.partition("ab", "cd")
    network.run(3 * D)
    assert quorate(network) == ["a", "b"], "the list whose words come first holds"


def test_a_list_that_most_have_agreed_to_counts_for_those_who_were_away() -> None:
    network = by_votes()
    network.crash("d")
    network.run(3 * D)
    assert wish(network, "a", weigh="a", votes=200) == ""
    network.run(0.2)
    network.partition("ab", "c")
    network.run(3 * D)
    assert quorate(network) == ["a", "b"]
    network.crash("b")
    network.start("d")
    network.run(3 * D, until=lambda: network.is_agreed("ad"))

    assert quorate(network) == ["a", "d"]
