"""Messaging and membership beside Corosync, in one run on one machine.

    ./run bench messaging_peer [--nodes 2,5] [--seconds 10] [--cuts 10] [--deadtime-ms 1000]

Real daemons in namespaces of their own, one after the other: our heartbeat (membership alone,
`crm ccm-only`), then Corosync without and with encryption (knet, aes256 and sha256), where it is
installed. Nothing of the project needs it. On each node one client in a process of its own: ours
speaks to heartbeat over the local bus, the other to the closed process groups (CPG) of Corosync.

`messages/s` are of 400 bytes from one client to those of all other nodes, until the last has
arrived at all. Ours keeps 64 open and has every 16th answered; Corosync limits the sender itself,
so only the last is answered. (Corosync agrees on one order of all messages of all senders; ours
keeps the order of each sender.) `one way` is half of a message and its answer, client to client.
`idle` is what a node sends by its interface, and the processor time of the daemon's processes.

`detection` is the time from the moment a node is cut off until the clients of all others know a
membership without it: least, median, most. Its cables are cut: to those that stay it is as silent
as without power. Ours is given deadtime, Corosync the same as `token` (`token_coefficient: 0`,
all else as it comes). Figures in brackets: Corosync's divided by ours.
"""

from __future__ import annotations

import abc
import argparse
import asyncio
import collections
import contextlib
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli.lab.plan import LabPlan, make_plan
from cli.lab.remote import Lab
from crm.api import membership as api
from crm.plumbing.errors import CrmError
from crm.plumbing.ipc import Bus
from crm.plumbing.ipc_seat import Conversation
from crm.plumbing.machine import MessageArrived, PeerConnected
from crm.plumbing.settings import Paths
from tests.kit.team import Answer, Team, Worker

COROSYNC = Path("/usr/sbin/corosync")
CPG_LIBRARY = "libcpg.so.4"
CONFIGURATION = "etc/corosync/corosync.conf"
KEY = Path("/run/corosync.key")
DEVICE = "eth1"
CLIENT = "lha-snmpagent"
"""A name under which root may register without a line in ha.cf."""

MESSAGE_BYTES = 400
MESSAGES = 8000
PING_ROUNDS = 500
ANSWER_EVERY = 16
OPEN_MESSAGES = 64
RETRY_S = 0.0005
LIMIT_S = 60.0
SETTLE_S = 2.0
_CIPHERS = {"plain": ("none", "none"), "sealed": ("aes256", "sha256")}


# --- a client -----------------------------------------------------------------------------------


