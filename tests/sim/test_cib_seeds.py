"""The profile `cib` with every fast test run; `./run sim PROFILE=cib` lives through many more."""

from __future__ import annotations

import pytest

from tests.sim import plants
from tests.sim.cib_cluster import CibCluster
from tests.sim.cib_plants import CIB_PLANTS
from tests.sim.cluster import run_seed


@pytest.mark.parametrize("seed", range(1, 7))
def test_the_configuration_keeps_its_promises_on_bad_disks(seed: int) -> None:
    result = run_seed(seed, kind=CibCluster)
    assert not result.violation, f"{result.violation}\n{result.report}"
    assert result.acknowledged > 0


def test_the_same_seed_lives_the_same_life_on_bad_disks() -> None:
    assert run_seed(4, kind=CibCluster) == run_seed(4, kind=CibCluster)


@pytest.mark.parametrize("name", ["skip-fsync", "skip-folder-sync", "ignore-base", "early-answer"])
def test_a_bug_in_keeping_the_configuration_is_found(name: str) -> None:
    makers, seeds = CIB_PLANTS[name]
    found = (
        run_seed(seed, makers=plants.makers(makers), kind=CibCluster).violation
        for seed in range(1, seeds + 1)
    )
    assert any(found), f"nobody noticed '{name}' within {seeds} seeds"
