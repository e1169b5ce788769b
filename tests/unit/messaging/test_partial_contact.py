"""Not everybody hears everybody, no part is a majority, and a quorum server decides."""

from __future__ import annotations

import itertools

import pytest

from crm.api import membership as api
from tests.kit.messaging import TIMING, Network, Watch
from tests.kit.quorum_server import ServerBeside

D = TIMING.deadtime_s


def four_that_hear(wires: set[str], seed: int) -> Network:
    """Four nodes in one view, at the moment at which only these pairs hear each other still."""
    network = Network(4, seed=seed)
    server = ServerBeside(network, seed=seed)
    Watch(network)
    network.start()
    network.run(2 * D, until=lambda: network.is_agreed("abcd"))
    network.run(server.longest_s + network.rng.uniform(0, TIMING.keepalive_s))
    network.cut(*(pair for pair in itertools.combinations("abcd", 2) if "".join(pair) not in wires))
    return network


def quorate(network: Network) -> str:
    views = network.views().items()
    return "".join(name for name, view in views if view is not None and view.quorate)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shape", ["chain", "ring"])
def test_a_half_goes_on_and_has_quorum_all_the_time(shape: str, seed: int) -> None:
    network = four_that_hear({"ab", "bc", "cd", *(["ad"] if shape == "ring" else [])}, seed)
    network.run(5 * D)

    half = quorate(network)
    assert len(half) == 2
    for name in half:
        told = network.lives[name].messages()
        assert all(each.view.quorate for each in told if isinstance(each, api.ViewInstalled))


def test_it_stays_the_same_half() -> None:
    network = four_that_hear({"ab", "bc", "cd"}, seed=0)
    network.run(5 * D)
    half = quorate(network)
    told = len(network.lives[half[0]].messages())
    network.run(20 * D)

    assert quorate(network) == half
    news = network.lives[half[0]].messages()[told:]
    assert not [each for each in news if isinstance(each, api.ViewInstalled)]
