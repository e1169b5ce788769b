"""Nodes that are added and deleted while the cluster runs."""

from __future__ import annotations

import random

import pytest

from crm.api import membership as api
from crm.api.membership import NodeStatus
from crm.plumbing.machine import MessageArrived
from messaging import events, nodelist
from messaging.nodelist import NodeList
from tests.kit.messaging import TIMING, Network, Watch, settings

D = TIMING.deadtime_s


def agreed(nodes: int = 3, seed: int = 0) -> Network:
    network = Network(nodes, seed=seed)
    network.start()
    names = "".join(network.settings.nodes)
    network.run(1.0, until=lambda: network.is_agreed(names))
    network.run(0.5)
    assert network.is_agreed(names)
    return network


def change(network: Network, at: str, *, add: str = "", delete: str = "") -> str:
    """Ask a node for a change; gives the problem, "" when it was made."""
    network.feed(at, MessageArrived("mgmtd", api.SignOn("mgmtd", 1)))
    network.feed(at, MessageArrived("mgmtd", api.ChangeNodes(7, add=add, delete=delete)))
    (*_, reply) = [
        message
        for message in network.lives[at].messages("mgmtd")
        if isinstance(message, api.NodesReply)
    ]
    assert reply.request == 7
    return reply.problem


def totals(network: Network) -> set[int]:
    return {view.total_nodes for view in network.views().values() if view is not None}


def test_a_node_is_added_and_joins_when_it_starts() -> None:
    network = agreed(3)
    before = network.lives["a"].machine.view
    assert change(network, "b", add="d") == ""
    network.run(0.2)
    assert network.is_agreed("abc") and totals(network) == {4}
    after = network.lives["a"].machine.view
    assert before is not None and after is not None
    assert after.id == before.id + 1 and after.quorate and (after.new, after.lost) == ((), ())

    network.settings = settings(4)
    network.start("d")

    assert network.run(2.0, until=lambda: network.is_agreed("abcd")) < D


def test_a_node_that_started_before_it_was_added_joins_when_it_is() -> None:
    network = agreed(3)
    network.settings = settings(4)
    network.start("d")
    network.run(3 * TIMING.initdead_s)
    assert network.is_agreed("abc") and totals(network) == {3, 4}

    assert change(network, "a", add="d") == ""

    assert network.run(2 * D, until=lambda: network.is_agreed("abcd")) < 2 * D


def test_a_dead_node_is_deleted_and_counts_no_more() -> None:
    network = agreed(4)
    network.crash("d")
    network.run(5.0, until=lambda: network.is_agreed("abc"))
    network.run(D)

    assert change(network, "c", delete="d") == ""
    network.run(0.2)

    assert network.is_agreed("abc") and totals(network) == {3}
    network.crash("c")
    network.run(2 * D)
    view = network.lives["a"].machine.view
    assert network.is_agreed("ab") and view is not None and view.quorate


def test_a_deleted_node_that_returns_is_not_listened_to() -> None:
    network = agreed(4)
    network.crash("d")
    network.run(2 * D)
    change(network, "a", delete="d")
    network.run(0.2)
    network.start("d")
    network.run(3 * TIMING.initdead_s)

    assert network.is_agreed("abc")
    view = network.lives["d"].machine.view
    assert view is None or not view.quorate


def test_a_node_added_again_is_listened_to() -> None:
    network = agreed(4)
    network.crash("d")
    network.run(2 * D)
    assert change(network, "a", delete="d") == ""
    network.run(0.2)
    assert change(network, "b", add="d") == ""
    network.run(0.2)
    network.start("d")

    assert network.run(2.0, until=lambda: network.is_agreed("abcd")) < 0.5


def test_a_node_that_was_away_during_a_change_learns_of_it_on_contact() -> None:
    network = agreed(4)
    network.crash("d")
    network.run(2 * D)
    assert change(network, "a", add="e") == ""
    network.run(0.2)
    network.start("d")
    network.run(2 * D, until=lambda: network.is_agreed("abcd"))

    assert network.is_agreed("abcd") and totals(network) == {5}
    told = "knows a newer list of nodes: a, b, c, d, e"
    assert [text for text in network.lives["d"].texts() if text.endswith(told)]


def test_nodes_that_are_absent_are_not_added_beyond_the_quorum() -> None:
    network = agreed(3)
    network.crash("c")
    network.run(2 * D)

    assert "2 of 4 nodes would have no quorum" in change(network, "a", add="d")


def test_every_node_keeps_the_list_for_its_next_life() -> None:
    network = agreed(3)
    kept: dict[str, events.KeepNodes] = {}

    def keeper(name: str) -> None:
        def look(effect: object) -> None:
            if isinstance(effect, events.KeepNodes):
                kept[name] = effect

        network.devices[name] = look

    for name in "abc":
        keeper(name)
    change(network, "b", add="d")
    network.run(0.2)

    assert {effect.nodes for effect in kept.values()} == {NodeList(("a", "b", "c", "d"), 1)}
    assert set(kept) == set("abc")
    assert dict(kept["a"].uuids) == {"a": "uuid-a", "b": "uuid-b", "c": "uuid-c"}


