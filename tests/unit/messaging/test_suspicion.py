"""Doubt about oneself before others, and what others hear before a peer is called dead."""

from __future__ import annotations

import dataclasses

import pytest

from crm.api import membership as api
from crm.api.membership import NodeStatus
from crm.plumbing.machine import MessageArrived
from messaging import events, frame, link_events, links
from messaging.cluster_settings import Timing
from messaging.standing import Contact, PeerState
from messaging.suspicion import Suspicion
from tests.kit.messaging import TIMING, Network, settings

D = TIMING.deadtime_s
ROUND = 0.02
FAST = Timing(keepalive_s=0.1, deadtime_s=0.5, warntime_s=0.3, initdead_s=1.0, deadping_s=0.5)


def agreed(nodes: int, *, seed: int = 0, timing: Timing = TIMING) -> Network:
    network = Network(nodes, seed=seed, timing=timing)
    network.start()
    names = "".join(network.settings.nodes)
    network.run(5.0, until=lambda: network.is_agreed(names))
    network.run(1.0)
    return network


def described(network: Network, on: str, node: str) -> api.NodeDescription:
    """What one node answers when it is asked about another."""
    network.feed(on, MessageArrived("crmd", api.AskCluster(1)))
    answer = network.lives[on].messages()[-1]
    assert isinstance(answer, api.ClusterDescription)
    return next(each for each in answer.nodes if each.node == node)


def accusations(network: Network, by: str) -> list[str]:
    return [text for text in network.lives[by].texts() if text.endswith(": is dead")]


# --- of oneself ---------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [2, 3, 5])
@pytest.mark.parametrize("pause", [0.5, 0.8, 0.95, 1.2, 4.0])
def test_a_node_that_was_paused_accuses_nobody(nodes: int, pause: float) -> None:
    network = agreed(nodes)
    network.freeze("a")
    network.run(pause * D)
    network.thaw("a")
    network.run(3 * D)

    assert accusations(network, "a") == []
    assert network.is_agreed("".join(network.settings.nodes))


@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_a_node_whose_machine_was_paused_accuses_nobody_although_it_heard_nothing(
    nodes: int,
) -> None:
    network = agreed(nodes)
    network.freeze("a")
    network.run(0.95 * D)
    network.frozen["a"].clear()
    network.thaw("a")
    network.run(3 * D)

    assert accusations(network, "a") == []


def test_a_short_pause_costs_no_view() -> None:
    network = agreed(3)
    before = network.views()
    network.freeze("a")
    network.run(0.4 * D)  # the last confirmation was older than the rest of the lease
    network.thaw("a")
    network.run(3 * D)

    assert network.views() == before


def test_a_paused_node_names_itself_as_the_one_at_fault() -> None:
    network = agreed(3)
    network.freeze("a")
    network.run(2 * D)
    network.thaw("a")

    assert any("this process was stopped" in text for text in network.lives["a"].texts())
    assert any("this node did not run, and lets go" in text for text in network.lives["a"].texts())


def test_a_peer_that_died_during_a_pause_is_noticed_with_the_others_help() -> None:
    network = agreed(5, timing=FAST)
    network.crash("e")
    network.run(0.8 * FAST.deadtime_s)
    network.freeze("a")
    network.run(0.12 * FAST.deadtime_s)
    network.thaw("a")

    took_s = network.run(5.0, until=lambda: network.is_agreed("abcd"))

    assert took_s <= 0.08 * FAST.deadtime_s + ROUND


def test_a_peer_that_died_during_a_pause_is_called_dead_after_one_grace_without_help() -> None:
    network = agreed(2)
    network.crash("b")
    network.run(0.5 * D)
    network.freeze("a")
    network.run(2 * D)
    network.thaw("a")

    took_s = network.run(5.0, until=lambda: network.is_agreed("a"))

    assert took_s == pytest.approx(TIMING.grace_s, abs=ROUND)


def test_a_node_that_is_late_for_ever_calls_a_dead_peer_dead_in_the_end() -> None:
    suspicion = Suspicion(FAST, {"b": (peer := PeerState("b", FAST.deadtime_s))})
    peer.heard_at = now = 100.0
    suspicion.heard(peer)
    while now < suspicion.silence_end(peer):
        now += 0.16
        suspicion.notice(0.06, now)

    assert now < 100.0 + 3 * FAST.deadtime_s


class Behind(Network):
    """Every node reads each packet a while after it came in: a steady queue in the socket."""

    behind_s = 0.0

    def feed(self, name: str, event: object) -> None:
        if isinstance(event, events.DatagramArrived) and self.behind_s:
            event = dataclasses.replace(event, age_s=self.behind_s)
        super().feed(name, event)


@pytest.mark.parametrize("nodes", [3, 5])
@pytest.mark.parametrize("behind_s", [0.0, 0.06, 0.1])
def test_a_steady_lag_of_the_sockets_delays_a_judgement_by_no_more_than_itself(
    nodes: int, behind_s: float
) -> None:
    network = Behind(nodes, timing=FAST)
    network.start()
    names = "".join(network.settings.nodes)
    network.run(5.0, until=lambda: network.is_agreed(names))
    network.behind_s = behind_s
    network.delay_s = (behind_s + 0.0002, behind_s + 0.0008)
    network.run(2.0)
    network.crash("c")

    took_s = network.run(5.0, until=lambda: network.is_agreed(names.replace("c", "")))

    assert took_s <= FAST.deadtime_s + min(behind_s, FAST.grace_s) + 2 * behind_s + ROUND


