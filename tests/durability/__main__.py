"""Wears a cluster of three down for minutes: `./run durability MINUTES=2 SEED=1`.

Writers on all nodes; two of three nodes killed again and again; full disks and disks that report
errors. Exit code 0 when every acknowledged write is there in the end and no version forked.
Settings come from the environment: PACEKEEPER_MINUTES (2), PACEKEEPER_SEED (1), PACEKEEPER_KEEP
(a folder that does not exist yet, for the nodes' logs, copies and histories).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.durability.wear import wear_down


def main() -> int:
    """Run once and say what came out."""
    minutes = float(os.environ.get("PACEKEEPER_MINUTES") or 2)
    seed = int(os.environ.get("PACEKEEPER_SEED") or 1)
    keep = os.environ.get("PACEKEEPER_KEEP")
    with tempfile.TemporaryDirectory(prefix="pacekeeper-durability-") as directory:
        print(f"seed {seed}, {minutes:g} minutes", flush=True)
        report = wear_down(
            Path(directory) / "lab",
            seconds=60 * minutes,
            seed=seed,
            say=lambda text: print(text, flush=True),
            keep=Path(keep) if keep else None,
        )
    print(report.text())
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
