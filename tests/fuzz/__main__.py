"""The long form: each decoder for some minutes, with inputs never seen before.

    ./run fuzz [MINUTES=10] [ONLY=packet,stream]

Half of the inputs' time goes to those that hypothesis makes in the form of the decoder, half to
quick damage done to them (`mutation`). Prints for each how many inputs were tried; a failure is
shown with the smallest input that shows it, and the exit code is 1.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.inputs import Target
from tests.fuzz.mutation import Samples, smallest
from tests.fuzz.targets import TARGETS

BATCH = 500
PHASES = (Phase.generate, Phase.shrink)


class Tally:
    """What one target was given."""

    def __init__(self) -> None:
        self.inputs = 0
        self.began = time.perf_counter()
        self.began_cpu = time.process_time()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    @property
    def cpu_seconds(self) -> float:
        return time.process_time() - self.began_cpu


def _try_batch(target: Target, number: int, tally: Tally, samples: Samples) -> str:
    """Try a batch of made-up inputs, and keep some; the story of the failure, or ""."""

    @seed(number)
    @settings(
        max_examples=BATCH,
        database=None,
        deadline=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def take(value: object) -> None:
        tally.inputs += 1
        samples.keep(value)
        target.take(value)

    return _escapes(take)


def _try_mutants(target: Target, until_cpu: float, tally: Tally, samples: Samples) -> str:
    """Try damaged inputs until so much processor time is used; the story of the failure, or ""."""
    while time.process_time() < until_cpu:
        for _ in range(20):
            tally.inputs += 1
            value = samples.mutant()
            if _escapes(target.take, value):
                least = smallest(value, lambda candidate: bool(_escapes(target.take, candidate)))
                return f"{_escapes(target.take, least)}with {least!r}"
    return ""


def _escapes(take: Callable[..., None], *value: Any) -> str:
    """What escapes when something is taken, as a story; "" where nothing does."""
    try:
        take(*value)
    except Exception:  # noqa: BLE001 — whatever escapes is what is looked for
        return traceback.format_exc()
    return ""


def main() -> int:
    """Fuzz the targets one after the other."""
    minutes = float(os.environ.get("PACEKEEPER_MINUTES", "10"))
    only = [word for word in os.environ.get("PACEKEEPER_ONLY", "").split(",") if word]
    unknown = [word for word in only if word not in TARGETS]
    if unknown:
        print(f"there is no decoder '{unknown[0]}'; there are: {', '.join(TARGETS)}")
        return 64
    first = int(os.environ.get("PACEKEEPER_SEED", str(time.time_ns() % 2**32)))
    print(f"seed {first}; {minutes:g} minutes each")
    failed = 0
    for name in only or TARGETS:
        tally, story = Tally(), ""
        samples = Samples(random.Random(first))
        for number in itertools.count(first):
            began = time.process_time()
            story = _try_batch(TARGETS[name], number, tally, samples)
            if not story:
                until = 2 * time.process_time() - began
                story = _try_mutants(TARGETS[name], until, tally, samples)
            if story or tally.seconds >= 60 * minutes:
                break
        failed += bool(story)
        ended = "FAILED" if story else "nothing escaped"
        spent = f"{tally.seconds:6.0f} s ({tally.cpu_seconds:.0f} of the processor)"
        print(f"{name:22} {tally.inputs:9} inputs {spent}  {ended}", flush=True)
        if story:
            print(story, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
