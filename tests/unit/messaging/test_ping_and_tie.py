"""A half that needs the tie and a ping node: one member that reaches out is enough for all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crm.api import membership as api
from messaging.cluster_settings import PingTarget
from messaging.pings import EchoArrived, SendEcho
from tests.kit.messaging import TIMING, Network, Watch
from tests.kit.quorum_server import ServerBeside

D = TIMING.deadtime_s


class Gateway:
    """A host that answers the pings of those in `answered`."""

    def __init__(self, network: Network, answered: str) -> None:
        self.network = network
        self.answered = set(answered)
        for name in network.settings.nodes:
            self._listen(name)

    def _listen(self, name: str) -> None:
        others = self.network.devices[name]

        def look(effect: object) -> None:
            others(effect)
            if isinstance(effect, SendEcho) and name in self.answered:
                self.network.deliver(name, EchoArrived(effect.host, effect.token), 0.001)

        self.network.devices[name] = look


def halves(answered: str, seed: int = 0) -> tuple[Network, Gateway]:
    """Four nodes of which only ab hear the server and may go on, cut into ab and cd."""
    network = Network(4, seed=seed)
    server = ServerBeside(network, seed=seed)
    network.settings = replace(
        network.settings,
        pings=(PingTarget("gateway", ("192.0.2.7",)),),
        environment={"quorum": "majority:ping:quorumd"},
    )
    gateway = Gateway(network, answered)
    Watch(network)
    network.start()
    network.run(2 * D, until=lambda: network.is_agreed("abcd"))
    network.run(server.longest_s)
    server.cut |= set("cd")
    network.partition("ab", "cd")
    network.run(3 * D)
    return network, gateway


def quorate(network: Network) -> str:
    views = network.views().items()
    return "".join(name for name, view in views if view is not None and view.quorate)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("answered", ["a", "b", "ab"])
def test_it_goes_on_while_a_ping_node_answers_one_of_its_members(seed: int, answered: str) -> None:
    network, _ = halves(answered, seed)
    assert quorate(network) == "ab"

    told = {name: len(network.lives[name].messages()) for name in "ab"}
    network.run(5 * D)
    for name in "ab":
        news = network.lives[name].messages()[told[name] :]
        assert not [each for each in news if isinstance(each, api.ViewInstalled)]


def test_it_lets_go_when_no_member_is_answered_and_goes_on_when_one_is_again() -> None:
    network, gateway = halves("a")
    gateway.answered.clear()
    network.run(3 * D)
    assert quorate(network) == "" and network.is_agreed("ab")

    gateway.answered.add("b")
    network.run(2 * D)
    assert quorate(network) == "ab"
