"""Compares our shell with an installed `crm`, session by session, on the CIBs of the vectors.

    python -m tests.reference.crm_peer [WORD...] [--calls FILE] [--show N]

A session is a line of `crm_calls.txt`: the name of a CIB, a tab, and either words for the command
line after `crm ` or lines for standard input, parted by ` | `. It runs once with the peer and once
with ours, in fresh folders. What is compared is what the vectors compare: exit code, output
without the shell's own messages, the CIB, and what `configure show` prints of it. Only sessions
with one of the words run. Where no `crm` is installed there is nothing to compare with.

The peer is a black box. docs/crm-shell.md says which differences are meant; sessions that differ
for such a reason may stand in `crm_calls_accepted.txt`.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.kit import shell, tool_vectors
from tests.reference import tool_peer

PEER = "/usr/sbin"
CALLS = Path(__file__).with_name("crm_calls.txt")
ACCEPTED = Path(__file__).with_name("crm_calls_accepted.txt")
_MAX_LINES = 12


def as_vector(cib: str, line: str) -> dict[str, Any]:
    """Make the vector that a line of the list stands for."""
    vector: dict[str, Any] = {"kind": "crm", "show": True, "cib": None if cib == "-" else cib}
    if line.startswith("crm "):
        return vector | {"argv": shlex.split(line)}
    return vector | {"argv": ["crm"], "stdin": line.replace(" | ", "\n") + "\n"}


def run_ours(vector: dict[str, Any], cibs: dict[str, str], box: Path) -> dict[str, Any]:
    """Run a session in this process."""
    (box / "shadow").mkdir(parents=True)
    cib = box / "cib.xml"
    if vector["cib"]:
        cib.write_text(cibs[vector["cib"]])
    environment = {
        "CIB_file": str(cib), "CIB_shadow_dir": str(box / "shadow"), "HOME": str(box), "TZ": "UTC",
        "EDITOR": "true",
    }  # fmt: skip
    done = shell.run(
        vector["argv"], stdin=vector.get("stdin", ""), environment=environment, directory=box
    )
    shown = shell.run(["crm", "configure", "show"], environment=environment, directory=box)
    return {
        "exit": done.code, "stdout": done.out, "stderr": done.err, "box": str(box), "files": {},
        "cib": cib.read_text() if cib.exists() else None, "show": shown.out,
    }  # fmt: skip


def differences(
    judge: Any,  # Any: see `read_cibs`
    vector: dict[str, Any],
    cibs: dict[str, str],
    box: Path,
) -> tuple[dict[str, tuple[list[str], list[str]]], list[str], str]:
    """Run a session with both; give what differs, and what each said about it."""
    wanted = judge.run_command(vector, cibs, PEER)
    plain, messages = judge.split_crm(wanted["stdout"], wanted["stderr"], wanted["box"])
    shown = judge.split_crm(wanted["show"], "", wanted["box"])[0]
    expected = {**vector, "expect": {"exit": wanted["exit"], "output": plain,
                                     "show": "\n".join(shown)}}  # fmt: skip
    got = run_ours(vector, cibs, box)
    failed, bad = judge.check(expected, cibs, got)
    found = {part: bad[part] for part in failed}
    left = [judge.canon_cib(run["cib"] or "", True) or [] for run in (wanted, got)]
    if left[0] != left[1]:
        found["cib"] = (left[0], left[1])
    return found, messages, got["stderr"]


def main(argv: list[str] | None = None) -> int:
    """Run the sessions, print what differs, and say how many did; 1 if any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--calls", type=Path, default=CALLS)
    parser.add_argument("--show", type=int, default=_MAX_LINES)
    options = parser.parse_args(argv)
    if shutil.which(f"{PEER}/crm") is None or not tool_vectors.REFERENCE.exists():
        print(f"nothing to compare with: no {PEER}/crm, or no CIBs in {tool_vectors.REFERENCE}")
        return 0
    judge = tool_vectors.comparison()
    cibs = tool_peer.read_cibs(judge, "tool-vectors", "crm-vectors")
    accepted = set(ACCEPTED.read_text().splitlines()) if ACCEPTED.exists() else set()
    lines = [line for line in options.calls.read_text().splitlines() if "\t" in line]
    if options.words:
        lines = [line for line in lines if any(word in line for word in options.words)]
    different = meant = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, line in enumerate(lines):
            cib, _, session = line.partition("\t")
            vector = as_vector(cib, session)
            found, theirs, ours = differences(judge, vector, cibs, Path(folder, str(number)))
            if not found:
                continue
            if line in accepted:
                meant += 1
                continue
            different += 1
            _print(line, found, options.show)
            for told in theirs[:4]:
                print(f"    they said: {told}")
            for told in ours.splitlines()[:4]:
                print(f"    we said:   {told}")
    print(f"{len(lines)} sessions, {different} differ, {meant} more as it is meant")
    return 1 if different else 0


def _print(line: str, found: dict[str, tuple[list[str], list[str]]], limit: int) -> None:
    print(f"### [{line}".replace("\t", "] "), flush=True)
    tool_peer.print_differences(found, limit)


if __name__ == "__main__":
    sys.exit(main())
