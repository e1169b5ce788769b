"""Nodes that no list names and that join by themselves: let in by a quorum, one at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from messaging import events
from messaging.authkeys import KeyFile, SharedKey
from messaging.children import ChildPlan
from messaging.nodelist import NodeList
from tests.kit.messaging import TIMING, Network, Watch, settings
from tests.unit.messaging.test_nodelist import change, totals

D = TIMING.deadtime_s


def listed(names: str = "abc", *, autojoin: str = "any", seed: int = 0) -> Network:
    """A cluster of listed nodes in which autojoin is as said."""
    network = Network(tuple(names), seed=seed)
    network.settings = replace(network.settings, autojoin=autojoin)
    network.start()
    network.run(1.0, until=lambda: network.is_agreed(names))
    network.run(0.5)
    assert network.is_agreed(names)
    return network


def start_unlisted(network: Network, name: str, *, knows: tuple[str, ...] = ()) -> None:
    """Start a node whose own ha.cf lists `knows`, on the same wires."""
    network.settings = replace(network.settings, nodes=(*network.settings.nodes, name))
    network.known_nodes = NodeList(knows)
    network.start(name)
    network.known_nodes = None


@pytest.mark.parametrize("seed", range(6))
def test_a_node_that_lists_nobody_is_let_in(seed: int) -> None:
    network = listed(seed=seed)
    watch = Watch(network)
    start_unlisted(network, "d")

    assert network.run(10 * D, until=lambda: network.is_agreed("abcd")) < 5 * D
    watch.look("d")
    assert totals(network) == {4}
    for life in network.lives.values():
        assert sorted(life.machine.nodes.names) == ["a", "b", "c", "d"]
        assert life.machine.nodes.version == 1


def test_a_node_that_lists_itself_and_the_others_is_let_in_where_others_may_join() -> None:
    network = listed(autojoin="other")
    start_unlisted(network, "d", knows=("a", "b", "c", "d"))

    network.run(10 * D, until=lambda: network.is_agreed("abcd"))

    assert network.is_agreed("abcd") and totals(network) == {4}


def test_nobody_is_let_in_where_that_is_not_allowed() -> None:
    network = listed(autojoin="none")
    network.settings = replace(network.settings, autojoin="any")
    start_unlisted(network, "d")

    network.run(5 * D)

    assert network.is_agreed("abc") and totals(network) == {3}
    assert network.lives["d"].machine.view is None


def test_a_node_that_waits_takes_no_part_and_starts_nothing() -> None:
    network = Network(1)
    network.settings = replace(settings(("d",)), autojoin="any")
    network.known_nodes = NodeList(())
    network.start("d")

    network.run(5 * D)

    assert network.lives["d"].machine.view is None


def test_two_nodes_that_wait_do_not_make_a_cluster() -> None:
    network = Network(2)
    network.settings = replace(network.settings, autojoin="any")
    network.known_nodes = NodeList(())
    network.start()

    network.run(5 * D)

    assert set(network.views().values()) == {None}


def test_several_nodes_join_one_after_the_other() -> None:
    network = listed()
    for name in "def":
        start_unlisted(network, name)

    network.run(20 * D, until=lambda: network.is_agreed("abcdef"))

    assert network.is_agreed("abcdef") and totals(network) == {6}
    assert network.lives["a"].machine.nodes.version == 3


def test_a_cluster_grows_from_its_first_node() -> None:
    network = listed("a")
    start_unlisted(network, "b")
    network.run(10 * D, until=lambda: network.is_agreed("ab"))
    start_unlisted(network, "c")

    network.run(10 * D, until=lambda: network.is_agreed("abc"))

    assert network.is_agreed("abc") and totals(network) == {3}


def test_without_quorum_nobody_is_let_in_and_later_somebody_is() -> None:
    network = listed()
    network.crash("a")
    network.crash("b")
    network.run(2 * D)
    start_unlisted(network, "d")
    network.run(5 * D)
    assert network.lives["d"].machine.view is None

    network.settings = replace(network.settings, nodes=("a", "b", "c"))
    network.start("a", "b")
    network.settings = replace(network.settings, nodes=("a", "b", "c", "d"))

    network.run(20 * D, until=lambda: network.is_agreed("abcd"))
    assert network.is_agreed("abcd")


def test_a_node_of_another_cluster_with_the_same_key_is_left_alone() -> None:
    network = listed("abc")
    start_unlisted(network, "d", knows=("d",))
    network.run(5 * D)

    assert network.is_agreed("abc", "d") and totals(network) == {3, 1}
    texts = [text for life in network.lives.values() for text in life.texts()]
    assert any("is in a cluster of its own that does not name this node" in text for text in texts)


def test_a_deleted_node_does_not_come_back_by_itself() -> None:
    network = listed("abcd")
    network.crash("d")
    network.run(3 * D)
    assert change(network, "a", delete="d") == ""
    network.run(0.5)
    network.settings = replace(network.settings, nodes=("a", "b", "c"))
    start_unlisted(network, "d")

    network.run(5 * D)

    assert network.is_agreed("abc") and totals(network) == {3}
    texts = [text for life in network.lives.values() for text in life.texts()]
    assert any("'hb_addnode d' lets it in again" in text for text in texts)
    assert change(network, "a", add="d") == ""
    network.run(10 * D, until=lambda: network.is_agreed("abcd"))
    assert network.is_agreed("abcd")


def test_a_node_with_another_key_stays_outside_and_costs_little() -> None:
    network = listed()
    network.keys["d"] = KeyFile(1, (SharedKey(1, "sha1", b"another secret"),))
    start_unlisted(network, "d")

    network.run(5 * D)

    assert network.is_agreed("abc") and totals(network) == {3}


def test_what_a_joining_node_said_in_an_earlier_life_lets_nobody_in() -> None:
    network = listed()
    recorded: list[bytes] = []
    network.cut(*(("d", name) for name in "abc"))
    start_unlisted(network, "d")
    recorded += [data for name, data in network.tap if name == "d"]
    network.run(0.3)
    recorded += [data for name, data in network.tap if name == "d"]
    network.crash("d")
    assert recorded

    for data in recorded:
        for name in "abc":
            network.feed(name, events.DatagramArrived("eth1", "d", data))
        network.run(0.01)
    network.run(2 * D)

    assert network.is_agreed("abc") and totals(network) == {3}


@pytest.mark.parametrize("seed", range(4))
def test_nodes_join_over_bad_wires(seed: int) -> None:
    network = listed(seed=seed)
    Watch(network)
    network.loss, network.duplication = 0.2, 0.1
    for name in "de":
        start_unlisted(network, name)

    network.run(60 * D, until=lambda: network.is_agreed("abcde"))

    assert network.is_agreed("abcde")


def test_a_node_that_the_others_list_need_not_list_itself() -> None:
    network = listed("abc")
    network.crash("c")
    network.run(3 * D)

    network.known_nodes = NodeList(())
    network.start("c")
    network.known_nodes = None

    network.run(10 * D, until=lambda: network.is_agreed("abc"))
    assert network.is_agreed("abc") and totals(network) == {3}
    assert network.lives["a"].machine.nodes.version == 0


def test_a_node_that_has_lost_its_disk_is_let_in_again() -> None:
    network = listed()
    start_unlisted(network, "d")
    network.run(10 * D, until=lambda: network.is_agreed("abcd"))
    network.crash("d")
    network.run(3 * D)

    network.known_nodes = NodeList(())
    network.start("d")
    network.known_nodes = None

    network.run(10 * D, until=lambda: network.is_agreed("abcd"))
    assert network.is_agreed("abcd") and totals(network) == {4}


def test_children_start_when_the_node_is_let_in_and_not_before() -> None:
    network = listed()
    network.cut(*(("d", name) for name in "abc"))
    network.child_plans = (ChildPlan("cib", "cib"),)
    start_unlisted(network, "d")
    network.run(3 * D)
    assert network.lives["d"].started == []

    network.heal()

    network.run(10 * D, until=lambda: network.is_agreed("abcd"))
    assert network.lives["d"].started == ["cib"]


def test_a_node_that_was_let_in_is_listed_in_its_next_life() -> None:
    network = listed()
    start_unlisted(network, "d")
    network.run(10 * D, until=lambda: network.is_agreed("abcd"))
    kept = network.lives["d"].machine.nodes
    network.crash("d")
    network.run(3 * D)

    network.known_nodes = kept
    network.start("d")
    network.known_nodes = None

    network.run(10 * D, until=lambda: network.is_agreed("abcd"))
    assert network.is_agreed("abcd") and totals(network) == {4}
