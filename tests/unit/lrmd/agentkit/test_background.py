from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

from lrmd.agentkit import background

LIMIT_S = 5.0


def wait_gone(pid: int) -> None:
    deadline = time.monotonic() + LIMIT_S
    while background.start_time(pid) is not None:
        assert time.monotonic() < deadline, f"process {pid} lives on"
        select.select([], [], [], 0.01)


def test_a_detached_process_is_found_and_ended(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    pid = background.detach(pidfile, "sleeper", lambda: signal.pause())
    assert background.find(pidfile) == pid
    assert os.getsid(pid) == pid
    assert str(Path(f"/proc/{pid}/fd/1").readlink()) == os.devnull
    assert background.end(pidfile, patience_s=LIMIT_S)
    wait_gone(pid)
    assert background.find(pidfile) is None
    assert not pidfile.exists()


def test_a_stubborn_process_is_killed(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    read, write = os.pipe()

    def stubborn() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(write, b"x")
        while True:
            signal.pause()

    pid = background.detach(pidfile, "stubborn", stubborn, keep=(write,))
    assert os.read(read, 1) == b"x"
    assert background.end(pidfile, patience_s=0.1)
    wait_gone(pid)


def test_a_number_used_again_is_not_our_process(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    pidfile.write_text(f"{os.getpid()} 1\n")
    assert background.find(pidfile) is None
    assert background.end(pidfile, patience_s=0.1)


def test_a_broken_pid_file_names_nobody(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    for text in ("", "x y\n", "1\n", "1 2 3\n"):
        pidfile.write_text(text)
        assert background.find(pidfile) is None


def test_only_kept_descriptors_stay_open(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    read, write = os.pipe()
    other = os.dup(read)
    pid = background.detach(pidfile, "keeper", lambda: signal.pause(), keep=(write,))
    deadline = time.monotonic() + LIMIT_S
    expected = {"0", "1", "2", str(write)}
    while (shown := {path.name for path in Path(f"/proc/{pid}/fd").iterdir()}) != expected:
        assert time.monotonic() < deadline, shown
        select.select([], [], [], 0.01)
    background.kill(pidfile)
    wait_gone(pid)
    for fd in (read, write, other):
        os.close(fd)
