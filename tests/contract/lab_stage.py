"""The stage of the contract on real computers of a lab: real heartbeats, real sockets, real time.

The stories of `test_promises` run on it as they are. Each client is a process that
heartbeat starts by a `respawn` line (`lab_ear`) and that passes on what it is told; what it says to
that is decided here, by the same `Ear`. A second of the stage is `PACE` real ones, the deadtime the
same number of the stage's seconds as in the simulator.
"""

from __future__ import annotations

import os
import pwd
import random
import selectors
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from cli.lab.plan import Host, LabPlan
from cli.lab.remote import Lab
from crm.api import membership as api
from crm.plumbing.machine import MessageArrived, PeerConnected, PeerLost, Tell
from tests.contract import lab_ear
from tests.contract.stage import QUIET, TALKERS, Ear, Stage
from tests.sim.layers import TIMING

PACE = 2.0
_REPOSITORY = Path(__file__).parents[2]
_READ_BYTES = 1 << 20
_SAY_LIMIT_S = 10.0


class _LabProcess:
    """One life of a client: the socket to its process, and what has come over it."""

    def __init__(self, stage: LabStage, connection: socket.socket) -> None:
        self.connection = connection
        self.ended_at: float | None = None
        self._stage = stage
        self._ear: Ear | None = None
        self._pid = _pid_of(connection)
        self._pending = b""

    def read(self) -> None:
        """Take what has come; the end of it is the end of the process."""
        try:
            data = self.connection.recv(_READ_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            self._end()
            return
        self._pending += data
        while len(self._pending) >= lab_ear.LENGTH.size:
            (size,) = lab_ear.LENGTH.unpack_from(self._pending)
            end = lab_ear.LENGTH.size + size
            if len(self._pending) < end:
                return
            payload = self._pending[lab_ear.LENGTH.size : end]
            self._pending = self._pending[end:]
            self._take(payload)

    def _take(self, payload: bytes) -> None:
        if self._ear is None:
            hello = msgspec.msgpack.decode(payload, type=lab_ear.Hello)
            self._ear = Ear(self._stage, hello.node, hello.client)
            self._ear.process = self  # type: ignore[assignment]  # it has what an Ear asks for
            self._stage.ears.append(self._ear)
            return
        heard = msgspec.msgpack.decode(payload, type=lab_ear.Heard)
        event: object
        match heard.what:
            case "connected":
                event = PeerConnected("heartbeat")
            case "lost":
                event = PeerLost("heartbeat")
            case _:
                event = MessageArrived("heartbeat", api.TO_CLIENT.decode(heard.message))
        self._stage.engine.moment = heard.at
        effects = self._ear.receive(event, 0.0)
        self._stage.engine.moment = None
        for effect in effects:
            self.receive(effect)

    def receive(self, said: Tell) -> None:
        """Have it say something to its heartbeat."""
        payload = api.TO_HEARTBEAT.encode(said.message)
        with suppress(ConnectionError):  # it has ended, which is read later
            self.connection.sendall(lab_ear.LENGTH.pack(len(payload)) + payload)

    def kill(self) -> None:
        """End it at once; it does not come back."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def _end(self) -> None:
        self.ended_at = self._stage.engine.now
        if self._ear is not None:
            self._ear.is_connected = False
        self._stage.forget(self)


def _pid_of(connection: socket.socket) -> int:
    size = 3 * 4
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int.from_bytes(found[:4], sys.byteorder)


class _Clock:
    """The time of the stage, and chance: what the stories know of an engine."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.moment: float | None = None
        self._began = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds of the stage: now, or when what is being told happened."""
        moment = time.monotonic() if self.moment is None else self.moment
        return (moment - self._began) / PACE


class _Network:
    """The wires between the nodes."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def split(self, groups: list[list[str]]) -> None:
        """Cut every wire between groups."""
        self._lab.request({"do": "partition", "sides": groups, "interfaces": ["eth1"]})

    def heal(self) -> None:
        """Mend all wires."""
        self._lab.request({"do": "heal"})


class _LabNode:
    """A computer of the lab, by the names that the stories use."""

    def __init__(self, stage: LabStage, name: str) -> None:
        self._stage, self._name = stage, name
        self._life = 0
        """Which heartbeat was started last: the lab starts another when one has failed."""

    def boot(self) -> None:
        """Switch it on and start heartbeat, unless it runs."""
        self._stage.lab.start(self._name)
        self._life = self._status().get("restarts", 0)

    def crash(self) -> None:
        """Pull the plug."""
        self._stage.lab.crash(self._name)

    def leave(self) -> None:
        """Have heartbeat stop in order, without waiting for it."""
        pid = self._heartbeat()
        assert pid is not None, f"heartbeat does not run on {self._name}"
        self._stage.lab.run(self._name, "kill", str(pid))

    def kill(self, client: str) -> None:
        """End a client; its script does not start it again."""
        (self._stage.lab.root(self._name) / f"held-{client}").touch()
        self.process(client).kill()

    def process(self, client: str) -> Any:  # Any: what has `receive` and `kill`
        """The process of a client, as far as the stories need it."""
        return self._stage.ear(self._name, client).process

    @property
    def is_up(self) -> bool:
        """Whether the heartbeat that was started still runs."""
        return self._heartbeat() is not None and self._status().get("restarts") == self._life

    def _heartbeat(self) -> int | None:
        found = self._status().get("heartbeat")
        return None if found is None else int(found)

    def _status(self) -> dict[str, Any]:  # Any: a JSON object
        found: dict[str, Any] = self._stage.lab.status()["hosts"][self._name]
        return found


class LabStage(Stage):
    """A lab with nothing in it but heartbeats and clients that listen."""

    def __init__(
        self, make_lab: Callable[[LabPlan], Lab], nodes: int = 3, *, seed: int = 1
    ) -> None:
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.ears = []
        self.greets = False
        self.sent = {}
        self.engine = _Clock(seed)  # type: ignore[assignment]  # all that the stories know of it
        self.lab = make_lab(_plan(self.names))
        self.network = _Network(self.lab)  # type: ignore[assignment]
        self.nodes = {name: _LabNode(self, name) for name in self.names}  # type: ignore[misc]
        self._selector = selectors.DefaultSelector()
        self._listener = self._listen_for_clients()
        for name in self.names:
            self._write_scripts(name)

    def _listen_for_clients(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._place()))
        listener.listen()
        self._selector.register(listener, selectors.EVENT_READ, None)
        return listener

    def _place(self) -> Path:
        return self.lab.directory / "ears"

    def _write_scripts(self, name: str) -> None:
        root = self.lab.root(name)
        ha_cf = root / "etc/ha.d/ha.cf"
        user = pwd.getpwuid(os.getuid()).pw_name
        lines = []
        for client in (*TALKERS, QUIET):
            script = root / client
            words = [sys.executable, "-m", "tests.contract.lab_ear"]
            words += [str(root), str(self._place()), name, client]
            held = shlex.quote(str(root / f"held-{client}"))
            script.write_text(
                f"#!/bin/sh\nwhile [ -e {held} ]; do sleep 1; done\n"
                f"PYTHONPATH={shlex.quote(str(_REPOSITORY))} exec {shlex.join(words)}\n"
            )
            script.chmod(0o755)
            lines.append(f"respawn {user} {script}\n")
        ha_cf.write_text(ha_cf.read_text() + "".join(lines))

    def close(self) -> None:
        """Let go of the clients; the lab is the fixture's."""
        for key in list(self._selector.get_map().values()):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            sock.close()
        self._selector.close()

    def forget(self, process: _LabProcess) -> None:
        """A process has ended."""
        self._selector.unregister(process.connection)
        process.connection.close()

    def run(self, seconds: float) -> None:
        """Let time pass, and listen."""
        until = time.monotonic() + seconds * PACE
        while True:
            left_s = until - time.monotonic()
            for key, _ in self._selector.select(max(left_s, 0.0)):
                if key.data is None:
                    self._accept()
                else:
                    key.data.read()
            if left_s <= 0:
                return

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(_SAY_LIMIT_S)
        process = _LabProcess(self, connection)
        self._selector.register(connection, selectors.EVENT_READ, process)


