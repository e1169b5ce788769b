"""The process that keeps a lab: it holds the switch, powers hosts, and obeys `crm lab`.

`python -m cli.lab.keeper DIRECTORY` reads `DIRECTORY/plan.json`, makes the networks in a network
namespace of its own (and, without root, a user namespace around it), powers every host, and then
serves one JSON request per connection on `DIRECTORY/control`. When it ends, however it ends, the
kernel ends every node with it.

Layout: DIRECTORY/{plan.json, control, keeper.pid, hosts, nodes/NAME/…}; a node's files and logs
lie below nodes/NAME as below `/` on a real machine.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cli.lab import host as host_process
from cli.lab import namespaces
from cli.lab.plan import Host, LabPlan
from cli.lab.wiring import Wiring, block
from crm.plumbing.errors import CrmError, UsageError

Request = dict[str, Any]  # Any: a JSON object
Reply = dict[str, Any]  # Any: a JSON object

_ANSWER_LIMIT_S = 90.0


@dataclass
class _Machine:
    """A powered host: the proxy we forked, its process 1, and the line to it."""

    host: Host
    proxy: int
    init: int
    control: socket.socket

    def kill(self) -> None:
        """End its first process, and with it everything on it."""
        with suppress(ProcessLookupError):  # it ended by itself
            os.kill(self.init, signal.SIGKILL)

    def await_end(self) -> None:
        """Wait until nothing of it runs any more."""
        os.waitpid(self.proxy, 0)
        self.control.close()


class Keeper:
    """Holds the hosts and the switch of one lab."""

    def __init__(self, directory: Path, plan: LabPlan) -> None:
        self._directory = directory
        self._plan = plan
        self._machines: dict[str, _Machine] = {}
        self._frozen: set[str] = set()
        self._blocked: set[tuple[str, str]] = set()
        self._wiring = Wiring()
        for interface in plan.interfaces:
            self._wiring.add_network(interface, plan.routers.get(interface))
        (directory / "hosts").write_text(plan.host_names, encoding="utf-8")
        for host in plan.hosts:
            self._write_files(host)
            self.power_on(host.name)

    def _write_files(self, host: Host) -> None:
        root = self.root(host.name)
        for relative, text in host.files.items():
            path = root / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            if path.name == "authkeys":
                path.chmod(0o600)
        root.mkdir(parents=True, exist_ok=True)

    def root(self, name: str) -> Path:
        """Where the files of a host lie."""
        return self._directory / "nodes" / name

    # --- power ------------------------------------------------------------------------------

    def power_on(self, name: str) -> None:
        """Start the first process of a host and plug it in."""
        host = self._host(name)
        if name in self._machines:
            raise UsageError(f"'{name}' is running already")
        ours, theirs = socket.socketpair()
        read_end, write_end = os.pipe()
        proxy = os.fork()
        if proxy == 0:
            ours.close()
            self._become_proxy(host, theirs, write_end)
        theirs.close()
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            said = pipe.read()
        if not said:
            os.waitpid(proxy, 0)
            raise CrmError(f"host '{name}' did not start: see {self._directory / 'keeper.log'}")
        ours.settimeout(_ANSWER_LIMIT_S)
        self._machines[name] = _Machine(host, proxy, int(said), ours)
        self._wiring.plug_in(name, int(said), host.addresses)

    def _become_proxy(self, host: Host, control: socket.socket, report: int) -> None:
        """Wait for the host's first process; it cannot be forked straight into its namespaces."""
        code = 1
        try:
            namespaces.die_with_parent()
            namespaces.leave(
                namespaces.NEW_NET
                | namespaces.NEW_UTS
                | namespaces.NEW_MOUNT
                | namespaces.NEW_PID
                | namespaces.NEW_IPC
            )
            init = os.fork()
            if init == 0:
                namespaces.die_with_parent()
                os.close(report)
                signal.set_wakeup_fd(-1)
                host_process.be_init(
                    host.name, self.root(host.name), self._directory / "hosts", control
                )
            os.write(report, str(init).encode())
            os.close(report)
            control.close()
            os.waitpid(init, 0)
            code = 0
        finally:
            os._exit(code)

    def power_off(self, name: str) -> None:
        """Pull the plug of a host: first its cables are dead, then everything on it."""
        machine = self._machine(name)
        with suppress(OSError):
            self._wiring.unplug(name, list(machine.host.addresses))
        machine.kill()
        machine.await_end()
        del self._machines[name]
        self._frozen.discard(name)
        self._blocked = {pair for pair in self._blocked if pair[0] != name}
        self._forget_volatile(name)

    def _forget_volatile(self, name: str) -> None:
        """What a power cut takes: everything below run/ (a tmpfs on a real machine)."""
        run = self.root(name) / "run"
        for path in sorted(run.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()

    def power_off_all(self) -> None:
        """End every host; nothing of them runs or writes any more when this returns."""
        for machine in self._machines.values():
            machine.kill()
        for machine in self._machines.values():
            machine.await_end()
        self._machines.clear()

    # --- requests -----------------------------------------------------------------------------

    def obey(self, request: Request) -> Reply:
        """Carry out one request of `crm lab`.

        Raises: CrmError or OSError with what could not be done.
        """
        actions: dict[str, Callable[[Request], Reply]] = {
            "status": self._status,
            "start": self._start,
            "stop": self._stop,
            "crash": self._crash,
            "freeze": self._freeze,
            "thaw": self._thaw,
            "isolate": self._isolate,
            "partition": self._partition,
            "block": self._block,
            "heal": self._heal,
        }
        action = actions.get(request.get("do", ""))
        if action is None:
            raise UsageError(f"the lab does not know the request '{request.get('do')}'")
        return action(request)

    def _status(self, _: Request) -> Reply:
        hosts = {}
        for host in self._plan.hosts:
            machine = self._machines.get(host.name)
            entry: Reply = {
                "power": "on" if machine else "off",
                "node": bool(host.files),
                "addresses": host.addresses,
                "root": str(self.root(host.name)),
                "frozen": host.name in self._frozen,
                "init": machine.init if machine else None,
            }
            if machine is not None and host.files and host.name not in self._frozen:
                entry.update(self._command(machine, {"do": "status"}))
            hosts[host.name] = entry
        return {"hosts": hosts, "interfaces": list(self._plan.interfaces)}

    def _start(self, request: Request) -> Reply:
        for name in self._nodes(request):
            if name not in self._machines:
                self.power_on(name)
            self._command(self._machine(name), {"do": "start"})
        return {}

    def _stop(self, request: Request) -> Reply:
        return {
            name: self._command(self._machine(name), {"do": "stop"})
            for name in self._nodes(request)
        }

    def _crash(self, request: Request) -> Reply:
        for name in self._nodes(request):
            self.power_off(name)
        return {}

    def _freeze(self, request: Request) -> Reply:
        for name in self._nodes(request):
            self._signal_all(self._machine(name), signal.SIGSTOP)
            self._frozen.add(name)
        return {}

    def _thaw(self, request: Request) -> Reply:
        for name in self._nodes(request):
            self._signal_all(self._machine(name), signal.SIGCONT)
            self._frozen.discard(name)
        return {}

    def _isolate(self, request: Request) -> Reply:
        for name in self._nodes(request):
            self._wiring.unplug(name, self._interfaces(request, name))
        return {}

    def _partition(self, request: Request) -> Reply:
        for side, names in enumerate(request["sides"]):
            for name in names:
                self._machine(name)
                self._wiring.put_on_side(name, self._interfaces(request, name), side)
        return {}

    def _block(self, request: Request) -> Reply:
        source, target = request["source"], request["target"]
        machine = self._machine(source)
        for interface in self._interfaces(request, target):
            address = self._host(target).addresses[interface].split("/")[0]
            if (source, address) not in self._blocked:
                block(machine.init, address, blocked=True)
                self._blocked.add((source, address))
        return {}

    def _heal(self, _: Request) -> Reply:
        for name, machine in self._machines.items():
            self._wiring.plug_back(name, list(machine.host.addresses))
        for source, address in sorted(self._blocked):
            block(self._machine(source).init, address, blocked=False)
        self._blocked.clear()
        return {}

    # --- small things ---------------------------------------------------------------------------

    def _command(self, machine: _Machine, command: Request) -> Reply:
        machine.control.sendall(json.dumps(command).encode() + b"\n")
        data = b""
        while not data.endswith(b"\n"):
            more = machine.control.recv(65536)
            if not more:
                raise CrmError(f"host '{machine.host.name}' does not answer")
            data += more
        reply: Reply = json.loads(data)
        return reply

    def _signal_all(self, machine: _Machine, number: signal.Signals) -> None:
        """Signal every process of a host: it is frozen as a whole, its first process too."""
        wanted = (Path("/proc") / str(machine.init) / "ns/pid").readlink()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):
                if (entry / "ns/pid").readlink() == wanted:
                    os.kill(int(entry.name), number)

    def _host(self, name: str) -> Host:
        for host in self._plan.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self._plan.hosts)
        raise UsageError(f"there is no host '{name}' in this lab (there are: {known})")

    def _machine(self, name: str) -> _Machine:
        self._host(name)
        if name not in self._machines:
            raise UsageError(f"host '{name}' is off; `crm lab start {name}` powers it on")
        return self._machines[name]

    def _nodes(self, request: Request) -> list[str]:
        names = request.get("nodes") or [host.name for host in self._plan.nodes]
        for name in names:
            if not self._host(name).files:
                raise UsageError(f"'{name}' is no cluster node")
        return list(names)

    def _interfaces(self, request: Request, name: str) -> list[str]:
        own = self._host(name).addresses
        wanted = request.get("interfaces") or list(own)
        return [interface for interface in wanted if interface in own]


