"""Asks our tools and an installed release the same of every published CIB, and counts differences.

    python -m tests.reference.peer_survey [WORD...] [--first N] [--step N] [--show N]

The calls only read; each runs on each CIB of the published scheduler cases. Only calls with one
of the words are made. Differences are gathered by kind: a differing line without names and
numbers, so that what is met most often stands first. Where no other release is installed, there
is nothing to compare with.

The peer is a black box. docs/tools.md says which differences are meant.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.kit import shell, tool_vectors
from tests.reference.test_scheduler import CASES

PEER = "/usr/sbin"
CALLS = (
    "crm_mon -1",
    "crm_mon -1 -r",
    "crm_mon -1 -r -n",
    "crm_mon -1 -r -b",
    "crm_mon -1 -r -n -b",
    "crm_mon -1 -r -R",
    "crm_mon -1 -A -o -t -f -c -L -r",
    "crm_mon -1 -r -D",
    "crm_mon -s",
    "crm_mon --output-as=xml",
    "crm_mon --output-as=html",
    "crm_resource --list",
    "crm_resource --list-raw",
    "crm_resource --list-cts",
    "crm_resource --list-operations",
    "crm_resource --list --output-as=xml",
    "crm_verify -L -V",
    "crmadmin -N",
    "crm_ticket --details",
    "crm configure show",
)
"""What is asked."""

_LIMIT_S = 30
_ENVIRONMENT = {
    "PATH": f"{PEER}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "USER": "root",
    "LOGNAME": "root", "PAGER": "cat", "TERM": "dumb",
}  # fmt: skip


def ask_peer(words: list[str], cib: Path) -> tuple[int, str]:
    """Let the peer answer: its exit code and standard output."""
    environment = _ENVIRONMENT | {"CIB_file": str(cib), "HOME": str(cib.parent)}
    try:
        done = subprocess.run(
            [f"{PEER}/{words[0]}", *words[1:]], capture_output=True, text=True,
            env=environment, timeout=_LIMIT_S, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, ""
    return done.returncode, done.stdout


def ask_ours(words: list[str], cib: Path) -> tuple[int, str]:
    """Answer ourselves, in this process."""
    if words[0] not in shell.TOOLS:
        shell.TOOLS[words[0]] = importlib.import_module(f"cli.tools.{words[0]}").main
    environment = {"CIB_file": str(cib), "TZ": "UTC", "HOME": str(cib.parent)}
    done = shell.run(words, environment=environment, directory=cib.parent)
    return done.code, done.out


def differing(judge: Any, words: list[str], cib: Path) -> list[str]:  # Any: the judging module
    """Ask both; give the lines that differ, the peer's with a minus before them."""
    (wanted, theirs), (code, ours) = ask_peer(words, cib), ask_ours(words, cib)
    lines = list(
        difflib.unified_diff(
            judge.canon_output(theirs, str(cib.parent)),
            judge.canon_output(ours, str(cib.parent)),
            n=0,
            lineterm="",
        )
    )[2:]
    found = [line for line in lines if not line.startswith("@@")]
    return found if code == wanted else [f"-exit {wanted}", f"+exit {code}", *found]


def kind_of(line: str) -> str:
    """Name a kind of difference: its line without what is particular."""
    line = re.sub(r'="[^"]*"', '=""', line)
    line = re.sub(r"\b\w*\d\w*\b", "N", line)
    return line[:110]


def _cases(first: int, step: int) -> Iterator[Path]:
    yield from sorted(CASES.rglob("*.xml"))[first::step]


def main(argv: list[str] | None = None) -> int:
    """Make the calls on the CIBs, and print how many differ and how; 1 if any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--step", type=int, default=1, help="only every STEP-th CIB")
    parser.add_argument("--show", type=int, default=20, help="kinds of differences for each call")
    options = parser.parse_args(argv)
    if shutil.which(f"{PEER}/crm_mon") is None or not CASES.is_dir():
        print(f"nothing to compare with: no {PEER}/crm_mon, or no cases in {CASES}")
        return 0
    judge = tool_vectors.comparison()
    total = 0
    for call in CALLS:
        if options.words and not any(word in call for word in options.words):
            continue
        kinds: Counter[str] = Counter()
        examples: dict[str, str] = {}
        asked, different = 0, []
        with tempfile.TemporaryDirectory() as folder:
            cib = Path(folder, "cib.xml")
            for case in _cases(options.first, options.step):
                shutil.copyfile(case, cib)
                os.utime(cib)
                asked += 1
                found = differing(judge, call.split(), cib)
                if found:
                    different.append(case.stem)
                for kind in {kind_of(line) for line in found}:
                    kinds[kind] += 1
                    examples.setdefault(kind, case.stem)
        total += len(different)
        print(f"## {call}: {len(different)} of {asked} differ", flush=True)
        for kind, times in kinds.most_common(options.show):
            print(f"{times:5} {kind}   ({examples[kind]})")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
