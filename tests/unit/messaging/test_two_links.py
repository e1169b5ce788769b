"""Two media between the same nodes: each is watched by itself."""

from __future__ import annotations

import pytest

from crm.api.membership import LinkChanged, LinkStatus
from tests.kit.messaging import TIMING, Network

LINKS = ("eth1", "eth2")


def _link_lines(network: Network, node: str) -> list[str]:
    return [text for text in network.lives[node].texts() if text.startswith("Link ")]


@pytest.fixture
def network() -> Network:
    """Two nodes that are in one view, on a quick network and one that is slower."""
    made = Network(2, links=LINKS, clients=("crmd",))
    made.detours_s["eth2"] = 0.002
    made.start()
    made.run(5.0, until=lambda: made.is_agreed("ab"))
    made.run(2 * TIMING.deadtime_s)
    return made


def test_the_slower_link_is_up_although_all_was_heard_over_the_other_before(
    network: Network,
) -> None:
    assert sorted(_link_lines(network, "a")) == ["Link b:eth1 up.", "Link b:eth2 up."]
    assert sorted(_link_lines(network, "b")) == ["Link a:eth1 up.", "Link a:eth2 up."]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_is_lost_is_told_and_comes_back_while_the_contact_stays(
    network: Network, link: str
) -> None:
    before = network.views()
    network.dead_links.add(link)
    network.run(2 * TIMING.deadtime_s)
    told = network.lives["a"].messages()
    assert LinkChanged("b", link, LinkStatus.DEAD) in told

    network.dead_links.clear()
    network.run(TIMING.keepalive_s * 2)

    assert _link_lines(network, "a")[-2:] == [f"Link b:{link} dead.", f"Link b:{link} up."]
    assert network.views() == before


def test_copies_that_are_held_back_keep_no_dead_node_alive(network: Network) -> None:
    network.detours_s["eth2"] = 3 * TIMING.deadtime_s
    network.run(TIMING.deadtime_s)
    network.crash("b")

    network.run(1.5 * TIMING.deadtime_s)

    assert network.is_agreed("a")
    assert "node b: is dead" in network.lives["a"].texts()
