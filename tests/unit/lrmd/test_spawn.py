"""Real processes: what misbehaving agents do to the one who runs them."""

from __future__ import annotations

import errno
import os
import resource as limits
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lrmd import spawn
from lrmd.commands import Command, RunEnded
from lrmd.spawn import MAX_TAIL_BYTES, TERM_GRACE_S, Children, Tail

LIMIT_S = 8.0


def no_body(command: Command) -> int:
    raise AssertionError(f"{command} is not one of our own agents")


class Stage:
    def __init__(self, folder: Path, body: Callable[[Command], int] = no_body) -> None:
        self.folder = folder
        self.epoll = select.epoll()
        self.children = Children(self.epoll, body)

    def script(self, text: str, name: str = "agent") -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def start(self, text: str, run: int = 1) -> int | RunEnded:
        program = self.script(f"#!/bin/sh\n{text}\n")
        return self.children.start(run, Command((program, "start"), {"PATH": os.environ["PATH"]}))

    def wait(self) -> RunEnded:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            next_at = self.children.next_deadline()
            wait_s = 0.2 if next_at is None else min(0.2, max(0.0, next_at - time.monotonic()))
            for fd, _ in self.epoll.poll(wait_s):
                ended = self.children.ready(fd)
                if ended is not None:
                    return ended
            self.children.enforce(time.monotonic())
        raise AssertionError(f"nothing ended within {LIMIT_S} s")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_exit_code_and_both_outputs_are_returned(stage: Stage) -> None:
    stage.start("echo said; echo complained >&2; exit 7")
    ended = stage.wait()
    assert (ended.exit_code, ended.output, ended.errors) == (7, b"said\n", b"complained\n")


def test_an_agent_sees_only_the_environment_made_for_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_LRMD", "x")
    stage.start("env | grep -c SECRET; echo $1")
    assert stage.wait().output == b"0\nstart\n"


def test_an_agent_leads_a_session_of_its_own(stage: Stage) -> None:
    pid = stage.start("cut -d' ' -f6 /proc/self/stat")
    assert stage.wait().output == f"{pid}\n".encode()


def test_a_signal_that_ends_an_agent_is_reported(stage: Stage) -> None:
    stage.start("kill -9 $$")
    ended = stage.wait()
    assert (ended.exit_code, ended.signal) == (-1, signal.SIGKILL)


def test_exit_code_255_is_an_exit_code(stage: Stage) -> None:
    stage.start("exit 255")
    assert stage.wait().exit_code == 255


def test_a_missing_program_and_a_missing_interpreter_are_results(stage: Stage) -> None:
    gone = stage.children.start(1, Command((str(stage.folder / "gone"), "start"), {}))
    assert gone == RunEnded(1, failure=errno.ENOENT)
    program = stage.script("#!/no/such/interpreter\n")
    assert stage.children.start(2, Command((program,), {})) == RunEnded(2, failure=errno.ENOENT)


def test_a_nul_byte_in_a_parameter_is_a_result(stage: Stage) -> None:
    program = stage.script("#!/bin/sh\n")
    answer = stage.children.start(1, Command((program,), {"OCF_RESKEY_ip": "a\0b"}))
    assert answer == RunEnded(1, failure=errno.EINVAL)


