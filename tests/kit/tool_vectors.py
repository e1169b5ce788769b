"""Replays recorded runs of the classic tools and compares; agreement may only grow.

The list of agreeing vectors of a tool stands beside its test, in `tool_vectors_TOOL.txt`;
`BLESS=1` adds those that newly agree. Plain calls run inside the test's own process; pipelines,
calls that read standard input and calls that ask for the name of the host as commands.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shlex
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.kit import shell

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.parent / "shared" / "reference"
BESIDE = ROOT / "tests" / "reference"
_NEEDS_A_SHELL = frozenset("|&;<>()$`\n")

MARKS = [
    pytest.mark.reference,
    pytest.mark.skipif(not REFERENCE.exists(), reason="../shared/reference is not here"),
]


def check(tool: str, groups: Sequence[str], box: Path) -> None:
    """Replay the listed vectors of a tool; each must agree in exit code, output and CIB."""
    judge = comparison()
    listing = BESIDE / f"tool_vectors_{tool}.txt"
    wanted = set(listing.read_text().split()) if listing.exists() else set()
    blessing = bool(os.environ.get("BLESS"))
    paths = [REFERENCE / "tool-vectors" / f"{group}.json" for group in groups]
    vectors = [
        (vector, cibs) for vector, cibs in judge.load(paths) if blessing or vector["id"] in wanted
    ]
    commands = write_commands(box / "commands")
    agreeing = {
        vector["id"]
        for number, (vector, cibs) in enumerate(vectors)
        if not judge.check(vector, cibs, _replay(judge, vector, cibs, box / str(number), commands))[
            0
        ]
    }
    if blessing:
        listing.write_text("\n".join(sorted(wanted | agreeing)) + "\n")
    assert {vector["id"] for vector, _cibs in vectors} >= wanted
    assert sorted(wanted - agreeing) == []


def comparison() -> ModuleType:
    """Load the program that runs the vectors and judges them."""
    spec = importlib.util.spec_from_file_location("run_vectors", REFERENCE / "run_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_commands(folder: Path) -> Path:
    """Write each command of the project as a script that runs the code beside this test."""
    folder.mkdir()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, place in project["scripts"].items():
        module, _, function = place.partition(":")
        start = f"import sys; from {module} import {function}; sys.exit({function}())"
        script = folder / name
        script.write_text(
            f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -c "{start}" "$@"\n'
        )
        script.chmod(0o755)
    return folder


def _replay(
    judge: ModuleType, vector: dict[str, Any], cibs: dict[str, str], box: Path, commands: Path
) -> dict[str, Any]:
    script = vector.get("sh", "")
    by_shell = bool(_NEEDS_A_SHELL & set(script))
    words = shlex.split(script) if script and not by_shell else vector.get("argv", [])
    asks_for_host = vector.get("host") and not {"-N", "--node", "-U"} & set(words)
    is_ours = not words or (commands / words[0]).exists()
    if vector.get("stdin") or by_shell or asks_for_host or not is_ours:
        done: dict[str, Any] = judge.run_command(vector, cibs, str(commands))
        return done
    return _call(words, vector, cibs, box)


def _call(
    argv: list[str], vector: dict[str, Any], cibs: dict[str, str], box: Path
) -> dict[str, Any]:
    box.mkdir()
    (box / "shadow").mkdir()
    cib = box / "cib.xml"
    if vector.get("cib"):
        cib.write_text(cibs[vector["cib"]])
    for name, text in (vector.get("files") or {}).items():
        (box / name).write_text(text)
    if argv[0] not in shell.TOOLS:
        shell.TOOLS[argv[0]] = importlib.import_module(f"cli.tools.{argv[0]}").main
    environment = {
        "CIB_file": str(cib), "CIB_shadow_dir": str(box / "shadow"), "HOME": str(box), "TZ": "UTC",
        "EDITOR": "true", **(vector.get("env") or {}),
    }  # fmt: skip
    for name, value in (vector.get("env") or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value.replace("<DIR>", str(box))
    words = [word.replace("<DIR>", str(box)) for word in argv]
    done = shell.run(words, environment=environment, directory=box)
    named = (vector["expect"].get("files") or {}) if "expect" in vector else {}
    return {
        "exit": done.code, "stdout": done.out, "stderr": done.err, "box": str(box),
        "cib": cib.read_text() if cib.exists() else None,
        "files": {name: _text(box / name) for name in named},
    }  # fmt: skip


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
