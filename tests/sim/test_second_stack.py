"""Everything above the cluster layer runs on another one: start, write, crash, recovery, partition.

The other one is shaped like Corosync (`kit.closed_group` on `sim.rings`), and shares neither
views nor delivery nor numbers with `messaging`.
"""

from __future__ import annotations

import random

import pytest

from tests.sim.cluster import Cluster, run_seed
from tests.sim.faults import Fault, Script
from tests.sim.second_stack import CibOnClosedGroups, OnClosedGroups


class Quiet(OnClosedGroups):
    """Three nodes to which only happens what the test says."""

    def _size(self, chance: random.Random) -> int:
        return 3

    def _script(self, chance: random.Random, names: list[str], length_s: float) -> Script:
        return Script(quiet_from=0.0)


def settle(cluster: Cluster, what: str, *, without: str = "") -> None:
    """Let time pass until all that run are at rest: one DC, one view, all resources once."""
    end = cluster.engine.now + 40.0
    complaint = "nothing has happened"
    while complaint and cluster.engine.now < end:
        cluster.engine.run_until(cluster.engine.now + 0.25)
        complaint = cluster.checks.why_not_at_rest(without=without)
    assert not complaint, f"{what}: {complaint}"


def dc_of(cluster: Cluster) -> str:
    (found,) = {
        process.machine.dc  # type: ignore[attr-defined]
        for node in cluster.up()
        if (process := node.process("crmd")) is not None
    }
    return str(found)


def write(cluster: Cluster, node: str) -> None:
    """Change the configuration at a node, and be answered "ok" by all members."""
    count = cluster.acknowledged
    cluster.befall(Fault(cluster.engine.now, "write", node))
    cluster.engine.run_until(cluster.engine.now + 2.0)
    assert cluster.acknowledged == count + 1


def test_a_cluster_lives_on_a_second_stack() -> None:
    cluster = Quiet(11, length_s=0.0)
    settle(cluster, "start")
    assert cluster.world.starts == len(cluster.resources)
    write(cluster, "n1")
    write(cluster, "n3")

    dc = dc_of(cluster)
    cluster.nodes[dc].crash()
    settle(cluster, "crash of the DC", without=dc)
    assert dc_of(cluster) != dc
    write(cluster, dc_of(cluster))

    cluster.nodes[dc].boot()
    settle(cluster, "recovery")

    alone = dc_of(cluster)
    others = [name for name in cluster.nodes if name != alone]
    cluster.network.split([[alone], others])
    cluster.engine.run_until(cluster.engine.now + 20.0)
    assert cluster.world.resources_on(alone) == []
    assert all(len(cluster.world.where(each)) == 1 for each in cluster.resources)
    write(cluster, others[0])

    cluster.network.heal()
    settle(cluster, "healing")
    cluster.checks.at_end()
    assert cluster.acknowledged == 4


@pytest.mark.parametrize("seed", range(1, 7))
def test_a_cluster_keeps_its_promises_on_a_second_stack(seed: int) -> None:
    result = run_seed(seed, kind=OnClosedGroups)

    assert not result.violation, f"{result.violation}\n{result.report}"
    assert result.starts > 0


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_configuration_is_kept_on_a_second_stack(seed: int) -> None:
    result = run_seed(seed, kind=CibOnClosedGroups)

    assert not result.violation, f"{result.violation}\n{result.report}"
