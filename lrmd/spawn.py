"""The only place that starts processes: agents, each in a session of its own, watched to its end.

Responsible for starting (posix_spawn, or a fork for our own agents), draining outputs with a
bound, killing by process group, and noticing the end by pidfd. Not responsible for what a run
means, nor for timeouts: whoever asks for a run asks for its death.

What an agent leaves behind does not matter here: a background process that keeps the pipes open
does not delay the end of the run, and one with a session of its own survives it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lrmd.commands import Command, RunEnded

MAX_TAIL_BYTES = 64 * 1024
"""Of each output only the end is kept: that is where the reason stands."""

TERM_GRACE_S = 2.0
"""So long an agent may clean up between SIGTERM and SIGKILL."""

DRAIN_BYTES = 1024 * 1024
"""After the end at most so much is still read from a pipe: a child may write for ever."""

_READ_BYTES = 64 * 1024
_ALL_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


class Tail:
    """The last bytes of a stream of any length."""

    def __init__(self, limit: int = MAX_TAIL_BYTES) -> None:
        self._limit = limit
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Append, and forget what is too old."""
        self._kept += data
        if len(self._kept) > 2 * self._limit:
            del self._kept[: -self._limit]

    def bytes(self) -> bytes:
        """Return what is kept, from a line's start when something was cut off."""
        if len(self._kept) <= self._limit:
            return bytes(self._kept)
        kept = bytes(self._kept[-self._limit :])
        newline = kept.find(b"\n")
        return kept[newline + 1 :] if 0 <= newline < len(kept) - 1 else kept


@dataclass(slots=True)
class Child:
    """A process at work; its pid is also the number of its process group."""

    run: int
    pid: int
    pidfd: int
    pipes: dict[int, Tail]
    output: Tail
    errors: Tail
    kill_at: float | None = None
    was_killed: bool = False


@dataclass(slots=True)
class Children:
    """All processes this process started, on one epoll object.

    `body` runs one of our own agents inside a forked child and returns its exit code.
    Units: times are monotonic seconds, given by the caller.
    """

    epoll: select.epoll
    body: Callable[[Command], int]
    _by_run: dict[int, Child] = field(default_factory=dict)
    _by_fd: dict[int, Child] = field(default_factory=dict)

    def start(self, run: int, command: Command) -> int | RunEnded:
        """Start a command; return its pid, or the end of the run when it cannot be started."""
        try:
            return self._start(run, command)
        except OSError as problem:
            return RunEnded(run, failure=problem.errno or errno.EIO)
        except ValueError:  # a NUL byte in an argument or a variable
            return RunEnded(run, failure=errno.EINVAL)

    def kill(self, run: int, now: float) -> None:
        """Ask a run's process group to end; `enforce` insists."""
        child = self._by_run.get(run)
        if child is not None and not child.was_killed:
            child.was_killed = True
            child.kill_at = now + TERM_GRACE_S
            signal_group(child.pid, signal.SIGTERM)

    def enforce(self, now: float) -> None:
        """Kill by force what was asked to end and has not."""
        for child in self._by_run.values():
            if child.kill_at is not None and child.kill_at <= now:
                child.kill_at = None
                signal_group(child.pid, signal.SIGKILL)

    def next_deadline(self) -> float | None:
        """Say when to call `enforce`."""
        deadlines = [child.kill_at for child in self._by_run.values() if child.kill_at is not None]
        return min(deadlines, default=None)

    def kill_all(self) -> None:
        """Kill everything at once: nobody is left who would learn of the results."""
        for child in self._by_run.values():
            signal_group(child.pid, signal.SIGKILL)

    def ready(self, fd: int) -> RunEnded | None:
        """Serve a file descriptor that epoll reported; return the end of a run, if it is one."""
        child = self._by_fd.get(fd)
        if child is None:
            return None
        if fd == child.pidfd:
            return self._reap(child)
        if not _read_some(fd, child.pipes[fd]):
            self._close_pipe(child, fd)
        return None

    def _start(self, run: int, command: Command) -> int:
        with contextlib.ExitStack() as on_failure:
            reads_and_writes = [_pipe(on_failure) for _ in range(2)]
            (out_read, out_write), (err_read, err_write) = reads_and_writes
            if command.built_in:
                pid = _fork(command, out_write, err_write, self.body)
            else:
                pid = _posix_spawn(command, out_write, err_write)
            on_failure.pop_all()
        os.close(out_write)
        os.close(err_write)
        output, errors = Tail(), Tail()
        pipes = {out_read: output, err_read: errors}
        child = Child(run, pid, _watch_end(pid, list(pipes)), pipes, output, errors)
        self._by_run[run] = child
        for fd in (child.pidfd, out_read, err_read):
            self._by_fd[fd] = child
            self.epoll.register(fd, select.EPOLLIN)
        return pid

    def _reap(self, child: Child) -> RunEnded | None:
        if child.was_killed:  # before its number becomes free: the rest of the group goes with it
            signal_group(child.pid, signal.SIGKILL)
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid == 0:
            return None
        for fd in list(child.pipes):
            _drain(fd, child.pipes[fd])
            self._close_pipe(child, fd)
        self._forget_fd(child.pidfd)
        del self._by_run[child.run]
        code = os.waitstatus_to_exitcode(status)
        return RunEnded(
            child.run,
            exit_code=max(code, -1) if code >= 0 else -1,
            signal=-code if code < 0 else 0,
            output=child.output.bytes(),
            errors=child.errors.bytes(),
        )

    def _close_pipe(self, child: Child, fd: int) -> None:
        del child.pipes[fd]
        self._forget_fd(fd)

    def _forget_fd(self, fd: int) -> None:
        del self._by_fd[fd]
        self.epoll.unregister(fd)
        os.close(fd)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group that may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def start_python_module(module: str, *, stdin: int, search: str) -> int:
    """Start a fresh interpreter of ours that runs `module`, its standard input being `stdin`.

    A fork without exec of a process that has threads or sockets of its own would not be safe.
    Raises: OSError if it cannot be started.
    """
    actions = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-s", "-m", module],
        {"PYTHONPATH": search, "PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=_ALL_SIGNALS,
    )


