"""Log lines in the form Heartbeat's readers know, written without ever blocking a daemon.

A line goes into a bounded queue; a thread writes it to the files ha.cf names and to syslog. When
the queue is full, lines are dropped, counted, and the count is reported. Everything goes through
Python's `logging`, so that a shell may say `logging.getLogger(__name__)` and a machine's `Note`
takes the same way: `note` logs under the name `ha.ENTITY`.

    Jan 16 12:00:20 litsha21 heartbeat: [3057]: WARN: node litsha23: is dead

Debug lines go to the debug file (where there is one), all others to every target.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crm.plumbing.machine import NOTICE, Note

QUEUE_LINES = 20_000
GATHERING_S = 0.04
"""So long lines gather before the next are written: waking the thread for each one costs more."""

BATCH_LINES = 500
ENTITY_PREFIX = "ha."
SYSLOG_SOCKET = "/dev/log"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_LEVELS = (
    (60, "EMERG", 0),
    (55, "ALERT", 1),
    (logging.CRITICAL, "CRIT", 2),
    (logging.ERROR, "ERROR", 3),
    (logging.WARNING, "WARN", 4),
    (NOTICE, "notice", 5),
    (logging.INFO, "info", 6),
    (0, "debug", 7),
)

_FACILITY_WORDS = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp")
_FACILITIES = {
    **{word: number for number, word in enumerate((*_FACILITY_WORDS, "cron", "authpriv", "ftp"))},
    **{f"local{number}": 16 + number for number in range(8)},
}


@dataclass(frozen=True, slots=True)
class LogTargets:
    """Where lines go. Empty text: not there. `debug_level` 2 and more shows every message."""

    logfile: str = ""
    debugfile: str = ""
    facility: str = ""
    debug_level: int = 0
    node: str = ""

    @property
    def lowest(self) -> int:
        """The least `logging` level that is written anywhere."""
        return logging.DEBUG if self.debug_level > 0 or self.debugfile else logging.INFO


def targets_from_environment(
    environment: Mapping[str, str], default_file: Path, node: str
) -> LogTargets:
    """Read the HA_ variables heartbeat sets for its children; else use the default file."""
    logfile = environment.get("HA_logfile", "")
    debugfile = environment.get("HA_debugfile", "")
    facility = environment.get("HA_logfacility", "")
    level = environment.get("HA_debug", "0")
    if not (logfile or debugfile or facility):
        logfile = str(default_file)
    return LogTargets(logfile, debugfile, facility, int(level) if level.isdigit() else 0, node)


def environment_of(targets: LogTargets) -> dict[str, str]:
    """Write targets as the variables `targets_from_environment` reads."""
    variables = {
        "HA_logfile": targets.logfile,
        "HA_debugfile": targets.debugfile,
        "HA_logfacility": targets.facility,
        "HA_debug": str(targets.debug_level),
    }
    return {name: value for name, value in variables.items() if value}


def is_facility(word: str) -> bool:
    """Tell whether syslog knows a facility of that name (`none` is none)."""
    return word.lower() in _FACILITIES


@functools.cache
def level_word(level: int) -> str:
    """The word for a `logging` level, as ha_log writes it: `WARN`, `info`."""
    return next(word for least, word, _ in _LEVELS if level >= least)


def line(when: float, node: str, entity: str, pid: int, level: int, text: str) -> str:
    """Compose a line of a log file; `when` is seconds since 1970, shown in local time."""
    flat = text.replace("\n", " \\n ")
    return f"{_moment(int(when))} {node} {entity}: [{pid}]: {level_word(level)}: {flat}"


@functools.lru_cache(maxsize=1)
def _moment(second: int) -> str:
    """Write a moment as a line begins with it; many lines are of the same second."""
    moment = time.localtime(second)
    clock = time.strftime("%H:%M:%S", moment)
    return f"{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:02d} {clock}"


def note(what: Note) -> None:
    """Log a machine's note under its own entity.

    Which line of the code says it is not looked up: no target shows it, and it costs more than all
    the rest.
    """
    logger = logging.getLogger(ENTITY_PREFIX + what.entity)
    if logger.isEnabledFor(what.level):
        logger.handle(logger.makeRecord(logger.name, what.level, "", 0, what.text, (), None))


def is_configured() -> bool:
    """Tell whether `configure` was called in this process."""
    handlers = [each for each in logging.getLogger().handlers if isinstance(each, HaHandler)]
    return any(each.pid == os.getpid() for each in handlers)


def configure(targets: LogTargets, entity: str) -> HaHandler:
    """Send all logging of this process to `targets`; lines without an entity bear `entity`.

    Replaces what an earlier call set up (after a fork that is the parent's, which is left alone).
    """
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if isinstance(each, HaHandler)]:
        root.removeHandler(earlier)
        earlier.close()
    handler = HaHandler(targets, entity)
    root.addHandler(handler)
    root.setLevel(targets.lowest)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # No line tells a thread or a task, and looking them up takes longer than writing the line.
    logging.logThreads = logging.logMultiprocessing = logging.logAsyncioTasks = False  # type: ignore[attr-defined]
    return handler


@dataclass(frozen=True, slots=True)
class _Said:
    """What a line is made of; the writing thread makes it. Units: `when` in seconds since 1970."""

    level: int
    when: float
    entity: str
    text: str


class HaHandler(logging.Handler):
    """Hands records to the writing thread, which turns them into lines."""

    def __init__(self, targets: LogTargets, entity: str) -> None:
        super().__init__(targets.lowest)
        self.targets = targets
        self._entity = entity
        self.pid = os.getpid()
        self._queue: queue.SimpleQueue[_Said | None] = queue.SimpleQueue()
        self._dropped = 0
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line; never waits."""
        named = record.name.startswith(ENTITY_PREFIX)
        entity = record.name[len(ENTITY_PREFIX) :] if named else self._entity
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text}: {record.exc_info[1]!r}"
        if self._queue.qsize() < QUEUE_LINES:
            self._queue.put(_Said(record.levelno, record.created, entity, text))
        else:
            self._dropped += 1

    def close(self) -> None:
        """Write what is queued (for at most two seconds) and end the thread."""
        if self._thread.is_alive() and self.pid == os.getpid():
            self._queue.put(None)
            self._is_closing.set()
            self._thread.join(2)
        super().close()

    def _write_on(self) -> None:
        """The thread: take what there is, write it in one go, until told to end."""
        outlet = _Outlet(self.targets)
        ending = False
        while not ending:
            batch = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < BATCH_LINES:
                    batch.append(self._queue.get_nowait())
            ending = None in batch
            lines = [self._line(each) for each in batch if each is not None]
            dropped, self._dropped = self._dropped, 0
            if dropped:
                text = f"{dropped} log lines dropped, the log is too slow"
                lines.append(self._line(_Said(logging.WARNING, time.time(), self._entity, text)))
            outlet.write(lines)
            if not ending:
                self._is_closing.wait(GATHERING_S)
        outlet.close()

    def _line(self, said: _Said) -> tuple[int, str, str]:
        """Compose a line as the files have it, and as syslog has it."""
        level, entity, text = said.level, said.entity, said.text
        whole = line(said.when, self.targets.node, entity, self.pid, level, text)
        return level, whole, f"{entity}: [{self.pid}]: {level_word(level)}: {text}"


