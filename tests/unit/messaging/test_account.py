"""Where quorum comes from, as a node describes it to who asks."""

from __future__ import annotations

from crm.api import membership as api
from crm.api.membership import QuorumRule, QuorumVerdict
from crm.plumbing.machine import MessageArrived
from messaging.account import DISPUTED, rules_of
from messaging.quorum import Electorate, Rulings
from tests.kit.messaging import TIMING, Network
from tests.kit.quorum_server import ServerBeside

D = TIMING.deadtime_s
YES, NO, TIE = QuorumVerdict.YES, QuorumVerdict.NO, QuorumVerdict.TIE


def rules(network: Network, name: str) -> list[QuorumRule]:
    """What one node says."""
    network.feed(name, MessageArrived("crmd", api.AskCluster(7)))
    told = network.lives[name].messages()[-1]
    assert isinstance(told, api.ClusterDescription)
    return list(told.quorum)


def served(nodes: int) -> tuple[Network, ServerBeside]:
    network = Network(nodes)
    server = ServerBeside(network)
    network.start()
    network.run(2 * D, until=lambda: network.is_agreed("abcd"[:nodes]))
    network.run(server.longest_s)
    return network, server


def test_a_majority_needs_nobody_else() -> None:
    network, _ = served(4)

    assert rules(network, "a") == [
        QuorumRule("majority", YES, 4, 4),
        QuorumRule("quorumd", server="qs"),
    ]


def test_a_half_says_since_when_it_holds_the_tie_and_the_other_why_it_does_not() -> None:
    network, _ = served(4)
    network.partition("ab", "cd")
    network.run(3 * D)
    winner, loser = "ac" if network.views()["a"].quorate else "ca"  # type: ignore[union-attr]

    half, held = rules(network, winner)
    assert half == QuorumRule("majority", TIE, 2, 4)
    assert held.verdict is YES and 2 * D * 1000 < held.held_ms < 3 * D * 1000
    network.run(D)
    assert rules(network, winner)[1].held_ms == held.held_ms + D * 1000

    names = {"a": "a b", "c": "c d"}[winner]
    refused = QuorumRule("quorumd", NO, server="qs", trouble=f"refuses: {names} may go on")
    assert rules(network, loser) == [half, refused]


def test_a_silent_server_is_told_of_while_nobody_needs_it() -> None:
    network, server = served(3)
    server.stop()
    network.run(5 * D)

    assert rules(network, "a")[1] == QuorumRule("quorumd", server="qs", trouble="does not answer")


def test_one_of_two_nodes_that_goes_on_alone_says_by_which_rule() -> None:
    network = Network(2)
    network.start()
    network.run(2 * D)
    network.crash("b")
    network.run(3 * D)

    assert rules(network, "a") == [
        QuorumRule("majority", TIE, 1, 2),
        QuorumRule("twonodes", YES, 1, 2),
    ]


def test_who_counts_otherwise_is_named() -> None:
    electorate = Electorate(tuple("abc"))
    view = api.View(3, tuple(api.Member(n, n, 0, 1) for n in "ab"), quorate=False)

    told = rules_of(view, electorate, Rulings(), 0.0, disputed_by=["c"])

    assert told[-1] == QuorumRule(DISPUTED, NO, trouble="c in contact counts otherwise")
    assert rules_of(None, electorate, Rulings(), 0.0)[0].verdict is None