def output_of(
    argv: tuple[str, ...], environment: dict[str, str], *, timeout_s: float, limit_bytes: int
) -> bytes:
    """Run a program to its end and return the beginning of its standard output.

    For tools that ask an agent about itself; b"" when it cannot be run or takes too long.
    """
    with contextlib.ExitStack() as closing:
        read, write = _pipe(closing)
        try:
            null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            closing.callback(os.close, null)
            pid = _posix_spawn(Command(argv, environment), write, null)
        except (OSError, ValueError):
            return b""
        handle = os.pidfd_open(pid)
        closing.callback(os.close, handle)
        said = _read_until_end(read, handle, time.monotonic() + timeout_s, limit_bytes)
        signal_group(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return said


def _read_until_end(read: int, handle: int, deadline: float, limit_bytes: int) -> bytes:
    """Read until the writer closes its end, the process ends, or time or room is used up."""
    said = bytearray()
    while len(said) < limit_bytes:
        ready = select.select([read, handle], [], [], max(0.0, deadline - time.monotonic()))[0]
        if read in ready:
            data = os.read(read, _READ_BYTES)
            said += data
            if data:
                continue
        break
    return bytes(said[:limit_bytes])


def _watch_end(pid: int, pipes: list[int]) -> int:
    """Open the pidfd of a child; without one (no descriptors left) the child must not live."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        signal_group(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for fd in pipes:
            os.close(fd)
        raise


def _pipe(on_failure: contextlib.ExitStack) -> tuple[int, int]:
    read, write = os.pipe2(os.O_CLOEXEC)
    on_failure.callback(os.close, read)
    on_failure.callback(os.close, write)
    os.set_blocking(read, False)
    return read, write


def _posix_spawn(command: Command, out: int, err: int) -> int:
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, out, 1),
        (os.POSIX_SPAWN_DUP2, err, 2),
    ]
    return os.posix_spawn(
        command.argv[0],
        command.argv,
        command.environment,
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=_ALL_SIGNALS,
    )


def _fork(command: Command, out: int, err: int, body: Callable[[Command], int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (out, 1), (err, 2)):
            os.dup2(source, target, inheritable=True)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        code = body(command)
    except Exception as bug:  # noqa: BLE001  # where agents run: a bug is a failure with a reason
        text = "".join(traceback.format_exception(bug))
        os.write(2, f"{text}ocf-exit-reason:the agent has a bug: {bug!r}\n".encode())
    finally:
        os._exit(code)


def _read_some(fd: int, tail: Tail) -> bool:
    """Read what a pipe holds; False at its end."""
    try:
        data = os.read(fd, _READ_BYTES)
    except BlockingIOError:
        return True
    except OSError:
        return False
    tail.add(data)
    return bool(data)


def _drain(fd: int, tail: Tail) -> None:
    """Read what was written before the end, and no more than a bound."""
    for data in _chunks(fd, DRAIN_BYTES // _READ_BYTES):
        tail.add(data)


def _chunks(fd: int, count: int) -> Iterator[bytes]:
    for _ in range(count):
        try:
            data = os.read(fd, _READ_BYTES)
        except OSError:
            return
        if not data:
            return
        yield data
