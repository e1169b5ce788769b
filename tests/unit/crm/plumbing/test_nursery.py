"""Children of the nursery: who they are, how they end, and who waits for them."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm.plumbing import process
from crm.plumbing.errors import ConfigurationError, Unreachable
from crm.plumbing.nursery import Nursery

CHILDREN = "tests.unit.crm.plumbing.nursery_children"


def end_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery.start(["json"])
    pid = nursery.pid
    yield nursery
    nursery.close()
    if nursery.pid == pid:
        assert end_of(pid) == 0


def test_a_child_is_waited_for_by_the_one_who_asked(nursery: Nursery, tmp_path: Path) -> None:
    told = tmp_path / "told"
    env = {"EXTRA": "word"}
    pid = nursery.spawn(f"{CHILDREN}:report", [str(told), "7"], name="cib", env=env)
    assert end_of(pid) == 7
    assert told.read_text() == f"{pid} True word cib"


def test_a_child_that_leaves_by_exit_ends_with_that_code(nursery: Nursery) -> None:
    assert end_of(nursery.spawn(f"{CHILDREN}:leave", ["3"], name="cib")) == 3


def test_a_child_that_breaks_ends_with_70_and_the_nursery_lives(nursery: Nursery) -> None:
    assert end_of(nursery.spawn(f"{CHILDREN}:break_down", ["no"], name="cib")) == 70
    assert end_of(nursery.spawn(f"{CHILDREN}:leave", ["0"], name="cib")) == 0


def test_a_program_is_executed_and_a_missing_one_ends_with_127(nursery: Nursery) -> None:
    assert end_of(nursery.spawn_program(["/bin/sh", "-c", "exit 9"], name="sh")) == 9
    assert end_of(nursery.spawn_program(["/does/not/exist"], name="nothing")) == 127


def test_a_signal_reaches_what_a_program_has_started(nursery: Nursery, tmp_path: Path) -> None:
    pipe = tmp_path / "open while any of them runs"
    os.mkfifo(pipe)
    script = 'exec >"$1"; sleep 600 & echo begun; wait'
    pid = nursery.spawn_program(["/bin/sh", "-c", script, "sh", str(pipe)], name="sh")
    with pipe.open() as reader:
        assert reader.readline() == "begun\n"
        process.signal_group(pid, signal.SIGTERM)
        assert reader.read() == ""
    assert end_of(pid) == -signal.SIGTERM


def test_an_unknown_user_is_refused_before_anything_is_forked(nursery: Nursery) -> None:
    with pytest.raises(ConfigurationError, match="no user 'nobody-at-all'"):
        nursery.spawn(f"{CHILDREN}:leave", ["0"], name="cib", user="nobody-at-all")


def test_streams_are_those_the_parent_gives(nursery: Nursery) -> None:
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    streams = (null, writing, null)
    pid = nursery.spawn(f"{CHILDREN}:shout", ["hello", "there"], name="agent", streams=streams)
    os.close(writing)
    os.close(null)
    assert end_of(pid) == 0
    assert os.read(reading, 100) == b"hello there\n"
    os.close(reading)


def test_a_child_that_nobody_waits_for_any_more_does_not_live() -> None:
    nursery = Nursery.start(["json"], timeout_s=0.01)
    assert end_of(nursery.spawn_program(["/bin/true"], name="first")) == 0
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    os.kill(nursery.pid, signal.SIGSTOP)
    with pytest.raises(Unreachable):
        nursery.spawn_program(["/bin/sleep", "300"], name="sleep", streams=(null, writing, null))
    os.close(writing)
    os.close(null)
    os.kill(nursery.pid, signal.SIGCONT)
    assert end_of(nursery.pid) == 0
    assert select.select([reading], [], [], 30)[0], "the child holds its output open"
    assert os.read(reading, 10) == b""
    os.close(reading)


def test_the_first_answer_waits_for_the_imports_however_long_they_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    (tmp_path / "slow_to_import.py").write_text(f"open({str(gate)!r}).read()\n")
    monkeypatch.syspath_prepend(tmp_path)
    nursery = Nursery.start(["slow_to_import"], timeout_s=0.0)
    opening = threading.Thread(target=lambda: gate.open("w").close())
    opening.start()

    assert end_of(nursery.spawn(f"{CHILDREN}:leave", ["4"], name="cib")) == 4

    opening.join()
    nursery.close()
    assert end_of(nursery.pid) == 0


def test_a_dead_nursery_is_reported_and_can_be_replaced(nursery: Nursery) -> None:
    os.kill(nursery.pid, signal.SIGKILL)
    os.waitpid(nursery.pid, 0)
    with pytest.raises(Unreachable):
        nursery.spawn(f"{CHILDREN}:leave", ["0"], name="cib")
    nursery.restart()
    assert end_of(nursery.spawn(f"{CHILDREN}:leave", ["5"], name="cib")) == 5
    nursery.close()
    assert end_of(nursery.pid) == 0


def test_the_lifeline_ends_with_the_parent(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    program = (
        "import os, sys; from crm.plumbing.nursery import Nursery; n = Nursery.start([]);"
        f"pid = n.spawn('{CHILDREN}:outlive', [], name='x');"
        f"open({str(told)!r}, 'w').write(str(pid)); os.kill(os.getpid(), 9)"
    )
    reading, writing = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", program],
        {**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109
        file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)],
    )
    os.close(writing)
    assert end_of(pid) == -9
    # Our pipe is held by the parent, the nursery and the child: its end is the end of all three.
    assert os.read(reading, 1) == b""
    assert told.read_text().isdigit()
    os.close(reading)
