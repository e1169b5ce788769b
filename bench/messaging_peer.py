"""Messaging and membership beside Corosync and Heartbeat 3, in one run on one machine.

    ./run bench messaging_peer [--nodes 2,5] [--seconds 10] [--cuts 10] [--deadtime-ms 1000]
                               [--stacks heartbeat,heartbeat3,plain,sealed]

Real daemons in namespaces of their own, one stack after the other: our heartbeat (membership
alone, `crm ccm-only`), Heartbeat 3 with its ccm (the same ha.cf, authkeys with sha1: signed, not
encrypted), Corosync without and with encryption (knet, aes256 and sha256). Each peer only where it
is installed; nothing of the project needs it. On each node one client in a process of its own:
ours speaks to heartbeat over the local bus, the others by their libraries to heartbeat and ccm,
and to the closed process groups (CPG) of Corosync.

`start` is the time from the order to start all nodes until all clients know a membership of all;
the clients wait already. (What its init script does first is not in the figure of Heartbeat 3.)

`messages/s` are of 400 bytes from one client to those of all other nodes, until the last has
arrived at all. Ours and Heartbeat 3 keep 64 open and have every 16th answered; Corosync limits the
sender itself, so only the last is answered. (Corosync agrees on one order of all messages of all
senders; the two others keep the order of each sender.) `one way` is half of a message and its
answer, client to client. `idle` is what a node sends by its interface, and the processor time of
the daemon's processes.

Heartbeat 3 is sent 2000 messages in place of 8000, and 100 to and fro in place of 500: with little
else to do, it passes a message on about half a keepalive late, also to a client that looks every
millisecond. Sent without a window it is slower still, and its log says "Message hist queue is
filling up". Its processor is idle meanwhile: the figures are what its own waiting lets through.

`detection` is the time from the moment a node is cut off until the clients of all others know a
membership without it: least, median, most. Its cables are cut: to those that stay it is as silent
as without power. Ours and Heartbeat 3 are given deadtime, Corosync the same as `token`
(`token_coefficient: 0`, all else as it comes). `called dead` is the same until they are told that
the node is dead, which Corosync has no word for. Figures in brackets: the peer's divided by ours.

Heartbeat 3 needs root. With haresources it waits 10 s more before it first takes resources: that is
no matter of membership, and not in these figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from cli.lab.plan import LabPlan, make_plan
from cli.lab.remote import Lab
from crm.api import membership as api
from crm.api.membership import NodeStatus
from crm.plumbing.errors import CrmError
from crm.plumbing.ipc import Bus
from crm.plumbing.ipc_seat import Conversation
from crm.plumbing.machine import MessageArrived, PeerConnected
from crm.plumbing.settings import Paths
from tests.kit import corosync, heartbeat3
from tests.kit.corosync import CpgTalker
from tests.kit.heartbeat3 import Heartbeat3Talker
from tests.kit.talker import ANSWER_EVERY, LIMIT_S, Talker
from tests.kit.team import Team, Worker

CLIENT = "lha-snmpagent"
"""A name under which root may register without a line in ha.cf."""

SETTLE_S = 2.0
LOOK_S = 0.005
TITLES = {
    "heartbeat": "ours",
    "heartbeat3": "Heartbeat 3",
    "plain": "Corosync, plain",
    "sealed": "Corosync, aes256",
}
"""The stacks, in the order they are measured in."""


# --- a client -----------------------------------------------------------------------------------


class HeartbeatTalker(Talker):
    """A client of our heartbeat."""

    answer_every = ANSWER_EVERY

    def __init__(self, name: str, names: tuple[str, ...], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name, names, loop)
        self._bus_dir = Paths(_root()).bus_dir
        self._bus: Bus | None = None

    async def enter(self) -> None:
        """Call heartbeat as soon as there is a bus."""
        while not self._bus_dir.is_dir():
            await asyncio.sleep(LOOK_S)
        self._bus = Bus(self._bus_dir, CLIENT, self._deliver, lambda _: None)
        self._bus.dial("heartbeat", Conversation(api.TO_HEARTBEAT, api.TO_CLIENT))

    def send(self, payload: bytes, to: str = "") -> bool:
        """Hand it to heartbeat."""
        assert self._bus is not None, "it has entered"
        return self._bus.tell("heartbeat", api.SendCluster(CLIENT, payload, to))

    def _deliver(self, event: object) -> None:
        assert self._bus is not None, "it has entered"
        match event:
            case PeerConnected(peer):
                self._bus.tell(peer, api.SignOn(CLIENT, os.getpid()))
            case MessageArrived(_, api.ClusterMessage(from_node, _, payload)):
                self.take(from_node, payload)
            case MessageArrived(_, api.ViewInstalled(view=view)):
                self.take_members(frozenset(member.name for member in view.members))
            case MessageArrived(_, api.NodeChanged(node=node, status=NodeStatus.DEAD)):
                self.take_death(node)


def _root() -> Path:
    return Path(os.environ["PACEKEEPER_ROOT"])


def _prepare(stack: str) -> None:
    """Make a host ready for a peer; ours is started by the lab."""
    if stack == "heartbeat3":
        heartbeat3.prepare(_root() / "etc/ha.d")
    elif stack != "heartbeat":
        text = (_root() / corosync.CONFIGURATION).read_text(encoding="utf-8")
        corosync.prepare(text)


async def _enter(
    stack: str, name: str, names: tuple[str, ...]
) -> tuple[Talker, subprocess.Popen[bytes] | None]:
    """Start the stack, where that is ours to do, and enter it."""
    loop = asyncio.get_running_loop()
    process: subprocess.Popen[bytes] | None = None
    talker: HeartbeatTalker | Heartbeat3Talker | CpgTalker
    match stack:
        case "heartbeat":
            talker = HeartbeatTalker(name, names, loop)
        case "heartbeat3":
            heartbeat3.start()
            talker = Heartbeat3Talker(name, names, loop)
        case _:
            process = corosync.start()
            talker = CpgTalker(name, names, loop)
    await talker.enter()
    return talker, process


async def _serve(stack: str, name: str, count: int) -> None:
    """Be the client of a node: obey the words on standard input, answer each with a line."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _prepare(stack)
    print("{}", flush=True)
    await reader.readline()
    talker, process = await _enter(stack, name, _names(count))
    print("{}", flush=True)
    while line := (await reader.readline()).decode().split():
        print(json.dumps(await talker.obey(line)), flush=True)
    if process is not None:
        process.kill()
        process.wait()


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
    start_ms: float
    detection_ms: tuple[float, ...]
    dead_ms: tuple[float, ...]
    """Until a node is called dead; 0 where it is not."""


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
        elif files and stack == "heartbeat3":
            files["etc/ha.d/ha.cf"] = heartbeat3.configuration(files["etc/ha.d/ha.cf"])
        elif files:
            cipher = corosync.CIPHERS[stack]
            text = corosync.configuration(_names(count), deadtime_ms, *cipher)
            files = {corosync.CONFIGURATION: text}
        hosts.append(replace(host, files=files))
    return replace(plan, hosts=tuple(hosts))


