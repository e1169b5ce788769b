"""A warm process that others are forked from: they start in milliseconds and share its pages.

Theory of operation. The parent (heartbeat, lrmd) makes a nursery before it has a thread, an event
loop or a ZeroMQ context: the nursery is a fork of it that imports what its children will need and
then waits on one socket. For each request it forks twice; when the middle process has ended, it
answers with the number of the last one. The parent, being a subreaper, becomes the parent of what
was forked. So every child is waited for by the one who asked for it, and is not disturbed when
the nursery ends. A nursery whose parent ends sees the end of its socket and ends too; daemons see
the end of their *lifeline*, a pipe whose other end only the parent holds.

A request is one datagram of JSON, with descriptors beside it. It is synchronous, because it takes
two forks (a few milliseconds) and must take less than `TIMEOUT_S`; the first one also waits for
the imports, for `WARM_UP_S`. A nursery that is given up begins again at the beginning: with one
limit for both, a computer so busy that the imports take longer would never start anything.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import pwd
import signal
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import NoReturn, Self

from crm.plumbing import process, urgency
from crm.plumbing.daemon import EXIT_BUG, LIFELINE
from crm.plumbing.errors import ConfigurationError, Unreachable

TIMEOUT_S = 10.0
"""No loop waits for a nursery, so it may be slow."""

WARM_UP_S = 180.0
"""The imports take half a second, on a computer with nothing else to do."""

MAX_REQUEST_BYTES = 200_000
EXIT_NOT_STARTED = 127
"""The exit code of a child whose program could not be executed, as a shell has it."""

DAEMON_MODULES = (
    "asyncio",
    "msgspec",
    "zmq",
    "lxml.etree",
    "crm.plumbing.daemon",
    "crm.plumbing.xml",
)
"""What every daemon imports anyway."""

_MAX_DESCRIPTORS = 4


@dataclass(frozen=True)
class _Job:
    """What a child is to become. `entry` is `module:function`; empty: execute `argv`."""

    name: str
    argv: list[str]
    entry: str = ""
    user: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    inherits_environment: bool = True
    has_lifeline: bool = False
    has_streams: bool = False


class Nursery:
    """The parent's handle on its nursery."""

    def __init__(self, preload: Sequence[str], timeout_s: float = TIMEOUT_S) -> None:
        self._preload = tuple(preload)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._lifeline: tuple[int, int] | None = None
        self._is_warm = False
        self.pid = 0

    @classmethod
    def start(cls, preload: Sequence[str] = DAEMON_MODULES, timeout_s: float = TIMEOUT_S) -> Self:
        """Fork a nursery; call this before the process has threads or a ZeroMQ context."""
        nursery = cls(preload, timeout_s)
        process.adopt_orphans()
        ours, theirs = _socket_pair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _live(theirs, nursery._preload)
        theirs.close()
        nursery._adopt(ours, pid)
        return nursery

    def restart(self) -> None:
        """Make a new nursery after the old one ended: a fresh interpreter, a little later warm."""
        self.close()
        ours, theirs = _socket_pair()
        number = theirs.fileno()
        os.set_inheritable(number, True)
        words = [sys.executable, "-m", "crm.plumbing.nursery", str(number), *self._preload]
        pid = os.posix_spawn(sys.executable, words, os.environ)
        theirs.close()
        self._adopt(ours, pid)

    def close(self) -> None:
        """Let the nursery end; its children go on (their lifeline is kept)."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def spawn(
        self,
        entry: str,
        argv: Sequence[str],
        *,
        name: str,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        streams: tuple[int, int, int] | None = None,
        inherits_environment: bool = True,
    ) -> int:
        """Fork a child that calls `entry` ("module:function") with `argv`; gives its pid.

        `env` is added to the parent's environment (or is all of it, if that is not inherited).
        The child has its own process group, /dev/null (or `streams`) as standard input, and
        ends with the value of the function. It holds the lifeline named by PACEKEEPER_LIFELINE.

        Raises: Unreachable if the nursery does not answer; ConfigurationError if it refuses.
        """
        job = _Job(
            name,
            list(argv),
            entry=entry,
            user=user,
            env=dict(env or {}),
            inherits_environment=inherits_environment,
            has_lifeline=True,
            has_streams=streams is not None,
        )
        assert self._lifeline is not None
        return self._ask(job, (self._lifeline[0], *(streams or ())))

    def spawn_program(
        self,
        argv: Sequence[str],
        *,
        name: str,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        streams: tuple[int, int, int] | None = None,
        inherits_environment: bool = True,
    ) -> int:
        """Fork a child that executes a program (`argv[0]` is its path); gives its pid.

        If it cannot be executed the child ends with code 127.

        Raises: Unreachable if the nursery does not answer; ConfigurationError if it refuses.
        """
        job = _Job(
            name,
            list(argv),
            user=user,
            env=dict(env or {}),
            inherits_environment=inherits_environment,
            has_streams=streams is not None,
        )
        return self._ask(job, streams or ())

    def _adopt(self, ours: socket.socket, pid: int) -> None:
        self._is_warm = False
        self._socket = ours
        self.pid = pid
        if self._lifeline is None:
            self._lifeline = os.pipe2(os.O_CLOEXEC)

    def _ask(self, job: _Job, descriptors: Sequence[int]) -> int:
        if self._socket is None:
            raise Unreachable(f"cannot start '{job.name}': the nursery was closed")
        request = json.dumps(asdict(job)).encode()
        if len(request) > MAX_REQUEST_BYTES:
            raise ConfigurationError(f"cannot start '{job.name}': {len(request)} bytes of words")
        rights = array.array("i", descriptors)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
        self._socket.settimeout(self._timeout_s if self._is_warm else WARM_UP_S)
        try:
            self._socket.sendmsg([request], ancillary)
            reply = self._socket.recv(4096)
        except OSError as problem:
            # A late answer must not be taken for the answer to the next question.
            self.close()
            raise Unreachable(f"cannot start '{job.name}': no answer from nursery") from problem
        self._is_warm = bool(reply)
        if reply.isdigit():
            return int(reply)
        if not reply:
            self.close()
            raise Unreachable(f"cannot start '{job.name}': the nursery ended")
        raise ConfigurationError(f"cannot start '{job.name}': {reply.decode()}")


def main(argv: list[str] | None = None) -> NoReturn:
    """Be a nursery in a fresh interpreter: descriptor number, then modules to import."""
    number, *preload = sys.argv[1:] if argv is None else argv
    urgency.give_back()
    _live(socket.socket(fileno=int(number)), preload)


def _live(wire: socket.socket, preload: Sequence[str]) -> NoReturn:
    """Serve requests until the parent closes the socket. Never returns into the parent's code."""
    with _EndOfProcess() as end:
        _prepare(wire, preload)
        while True:
            data, descriptors = _next_request(wire)
            if not data:
                end.code = 0
                break
            job = _Job(**json.loads(data))
            refusal = _refusal(job)
            if refusal:
                wire.send(refusal.encode())
            elif _fork_twice(wire):
                wire.close()
                end.code = _become(job, descriptors)
                break
            for each in descriptors:
                os.close(each)
    raise AssertionError("a process that has ended")


