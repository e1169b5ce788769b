"""Runs `crm` and its tools inside the test's own process."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.main import main as crm
from cli.tools.cibadmin import main as cibadmin
from cli.tools.crm_attribute import main as crm_attribute
from cli.tools.crm_mon import main as crm_mon

TOOLS: dict[str, Callable[[list[str]], int]] = {
    "cibadmin": cibadmin,
    "crm": crm,
    "crm_attribute": crm_attribute,
    "crm_mon": crm_mon,
}


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    code: int
    out: str
    err: str


def run(
    argv: list[str], *, stdin: str = "", environment: Mapping[str, str], directory: Path
) -> Outcome:
    """Run a tool with its own standard streams, environment and working directory."""
    out, err = io.StringIO(), io.StringIO()
    with (
        _surroundings(argv, environment, directory, stdin),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = TOOLS[argv[0]](argv[1:])
    return Outcome(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _surroundings(
    argv: list[str], environment: Mapping[str, str], directory: Path, stdin: str
) -> Iterator[None]:
    before, streams, place = dict(os.environ), sys.stdin, Path.cwd()
    words = sys.argv
    sys.argv = argv
    for name in ("CIB_file", "CIB_shadow", "CIB_shadow_dir", "PACEKEEPER_ROOT"):
        os.environ.pop(name, None)
    os.environ.update(environment)
    sys.stdin = io.StringIO(stdin)
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(place)
        sys.stdin = streams
        sys.argv = words
        os.environ.clear()
        os.environ.update(before)
