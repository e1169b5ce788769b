"""A few fixed seeds with every fast test run; `./run sim` lives through many more."""

from __future__ import annotations

import pytest

from tests.sim import plants
from tests.sim.cluster import run_seed


@pytest.mark.parametrize("seed", range(1, 11))
def test_a_simulated_cluster_keeps_its_promises(seed: int) -> None:
    result = run_seed(seed)
    assert not result.violation, f"{result.violation}\n{result.report}"
    assert result.starts > 0


def test_the_same_seed_lives_the_same_life() -> None:
    assert run_seed(3) == run_seed(3)


@pytest.mark.parametrize("name", ["unordered-graph", "false-stop", "early-answer"])
def test_a_planted_bug_is_found(name: str) -> None:
    found = (
        run_seed(seed, makers=plants.makers(plants.PLANTS[name])).violation for seed in range(1, 61)
    )
    assert any(found), f"nobody noticed '{name}' within 60 seeds"
