"""Runs many simulated clusters: `python -m tests.sim`, usually as `./run sim NAME=value ...`.

Settings come from the environment: PACEKEEPER_SEEDS (how many, 60 at first), PACEKEEPER_FIRST (the
first seed, 1), PACEKEEPER_SEED (this one alone, with all it did), PACEKEEPER_PLANT (plant this bug:
it must be found), PACEKEEPER_PLANTS=all (plant each bug in turn). Exit code 0 when no invariant was
violated, or when every planted bug was found; else 1.
"""

from __future__ import annotations

import os
import sys
import time
from multiprocessing import Pool

from tests.sim import plants
from tests.sim.cluster import RunResult, run_seed

SEEDS = 60
PLANT_SEEDS = 200
REPORT_EVERY = 50


def _run(task: tuple[int, str]) -> RunResult:
    seed, plant = task
    return run_seed(seed, makers=plants.makers(plant) if plant else None)


def _show(result: RunResult) -> None:
    print(f"seed {result.seed}: VIOLATION {result.violation}")
    print(result.report)
    print(f"replay: ./run sim SEED={result.seed}", flush=True)


def run_seeds(first: int, count: int) -> int:
    """Run seeds on every processor; gives the number of failures."""
    began = time.monotonic()
    failed = done = starts = 0
    slowest_s = 0.0
    with Pool() as pool:
        tasks = [(seed, "") for seed in range(first, first + count)]
        for result in pool.imap(_run, tasks, chunksize=4):
            done += 1
            starts += result.starts
            slowest_s = max(slowest_s, result.rested_s)
            if result.violation:
                failed += 1
                _show(result)
            if done % REPORT_EVERY == 0:
                pace = done / (time.monotonic() - began)
                print(
                    f"{done} seeds, {failed} failed, {starts} starts of resources, at rest after"
                    f" at most {slowest_s:.1f} s, {pace:.1f} seeds/s",
                    flush=True,
                )
    print(f"{done - failed} passed, {failed} failed")
    return failed


def run_one(seed: int, plant: str) -> int:
    """Run one seed and show what it did."""
    result = run_seed(seed, makers=plants.makers(plant) if plant else None, lines=400)
    if result.violation:
        _show(result)
    else:
        print(f"seed {seed}: at rest {result.rested_s:.2f} s after the last fault;")
        print(f"  {result.events} events, {result.datagrams} datagrams, {result.starts} starts,")
        print(f"  {result.acknowledged} acknowledged writes, all of them kept")
    print(f"{0 if result.violation else 1} passed, {1 if result.violation else 0} failed")
    return 1 if result.violation else 0


def find_plant(name: str) -> bool:
    """Plant a bug and run seeds until one shows it."""
    with Pool() as pool:
        tasks = [(seed, name) for seed in range(1, PLANT_SEEDS + 1)]
        for done, result in enumerate(pool.imap(_run, tasks), 1):
            if result.violation:
                print(
                    f"{name}: found by seed {result.seed} ({done} tried): {result.violation[:110]}"
                )
                sys.stdout.flush()
                pool.terminate()
                return True
    print(f"{name}: NOT FOUND within {PLANT_SEEDS} seeds", flush=True)
    return False


def main() -> int:
    """Do what the environment says."""
    number = os.environ.get("PACEKEEPER_SEED", "")
    plant = os.environ.get("PACEKEEPER_PLANT", "")
    if plant and plant not in plants.PLANTS:
        print(f"error: there is no plant '{plant}'; there are {', '.join(sorted(plants.PLANTS))}")
        return 64
    if number:
        return run_one(int(number), plant)
    names = (
        sorted(plants.PLANTS) if os.environ.get("PACEKEEPER_PLANTS") else [plant] if plant else []
    )
    if names:
        missed = [name for name in names if not find_plant(name)]
        print(f"{len(names) - len(missed)} passed, {len(missed)} failed")
        return 1 if missed else 0
    count = int(os.environ.get("PACEKEEPER_SEEDS", str(SEEDS)))
    first = int(os.environ.get("PACEKEEPER_FIRST", "1"))
    return 1 if run_seeds(first, count) else 0


if __name__ == "__main__":
    sys.exit(main())
