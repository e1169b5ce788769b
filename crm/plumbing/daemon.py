"""What every daemon's shell has in common: options, bus, log, signals, lifeline, end.

A daemon's own `daemon.py` makes a machine and says in a `Plan` whom it serves, whom it dials and
how its own effects are carried out; `run` does the rest. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from crm.plumbing import clock, log, transcript
from crm.plumbing.blackbox import BlackBox
from crm.plumbing.errors import CrmError
from crm.plumbing.ipc import Bus
from crm.plumbing.ipc_seat import Conversation
from crm.plumbing.machine import AskAlive, Exit, HangUp, Machine, Note, StopRequested, Tell, info
from crm.plumbing.runner import Runner
from crm.plumbing.settings import ROOT_VARIABLE, Paths

__all__ = ["LIFELINE", "Conversation", "Options", "Plan", "Shell", "parse_options", "run"]

PARENT = "heartbeat"
"""The name on the bus of the process that starts all others."""

LIFELINE = "PACEKEEPER_LIFELINE"
"""Names an inherited descriptor; its end of file means that our parent died."""

EXIT_BUG = 70
"""The exit code of a daemon that found a bug in itself (EX_SOFTWARE)."""

EXIT_REFUSED = 1
"""The exit code of a daemon that cannot start; the log says why."""

EXIT_USAGE = 64

_DEBUG_EVERYTHING = 2
_MAX_TRACE_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of a daemon; `extra` is what only the daemon itself understands."""

    name: str
    root: Path = Path("/")
    node: str = ""
    log_level: str = ""
    extra: list[str] = field(default_factory=list)

    @property
    def paths(self) -> Paths:
        """Where things lie below the root."""
        return Paths(self.root)


@dataclass(frozen=True)
class Plan:
    """What `run` needs to know of a daemon.

    `carry_out` gets effects other than `Tell`, `Note` and `Exit`, in list order. `started` is
    called once inside the running event loop, before the first event. Both may raise a
    `CrmError`: then the daemon ends with that line in its log.
    """

    name: str
    machine: Machine[Any, Any]  # Any: every daemon has events and effects of its own
    serves: Conversation | None = None
    dials: Mapping[str, Conversation] = field(default_factory=lambda: MappingProxyType({}))
    carry_out: Callable[[Any], None] | None = None
    started: Callable[[Shell], None] | None = None


