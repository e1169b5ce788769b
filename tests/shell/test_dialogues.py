"""Dialogues with the shell: what is typed, what is answered, and with which exit code.

A dialogue is a text file in this folder:

    cib: NAME              which of the `cibs/*.xml` to start from; `NAME.revisions` is its history
    $ crm status           a command; quoting as in a shell
    < configure            a line of its standard input
    > node node1           a line of standard output
    ! error[x]: y          a line of standard error
    = 1                    the exit code, when it is not 0

NOW stands for the time of a change that is made in the dialogue, ME@HERE for who makes it.

`BLESS=1` writes what really happens into the files; the difference is then reviewed like code.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import socket
from pathlib import Path

import pytest

from tests.kit.shell import Outcome, run

HERE = Path(__file__).parent
VOLATILE = re.compile(r"(Last updated:|Last change:).*")
NOW = re.compile(r"\b20(?:2[4-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d:\d\d")
"""A moment after the time the CIBs of this folder tell of."""
HERE_NOW = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname().partition('.')[0].lower()}"


def played(text: str, tmp_path: Path) -> str:
    """Play a dialogue and write down how it really went."""
    lines: list[str] = []
    cib = tmp_path / "cib.xml"
    environment = {
        "CIB_file": str(cib), "CIB_shadow_dir": str(tmp_path), "HOME": str(tmp_path), "TZ": "UTC",
    }  # fmt: skip
    blocks = re.split(r"(?m)^(?=\$ |cib: )", text)
    for block in filter(None, blocks):
        head, *rest = block.splitlines() or [""]
        if head.startswith("cib: "):
            source = HERE / "cibs" / f"{head[5:].strip()}.xml"
            shutil.copy(source, cib)
            if source.with_suffix(".revisions").exists():
                shutil.copy(source.with_suffix(".revisions"), tmp_path / "cib.revisions")
            lines.append(head)
        elif head.startswith("$ "):
            typed = [line for line in rest if line.startswith("<")]
            stdin = "".join(line[2:] + "\n" for line in typed)
            done = run(
                shlex.split(head[2:]), stdin=stdin, environment=environment, directory=tmp_path
            )
            lines += [head, *typed, *answered(done)]
        else:
            lines += [line for line in [head, *rest] if line]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def answered(done: Outcome) -> list[str]:
    out = [_shown(">", line) for line in done.out.splitlines()]
    err = [_shown("!", line) for line in done.err.splitlines()]
    return [*out, *err, *([f"= {done.code}"] if done.code else [])]


def _shown(mark: str, line: str) -> str:
    line = VOLATILE.sub(lambda found: found[1] + " ...", line)
    line = NOW.sub("NOW", line).replace(HERE_NOW, "ME@HERE")
    return f"{mark} {line}".rstrip()


@pytest.mark.parametrize("path", sorted(HERE.glob("*.txt")), ids=lambda path: path.stem)
def test_the_shell_answers_as_written(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    really = played(text, tmp_path)
    if os.environ.get("BLESS"):
        path.write_text(really, encoding="utf-8")
    assert really == text
