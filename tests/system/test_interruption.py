"""A lab that ends, or a demonstration that is interrupted: nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.lab.plan import Host, LabPlan
from cli.lab.remote import Lab

pytestmark = pytest.mark.system


def _below(parent: int) -> set[int]:
    """Every descendant of a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(words[1]), []).append(int(entry.name))
    found: set[int] = set()
    pending = [parent]
    while pending:
        for child in children.get(pending.pop(), []):
            found.add(child)
            pending.append(child)
    return found


_WRITE_ON = "i=0; while :; do i=$((i+1)); mkdir -p {root}/made/$i; [ $i = 1 ] && echo begun; done"


def test_a_lab_that_ends_is_gone_although_its_hosts_write_to_the_last(
    make_lab: Callable[[LabPlan], Lab],
) -> None:
    lab = make_lab(LabPlan((Host("node1", {"eth0": "10.77.0.1/24"}, {"etc/motd": ""}),), {}, ""))
    writers = [
        lab.popen("node1", "sh", "-c", _WRITE_ON.format(root=lab.root("node1") / str(number)))
        for number in range(4)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        writer.stdout.close()

    first = lab.status()["hosts"]["node1"]["init"]

    lab.down()

    assert not Path(f"/proc/{first}").exists(), "the host has ended, and with it all that ran there"
    assert not lab.directory.exists()
    for writer in writers:
        writer.wait()


def test_a_lab_outlives_who_asks_and_does_not_wait_for_the_answer(
    make_lab: Callable[[LabPlan], Lab],
) -> None:
    lab = make_lab(LabPlan((Host("node1", {"eth0": "10.77.0.1/24"}, {"etc/motd": ""}),), {}, ""))
    for request in (b'{"do": "status"}', b'{"do": "no such request"}', b"[]", b"no request"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hurried:
            hurried.connect(str(lab.directory / "control"))
            hurried.sendall(request + b"\n")

    assert list(lab.status()["hosts"]) == ["node1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demonstration_leaves_nothing_behind(
    number: signal.Signals, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.lab.demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, TMPDIR=str(tmp_path)),
        text=True,
    )
    assert process.stdout is not None
    while "three directors start" not in process.stdout.readline():
        assert process.poll() is None, "it ended before it was interrupted"
    (lab,) = tmp_path.glob("pacekeeper-demo-*/lab")
    keeper = int((lab / "keeper.pid").read_text())
    assert _below(keeper), "the keeper holds hosts"
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert not Path(f"/proc/{keeper}").exists()
    assert list(tmp_path.iterdir()) == []
