"""The first process of one lab node: its init, and the hand that keeps heartbeat running.

It is process 1 of the node's own namespaces. It names the host, mounts what must be its own,
starts heartbeat when told, restarts it when it fails (as the systemd unit does), and reaps what
others leave behind. Killing it is pulling the plug: the kernel ends everything on the node.

Commands come from the keeper as JSON lines over a socket pair; each is answered with one line.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from cli.lab import namespaces

_RESTART_DELAY_S = 0.1
_LASTING = (0, 4, 6, 150)
"""Exit codes after which it is not started again, as in docs/examples/heartbeat.service."""

_STOP_LIMIT_S = 60.0


def be_init(name: str, root: Path, host_names: Path, control: socket.socket) -> None:
    """Run as process 1 of a node until killed; never returns."""
    namespaces.set_host_name(name)
    namespaces.make_mounts_private()
    namespaces.mount_proc()
    namespaces.bind(host_names, Path("/etc/hosts"))
    _Init(name, root, control).run()


class _Init:
    """The loop of a node's first process."""

    def __init__(self, name: str, root: Path, control: socket.socket) -> None:
        self._name = name
        self._root = root
        self._control = control
        self._heartbeat: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._restart_at: float | None = None
        self._restarts = 0
        self._last_code: int | None = None
        self._pending = b""
        self._stopping_since: float | None = None

    def run(self) -> None:
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        selector = selectors.DefaultSelector()
        selector.register(wake_read, selectors.EVENT_READ, "child")
        selector.register(self._control, selectors.EVENT_READ, "control")
        while True:
            for key, _ in selector.select(self._until_restart()):
                if key.data == "child":
                    with suppress(BlockingIOError):
                        os.read(wake_read, 4096)
                elif not self._read_commands():
                    os._exit(0)
            self._reap()
            self._restart_if_due()

    def _until_restart(self) -> float | None:
        if self._restart_at is None:
            return None
        return max(0.0, self._restart_at - time.monotonic())

    def _read_commands(self) -> bool:
        data = self._control.recv(65536)
        if not data:
            return False
        self._pending += data
        while b"\n" in self._pending:
            line, self._pending = self._pending.split(b"\n", 1)
            command = json.loads(line)
            if command["do"] == "stop":
                self._stop()
            elif command["do"] == "start":
                self._start()
            if not (command["do"] == "stop" and self._heartbeat is not None):
                self._answer()
        return True

    def _answer(self) -> None:
        answer: dict[str, Any] = {  # Any: a JSON object
            "heartbeat": self._heartbeat.pid if self._heartbeat else None,
            "restarts": self._restarts,
            "last_code": self._last_code,
        }
        self._control.sendall(json.dumps(answer).encode() + b"\n")

    def _start(self) -> None:
        self._wanted = True
        self._restart_at = None
        if self._heartbeat is None:
            self._spawn()

    def _spawn(self) -> None:
        console = self._root / "var/log/console"
        console.parent.mkdir(parents=True, exist_ok=True)
        environment = dict(os.environ, PACEKEEPER_ROOT=str(self._root), PACEKEEPER_ONE_USER="1")
        with console.open("ab") as output:
            place = ["--root", str(self._root), "--node", self._name]
            self._heartbeat = subprocess.Popen(
                [sys.executable, "-m", "messaging.daemon", "-f", *place],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def _stop(self) -> None:
        self._wanted = False
        self._restart_at = None
        if self._heartbeat is not None:
            self._stopping_since = time.monotonic()
            self._heartbeat.terminate()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._heartbeat is not None and pid == self._heartbeat.pid:
                self._heartbeat_ended(os.waitstatus_to_exitcode(status))

    def _heartbeat_ended(self, code: int) -> None:
        self._heartbeat = None
        self._last_code = code
        if self._stopping_since is not None:
            self._stopping_since = None
            self._answer()
        elif self._wanted and code not in _LASTING:
            self._restarts += 1
            self._restart_at = time.monotonic() + _RESTART_DELAY_S

    def _restart_if_due(self) -> None:
        if self._restart_at is not None and time.monotonic() >= self._restart_at:
            self._restart_at = None
            self._spawn()