class Shell:
    """What the code of a daemon's shell may use while it runs."""

    def __init__(self, plan: Plan, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        self.root = options.root
        self.paths = options.paths
        self.loop = loop
        self.options = options
        self.bus: Bus | None = None
        self.exit_code: int | None = None
        self._plan = plan
        self._blackbox = BlackBox()
        self._runner = Runner(
            plan.machine,
            self._carry_out,
            self.crash,
            blackbox=self._blackbox,
            loop=loop,
            trace=self._trace if _traces_everything() else None,
        )

    def receive(self, event: object) -> None:
        """Hand an event to the machine; for callbacks of the event loop."""
        self._runner.receive(event)

    def receive_soon(self, event: object) -> None:
        """Hand an event over in a later turn of the loop; from anywhere, also other threads."""
        self.loop.call_soon_threadsafe(self._runner.receive, event)

    def end(self, code: int) -> None:
        """End the process with `code`; the first call decides."""
        if self.exit_code is None:
            self.exit_code = code
            self._runner.stop()
            self.loop.stop()

    def _carry_out(self, effect: object) -> None:
        match effect:
            case Tell(peer, message):
                if self.bus is not None:
                    self.bus.tell(peer, message)
            case AskAlive(peer):
                if self.bus is not None:
                    self.bus.ask_alive(peer)
            case HangUp(peer):
                if self.bus is not None:
                    self.bus.hang_up(peer)
            case Note():
                log.note(effect)
            case Exit(code):
                self.end(code)
            case _:
                assert self._plan.carry_out is not None, f"nobody carries out {effect!r}"
                self._plan.carry_out(effect)

    def _trace(self, mark: str, item: object) -> None:
        if not isinstance(item, Note):
            text = transcript.render(item)[:_MAX_TRACE_CHARS]
            logging.getLogger(log.ENTITY_PREFIX + self._plan.name).debug("%s %s", mark, text)

    def crash(self, problem: BaseException) -> None:
        """End the process because of a bug (leaving the black box) or of a refusal."""
        logger = logging.getLogger(log.ENTITY_PREFIX + self._plan.name)
        if isinstance(problem, CrmError):
            logger.error("%s", problem)
            self.end(EXIT_REFUSED)
            return
        path = self.paths.blackbox_dir / f"blackbox-{self._plan.name}-{os.getpid()}.txt"
        logger.critical("a bug ended this process: %r; its last events are in %s", problem, path)
        try:
            self._blackbox.write(path, problem)
        except OSError as trouble:
            logger.critical("cannot write %s: %s", path, trouble.strerror)
        self.end(EXIT_BUG)


def parse_options(name: str, argv: list[str] | None) -> Options:
    """Read `--root DIR`, `--node NAME`, `--log-level LEVEL`; everything else is `extra`.

    Raises: SystemExit for `--help`, and for one of these options without a value.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if "--help" in words:
        print(f"usage: {name} [--root DIR] [--node NAME] [--log-level info|debug]")  # noqa: T201
        raise SystemExit(0)
    known = {
        "--root": os.environ.get(ROOT_VARIABLE, "/"),
        "--node": socket.gethostname(),
        "--log-level": "",
    }
    extra: list[str] = []
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if option not in known:
            extra.append(word)
        elif equals or words:
            known[option] = value if equals else words.pop(0)
        else:
            print(f"{name}: option {option} needs a value", file=sys.stderr)  # noqa: T201
            raise SystemExit(EXIT_USAGE)
    root = Path(known["--root"]).absolute()
    return Options(name, root, known["--node"].strip().lower(), known["--log-level"], extra)


def run(plan: Plan, options: Options) -> int:
    """Run a daemon until its machine says `Exit`; gives the code to exit with."""
    if not log.is_configured():
        log.configure(_log_targets(options), plan.name)
    loop = clock.EventLoop()
    asyncio.set_event_loop(loop)
    shell = Shell(plan, options, loop)
    loop.set_exception_handler(functools.partial(_stray_exception, shell))
    threading.excepthook = functools.partial(_broken_thread, shell)
    loop.call_soon(_start, shell, plan)
    try:
        loop.run_forever()
    finally:
        if shell.bus is not None:
            shell.bus.close()
        loop.close()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, log.HaHandler):
                handler.close()
    assert shell.exit_code is not None, "the loop ended without an exit code"
    return shell.exit_code


def _start(shell: Shell, plan: Plan) -> None:
    _listen_to_signals(shell)
    is_child = _hold_lifeline(shell, plan.name)
    try:
        if plan.started is not None:
            plan.started(shell)
        if plan.serves is not None or plan.dials:
            shell.bus = Bus(shell.paths.bus_dir, plan.name, shell.receive, log.note)
        if plan.serves is not None and shell.bus is not None:
            shell.bus.serve(plan.serves)
        for server, conversation in plan.dials.items():
            if shell.bus is not None:
                shell.bus.dial(server, conversation)
        if is_child and shell.bus is not None:
            shell.bus.attach(PARENT)
    except (CrmError, OSError) as problem:
        logging.getLogger(log.ENTITY_PREFIX + plan.name).error("cannot start: %s", problem)
        print(f"{plan.name}: cannot start: {problem}", file=sys.stderr)  # noqa: T201
        shell.end(EXIT_REFUSED)
        return
    gc.collect()
    gc.freeze()


def _listen_to_signals(shell: Shell) -> None:
    shell.loop.add_signal_handler(signal.SIGTERM, shell.receive, StopRequested())
    if sys.stdin is not None and sys.stdin.isatty():
        shell.loop.add_signal_handler(signal.SIGINT, shell.receive, StopRequested())
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _hold_lifeline(shell: Shell, name: str) -> bool:
    """Watch the lifeline; False for a process that was started by hand and has none."""
    word = os.environ.pop(LIFELINE, "")
    if not word.isdigit():
        return False
    handle = int(word)
    os.set_inheritable(handle, False)

    def look() -> None:
        if os.read(handle, 1) == b"":
            shell.loop.remove_reader(handle)
            log.note(info(name, "the parent process is gone, ending"))
            shell.end(0)

    shell.loop.add_reader(handle, look)
    return True


def _broken_thread(shell: Shell, broken: threading.ExceptHookArgs) -> None:
    """A thread that ends by an exception would leave its work undone for ever: a bug as well."""
    problem = broken.exc_value or broken.exc_type()
    shell.loop.call_soon_threadsafe(shell.crash, problem)


# Any: asyncio gives its handlers a dictionary of everything.
def _stray_exception(
    shell: Shell, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    """An exception in a callback of the shell is a bug like one in the machine."""
    problem = context.get("exception")
    if isinstance(problem, BaseException):
        shell.crash(problem)
    else:
        loop.default_exception_handler(context)


def _log_targets(options: Options) -> log.LogTargets:
    targets = log.targets_from_environment(os.environ, options.paths.ha_log, options.node)
    if options.log_level == "debug":
        targets = replace(targets, debug_level=max(1, targets.debug_level))
    return targets


def _traces_everything() -> bool:
    handlers = [each for each in logging.getLogger().handlers if isinstance(each, log.HaHandler)]
    return any(each.targets.debug_level >= _DEBUG_EVERYTHING for each in handlers)