def test_no_descriptors_left_is_a_result_and_nothing_leaks(stage: Stage) -> None:
    program = stage.script("#!/bin/sh\n")
    before = open_descriptors()
    taken: list[int] = []
    soft, hard = limits.getrlimit(limits.RLIMIT_NOFILE)
    limits.setrlimit(limits.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        os.close(taken.pop())
        answer = stage.children.start(1, Command((program,), {}))
    finally:
        for fd in taken:
            os.close(fd)
        limits.setrlimit(limits.RLIMIT_NOFILE, (soft, hard))
    assert answer == RunEnded(1, failure=errno.EMFILE)
    assert open_descriptors() == before


def test_a_hundred_megabytes_without_a_newline_leave_a_bounded_tail(stage: Stage) -> None:
    stage.start("head -c 100000000 /dev/zero; printf end")
    ended = stage.wait()
    assert ended.exit_code == 0
    assert len(ended.output) <= MAX_TAIL_BYTES
    assert ended.output.endswith(b"\0end")


def test_an_agent_that_ignores_sigterm_is_killed_with_its_children(stage: Stage) -> None:
    stage.start("trap '' TERM; sleep 300 & echo $!; while :; do sleep 300; done")
    wait_for_output(stage)
    began = time.monotonic()
    stage.children.kill(1, began)
    ended = stage.wait()
    assert ended.signal == signal.SIGKILL
    assert time.monotonic() - began >= TERM_GRACE_S - 0.01
    wait_until_dead(int(ended.output))


def test_a_killed_agent_that_obeys_leaves_no_stubborn_child(stage: Stage) -> None:
    stage.start("(trap '' TERM; while :; do sleep 300; done) & echo $!; wait")
    wait_for_output(stage)
    stage.children.kill(1, time.monotonic())
    ended = stage.wait()
    assert ended.signal == signal.SIGTERM
    wait_until_dead(int(ended.output))


def test_a_child_that_keeps_the_pipes_does_not_delay_the_end(stage: Stage) -> None:
    stage.start("sleep 300 & echo $!; exit 0")
    ended = stage.wait()
    os.kill(int(ended.output), signal.SIGKILL)  # fails where it was waited for


def test_an_agent_that_closes_its_outputs_is_still_waited_for(stage: Stage) -> None:
    stage.start("exec >&- 2>&-; sleep 0.2; exit 3")
    assert stage.wait().exit_code == 3


def test_killing_what_has_ended_does_nothing(stage: Stage) -> None:
    stage.start("exit 0")
    stage.wait()
    stage.children.kill(1, time.monotonic())
    assert stage.children.next_deadline() is None


def test_our_own_agents_run_in_a_forked_child(tmp_path: Path) -> None:
    def body(command: Command) -> int:
        os.write(1, command.argv[0].encode())
        os.write(2, b"parent" if os.getppid() == os.getsid(0) else b"own session")
        return 7

    stage = Stage(tmp_path, body)
    stage.children.start(1, Command(("monitor",), {}, built_in="x/Y"))
    ended = stage.wait()
    assert (ended.exit_code, ended.output, ended.errors) == (7, b"monitor", b"own session")


def test_a_crash_of_our_own_agent_ends_its_child_only(tmp_path: Path) -> None:
    def body(command: Command) -> int:
        raise ZeroDivisionError(command.built_in)

    stage = Stage(tmp_path, body)
    stage.children.start(1, Command(("monitor",), {}, built_in="x/Y"))
    ended = stage.wait()
    assert ended.exit_code == 1
    assert b"ocf-exit-reason:the agent has a bug: ZeroDivisionError('x/Y')" in ended.errors


def test_a_tail_starts_at_a_line_when_it_was_cut() -> None:
    tail = Tail(10)
    for _ in range(5):
        tail.add(b"abc\n")
    assert tail.bytes() == b"abc\nabc\n"


def test_asking_a_program_returns_what_it_says_within_a_limit(stage: Stage) -> None:
    program = stage.script("#!/bin/sh\nhead -c 5000 /dev/zero\nexec sleep 300\n")
    said = spawn.output_of((program,), {"PATH": "/bin:/usr/bin"}, timeout_s=0.3, limit_bytes=1000)
    assert said == bytes(1000)
    slow = stage.script("#!/bin/sh\necho begun\nexec sleep 300\n")
    said = spawn.output_of((slow,), {"PATH": "/bin:/usr/bin"}, timeout_s=0.3, limit_bytes=1000)
    assert said == b"begun\n"


def wait_for_output(stage: Stage) -> None:
    deadline = time.monotonic() + LIMIT_S
    child = next(iter(stage.children._by_run.values()))
    while not child.output.bytes() and time.monotonic() < deadline:
        for fd, _ in stage.epoll.poll(0.2):
            stage.children.ready(fd)


def wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + LIMIT_S
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still alive"
        select.select([], [], [], 0.01)
