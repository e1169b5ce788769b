"""Compares our tools with those of another release, call by call, on the CIBs of the tool vectors.

    python -m tests.reference.tool_peer [WORD...] [--calls FILE] [--show N]

A call is a line of `tool_calls.txt`: the name of a CIB, a tab, and a line for the shell, which runs
once with the peer's tools and once with ours in fresh folders. What is compared is what the vectors
compare: exit code, standard output, the file afterwards. Only calls with one of the words are made.

The peer is a black box. docs/tools.md says which differences are meant.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.kit import tool_vectors

PEER = "/usr/sbin"
CALLS = Path(__file__).with_name("tool_calls.txt")
_NAMELESS = re.compile(r"c\d+")
_MAX_LINES = 12


def read_cibs(judge: Any, *kinds: str) -> dict[str, str]:  # Any: the module that runs the vectors
    """Collect the CIBs that have a name; the others are what single vectors leave behind.

    Of two with one name that of the later kind of vectors is taken.
    """
    found: dict[str, str] = {}
    for kind in kinds:
        for _vector, cibs in judge.load([tool_vectors.REFERENCE / kind]):
            found |= {name: text for name, text in cibs.items() if not _NAMELESS.fullmatch(name)}
    return found


def differences(
    judge: Any,  # Any: see `read_cibs`
    vector: dict[str, Any],
    cibs: dict[str, str],
    ours: Path,
) -> dict[str, tuple[list[str], list[str]]]:
    """Run a call with both; give what differs, first the peer's lines."""
    wanted = judge.run_command(vector, cibs, PEER)
    shown = {part: wanted[part].replace(wanted["box"], "<DIR>") for part in ("stdout", "stderr")}
    expected = {**vector, "expect": {"exit": wanted["exit"], **shown}}
    got = judge.run_command(vector, cibs, str(ours))
    failed, bad = judge.check(expected, cibs, got)
    found = {part: bad[part] for part in failed}
    left = [judge.canon_cib(run["cib"], False) or [] for run in (wanted, got)]
    if left[0] != left[1]:
        found["cib"] = (left[0], left[1])
    return found


def main(argv: list[str] | None = None) -> int:
    """Make the calls, print what differs, and say how many did; 1 if any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--calls", type=Path, default=CALLS)
    parser.add_argument("--show", type=int, default=_MAX_LINES)
    options = parser.parse_args(argv)
    judge = tool_vectors.comparison()
    cibs = read_cibs(judge, "tool-vectors")
    calls = [line.split("\t", 1) for line in options.calls.read_text().splitlines()]
    if options.words:
        calls = [call for call in calls if any(word in call[1] for word in options.words)]
    with tempfile.TemporaryDirectory() as folder:
        ours = tool_vectors.write_commands(Path(folder, "commands"))
        different = 0
        for cib, line in calls:
            vector = {"sh": line, "cib": None if cib == "-" else cib}
            found = differences(judge, vector, cibs, ours)
            different += bool(found)
            _print(cib, line, found, options.show)
    print(f"{len(calls)} calls, {different} differ")
    return 1 if different else 0


def _print(cib: str, line: str, found: dict[str, tuple[list[str], list[str]]], limit: int) -> None:
    if found:
        print(f"### [{cib}] {line}")
    print_differences(found, limit)


def print_differences(found: dict[str, tuple[list[str], list[str]]], limit: int) -> None:
    """Print the first lines in which each part differs."""
    for part, (wanted, got) in found.items():
        lines = list(difflib.unified_diff(wanted, got, n=0, lineterm=""))[2:]
        for each in [each for each in lines if not each.startswith("@@")][:limit]:
            print(f"    {part} {each}")


if __name__ == "__main__":
    sys.exit(main())