@pytest.mark.parametrize("nodes", [3, 5])
@pytest.mark.parametrize(("stall_s", "rest_s"), [(0.03, 0.1), (0.06, 0.1), (0.06, 0.2)])
def test_who_stalls_again_and_again_judges_after_a_deadtime_of_running(
    nodes: int, stall_s: float, rest_s: float
) -> None:
    network = agreed(nodes, timing=FAST)
    network.crash("c")
    others = "".join(network.lives)
    began = network.now
    while not network.is_agreed(others) and network.now < began + 5:
        for name in others:
            network.freeze(name)
        network.run(stall_s)
        for name in others:
            network.thaw(name)
        network.run(rest_s)

    share = rest_s / (stall_s + rest_s)
    assert network.now - began <= FAST.deadtime_s / share + stall_s + rest_s


def test_packets_are_as_old_as_the_kernel_says() -> None:
    network = agreed(2)
    network.freeze("a")
    network.run(0.04)
    network.crash("b")
    network.thaw("a")
    network.run(5.0, until=lambda: described(network, "a", "b").status is NodeStatus.DEAD)
    heard_ms = described(network, "a", "b").links[0].silent_ms

    assert heard_ms <= 1000 * (D + TIMING.grace_s)


# --- of a peer ----------------------------------------------------------------------------


def test_a_peer_that_others_hear_is_cut_off_and_not_dead() -> None:
    network = agreed(3)
    network.cut(("b", "a"), one_way=True)
    took_s = network.run(5.0, until=lambda: network.is_agreed("ac") or network.is_agreed("bc"))

    assert took_s <= D + TIMING.margin_s + 4 * TIMING.keepalive_s
    assert accusations(network, "a") == []
    assert described(network, "a", "b").status is not NodeStatus.DEAD
    assert "but by c" in described(network, "a", "b").trouble
    assert any("a way between it and this node is broken" in t for t in network.lives["a"].texts())


def test_a_node_that_is_cut_off_is_dead_once_nobody_hears_it() -> None:
    network = agreed(3)
    network.cut(("b", "a"), one_way=True)
    network.run(3 * D)
    network.crash("b")
    network.run(D + 2 * TIMING.keepalive_s)

    assert described(network, "a", "b").status is NodeStatus.DEAD
    assert "node b: is dead" in network.lives["a"].texts()


def test_a_peer_that_comes_back_has_no_trouble_any_more() -> None:
    network = agreed(3)
    network.cut(("b", "a"), one_way=True)
    network.run(3 * D)
    network.heal()
    network.run(3 * D)

    assert network.is_agreed("abc") and described(network, "a", "b").trouble == ""


def test_everybody_is_asked_before_a_peer_is_called_dead() -> None:
    network = agreed(5, timing=FAST)
    network.crash("e")
    network.run(2 * FAST.deadtime_s)

    for name in "abcd":
        others = " ".join(other for other in "abcd" if other != name)
        assert any(f"to {others} as well" in text for text in network.lives[name].texts())


@pytest.mark.parametrize("seed", range(10))
def test_five_nodes_agree_on_a_crash_within_the_deadtime_and_one_round(seed: int) -> None:
    network = agreed(5, seed=seed, timing=FAST)
    network.run(network.rng.uniform(0, FAST.keepalive_s))
    network.crash("c")

    took_s = network.run(5.0, until=lambda: network.is_agreed("abde"))

    assert FAST.deadtime_s - FAST.keepalive_s - ROUND <= took_s <= FAST.deadtime_s + ROUND


def test_a_report_of_another_life_says_nothing() -> None:
    peer = PeerState("b", D, session=b"new")
    suspicion = Suspicion(TIMING, {"b": peer})
    peer.heard_at = peer.stamp_at = 100.0

    suspicion.hear_of("b", "c", frame.Hearing(b"old", 10**9, 0, 0), 101.0, is_answer=True)

    assert suspicion.witnesses(peer) == [] and suspicion.deaf(peer) == []


def test_a_doubting_node_gives_no_report() -> None:
    machine = links.Links(settings(3), node="a", session=b"life-a", uuid="", now=100.0)
    for peer in "bc":
        machine.receive(link_events.SessionOpened(peer, f"life-{peer}".encode()), 100.0)
    question = frame.Beat("a", True, 1, None, "c")
    heard = link_events.PacketHeard("b", b"life-b", "eth1", "b", question)

    def reports(now: float) -> list[frame.Hearing | None]:
        machine.tick(now)
        said = [each for each in machine.receive(heard, now) if isinstance(each, link_events.SayTo)]
        return [each.message.report for each in said if each.message.about == "c"]

    assert all(report is not None for report in reports(100.01))
    assert reports(100.01 + 0.5 * D) == [None]


def test_a_deadline_is_a_moment_at_which_there_is_something_to_ask() -> None:
    peer, other = PeerState("b", D, session=b"b"), PeerState("c", D, session=b"c")
    peer.contact = other.contact = Contact(b"b", 0, 0)
    suspicion = Suspicion(TIMING, {"b": peer, "c": other})
    peer.heard_at = peer.stamp_at = 100.0
    asked_at = suspicion.next_deadline(peer)
    assert suspicion.enquire(peer, asked_at) == [other]

    peer.heard_at += 0.001  # a packet that had lain in the socket: the peer fell silent a bit later
    again_at = suspicion.next_deadline(peer)

    assert again_at > asked_at
    assert suspicion.enquire(peer, again_at) == [other]
