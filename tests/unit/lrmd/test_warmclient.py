"""lrmd's line to a real warm runner."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crm.plumbing.machine import Note
from lrmd.commands import Command, RunEnded
from lrmd.warmclient import RUNNER_DIED, WarmClient

LIMIT_S = 10.0
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


class Line:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ended: dict[int, RunEnded] = {}
        self.log: list[Note] = []
        self.gone: list[tuple[str, ...] | None] = []
        self.begun: list[int] = []
        self.client = WarmClient(
            loop, self.begun.append, self.take, self.gone.append, self.log.append
        )

    def take(self, ended: RunEnded) -> None:
        assert ended.run not in self.ended, "one end per run"
        self.ended[ended.run] = ended
        self.loop.stop()

    def wait_for(self, count: int) -> None:
        self.until(lambda: len(self.ended) >= count)

    def until(self, is_true: Callable[[], bool]) -> None:
        stop = self.loop.call_later(LIMIT_S, self.loop.stop)
        while not is_true():
            self.loop.call_later(0.02, self.loop.stop)
            self.loop.run_forever()
            assert not stop.cancelled() and self.loop.time() < stop.when(), "took too long"
        stop.cancel()


@pytest.fixture
def line() -> Iterator[Line]:
    loop = asyncio.new_event_loop()
    line = Line(loop)
    yield line
    line.client.close()
    loop.close()


def test_programs_and_our_own_agents_run(line: Line, tmp_path: Path) -> None:
    line.client.run(1, Command(("/bin/sh", "-c", "echo hello; exit 3"), ENVIRONMENT))
    environment = ENVIRONMENT | {"HA_RSCTMP": str(tmp_path), "OCF_RESOURCE_INSTANCE": "d"}
    line.client.run(2, Command(("monitor",), environment, built_in="pacekeeper/Dummy"))
    line.wait_for(2)
    assert (line.ended[1].exit_code, line.ended[1].output) == (3, b"hello\n")
    assert line.ended[2].exit_code == 7
    assert line.begun == [1, 2], "the start of each is told before its end"


def test_a_run_can_be_killed(line: Line) -> None:
    line.client.run(1, Command(("/bin/sleep", "300"), ENVIRONMENT))
    line.client.kill(1)
    line.wait_for(1)
    assert line.ended[1].signal == signal.SIGTERM


def test_when_the_runner_dies_its_runs_end_and_the_next_one_works(
    line: Line, tmp_path: Path
) -> None:
    started = tmp_path / "pid"
    script = f"echo $$ > {started}; exec sleep 300"
    line.client.run(1, Command(("/bin/sh", "-c", script), ENVIRONMENT))
    line.until(lambda: started.exists() and started.read_text().strip() != "")
    line.until(lambda: line.client._pids[1] is not None)
    os.kill(line.client._pid, signal.SIGKILL)
    line.wait_for(1)
    assert line.ended[1].failure == RUNNER_DIED
    assert [note.level for note in line.log] == [logging.WARNING]
    assert "(-9) with 1 at work" in line.log[0].text
    orphan = int(started.read_text())
    line.until(lambda: not Path(f"/proc/{orphan}").exists() or is_zombie(orphan))
    line.client.run(2, Command(("/bin/true",), ENVIRONMENT))
    line.wait_for(2)
    assert line.ended[2].exit_code == 0
    assert line.gone == [None, None], "each life of the runner begins with addresses unknown"


def test_a_run_of_which_nothing_was_heard_is_said_to_go_on_perhaps(line: Line) -> None:
    os.kill(line.client._pid, signal.SIGKILL)
    line.client.run(1, Command(("/bin/true",), ENVIRONMENT))
    line.wait_for(1)
    assert line.ended[1].failure == RUNNER_DIED
    assert "1 at work, 1 of which may have begun and go on" in line.log[0].text


def test_hanging_up_kills_what_runs(line: Line, tmp_path: Path) -> None:
    started = tmp_path / "pid"
    script = f"echo $$ > {started}; exec sleep 300"
    line.client.run(1, Command(("/bin/sh", "-c", script), ENVIRONMENT))
    line.until(lambda: started.exists() and started.read_text().strip() != "")
    line.client.close()
    pid = int(started.read_text())
    line.until(lambda: not Path(f"/proc/{pid}").exists() or is_zombie(pid))


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
