"""Two media of which one carries less: neither suffers for the other."""

from __future__ import annotations

import collections
import itertools
import random

import pytest

from messaging import frame
from tests.kit.messaging import TIMING, Network

FULL = frame.PIECE_PACKET_BYTES
NARROW = 850
LINKS = ("eth1", "eth2")


class Measured(Network):
    """Writes down how long the packets were that went to one peer, by link."""

    def __init__(self) -> None:
        super().__init__(2, links=LINKS, clients=("crmd",))
        self.lengths: dict[str, collections.Counter[int]] = {}
        self.forget()

    def forget(self) -> None:
        self.lengths = {link: collections.Counter() for link in LINKS}

    def _transmit(self, name: str, link: str, data: bytes, destination: str) -> None:
        if destination and name == "a":
            self.lengths[link][len(data)] += 1
        super()._transmit(name, link, data, destination)


def talk(network: Measured, seconds: float) -> None:
    """Have a say something large again and again, now best over one medium, now the other."""
    message = random.Random(1).randbytes(20_000)
    end = network.now + seconds
    turns = itertools.cycle(LINKS)
    while network.now < end:
        network.detours_s = {next(turns): 0.001}
        network.send("a", message)
        network.run(1.3 * TIMING.keepalive_s)  # out of step with the heartbeats


def agreed(**packet_bytes: int) -> Measured:
    made = Measured()
    made.packet_bytes = packet_bytes
    made.start()
    made.run(5.0, until=lambda: made.is_agreed("ab"))
    made.run(TIMING.deadtime_s)
    return made


@pytest.mark.parametrize("narrow", LINKS)
def test_a_medium_that_swallows_large_packets_makes_only_its_own_small(narrow: str) -> None:
    network = agreed()
    (wide,) = set(LINKS) - {narrow}
    network.carries[narrow] = NARROW
    talk(network, 20.0)
    network.forget()

    talk(network, 10.0)

    small, large = network.lengths[narrow], network.lengths[wide]
    assert sum(small.values()) > 100 and sum(large.values()) > 100, "both are used"
    assert sum(count for length, count in small.items() if length > NARROW) < 5
    assert max(large) > FULL - frame.PIECE_OVERHEAD_BYTES
    text = f"do not reach node b over {narrow}: it gets messages there in packets of"
    assert [line for line in network.lives["a"].texts() if text in line]
    assert not [line for line in network.lives["a"].texts() if f"over {wide}" in line]


def test_what_an_interface_carries_uncut_binds_its_own_packets_only() -> None:
    network = agreed(eth2=NARROW)

    talk(network, 5.0)

    narrow, wide = network.lengths["eth2"], network.lengths["eth1"]
    whole = sum(count for length, count in narrow.items() if length > NARROW)
    assert sum(narrow.values()) > 50 and whole == 0
    assert max(wide) > FULL - frame.PIECE_OVERHEAD_BYTES
