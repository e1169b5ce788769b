"""Every benchmark can be begun as `./run bench NAME` begins it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHES = sorted((Path(__file__).parents[2] / "bench").glob("*.py"))


@pytest.mark.parametrize("bench", BENCHES, ids=lambda path: path.stem)
def test_all_that_it_imports_is_there(bench: Path) -> None:
    read = f"import runpy; runpy.run_path({str(bench)!r}, run_name='a_bench')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", read], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
