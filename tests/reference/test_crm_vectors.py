"""Recorded sessions of the classic shell, replayed: agreement with them only grows.

`crm_vectors_agreeing.txt` lists the vectors that agree in exit code, output and resulting CIB;
each must go on agreeing. `BLESS=1` adds those that newly do.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.kit.shell import run

HERE = Path(__file__).parent
REFERENCE = HERE.parents[2] / "shared" / "reference"
AGREEING = HERE / "crm_vectors_agreeing.txt"
GROUPS = sorted(path.stem for path in (REFERENCE / "crm-vectors").glob("*.json"))

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not REFERENCE.exists(), reason="../shared/reference is not here"),
]


def _comparison() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_vectors", REFERENCE / "run_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _agrees(judge: ModuleType, vector: dict[str, Any], cibs: dict[str, str], box: Path) -> bool:
    box.mkdir()
    (box / "shadow").mkdir()
    cib = box / "cib.xml"
    if vector.get("cib"):
        cib.write_text(cibs[vector["cib"]])
    for name, text in (vector.get("files") or {}).items():
        (box / name).write_text(text)
    environment = {
        "CIB_file": str(cib), "CIB_shadow_dir": str(box / "shadow"), "HOME": str(box), "TZ": "UTC",
        "EDITOR": "true",
    }  # fmt: skip
    argv = [word.replace("<DIR>", str(box)) for word in vector["argv"]]
    done = run(argv, stdin=vector.get("stdin") or "", environment=environment, directory=box)
    got = {
        "exit": done.code, "stdout": done.out, "stderr": done.err, "box": str(box),
        "cib": cib.read_text() if cib.exists() else None, "files": {},
    }  # fmt: skip
    named = [name for name in vector["expect"].get("files") or {} if (box / name).exists()]
    got["files"] = {name: (box / name).read_text() for name in named}
    if "show" in vector["expect"]:
        shown = run(["crm", "configure", "show"], environment=environment, directory=box)
        got["show"] = shown.out
    failed, _bad = judge.check(vector, cibs, got)
    return not failed


@pytest.mark.parametrize("group", GROUPS)
def test_what_agreed_with_the_recorded_shell_still_does(group: str, tmp_path: Path) -> None:
    judge = _comparison()
    path = REFERENCE / "crm-vectors" / f"{group}.json"
    wanted = set(AGREEING.read_text().split()) if AGREEING.exists() else set()
    vectors = [
        (vector, cibs)
        for vector, cibs in judge.load([path])
        if "argv" in vector and not vector.get("host")
        and (os.environ.get("BLESS") or vector["id"] in wanted)
    ]  # fmt: skip
    agreeing = {
        vector["id"]
        for number, (vector, cibs) in enumerate(vectors)
        if _agrees(judge, vector, cibs, tmp_path / str(number))
    }
    if os.environ.get("BLESS"):
        AGREEING.write_text("\n".join(sorted(wanted | agreeing)) + "\n")
    here = {vector["id"] for vector, _cibs in vectors}
    assert wanted & here <= agreeing
