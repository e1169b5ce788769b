"""Who may act when: what a node relies on, and how long the others wait for it."""

from __future__ import annotations

import pytest

from messaging.cluster_settings import Timing
from tests.kit.messaging import TIMING, Network, Watch

FAST = Timing(keepalive_s=0.1, deadtime_s=0.5, warntime_s=0.3, initdead_s=1.0, deadping_s=0.5)
SLOW = Timing(keepalive_s=1.0, deadtime_s=10.0, warntime_s=5.0, initdead_s=12.0, deadping_s=10.0)


def agreed(nodes: int, *, timing: Timing, seed: int) -> Network:
    network = Network(nodes, timing=timing, seed=seed)
    network.start()
    names = "".join(network.settings.nodes)
    network.run(timing.initdead_s, until=lambda: network.is_agreed(names))
    network.run(2 * timing.deadtime_s)
    return network


def quorate(network: Network) -> list[str]:
    views = network.views()
    return [name for name, view in views.items() if view is not None and view.quorate]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("timing", [FAST, TIMING, SLOW], ids=["fast", "plain", "slow"])
def test_who_lost_quorum_by_its_own_lease_leaves_the_others_their_margin(
    seed: int, timing: Timing
) -> None:
    network = agreed(3, timing=timing, seed=seed)
    Watch(network)
    wires = [("a", "b"), ("a", "c"), ("b", "c")]
    network.rng.shuffle(wires)
    for wire in wires:
        network.cut(wire)
        network.run(network.rng.uniform(0, timing.keepalive_s))
    mended = network.rng.choice(wires)
    (left_out,) = set("abc") - set(mended)
    network.run(2 * timing.deadtime_s, until=lambda: len(quorate(network)) < 3)

    network.cuts -= {mended, mended[::-1]}
    network.run(timing.deadtime_s, until=lambda: left_out not in quorate(network))
    let_go_at = network.now
    network.run(timing.deadtime_s, until=lambda: network.is_agreed("".join(sorted(mended))))

    assert set(quorate(network)) == set(mended)
    assert network.now - let_go_at >= timing.margin_s - 2e-3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("paused_s", [0.36, 0.40, 0.44])
def test_a_paused_node_has_let_go_when_the_others_begin_anew(seed: int, paused_s: float) -> None:
    network = agreed(3, timing=FAST, seed=seed)
    Watch(network)
    network.cut(("a", "c"), ("b", "c"))
    network.freeze("a")
    network.freeze("c")
    network.run(paused_s)
    network.thaw("c")
    network.run(0.0)
    network.thaw("a")
    network.run(0.0)

    took_s = network.run(2.0, until=lambda: set(quorate(network)) == {"a", "b"})

    assert network.is_agreed("ab") and took_s < FAST.deadtime_s


def test_who_lets_go_by_its_lease_says_so_and_calls_nobody_dead_before_the_deadtime() -> None:
    network = agreed(3, timing=TIMING, seed=1)
    network.partition("a", "bc")
    network.run(2 * TIMING.deadtime_s, until=lambda: "a" not in quorate(network))
    said = network.lives["a"].texts()

    assert sum("this node lets go, as others may go on without it" in text for text in said) == 2
    assert not [text for text in said if text.endswith(": is dead")]
    network.run(TIMING.deadtime_s)
    assert {"node b: is dead", "node c: is dead"} <= set(network.lives["a"].texts())