class _Outlet:
    """The files and the syslog socket, used by the writing thread only."""

    def __init__(self, targets: LogTargets) -> None:
        self._targets = targets
        self._files: dict[str, tuple[int, int]] = {}
        self._facility = _FACILITIES.get(targets.facility.lower())
        self._syslog: socket.socket | None = None

    def write(self, lines: list[tuple[int, str, str]]) -> None:
        """Write lines to every target they belong to; a target that fails is passed over."""
        targets = self._targets
        debugfile = targets.debugfile or targets.logfile
        grave = [whole for level, whole, _ in lines if level > logging.DEBUG]
        if targets.logfile and targets.logfile != debugfile:
            self._append(targets.logfile, grave)
        if debugfile:
            self._append(debugfile, [whole for _, whole, _ in lines])
        if self._facility is not None:
            for level, _, short in lines:
                self._send(level, short)

    def close(self) -> None:
        """Close files and socket."""
        for handle, _ in self._files.values():
            os.close(handle)
        self._files.clear()
        if self._syslog is not None:
            self._syslog.close()

    def _append(self, name: str, lines: list[str]) -> None:
        if not lines:
            return
        try:
            rest = memoryview("".join(f"{each}\n" for each in lines).encode(errors="replace"))
            while rest:
                rest = rest[os.write(self._open(name), rest) :]
        except OSError as problem:
            print(f"cannot write {name}: {problem.strerror}", file=sys.stderr)  # noqa: T201

    def _open(self, name: str) -> int:
        """The descriptor of a log file, opened anew after it was rotated away."""
        known = self._files.get(name)
        if known is not None:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(name).st_ino == known[1]:  # noqa: PTH116 — half the cost of a Path
                    return known[0]
            os.close(self._files.pop(name)[0])
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._files[name] = (handle, os.fstat(handle).st_ino)
        return handle

    def _send(self, level: int, text: str) -> None:
        severity = next(number for least, _, number in _LEVELS if level >= least)
        moment = time.localtime()
        clock = time.strftime("%H:%M:%S", moment)
        head = f"{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:2d} {clock}"
        packet = f"<{(self._facility or 0) * 8 + severity}>{head} {text}".encode(errors="replace")
        try:
            if self._syslog is None:
                self._syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._syslog.setblocking(False)
                self._syslog.connect(SYSLOG_SOCKET)
            self._syslog.send(packet)
        except OSError:
            # No syslog runs here, or it does not read: the files have the line.
            if self._syslog is not None:
                self._syslog.close()
                self._syslog = None
