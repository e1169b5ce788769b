"""Packets that are not believed put nothing off, however many they are."""

import pytest

from messaging import events, frame
from tests.kit.messaging import LINK, TIMING, Network


def forged(network: Network, number: int, session: str) -> events.DatagramArrived:
    """A packet that claims to be of `b`."""
    cluster = network.settings.cluster
    sender = frame.sender_tag(cluster, "b")
    head = frame.Header(
        0, frame.cluster_tag(cluster), 1, sender, bytes.fromhex(session), 2**40 + number
    )
    return events.DatagramArrived(LINK, "10.0.0.9:694", head.pack() + bytes(100))


@pytest.mark.parametrize("is_living", [True, False])
def test_a_flood_in_the_name_of_a_peer_delays_neither_a_death_nor_a_heartbeat(
    *, is_living: bool
) -> None:
    network = Network(3)
    network.start()
    network.run(2.0, until=lambda: network.is_agreed("abc"))
    network.run(1.0)
    session = network.lives["b"].machine.incarnation if is_living else "00" * 8
    network.crash("c")
    crashed_at = network.now
    while not network.is_agreed("ab"):
        network.feed("a", forged(network, int(1000 * network.now), session))
        network.run(0.001)
        assert network.now < crashed_at + TIMING.deadtime_s + 0.01

    counters = network.lives["a"].machine.counters
    reason = "bad-signature" if is_living else "unknown-session"
    assert counters[f"dropped-{reason}"] > 500
    assert not any("Late heartbeat" in text for text in network.lives["b"].texts())