def _plan(names: list[str]) -> LabPlan:
    """One wire, the timing of the simulator at this pace, membership alone."""

    def time_of(seconds: float) -> str:
        return f"{round(1000 * PACE * seconds)}ms"

    ha_cf = (
        "logfile /var/log/ha-log\n"
        f"keepalive {time_of(TIMING.keepalive_s / 4)}\ndeadtime {time_of(TIMING.deadtime_s)}\n"
        f"warntime {time_of(TIMING.warntime_s)}\ninitdead {time_of(TIMING.initdead_s)}\n"
        + "".join(f"ucast eth1 10.77.1.{number}\n" for number, _ in enumerate(names, 1))
        + f"node {' '.join(names)}\ncrm ccm-only\n"
    )
    files = {
        "etc/ha.d/ha.cf": ha_cf,
        "etc/ha.d/authkeys": "auth 1\n1 sha1 a-lab-is-no-place-for-secrets\n",
    }
    hosts = [
        Host(name, {"eth1": f"10.77.1.{number}/24"}, dict(files))
        for number, name in enumerate(names, 1)
    ]
    lines = "".join(f"10.77.1.{number} {name}\n" for number, name in enumerate(names, 1))
    return LabPlan(tuple(hosts), {}, f"127.0.0.1 localhost\n{lines}")
