"""Runs many simulated clusters: `python -m tests.sim`, usually as `./run sim NAME=value ...`.

Settings come from the environment: PACEKEEPER_SEEDS (how many, 60 at first), PACEKEEPER_FIRST (the
first seed, 1), PACEKEEPER_SEED (this one alone, with all it did), PACEKEEPER_PLANT (plant this bug:
it must be found), PACEKEEPER_PLANTS=all (plant each bug in turn), PACEKEEPER_PROFILE (`whole`, the
first one: resources and everything else; `cib`: nothing but the configuration, on bad disks;
`messaging`: nothing but the cluster layer, on bad wires; `second-stack`, `second-stack-cib`: the
first two on another cluster layer),
PACEKEEPER_PROCESSES (how many at once, all processors at first). Exit code 0 when no invariant was
violated, or when every planted bug was found; else 1.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pool

from tests.sim import plants, wires
from tests.sim.cib_cluster import CibCluster
from tests.sim.cib_plants import CIB_PLANTS
from tests.sim.cluster import Cluster, RunResult, run_seed
from tests.sim.nodes import Makers
from tests.sim.second_stack import CibOnClosedGroups, OnClosedGroups

SEEDS = 60
PLANT_SEEDS = 200
REPORT_EVERY = 50


@dataclass(frozen=True)
class Profile:
    """A kind of cluster, and the bugs that its runs must find within so many seeds.

    `play` is given a seed, the name of a planted bug ("" = none) and how many lines to report.
    """

    name: str
    play: Callable[[int, str, int], RunResult]
    plants: Mapping[str, int]

    def run(self, seed: int, plant: str = "", lines: int = 60) -> RunResult:
        """Run one seed, perhaps with a planted bug."""
        return self.play(seed, plant, lines)


def _of_clusters(name: str, kind: type[Cluster], bugs: Mapping[str, tuple[Makers, int]]) -> Profile:
    def play(seed: int, plant: str, lines: int) -> RunResult:
        makers = plants.makers(bugs[plant][0]) if plant else None
        return run_seed(seed, makers=makers, lines=lines, kind=kind)

    return Profile(name, play, {plant: limit for plant, (_, limit) in bugs.items()})


PROFILES = {
    "whole": _of_clusters(
        "whole", Cluster, {name: (each, PLANT_SEEDS) for name, each in plants.PLANTS.items()}
    ),
    "cib": _of_clusters("cib", CibCluster, CIB_PLANTS),
    "second-stack": _of_clusters("second-stack", OnClosedGroups, {}),
    "second-stack-cib": _of_clusters("second-stack-cib", CibOnClosedGroups, {}),
    "messaging": Profile("messaging", wires.run, dict.fromkeys(wires.PLANTS, 60)),
}


def _run(task: tuple[str, int, str]) -> RunResult:
    profile, seed, plant = task
    return PROFILES[profile].run(seed, plant)


def _show(profile: Profile, result: RunResult) -> None:
    print(f"seed {result.seed}: VIOLATION {result.violation}")
    print(result.report)
    print(f"replay: ./run sim PROFILE={profile.name} SEED={result.seed}", flush=True)


def run_seeds(profile: Profile, first: int, count: int) -> int:
    """Run seeds on every processor; gives the number of failures."""
    began = time.monotonic()
    failed = done = starts = acknowledged = 0
    slowest_s = 0.0
    with Pool(_processes()) as pool:
        tasks = [(profile.name, seed, "") for seed in range(first, first + count)]
        for result in pool.imap(_run, tasks, chunksize=4):
            done += 1
            starts += result.starts
            acknowledged += result.acknowledged
            slowest_s = max(slowest_s, result.rested_s)
            if result.violation:
                failed += 1
                _show(profile, result)
            if done % REPORT_EVERY == 0:
                pace = done / (time.monotonic() - began)
                print(
                    f"{done} seeds, {failed} failed, {starts} starts of resources,"
                    f" {acknowledged} acknowledged writes, at rest after at most"
                    f" {slowest_s:.1f} s, {pace:.1f} seeds/s",
                    flush=True,
                )
    print(f"{done - failed} passed, {failed} failed")
    return failed


def run_one(profile: Profile, seed: int, plant: str) -> int:
    """Run one seed and show what it did."""
    result = profile.run(seed, plant, lines=400)
    if result.violation:
        _show(profile, result)
    else:
        print(f"seed {seed}: at rest {result.rested_s:.2f} s after the last fault;")
        print(f"  {result.events} events, {result.datagrams} datagrams, {result.starts} starts,")
        print(f"  {result.acknowledged} acknowledged writes, all of them kept")
    print(f"{0 if result.violation else 1} passed, {1 if result.violation else 0} failed")
    return 1 if result.violation else 0


def find_plant(profile: Profile, name: str) -> bool:
    """Plant a bug and run seeds until one shows it."""
    with Pool(_processes()) as pool:
        limit = profile.plants[name]
        tasks = [(profile.name, seed, name) for seed in range(1, limit + 1)]
        for done, result in enumerate(pool.imap(_run, tasks), 1):
            if result.violation:
                print(
                    f"{name}: found by seed {result.seed} ({done} tried): {result.violation[:110]}"
                )
                sys.stdout.flush()
                pool.terminate()
                return True
    print(f"{name}: NOT FOUND within {limit} seeds", flush=True)
    return False


def main() -> int:
    """Do what the environment says."""
    number = os.environ.get("PACEKEEPER_SEED", "")
    plant = os.environ.get("PACEKEEPER_PLANT", "")
    wanted = os.environ.get("PACEKEEPER_PROFILE", "whole")
    profile = PROFILES.get(wanted)
    if profile is None:
        print(f"error: there is no profile '{wanted}'; there are {', '.join(PROFILES)}")
        return 64
    known = sorted(profile.plants)
    if plant and plant not in known:
        print(f"error: there is no plant '{plant}'; there are {', '.join(known)}")
        return 64
    if number:
        return run_one(profile, int(number), plant)
    names = known if os.environ.get("PACEKEEPER_PLANTS") else [plant] if plant else []
    if names:
        missed = [name for name in names if not find_plant(profile, name)]
        print(f"{len(names) - len(missed)} passed, {len(missed)} failed")
        return 1 if missed else 0
    count = int(os.environ.get("PACEKEEPER_SEEDS", str(SEEDS)))
    first = int(os.environ.get("PACEKEEPER_FIRST", "1"))
    return 1 if run_seeds(profile, first, count) else 0


def _processes() -> int | None:
    return int(os.environ.get("PACEKEEPER_PROCESSES", "0")) or None


if __name__ == "__main__":
    sys.exit(main())