class Client(abc.ABC):
    """What the clients of both stacks do; `send` and the calls to `take...` are each one's own."""

    answer_every = 0
    """So many messages of a stream are answered by each receiver, 0: the last one alone."""

    def __init__(self, name: str, names: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        self.name, self.names, self.loop = name, names, loop
        self.others = tuple(each for each in names if each != name)
        self.members: frozenset[str] = frozenset()
        self.changed_at = 0.0
        self.answered: collections.Counter[str] = collections.Counter()
        self.progress = asyncio.Event()

    @abc.abstractmethod
    def send(self, payload: bytes, to: str = "") -> bool:
        """Send to the client of one node, or to all; False if there is no room now."""

    def take(self, sender: str, payload: bytes) -> None:
        """A message has come."""
        kind, number = payload[:4], payload[5:13]
        if sender == self.name:
            return
        if kind in (b"want", b"ping"):
            self._answer(b"have " + number, sender)
        elif kind == b"have":
            self.answered[sender] = int(number)
            self.progress.set()

    def _answer(self, payload: bytes, to: str) -> None:
        if not self.send(payload, to):
            self.loop.call_later(RETRY_S, self._answer, payload, to)

    def take_members(self, members: frozenset[str]) -> None:
        """The membership has changed."""
        self.members = members
        self.changed_at = time.monotonic()
        self.progress.set()

    # --- what can be asked ------------------------------------------------------------------

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.progress.clear()
            await self.progress.wait()

    def _is_answered(self, number: int) -> bool:
        return all(self.answered[name] >= number for name in self.others)

    async def view(self) -> Answer:
        """Wait until all nodes are members."""
        await self._until(lambda: self.members >= set(self.names))
        return {}

    async def lost(self, name: str) -> Answer:
        """Wait until a node is a member no more."""
        await self._until(lambda: name not in self.members)
        return {"at": self.changed_at, "members": sorted(self.members)}

    async def idle(self, seconds: float) -> Answer:
        """What is sent, and used of the processor, while nobody says anything."""
        (packets, size), cpu_s, began = sent(), daemon_cpu_s(), time.monotonic()
        await asyncio.sleep(seconds)
        (packets_now, size_now), took_s = sent(), time.monotonic() - began
        return {
            "packets": (packets_now - packets) / took_s,
            "bytes": (size_now - size) / took_s,
            "cpu": 100 * (daemon_cpu_s() - cpu_s) / took_s,
        }

    async def load(self) -> Answer:
        """Send a stream of messages to all."""
        self.answered.clear()
        filler = bytes(MESSAGE_BYTES - 13)
        began, cpu_s = time.monotonic(), daemon_cpu_s()
        for number in range(1, MESSAGES + 1):
            is_wanted = number == MESSAGES or (
                self.answer_every > 0 and number % self.answer_every == 0
            )
            payload = (b"want" if is_wanted else b"load") + b" %8d" % number + filler
            while not self.send(payload):
                await asyncio.sleep(RETRY_S)
            if self.answer_every:
                oldest = number - OPEN_MESSAGES
                await self._until(lambda oldest=oldest: self._is_answered(oldest))  # type: ignore[misc]
        await self._until(lambda: self._is_answered(MESSAGES))
        took_s = time.monotonic() - began
        return {"rate": MESSAGES / took_s, "cpu": 100 * (daemon_cpu_s() - cpu_s) / took_s}

    async def ping(self) -> Answer:
        """One message to another node and its answer, again and again."""
        other, ways_ms = self.others[0], []
        self.answered.clear()
        for number in range(1, PING_ROUNDS + 1):
            began = time.monotonic()
            while not self.send(b"ping %8d" % number, other):
                await asyncio.sleep(RETRY_S)
            await self._until(lambda number=number: self.answered[other] >= number)  # type: ignore[misc]
            ways_ms.append(500 * (time.monotonic() - began))
        ways_ms.sort()
        return {"median": statistics.median(ways_ms), "p99": ways_ms[len(ways_ms) * 99 // 100]}

    async def obey(self, words: list[str]) -> Answer:
        """Do what a line asks for, within a limit."""
        try:
            async with asyncio.timeout(LIMIT_S):
                match words:
                    case ["view"]:
                        return await self.view()
                    case ["lost", name]:
                        return await self.lost(name)
                    case ["idle", seconds]:
                        return await self.idle(float(seconds))
                    case ["load"]:
                        return await self.load()
                    case ["ping"]:
                        return await self.ping()
                    case _:
                        return {"problem": f"there is no word '{' '.join(words)}'"}
        except TimeoutError:
            state = f"members {' '.join(sorted(self.members))}; answered {dict(self.answered)}"
            return {"problem": f"'{' '.join(words)}' has not ended within {LIMIT_S:.0f} s: {state}"}


class HeartbeatClient(Client):
    """A client of our heartbeat."""

    answer_every = ANSWER_EVERY

    def __init__(self, name: str, names: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name, names, loop)
        paths = Paths(Path(os.environ["PACEKEEPER_ROOT"]))
        self._bus = Bus(paths.bus_dir, CLIENT, self._deliver, lambda _: None)
        self._bus.dial("heartbeat", Conversation(api.TO_HEARTBEAT, api.TO_CLIENT))

    def send(self, payload: bytes, to: str = "") -> bool:
        """Hand it to heartbeat."""
        return self._bus.tell("heartbeat", api.SendCluster(CLIENT, payload, to))

    def _deliver(self, event: object) -> None:
        match event:
            case PeerConnected(peer):
                self._bus.tell(peer, api.SignOn(CLIENT, os.getpid()))
            case MessageArrived(_, api.ClusterMessage(from_node, _, payload)):
                self.take(from_node, payload)
            case MessageArrived(_, api.ViewInstalled(view=view)):
                self.take_members(frozenset(member.name for member in view.members))


class _Name(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint32), ("value", ctypes.c_char * 128))


class _Place(ctypes.Structure):
    _fields_ = (("node", ctypes.c_uint32), ("pid", ctypes.c_uint32), ("reason", ctypes.c_uint32))


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


_Places = ctypes.POINTER(_Place)
_OnMessage = ctypes.CFUNCTYPE(
    None,
    ctypes.c_uint64,
    ctypes.POINTER(_Name),
    ctypes.c_uint32,
    ctypes.c_uint32,
    ctypes.c_void_p,
    ctypes.c_size_t,
)
_OnMembers = ctypes.CFUNCTYPE(
    None,
    ctypes.c_uint64,
    ctypes.POINTER(_Name),
    *(_Places, ctypes.c_size_t) * 3,
)


class _Callbacks(ctypes.Structure):
    _fields_ = (("message", _OnMessage), ("members", _OnMembers))


class CpgClient(Client):
    """A member of a closed process group of Corosync; see cpg_overview(3)."""

    _OK, _TRY_AGAIN = 1, 6
    _DISPATCH_ALL = 2
    _AGREED = 2
    _TO_BYTES = 8

    def __init__(self, name: str, names: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name, names, loop)
        self._library = ctypes.CDLL(CPG_LIBRARY)
        self._handle = ctypes.c_uint64()
        self._callbacks = _Callbacks(_OnMessage(self._on_message), _OnMembers(self._on_members))
        self._group = _Name(5, b"bench")

    async def join(self) -> None:
        """Enter the group as soon as Corosync lets us."""
        await self._patiently("initialize", ctypes.byref(self._handle), self._callbacks_at())
        await self._patiently("join", self._handle, ctypes.byref(self._group))
        descriptor = ctypes.c_int()
        await self._patiently("fd_get", self._handle, ctypes.byref(descriptor))
        self.loop.add_reader(descriptor.value, self._dispatch)
        self._dispatch()

    def _callbacks_at(self) -> Any:  # Any: a pointer of ctypes
        return ctypes.byref(self._callbacks)

    async def _patiently(self, call: str, *arguments: Any) -> None:  # Any: values of ctypes
        async with asyncio.timeout(LIMIT_S):
            while getattr(self._library, f"cpg_{call}")(*arguments) != self._OK:
                await asyncio.sleep(0.1)

    def _dispatch(self) -> None:
        self._library.cpg_dispatch(self._handle, self._DISPATCH_ALL)

    def send(self, payload: bytes, to: str = "") -> bool:
        """Say it to the group; who it is not for takes no notice."""
        data = to.encode().ljust(self._TO_BYTES) + payload
        vector = _Vector(data, len(data))
        answer = self._library.cpg_mcast_joined(self._handle, self._AGREED, ctypes.byref(vector), 1)
        if answer not in (self._OK, self._TRY_AGAIN):
            raise CrmError(f"cpg_mcast_joined says {answer}")
        return bool(answer == self._OK)

    def _on_message(self, _: int, __: Any, node: int, ___: int, at: int, size: int) -> None:
        data = ctypes.string_at(at, size)
        to = data[: self._TO_BYTES].rstrip().decode()
        if to in ("", self.name):
            self.take(self.names[node - 1], data[self._TO_BYTES :])

    def _on_members(self, _: int, __: Any, members: Any, count: int, *___: Any) -> None:
        self.take_members(frozenset(self.names[members[at].node - 1] for at in range(count)))


def sent() -> tuple[int, int]:
    """Packets and bytes that have left by the interface, as the kernel counts them."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == DEVICE:
            fields = numbers.split()
            return int(fields[9]), int(fields[8])
    raise CrmError(f"there is no interface {DEVICE}")


def daemon_cpu_s() -> float:
    """Processor time of every process of this node but its first one and ourselves."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        if process.name in ("1", str(os.getpid())):
            continue
        for thread in process.glob("task/*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(thread.read_text().split()[0])
    return total / 1e9


async def _serve(stack: str, name: str, count: int) -> None:
    """Be the client of a node: obey the words on standard input, answer each with a line."""
    loop = asyncio.get_running_loop()
    names = _names(count)
    corosync: subprocess.Popen[bytes] | None = None
    client: Client
    if stack == "heartbeat":
        client = HeartbeatClient(name, names, loop)
    else:
        corosync = _start_corosync()
        member = client = CpgClient(name, names, loop)
        await member.join()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        print(json.dumps(await client.obey(line)), flush=True)
    if corosync is not None:
        corosync.kill()
        corosync.wait()


def _start_corosync() -> subprocess.Popen[bytes]:
    """Start Corosync on this host of the lab, with places of its own for what it writes."""
    settings = (Path(os.environ["PACEKEEPER_ROOT"]) / CONFIGURATION).read_text()
    for place in ("/run", "/var/lib/corosync", "/dev/shm"):
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    KEY.write_bytes(b"k" * 128)
    KEY.chmod(0o400)
    own = Path("/run/corosync.conf")
    own.write_text(settings)
    return subprocess.Popen([str(COROSYNC), "-f", "-c", str(own)])


def _configuration(names: tuple[str, ...], token_ms: int, cipher: str, digest: str) -> str:
    nodes = "".join(
        f" node {{\n  nodeid: {number}\n  name: {name}\n  ring0_addr: 10.77.1.{number}\n }}\n"
        for number, name in enumerate(names, 1)
    )
    return (
        "totem {\n version: 2\n cluster_name: bench\n transport: knet\n"
        f" crypto_cipher: {cipher}\n crypto_hash: {digest}\n keyfile: {KEY}\n"
        f" token: {token_ms}\n token_coefficient: 0\n}}\n"
        "system {\n move_to_root_cgroup: no\n}\n"
        f"nodelist {{\n{nodes}}}\n"
        "quorum {\n provider: corosync_votequorum\n}\n"
        "logging {\n to_stderr: no\n to_syslog: no\n}\n"
    )


# --- the bench ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """What was measured of one stack; all per node where that makes a difference."""

    rate: float
    load_cpu: float
    way_ms: float
    way_p99_ms: float
    packets: float
    bytes: float
    idle_cpu: float
    detection_ms: tuple[float, ...]


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"node{number}" for number in range(1, count + 1))


def _plan(stack: str, count: int, deadtime_ms: int) -> LabPlan:
    plan = make_plan(
        count, keepalive_ms=deadtime_ms // 5, deadtime_ms=deadtime_ms, with_router=False
    )
    hosts = []
    for host in plan.hosts:
        files = dict(host.files)
        if files and stack == "heartbeat":
            files["etc/ha.d/ha.cf"] = files["etc/ha.d/ha.cf"].replace("crm yes", "crm ccm-only")
        elif files:
            text = _configuration(_names(count), deadtime_ms, *_CIPHERS[stack])
            files = {CONFIGURATION: text}
        hosts.append(replace(host, files=files))
    return replace(plan, hosts=tuple(hosts))


def measure(stack: str, count: int, options: argparse.Namespace) -> Figures:
    """Run one stack on some nodes in a lab of its own."""
    with tempfile.TemporaryDirectory(prefix="pacekeeper-bench-") as folder:
        lab = Lab.up(_plan(stack, count, options.deadtime_ms), Path(folder) / "lab")
        try:
            if stack == "heartbeat":
                lab.start()
            words = (
                "--stack",
                stack,
                "--of",
                str(count),
                "--deadtime-ms",
                str(options.deadtime_ms),
            )
            command = (sys.executable, "-P", __file__, *words)
            workers = {name: Worker(lab, name, *command, "--node", name) for name in _names(count)}
            team = Team(workers, limit_s=LIMIT_S + 10.0)
            try:
                return _measure(lab, team, options)
            finally:
                team.close()
        finally:
            lab.down()


def _measure(lab: Lab, team: Team, options: argparse.Namespace) -> Figures:
    names = tuple(team.workers)
    team.ask("view")
    time.sleep(SETTLE_S)  # both do more at the beginning than later
    idle = team.ask(f"idle {options.seconds}")
    (load,) = team.ask("load", names[0])
    (ping,) = team.ask("ping", names[0])
    cuts = [_cut(lab, team, names[-1 - number % len(names)]) for number in range(options.cuts)]
    return Figures(
        load["rate"],
        load["cpu"],
        ping["median"],
        ping["p99"],
        statistics.mean(each["packets"] for each in idle),
        statistics.mean(each["bytes"] for each in idle),
        statistics.mean(each["cpu"] for each in idle),
        tuple(cuts),
    )


def _cut(lab: Lab, team: Team, victim: str) -> float:
    """Cut a node off and connect it again; how long until all others knew, in ms."""
    others = [name for name in team.workers if name != victim]
    team.say(f"lost {victim}", *others)
    began = time.monotonic()
    lab.request({"do": "isolate", "nodes": [victim]})
    known_at = max(answer["at"] for answer in team.answers(*others))
    lab.request({"do": "heal"})
    team.ask("view")
    time.sleep(SETTLE_S / 2)
    return 1000 * (known_at - began)


def _ratio(theirs: float, ours: float) -> str:
    return f" ({theirs / ours:.2f})" if ours > 0 else ""


def _print(stack: str, count: int, seen: Figures, ours: Figures) -> None:
    title = {"heartbeat": "heartbeat", "plain": "Corosync, plain", "sealed": "Corosync, aes256"}
    is_ours = seen is ours

    def show(value: float, own: float, form: str) -> str:
        return f"{value:{form}}" + ("" if is_ours else _ratio(value, own))

    print(
        f"{count:3} nodes  {title[stack]:17}"
        f" {show(seen.rate, ours.rate, '.0f')} messages/s to all"
        f" (sender's daemon {seen.load_cpu:.0f} % CPU),"
        f" one way {show(seen.way_ms, ours.way_ms, '.2f')} ms"
        f" (99 %: {show(seen.way_p99_ms, ours.way_p99_ms, '.2f')}),"
        f" idle {show(seen.packets, ours.packets, '.1f')} packets/s"
        f" {show(seen.bytes, ours.bytes, '.0f')} bytes/s"
        f" {show(seen.idle_cpu, ours.idle_cpu, '.2f')} % CPU",
        flush=True,
    )
    if seen.detection_ms:
        found = sorted(seen.detection_ms)
        middle, own = statistics.median(found), statistics.median(ours.detection_ms)
        print(
            f"           {'':17} detection {found[0]:.0f} {show(middle, own, '.0f')}"
            f" {found[-1]:.0f} ms, n={len(found)}",
            flush=True,
        )


def compare(options: argparse.Namespace) -> int:
    """Print the figures of each stack, side by side."""
    stacks = ["plain", "sealed"] if COROSYNC.exists() else []
    for word in options.nodes.split(","):
        count = int(word)
        ours: Figures | None = None
        for stack in ("heartbeat", *stacks):
            seen = measure(stack, count, options)
            ours = ours or seen
            _print(stack, count, seen, ours)
    if not stacks:
        print("Corosync is not installed: nothing to compare with")
    return 0


def main() -> int:
    """Print the comparison, or be the client of a node."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", default="2,5")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--deadtime-ms", type=int, default=1000)
    for word in ("--node", "--stack", "--of"):
        parser.add_argument(word, default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.node:
        work = _serve(options.stack, options.node, int(options.of))
        asyncio.run(work)
        return 0
    try:
        return compare(options)
    except CrmError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