def serve(keeper: Keeper, directory: Path) -> None:
    """Obey requests until told `down` or terminated."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = directory / "control"
    here = os.open(directory, os.O_PATH)
    listener.bind(f"/proc/self/fd/{here}/{path.name}")
    path.chmod(0o600)
    listener.listen(8)
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        while not ended:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    ended = _serve_one(keeper, listener) or ended
                else:
                    os.read(wake_read, 4096)


def _serve_one(keeper: Keeper, listener: socket.socket) -> bool:
    connection, _ = listener.accept()
    with connection:
        with connection.makefile("rb") as stream:
            line = stream.readline(1 << 20)
        if not line:
            return False
        try:
            request = msgspec.json.decode(line, type=Request)
        except msgspec.DecodeError as problem:
            _answer(connection, {"error": f"a request is one JSON object on a line: {problem}"})
            return False
        if request.get("do") == "down":
            _answer(connection, {})
            return True
        try:
            reply = keeper.obey(request)
        except (CrmError, OSError) as problem:
            reply = {"error": str(problem)}
        _answer(connection, reply)
    return False


def _answer(connection: socket.socket, reply: Reply) -> None:
    with suppress(ConnectionError):  # who asked may have been interrupted
        connection.sendall(json.dumps(reply).encode() + b"\n")


def main(argv: list[str] | None = None) -> int:
    """Run a keeper for the directory given as the only argument."""
    arguments = sys.argv[1:] if argv is None else argv
    directory = Path(arguments[0]).resolve()
    if os.getuid() != 0:
        namespaces.become_root_of_new_user_namespace()
    namespaces.leave(namespaces.NEW_NET)
    plan = msgspec.json.decode((directory / "plan.json").read_bytes(), type=LabPlan)
    keeper = Keeper(directory, plan)
    (directory / "keeper.pid").write_text(f"{os.getpid()}\n", encoding="ascii")
    serve(keeper, directory)
    keeper.power_off_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
