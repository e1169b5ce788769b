"""A quorum server decides which half goes on: nodes, the server, and the wires between them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from crm.api import membership as api
from crm.plumbing.machine import Note
from messaging import ballot
from messaging.arbitration import AskServer, Effect, QuorumServerArbitrator, ServerAnswered
from tests.kit.messaging import KEYS, TIMING, Network, Watch, random_bytes
from tests.kit.messaging import settings as kit_settings
from tests.kit.quorum_server import ServerBeside

D = TIMING.deadtime_s


def served(nodes: int = 2, seed: int = 0) -> tuple[Network, ServerBeside]:
    network = Network(nodes, seed=seed)
    server = ServerBeside(network, seed=seed)
    Watch(network)
    network.start()
    names = "".join(network.settings.nodes)
    network.run(2 * D, until=lambda: network.is_agreed(names))
    network.run(server.longest_s)
    assert network.is_agreed(names) and quorate(network) == list(names)
    return network, server


def quorate(network: Network) -> list[str]:
    """The nodes that may act."""
    views = network.views().items()
    return [name for name, view in views if view is not None and view.quorate]


def losses(network: Network, name: str) -> int:
    """How often a node was told that it has no quorum."""
    told = network.lives[name].messages()
    return sum(isinstance(each, api.ViewInstalled) and not each.view.quorate for each in told)


@pytest.mark.parametrize("seed", range(5))
def test_the_survivor_of_two_goes_on_without_losing_quorum_for_a_moment(seed: int) -> None:
    network, _ = served(seed=seed)
    network.crash("b")
    took_s = network.run(3 * D, until=lambda: network.is_agreed("a"))
    network.run(5 * D)

    assert took_s <= D + 0.01
    assert quorate(network) == ["a"] and losses(network, "a") == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_survivor_of_two_has_the_tie_after_one_trip_to_the_server(seed: int) -> None:
    network, server = served(seed=seed)
    ask_in_s = 3 / 4 * (TIMING.lease_s - TIMING.doubt_s)
    server.delay_s = (0.7 * ask_in_s, 0.75 * ask_in_s)
    network.crash("b")
    network.run(5 * D)

    assert quorate(network) == ["a"] and losses(network, "a") == 0


def test_a_server_that_is_away_is_told_of_before_it_is_needed() -> None:
    network, server = served(3)
    silent, again = "quorum server qs does not answer", "quorum server qs answers again"
    server.stop()
    network.run(5 * D)
    assert network.lives["a"].texts().count(silent) == 1 and losses(network, "a") == 0

    server.start()
    network.run(5 * D)
    assert network.lives["a"].texts().count(again) == 1


def test_a_server_with_an_address_of_ipv6_is_told_of_as_any_other() -> None:
    settings = replace(kit_settings(2), quorum_server="2001:db8::1", quorum_port=5561)
    made = random_bytes(random.Random(0))
    machine = QuorumServerArbitrator(settings, KEYS, node="a", random_bytes=made)
    server = ballot.Sealer(KEYS, settings.cluster, is_server=True, random_bytes=made)

    def told(asked: list[Effect], now: float, *, granted: bool, reason: str = "") -> list[str]:
        question = next(server.open(each.data) for each in asked if isinstance(each, AskServer))
        assert isinstance(question, ballot.Ask)
        answer = ballot.Answer(question.word, b"token", granted=granted, reason=reason)
        effects = machine.receive(ServerAnswered(server.seal(answer)), now)
        return [each.text for each in effects if isinstance(each, Note)]

    refused = told(machine.want(("a",), 0.0), 0.01, granted=False, reason="b may go on")
    given = told(machine.tick(D), D + 0.01, granted=True)

    assert refused == ["quorum server 2001:db8::1 refuses: b may go on"]
    assert given == ["quorum server 2001:db8::1: a may go on"]


def test_a_server_that_began_anew_is_asked_in_one_trip_again() -> None:
    network, server = served()
    server.start()
    network.run(server.longest_s + D)
    said: list[str] = []
    network.crash("b")
    network.run(TIMING.keepalive_s)
    server.write = lambda text: said.append(text.split("  ")[1])
    network.run(D)

    first = next(place for place, text in enumerate(said) if text.startswith("Ask: the tie for a"))
    assert said[first + 1] == "Answer: granted"


@pytest.mark.parametrize("seed", range(10))
def test_of_two_cut_nodes_exactly_one_goes_on(seed: int) -> None:
    network, _ = served(seed=seed)
    network.partition("a", "b")
    network.run(5 * D)
    (winner,) = quorate(network)

    assert losses(network, winner) == 0
    network.heal()
    network.run(3 * D, until=lambda: network.is_agreed("ab"))
    assert quorate(network) == ["a", "b"]


def test_the_half_that_the_server_cannot_hear_lets_go() -> None:
    network, server = served(4)
    server.cut |= set("ab")
    network.partition("ab", "cd")
    network.run(3 * D)

    assert quorate(network) == ["c", "d"]
    assert network.is_agreed("ab") and network.is_agreed("cd")


def test_a_half_that_holds_the_tie_in_vain_gives_way() -> None:
    network, server = served(4)
    server.cut |= set("bcd")
    network.partition("ab", "cd")
    network.run(2 * D)
    server.cut = {"b"}
    network.run(4 * D)

    assert quorate(network) == ["c", "d"], "b does not hear the server, so ab can gain nothing"
    lost = [losses(network, name) for name in "cd"]
    network.run(10 * D)
    assert quorate(network) == ["c", "d"]
    assert [losses(network, name) for name in "cd"] == lost, "ab asks in vain again"

    network.crash("c")
    network.crash("d")
    server.cut.clear()
    network.run(4 * D)
    assert quorate(network) == ["a", "b"]


def test_without_the_server_a_tie_is_no_quorum_and_a_majority_is() -> None:
    network, server = served(4)
    server.stop()
    network.crash("d")
    network.run(3 * D)
    assert quorate(network) == ["a", "b", "c"]

    network.crash("c")
    network.run(3 * D)
    assert quorate(network) == []
    assert "quorum server qs does not answer" in network.lives["a"].texts()


def test_who_goes_on_by_the_tie_lets_go_when_the_server_ends() -> None:
    network, server = served()
    network.crash("b")
    network.run(3 * D)
    server.stop()

    assert network.run(2 * D, until=lambda: not quorate(network)) <= TIMING.lease_s
    server.start()
    network.run(server.longest_s + D)
    assert quorate(network) == ["a"]


@pytest.mark.parametrize("seed", range(5))
def test_a_server_that_restarts_does_not_give_the_tie_twice(seed: int) -> None:
    network, server = served(seed=seed)
    network.partition("a", "b")
    network.run(3 * D)
    (winner,) = quorate(network)
    server.cut.add(winner)
    server.start()
    network.run(3 * D)

    assert quorate(network) == ["b" if winner == "a" else "a"]
    assert losses(network, winner) == 1, "the watch has seen no moment with two"


def test_a_paused_winner_has_let_go_before_the_other_goes_on() -> None:
    network, _ = served()
    network.partition("a", "b")
    network.run(3 * D)
    (winner,) = quorate(network)
    loser = "b" if winner == "a" else "a"
    network.freeze(winner)
    network.run(3 * D)
    assert loser in quorate(network), "the frozen one does not know yet"

    network.thaw(winner)
    network.run(0.01)
    assert quorate(network) == [loser]


def test_recorded_questions_hold_the_tie_for_nobody() -> None:
    network, server = served()
    network.partition("a", "b")
    network.run(3 * D)
    (winner,) = quorate(network)
    loser = "b" if winner == "a" else "a"
    recorded = list(server.recorded)
    network.crash(winner)
    for _ in range(30):
        for data in recorded[-20:]:
            server.hear(data)
        network.run(D / 10)

    assert quorate(network) == [loser]


def test_one_of_two_that_starts_alone_gets_quorum_from_the_server() -> None:
    network = Network(2)
    server = ServerBeside(network)
    Watch(network)
    network.start("a")
    network.run(TIMING.initdead_s + server.longest_s)

    assert quorate(network) == ["a"]


@pytest.mark.parametrize("seed", range(3))
def test_a_slow_way_to_the_server_is_not_flooded_with_questions(seed: int) -> None:
    network, server = served(seed=seed)
    server.delay_s = (0.2, 0.25)
    network.crash("b")
    network.run(10 * D)
    asked, lost = len(server.recorded), losses(network, "a")
    network.run(20 * D)

    assert quorate(network) == ["a"] and losses(network, "a") == lost
    assert len(server.recorded) - asked <= 3 * 20 * D / (TIMING.lease_s / 3)
