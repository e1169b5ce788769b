"""A lab from outside: start a keeper, send it requests, run commands on its hosts.

`Lab` is what the commands, the demonstration and the system tests share. Every method raises
`CrmError` with the keeper's words when something cannot be done.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from cli.lab.plan import LabPlan
from crm.plumbing.errors import CrmError, Unreachable, UsageError

_HOME = "pacekeeper-lab"
_START_LIMIT_S = 30.0
_ANSWER_LIMIT_S = 120.0

Reply = dict[str, Any]  # Any: a JSON object


def default_directory(name: str) -> Path:
    """Where a lab of that name lies: the user's runtime directory, or /tmp."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir() and os.access(runtime, os.W_OK):
        return Path(runtime) / _HOME / name
    return Path(f"/tmp/{_HOME}-{os.getuid()}") / name


class Lab:
    """One running lab, known by its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._keeper: subprocess.Popen[bytes] | None = None

    @classmethod
    def up(cls, plan: LabPlan, directory: Path) -> Lab:
        """Start a keeper with this plan; the hosts are powered, heartbeat is not started yet.

        Raises: UsageError if a lab runs there already, CrmError if it cannot be made.
        """
        lab = cls(directory)
        if lab.is_up():
            raise UsageError(f"a lab is running in {directory}; `crm lab down` ends it")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        (directory / "plan.json").write_bytes(msgspec.json.encode(plan))
        log = directory / "keeper.log"
        with log.open("wb") as output:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "cli.lab.keeper", str(directory)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        lab._keeper = keeper
        deadline = time.monotonic() + _START_LIMIT_S
        try:
            while not lab.is_up():
                if keeper.poll() is not None or time.monotonic() > deadline:
                    said = log.read_text(errors="replace").strip().splitlines()
                    raise CrmError("the lab did not start: " + (said[-1] if said else "no answer"))
                _pause(keeper)
        except BaseException:
            keeper.kill()
            lab.down()
            raise
        return lab

    def is_up(self) -> bool:
        """Tell whether a keeper answers."""
        try:
            self._connect().close()
        except OSError:
            return False
        return True

    def down(self) -> None:
        """End the lab and remove everything it made. Harmless when it is not running."""
        pid = self._keeper_pid()
        if self.is_up():
            self.request({"do": "down"})
        if pid is not None:
            _await_end(pid)
        if self._keeper is not None:
            self._keeper.wait(_ANSWER_LIMIT_S)
        shutil.rmtree(self.directory, ignore_errors=True)
        if self.directory.parent.name.startswith(_HOME):
            with contextlib.suppress(OSError):  # another lab is in there
                self.directory.parent.rmdir()

    def request(self, request: Reply) -> Reply:
        """Send one request to the keeper and return its answer."""
        try:
            connection = self._connect()
        except OSError as problem:
            raise Unreachable(f"no lab is running in {self.directory}") from problem
        with connection, connection.makefile("rwb") as stream:
            connection.settimeout(_ANSWER_LIMIT_S)
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            line = stream.readline()
        if not line:
            raise CrmError("the keeper of the lab ended in the middle of a request")
        reply: Reply = json.loads(line)
        if "error" in reply:
            raise CrmError(str(reply["error"]))
        return reply

    def status(self) -> Reply:
        """What is powered, running, frozen: {"hosts": {...}, "interfaces": [...]}."""
        return self.request({"do": "status"})

    def start(self, *nodes: str) -> None:
        """Power nodes on if need be and start heartbeat (all nodes when none is named)."""
        self.request({"do": "start", "nodes": list(nodes)})

    def stop(self, *nodes: str) -> Reply:
        """Stop heartbeat in order; returns when it has ended."""
        return self.request({"do": "stop", "nodes": list(nodes)})

    def crash(self, *nodes: str) -> None:
        """Pull the plug."""
        self.request({"do": "crash", "nodes": list(nodes)})

    def root(self, node: str) -> Path:
        """Where the files of a node lie."""
        return self.directory / "nodes" / node

    def argv(self, host: str, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` on a host of the lab."""
        entry = self.status()["hosts"].get(host)
        if entry is None:
            raise UsageError(f"there is no host '{host}' in this lab")
        if entry["init"] is None:
            raise UsageError(f"host '{host}' is off; `crm lab start {host}` powers it on")
        enter = ["nsenter", f"--target={entry['init']}", "--mount", "--uts", "--ipc", "--net"]
        enter += ["--pid"] if os.getuid() == 0 else ["--pid", "--user", "--preserve-credentials"]
        return [*enter, "--", *command]

    def environment(self, host: str) -> dict[str, str]:
        """The environment in which commands run on a host: its root, our tools in the path."""
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}"
        own = {"PACEKEEPER_ROOT": str(self.root(host)), "PACEKEEPER_ONE_USER": "1", "PATH": path}
        return {**os.environ, **own}

    def run(
        self, host: str, *command: str, limit_s: float = 60.0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host and return what it printed and its exit code."""
        return subprocess.run(
            self.argv(host, command),
            env=self.environment(host),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )

    def popen(self, host: str, *command: str) -> subprocess.Popen[str]:
        """Start a command on a host; its output can be read line by line, its input closed."""
        return subprocess.Popen(
            self.argv(host, command),
            env=self.environment(host),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        here = os.open(self.directory, os.O_PATH)
        try:
            connection.connect(f"/proc/self/fd/{here}/control")
        except OSError:
            connection.close()
            raise
        finally:
            os.close(here)
        return connection

    def _keeper_pid(self) -> int | None:
        try:
            return int((self.directory / "keeper.pid").read_text())
        except (OSError, ValueError):
            return None


def _pause(process: subprocess.Popen[bytes]) -> None:
    """Wait a moment for a starting keeper, or until it has ended."""
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return


def _await_end(pid: int) -> None:
    """Wait until a process has ended; end it by force after ten seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended, _, _ = select.select([handle], [], [], 10.0)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            select.select([handle], [], [], 10.0)
    finally:
        os.close(handle)
