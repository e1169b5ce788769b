"""The long form: each decoder for some minutes, with inputs never seen before.

    ./run fuzz [MINUTES=10] [ONLY=packet,stream]

Prints for each how many inputs a second were tried; a failure is shown with the smallest input
that shows it, and the exit code is 1.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
import traceback

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import TARGETS, Target

BATCH = 500
PHASES = (Phase.generate, Phase.shrink)


class Tally:
    """What one target was given."""

    def __init__(self) -> None:
        self.inputs = 0
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began


def _try_batch(target: Target, number: int, tally: Tally) -> str:
    """Try a batch of inputs; the story of the failure, or ""."""

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
        target.take(value)

    try:
        take()
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
        for number in itertools.count(first):
            story = _try_batch(TARGETS[name], number, tally)
            if story or tally.seconds >= 60 * minutes:
                break
        failed += bool(story)
        rate = tally.inputs / tally.seconds
        ended = "FAILED" if story else "nothing escaped"
        print(f"{name:22} {tally.inputs:9} inputs {rate:8.0f}/s  {ended}", flush=True)
        if story:
            print(story, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
