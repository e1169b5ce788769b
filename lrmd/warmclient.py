"""lrmd's end of the line to the warm runner.

Responsible for keeping one warm runner alive, for handing it commands, for one end per run even if
the runner dies, and for passing on what it hears of addresses. Not responsible for what runs or
why.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from crm.plumbing.errors import RemoteProtocolError, Unreachable
from crm.plumbing.machine import Note, warn
from lrmd.commands import (
    FROM_RUNNER,
    TO_RUNNER,
    AddressesGone,
    AddressNewsLost,
    Command,
    Frames,
    KillRun,
    RunCommand,
    RunEnded,
    RunStarted,
    frame,
)
from lrmd.spawn import signal_group, start_python_module

MAX_RESTARTS = 5
"""A runner that dies more often than this within `RESTART_WINDOW_S` is not started again."""

RESTART_WINDOW_S = 60.0

MAX_UNSENT_BYTES = 16 * 1024 * 1024
"""A runner that leaves so much unread is taken for dead."""

RUNNER_DIED = errno.EPIPE
"""The `failure` of a run whose runner died under it."""


class WarmClient:
    """Starts the warm runner at once and again when it dies; calls `ended` once for each run.

    `begun` is called before that when the process of a run is there.

    `gone` gets addresses that the kernel took away, or None when any may be gone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        begun: Callable[[int], None],
        ended: Callable[[RunEnded], None],
        gone: Callable[[tuple[str, ...] | None], None],
        report: Callable[[Note], None],
    ) -> None:
        self._loop = loop
        self._begun = begun
        self._ended = ended
        self._gone = gone
        self._report = report
        self._socket: socket.socket | None = None
        self._pid = 0
        self._frames = Frames()
        self._unsent = bytearray()
        self._pids: dict[int, int | None] = {}
        self._starts: list[float] = []
        self._start()

    def run(self, run: int, command: Command) -> None:
        """Run a command; `ended` is called when it is gone."""
        self._pids[run] = None
        self._send(frame(TO_RUNNER.encode(RunCommand(run, command))))

    def kill(self, run: int) -> None:
        """End a run; `ended` follows."""
        if run in self._pids:
            self._send(frame(TO_RUNNER.encode(KillRun(run))))

    def close(self) -> None:
        """Hang up: the runner kills what runs and ends."""
        if self._socket is not None:
            self._hang_up()

    def _start(self) -> None:
        now = self._loop.time()
        self._starts = [at for at in self._starts if at > now - RESTART_WINDOW_S] + [now]
        if len(self._starts) > MAX_RESTARTS:
            raise Unreachable(f"the agent runner died {MAX_RESTARTS} times in a minute")
        ours, theirs = socket.socketpair()
        with theirs:
            search = str(Path(__file__).resolve().parents[1])
            self._pid = start_python_module("lrmd.warm", stdin=theirs.fileno(), search=search)
        ours.setblocking(False)
        self._socket = ours
        self._frames = Frames()
        self._unsent.clear()
        self._loop.add_reader(ours, self._readable)

    def _send(self, data: bytes) -> None:
        assert self._socket is not None, "the runner is started in the constructor"
        waits = bool(self._unsent)
        self._unsent += data
        if len(self._unsent) > MAX_UNSENT_BYTES:
            self._loop.call_soon(self._lost)
        elif not waits:
            self._flush()

    def _flush(self) -> None:
        if self._socket is None:
            return
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the reader learns of the end as well, and cleans up
        del self._unsent[:sent]
        if self._unsent:
            self._loop.add_writer(self._socket, self._flush)
        else:
            self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        assert self._socket is not None, "only an open socket is watched"
        try:
            data = self._socket.recv(256 * 1024)
            payloads = self._frames.feed(data) if data else []
        except BlockingIOError:
            return
        except (OSError, RemoteProtocolError):
            data, payloads = b"", []
        for payload in payloads:
            self._take(payload)
        if not data:
            self._lost()

    def _take(self, payload: bytes) -> None:
        match FROM_RUNNER.decode(payload):
            case RunStarted(run, pid):
                if run in self._pids:
                    self._pids[run] = pid
                    self._begun(run)
            case RunEnded() as ended:
                if self._pids.pop(ended.run, ended) is not ended:
                    self._ended(ended)
            case AddressesGone(addresses):
                self._gone(addresses)
            case AddressNewsLost():
                self._gone(None)

    def _lost(self) -> None:
        """Give every open run its end, kill what the dead runner has left, start a new runner."""
        if self._socket is None:
            return
        self._hang_up()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        how = os.waitstatus_to_exitcode(status)
        text = f"the process that runs agents ended ({how}) with {len(self._pids)} at work"
        orphans, self._pids = self._pids, {}
        known = [pid for pid in orphans.values() if pid is not None]
        if len(known) < len(orphans):  # it died between the start of a run and the word of it
            text = f"{text}, {len(orphans) - len(known)} of which may have begun and go on"
        self._report(warn("lrmd", f"{text}; starting a new one"))
        for pid in known:
            signal_group(pid, signal.SIGKILL)
        self._start()
        for run in orphans:
            self._ended(RunEnded(run, failure=RUNNER_DIED))

    def _hang_up(self) -> None:
        assert self._socket is not None, "there is something to hang up"
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._socket = None