def measure(stack: str, count: int, options: argparse.Namespace) -> Figures:
    """Run one stack on some nodes in a lab of its own."""
    with tempfile.TemporaryDirectory(prefix="pacekeeper-bench-") as folder:
        lab = Lab.up(_plan(stack, count, options.deadtime_ms), Path(folder) / "lab")
        try:
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
                team.answers()  # all clients are ready to enter
                began = time.monotonic()
                if stack == "heartbeat":
                    lab.start()
                team.ask("enter")
                known_at = max(answer["at"] for answer in team.ask("view"))
                return _measure(lab, team, options, 1000 * (known_at - began))
            finally:
                team.close()
        finally:
            lab.down()


def _measure(lab: Lab, team: Team, options: argparse.Namespace, start_ms: float) -> Figures:
    names = tuple(team.workers)
    time.sleep(SETTLE_S)  # both do more at the beginning than later
    idle = team.ask(f"idle {options.seconds}")
    (ping,) = team.ask("ping", names[0])
    cuts = [_cut(lab, team, names[-1 - number % len(names)]) for number in range(options.cuts)]
    (load,) = team.ask("load", names[0])  # the last: Heartbeat 3 needs long to recover from it
    return Figures(
        load["rate"],
        load["cpu"],
        ping["median"],
        ping["p99"],
        statistics.mean(each["packets"] for each in idle),
        statistics.mean(each["bytes"] for each in idle),
        statistics.mean(each["cpu"] for each in idle),
        start_ms,
        tuple(known for known, _ in cuts),
        tuple(dead for _, dead in cuts),
    )