def test_clients_are_told_of_an_added_node_and_of_a_deleted_one_no_more() -> None:
    network = agreed(4)
    network.crash("d")
    network.run(2 * D)
    change(network, "a", delete="d")
    network.run(0.2)
    network.feed("b", MessageArrived("late", api.SignOn("late", 1)))
    change(network, "a", add="e")
    network.run(0.2)

    told = network.lives["b"].messages("late")
    assert isinstance(told[0], api.SignedOn) and told[0].nodes == ("a", "b", "c")
    named = [each.node for each in told if isinstance(each, api.NodeChanged)]
    assert named == ["b", "a", "c", "e"]


@pytest.mark.parametrize(
    ("add", "delete", "problem"),
    [
        ("", "", "a change adds one node or deletes one"),
        ("d", "b", "a change adds one node or deletes one"),
        ("b", "", "node 'b' is in the cluster already"),
        ("No Name", "", "'No Name' is no name of a node"),
        ("", "x", "there is no node 'x' in the cluster"),
        ("", "b", "node 'b' is active: only a dead node can be deleted"),
        ("", "a", "node 'a' is active: only a dead node can be deleted"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(add: str, delete: str, problem: str) -> None:
    network = agreed(3)

    assert change(network, "a", add=add, delete=delete).startswith(problem)
    network.run(1.0)
    assert totals(network) == {3}


def test_a_node_is_deleted_only_while_all_others_are_up() -> None:
    network = agreed(5)
    network.crash("d")
    network.crash("e")
    network.run(2 * D)

    assert "node 'e' is dead: all others have to be up" in change(network, "a", delete="d")


def test_without_quorum_nothing_is_changed() -> None:
    network = agreed(3)
    network.partition("a", "bc")
    network.run(2 * D)

    assert change(network, "a", add="d") == "this partition has no quorum"


def test_a_second_change_waits_for_the_view_that_counts_the_first() -> None:
    network = agreed(3)
    assert change(network, "a", add="d") == ""

    assert change(network, "a", add="e") == "the last change of the list is not agreed yet"
    network.run(0.2)
    assert change(network, "a", add="e") == ""


@pytest.mark.parametrize("seed", range(10))
def test_two_people_at_once_make_one_list(seed: int) -> None:
    network = agreed(3, seed=seed)
    assert change(network, "a", add="d") == ""
    assert change(network, "b", add="e") == ""
    network.run(2 * D, until=lambda: totals(network) == {4})
    network.run(1.0)

    assert network.is_agreed("abc") and totals(network) == {4}
    lists = {life.machine.nodes for life in network.lives.values()}
    assert lists == {NodeList(("a", "b", "c", "d"), 1)}


@pytest.mark.parametrize("seed", range(30))
def test_changes_amid_faults_never_make_two_quorate_parts(seed: int) -> None:
    rng = random.Random(seed)
    network = agreed(3, seed=seed)
    Watch(network)
    everybody = "abcdef"
    network.settings = settings(tuple(everybody))
    network.loss = 0.05
    kept = {name: life.machine for name, life in network.lives.items()}
    for _ in range(25):
        network.run(rng.uniform(0.05, 1.5))
        deed = rng.random()
        living = sorted(network.lives)
        if deed < 0.3:
            name = rng.choice(everybody)
            wish = {"add": name} if rng.random() < 0.6 else {"delete": name}
            change(network, rng.choice(living), **wish)
        elif deed < 0.5:
            shuffled = "".join(rng.sample(everybody, len(everybody)))
            cut = rng.randrange(1, len(everybody))
            network.partition(shuffled[:cut], shuffled[cut:])
        elif deed < 0.7:
            network.heal()
        elif deed < 0.85 and len(living) > 1:
            network.crash(rng.choice(living))
        else:
            newest = newest_of(network)
            absent = [name for name in newest.names if name not in network.lives]
            for name in rng.sample(absent, min(1, len(absent))):
                # A node starts with what it knew, or with a ha.cf that lists the newest nodes.
                network.known_nodes = kept[name].nodes if name in kept else newest
                network.start(name)
        kept |= {name: life.machine for name, life in network.lives.items()}
    network.heal()
    network.loss = 0.0
    network.run(6 * TIMING.initdead_s)

    newest = newest_of(network)
    members = sorted(name for name in network.lives if name in newest.names)
    assert network.is_agreed("".join(members))
    assert {network.lives[name].machine.nodes for name in members} == {newest}


def newest_of(network: Network) -> NodeList:
    lists = [life.machine.nodes for life in network.lives.values()]
    return next(each for each in lists if not any(other.overrules(each) for other in lists))


# --- the list alone -------------------------------------------------------------------------


def test_a_list_that_was_kept_is_joined_with_what_ha_cf_states_now() -> None:
    kept = NodeList(("a", "b", "d"), 4, ("c",))

    assert kept.read_with(("a", "b", "c", "e")) == NodeList(("a", "b", "e", "d"), 4, ("c",))


def test_a_hundred_nodes_are_enough() -> None:
    names = tuple(f"n{number}" for number in range(100))
    members = tuple(api.Member(name, "", 0, 1) for name in names)
    view = api.View(1, members, quorate=True, total_nodes=100)

    found = nodelist.refusal(
        api.ChangeNodes(1, add="one-more"),
        NodeList(names),
        view,
        lambda _: NodeStatus.ACTIVE,
        settings(names),
    )

    assert found == "there are 100 nodes already"
