"""The address agents against a real kernel, in a network namespace of their own.

The test re-executes itself inside `unshare`: as root, or as root of a user namespace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCENES = Path(__file__).with_name("scenes_addresses.py")
ROOT = Path(__file__).resolve().parents[2]


def unshared(*words: str) -> list[str]:
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *as_user, "--net", "--mount", *words]


@pytest.fixture(scope="session")
def may_unshare() -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs the programs unshare and ip")
    tried = subprocess.run(unshared("true"), capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("neither root nor user namespaces: no network namespace can be made")


def scene_names() -> list[str]:
    marker = "def scene_"
    lines = SCENES.read_text().splitlines()
    return [
        line.removeprefix(marker).partition("(")[0] for line in lines if line.startswith(marker)
    ]


@pytest.mark.parametrize("scene", scene_names())
def test_address_agents(scene: str, may_unshare: None, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = unshared(sys.executable, str(SCENES), scene, str(tmp_path))
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