def _cut(lab: Lab, team: Team, victim: str) -> tuple[float, float]:
    """Cut a node off and connect it again.

    How long until all others knew a membership without it, and until it was called dead, in ms.
    """
    others = [name for name in team.workers if name != victim]
    team.say(f"lost {victim}", *others)
    began = time.monotonic()
    lab.request({"do": "isolate", "nodes": [victim]})
    answers = team.answers(*others)
    known_at, dead_at = (max(answer[word] for answer in answers) for word in ("at", "dead_at"))
    lab.request({"do": "heal"})
    team.ask("view")
    time.sleep(SETTLE_S / 2)
    return 1000 * (known_at - began), max(1000 * (dead_at - began), 0.0)


def _ratio(theirs: float, ours: float) -> str:
    return f" ({theirs / ours:.2f})" if ours > 0 else ""


def _print(stack: str, count: int, seen: Figures, ours: Figures) -> None:
    is_ours = seen is ours

    def show(value: float, own: float, form: str) -> str:
        return f"{value:{form}}" + ("" if is_ours else _ratio(value, own))

    print(
        f"{count:3} nodes  {TITLES[stack]:17}"
        f" {show(seen.rate, ours.rate, '.0f')} messages/s to all"
        f" (sender's daemon {seen.load_cpu:.0f} % CPU),"
        f" one way {show(seen.way_ms, ours.way_ms, '.2f')} ms"
        f" (99 %: {show(seen.way_p99_ms, ours.way_p99_ms, '.2f')}),"
        f" idle {show(seen.packets, ours.packets, '.1f')} packets/s"
        f" {show(seen.bytes, ours.bytes, '.0f')} bytes/s"
        f" {show(seen.idle_cpu, ours.idle_cpu, '.2f')} % CPU",
        flush=True,
    )
    print(f"           {'':17} start {show(seen.start_ms, ours.start_ms, '.0f')} ms", end="")
    for word, found, own in (
        ("detection", seen.detection_ms, ours.detection_ms),
        ("called dead", seen.dead_ms, ours.dead_ms),
    ):
        if any(found):
            middle = show(statistics.median(found), statistics.median(own), ".0f")
            print(f", {word} {min(found):.0f} {middle} {max(found):.0f} ms", end="")
    print(f", n={len(seen.detection_ms)}", flush=True)


def compare(options: argparse.Namespace) -> int:
    """Print the figures of each stack, side by side."""
    wanted = ("heartbeat", *options.stacks.split(","))
    stacks = [stack for stack in TITLES if stack in wanted and _is_here(stack)]
    for word in options.nodes.split(","):
        count = int(word)
        ours: Figures | None = None
        for stack in stacks:
            seen = measure(stack, count, options)
            ours = ours or seen
            _print(stack, count, seen, ours)
    return 0


def _is_here(stack: str) -> bool:
    """Tell whether a stack can be measured here, and say why not."""
    if stack == "heartbeat":
        return True
    program = heartbeat3.HEARTBEAT if stack == "heartbeat3" else corosync.COROSYNC
    if not program.exists():
        print(f"{TITLES[stack]} is not installed: left out")
        return False
    if stack == "heartbeat3" and os.getuid() != 0:
        print(f"{TITLES[stack]} needs root: left out")
        return False
    return True


def main() -> int:
    """Print the comparison, or be the client of a node."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", default="2,5")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--deadtime-ms", type=int, default=1000)
    parser.add_argument("--stacks", default=",".join(TITLES))
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