def _prepare(wire: socket.socket, preload: Sequence[str]) -> None:
    wire.settimeout(None)
    wire.set_inheritable(False)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    process.set_title("nursery")
    for module in preload:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()


def _next_request(wire: socket.socket) -> tuple[bytes, list[int]]:
    numbers = array.array("i")
    space = socket.CMSG_SPACE(_MAX_DESCRIPTORS * numbers.itemsize)
    data, ancillary, _, _ = wire.recvmsg(MAX_REQUEST_BYTES, space, socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
    return data, list(numbers)


def _refusal(job: _Job) -> str:
    """Why a job cannot be begun; empty when it can."""
    if job.user is not None:
        try:
            pwd.getpwnam(job.user)
        except KeyError:
            return f"there is no user '{job.user}'"
    return "" if job.argv or job.entry else "there is nothing to execute"


def _fork_twice(wire: socket.socket) -> bool:
    """Fork a grandchild and tell the parent its number; True in the grandchild.

    The answer waits for the end of the middle process: only then is the grandchild the parent's.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        middle = os.fork()
    except OSError as problem:
        os.close(writing)
        os.close(reading)
        wire.send(f"no process could be forked: {problem.strerror}".encode())
        return False
    if middle == 0:
        child = os.fork()
        if child:
            os.write(writing, str(child).encode())
            os._exit(0)
        os.close(reading)
        os.close(writing)
        return True
    os.close(writing)
    os.waitpid(middle, 0)
    number = os.read(reading, 32)
    os.close(reading)
    try:
        wire.send(number or b"no process could be forked")
    except BrokenPipeError:  # who asked has given us up, and nobody will ever know of the child
        if number:
            os.kill(int(number), signal.SIGKILL)
    return False


def _become(job: _Job, descriptors: list[int]) -> int:
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    environment = os.environ
    if not job.inherits_environment:
        environment.clear()
    environment.update(job.env)
    environment.pop(LIFELINE, None)
    rest = list(descriptors)
    if job.has_lifeline:
        environment[LIFELINE] = str(rest.pop(0))
    _connect_streams(rest if job.has_streams else [])
    if job.user is not None:
        _become_user(job.user)
    if job.entry:
        process.set_title(job.name, " ".join(job.argv))
        return _call(job.entry, job.argv)
    try:
        os.execve(job.argv[0], job.argv, environment)
    except OSError as problem:
        print(f"{job.name}: cannot execute {job.argv[0]}: {problem.strerror}", file=sys.stderr)  # noqa: T201
    return EXIT_NOT_STARTED


def _connect_streams(streams: list[int]) -> None:
    if streams:
        for target, source in enumerate(streams):
            os.dup2(source, target)
            os.close(source)
        # What the parent made of these two may be anything; ours write where they say.
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        return
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _become_user(name: str) -> None:
    user = pwd.getpwnam(name)
    if user.pw_uid == os.geteuid():
        return
    os.initgroups(name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _call(entry: str, argv: list[str]) -> int:
    module, _, function = entry.partition(":")
    result = getattr(importlib.import_module(module), function)(argv)
    return result if isinstance(result, int) else 0


class _EndOfProcess:
    """A block that ends the process, whatever happens in it: a fork must never run on outside."""

    def __init__(self) -> None:
        self.code = EXIT_BUG

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(problem, SystemExit):
            self.code = problem.code if isinstance(problem.code, int) else int(bool(problem.code))
        elif problem is not None:
            traceback.print_exception(problem)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(self.code)


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


if __name__ == "__main__":
    main()
