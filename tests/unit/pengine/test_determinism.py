"""The same CIB gives the same graph, whatever the order in which Python walks over sets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
COUNT = 60

_PROGRAM = f"""
import hashlib
from datetime import UTC, datetime
from crm.model.readxml import cluster as reading
from crm.model.writexml import graph as graph_writing
from crm.plumbing import xml
from pengine import schedule
from tests.kit.any_cib import from_seed
from tests.kit.any_status import NOW_S
for seed in range({COUNT}):
    cluster, _ = reading.read(xml.parse(from_seed(seed)))
    decision = schedule(cluster, datetime.fromtimestamp(NOW_S, UTC))
    written = xml.serialise(graph_writing.write(decision.graph))
    lines = repr((decision.placement.table.lines, decision.sentence)).encode()
    print(seed, hashlib.sha256(written + lines).hexdigest())
"""


def decided(hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TOP)}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=TOP,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("hash_seed", ["1", "4711"])
def test_the_order_of_sets_decides_nothing(hash_seed: str) -> None:
    assert decided(hash_seed) == decided("0")
