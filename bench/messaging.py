"""What the cluster layer carries and costs: messages, latency, idle traffic, and junk.

    ./run bench messaging [--nodes 2,5,16] [--seconds 5] [--keepalive-ms 200] [--junk 50000]

Real sockets: each node is a process of its own in a namespace of its own, with the machine and the
media of heartbeat and nothing else; CPU is that process's. The figures of 32 nodes are of a network
simulated in one process. `one way` is half of a message and its answer. `agreed` is the time from
the start of all to a common view. Only figures of one run on one machine compare.

Junk comes from another host of the network, for some seconds: `noise` is random bytes, which the
kernel drops; `stale` has the header of a life that is not known, `forged` that of a living node and
a wrong seal. `gap` is the longest time node 1 heard no heartbeat of a peer. What the kernel drops
beyond `noise` found no room in the socket.

Nothing is waited for without a limit: what does not come in time, or not because a contact broke,
is said in the place of the figures, and the exit code is 1. Beside Corosync: `messaging_peer`.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import functools
import json
import logging
import os
import random
import secrets
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.lab.plan import Host, LabPlan
from cli.lab.remote import Lab
from crm.api import membership as api
from crm.plumbing import urgency
from crm.plumbing.blackbox import BlackBox
from crm.plumbing.errors import CrmError
from crm.plumbing.machine import MessageArrived, Note, Tell
from crm.plumbing.runner import Runner
from messaging import core, events, frame
from messaging.authkeys import KeyFile, SharedKey
from messaging.cluster_settings import ClusterSettings, Medium, MediumKind, Timing
from messaging.media import udp
from messaging.media.sieve import Sieve
from tests.kit import talker
from tests.kit.messaging import Network
from tests.kit.team import Answer, Team, Worker

CLUSTER = "bench"
CLIENT = "bench"
KEYS = KeyFile(1, (SharedKey(1, "sha1", b"a secret of the bench"),))
DEVICE = "eth0"
OPEN_MESSAGES = 64
REPORT_EVERY = 16
PING_ROUNDS = 300
LIMIT_S = 60.0
"""Nothing that is asked of a node takes longer, or it has not worked."""

_UDP_SEGMENT = 103


def _settings(count: int, keepalive_s: float) -> ClusterSettings:
    deadtime_s = 5 * keepalive_s
    return ClusterSettings(
        nodes=tuple(f"n{number}" for number in range(1, count + 1)),
        media=tuple(
            Medium(MediumKind.UCAST, DEVICE, address=f"10.88.0.{number}")
            for number in range(1, count + 1)
        ),
        timing=Timing(keepalive_s, deadtime_s, deadtime_s / 2, 10.0, deadtime_s),
        cluster=CLUSTER,
    )


# --- a node -------------------------------------------------------------------------------


class Node:
    """One node: the machine of heartbeat on real sockets, and a client inside."""

    def __init__(
        self, name: str, settings: ClusterSettings, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.name, self.settings, self.loop = name, settings, loop
        self.machine = core.Messaging(
            settings,
            KEYS,
            node=name,
            uuid=name,
            now=loop.time(),
            random_bytes=secrets.token_bytes,
        )
        self.counts = self.machine._wire.counters
        self.runner = Runner(
            self.machine, self._carry_out, self._crashed, blackbox=BlackBox(), loop=loop
        )
        own = frame.sender_tag(CLUSTER, name)
        others = list(settings.media)
        strangers = Sieve(frame.cluster_tag(CLUSTER), own)
        self.links = udp.open_links(others, self._on_datagram, loop, strangers=strangers)
        self.heard: dict[str, float] = {}
        self.longest_gap_s = 0.0
        self.views = 0
        self.acknowledged: collections.Counter[str] = collections.Counter()
        self.progress = asyncio.Event()
        self.notes: collections.deque[str] = collections.deque(maxlen=4)
        self.runner.receive(events.Started(udp.packet_bytes(others)))
        self.runner.receive(MessageArrived(CLIENT, api.SignOn(CLIENT, os.getpid())))

    def send(self, payload: bytes, to: str = "") -> None:
        """Let the client send a message."""
        self.runner.receive(MessageArrived(CLIENT, api.SendCluster(CLIENT, payload, to)))

    def _on_datagram(self, link: str, source: str, data: bytes, *age_s: float) -> None:
        before = self.counts["received"]
        self.runner.receive(events.DatagramArrived(link, source, data, *age_s))
        if self.counts["received"] > before:
            now = self.loop.time()
            self.longest_gap_s = max(self.longest_gap_s, now - self.heard.get(source, now))
            self.heard[source] = now

    def _carry_out(self, effect: Any) -> None:  # Any: effects of a machine
        match effect:
            case events.SendDatagram(link, data, destination, is_bulk):
                for each in self.links.get(link, ()):
                    each.send(data, destination, is_bulk=is_bulk)
            case Tell(_, api.ClusterMessage(from_node, _, payload)):
                self._take(from_node, payload)
            case Tell(_, api.ViewInstalled()):
                self.views += 1
                self.progress.set()
            case Note(level=level, text=text) if level >= logging.WARNING:
                self.notes.append(text)

    def _take(self, sender: str, payload: bytes) -> None:
        kind, _, rest = payload.partition(b" ")
        number = int(rest[:8] or b"0")
        if kind == b"load" and sender != self.name and number % REPORT_EVERY == 0:
            self.loop.call_soon(self.send, b"got %8d" % number, sender)
        elif kind == b"ping" and sender != self.name:
            self.loop.call_soon(self.send, b"pong %8d" % number, sender)
        elif kind in (b"got", b"pong"):
            self.acknowledged[sender] = number
            self.progress.set()

    def _crashed(self, problem: BaseException) -> None:
        print(json.dumps({"crashed": repr(problem)}), flush=True)
        os._exit(1)

    # --- measuring ------------------------------------------------------------------------

    async def _until(self, holds: Callable[[], bool], *, views: int | None = None) -> None:
        """Wait for something to hold.

        Raises: CrmError if another view came than the one of so many, which loses messages.
        """
        while not holds():
            if views not in (None, self.views):
                raise CrmError(f"a contact broke: the view is now {self._members()}")
            self.progress.clear()
            await self.progress.wait()

    def _members(self) -> str:
        view = self.machine.view
        return "none" if view is None else " ".join(member.name for member in view.members)

    def _has_whole_view(self) -> bool:
        view = self.machine.view
        return view is not None and len(view.members) == len(self.settings.nodes)

    async def obey(self, words: list[str]) -> Answer:
        """Do what a line asks for, within a limit."""
        limit_s = LIMIT_S + (float(words[1]) if words[0] == "idle" else 0.0)
        try:
            async with asyncio.timeout(limit_s):
                match words:
                    case ["view"]:
                        return await self.await_view()
                    case ["idle", seconds]:
                        return await self.idle(float(seconds))
                    case ["load", messages, size]:
                        return await self.load(int(messages), int(size))
                    case _:
                        return await self.ping(PING_ROUNDS)
        except TimeoutError:
            said = dict(self.acknowledged)
            state = f"view {self._members()}, acknowledged {said}, last complaints {self.notes}"
        except CrmError as problem:
            state = f"{problem}; last complaints {self.notes}"
        return {"problem": f"'{' '.join(words)}' has not ended in order: {state}"}

    async def await_view(self) -> Answer:
        """Wait until all nodes are in the view."""
        began = time.perf_counter()
        await self._until(self._has_whole_view)
        return {
            "agreed_ms": 1000 * (time.perf_counter() - began),
            "session": self.machine.incarnation,
        }

    async def idle(self, seconds: float) -> Answer:
        """Traffic and CPU of some seconds in which nobody sends anything."""
        self.longest_gap_s, self.heard, views = 0.0, {}, self.views
        before, cpu, began = talker.sent(DEVICE), time.process_time(), time.perf_counter()
        dropped, kept = dict(self.machine.counters), self._kept_away()
        await asyncio.sleep(seconds)
        took = time.perf_counter() - began
        packets, size = (now - then for now, then in zip(talker.sent(DEVICE), before, strict=True))
        grown = collections.Counter(self.machine.counters)
        grown.subtract(dropped)
        return {
            "packets_s": packets / took,
            "bytes_s": size / took,
            "cpu": (time.process_time() - cpu) / took,
            "gap_ms": 1000 * self.longest_gap_s,
            "views": self.views - views,
            "dropped": {k: v / took for k, v in grown.items() if k.startswith("dropped") and v},
            "kernel_s": (self._kept_away() - kept) / took,
        }

    def _kept_away(self) -> int:
        """Datagrams that the kernel dropped so far."""
        return sum(link.dropped for group in self.links.values() for link in group)

    async def load(self, count: int, size: int) -> Answer:
        """Send messages to all, as many at a time as `OPEN_MESSAGES`."""
        filler = bytes(max(size - 13, 0))
        others = [name for name in self.settings.nodes if name != self.name]
        self.acknowledged.clear()

        def acknowledged(awaited: int) -> bool:
            return all(self.acknowledged[name] >= awaited for name in others)

        views = self.views
        cpu, began = time.process_time(), time.perf_counter()
        for number in range(1, count + 1):
            awaited = number - OPEN_MESSAGES
            if awaited > 0:
                await self._until(functools.partial(acknowledged, awaited), views=views)
            self.send(b"load %8d" % number + filler)
        last = count // REPORT_EVERY * REPORT_EVERY
        await self._until(functools.partial(acknowledged, last), views=views)
        took = time.perf_counter() - began
        return {"messages_s": count / took, "cpu": (time.process_time() - cpu) / took}

    async def ping(self, rounds: int) -> Answer:
        """One message to another node and its answer, again and again."""
        other, ways = self.settings.nodes[1], []
        self.acknowledged.clear()

        def acknowledged(awaited: int) -> bool:
            return self.acknowledged[other] >= awaited

        for number in range(1, rounds + 1):
            began = time.perf_counter()
            self.send(b"ping %8d" % number, other)
            await self._until(functools.partial(acknowledged, number), views=self.views)
            ways.append(500 * (time.perf_counter() - began))
        ways.sort()
        return {"median_ms": statistics.median(ways), "p99_ms": ways[len(ways) * 99 // 100]}


async def _serve(name: str, count: int, keepalive_s: float) -> None:
    """Be a node: obey the words on standard input, answer each with a line."""
    loop = asyncio.get_running_loop()
    settings = _settings(count, keepalive_s)
    urgency.take(settings.rtprio)  # as heartbeat does
    node = Node(name, settings, loop)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        print(json.dumps(await node.obey(line)), flush=True)


def _flood(kind: str, session: str, rate: int, seconds: float) -> None:
    """Send junk to node 1 at a steady rate."""
    rng = random.Random(1)
    tag, sender = frame.cluster_tag(CLUSTER), frame.sender_tag(CLUSTER, "n2")
    life = bytes.fromhex(session) if kind == "forged" else b"a stale!"
    packets = []
    for number in range(64):
        head = frame.Header(0, tag, 1, sender, life, 2**40 + number).pack()
        packets.append(rng.randbytes(200) if kind == "noise" else head + rng.randbytes(170))
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # One call gives the kernel a train of datagrams of equal length: udp(7), UDP_SEGMENT.
    made.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, len(packets[0]))
    made.connect(("10.88.0.1", 694))
    train = b"".join(packets)
    urgency.take(1)  # a steady stream: what is late would come as one burst
    print(json.dumps({"ready": True}), flush=True)
    sent, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        while sent + len(packets) <= passed * rate:
            with contextlib.suppress(ConnectionRefusedError):
                made.send(train)
            sent += len(packets)
        time.sleep(len(packets) / rate / 2)
    print(json.dumps({"sent_s": sent / passed}), flush=True)


# --- the bench ----------------------------------------------------------------------------


def _worker(lab: Lab, host: str, *words: str) -> Worker:
    """Run this file on a host."""
    return Worker(lab, host, sys.executable, "-P", __file__, *words)


def _flood_while_idle(
    lab: Lab, team: Team, kind: str, session: str, rate: int, seconds: float
) -> tuple[Answer, Answer]:
    """Flood node 1 while it measures itself; what was sent, and what it saw."""
    sender = _worker(lab, "junk", "--flood", kind, "--session", session, "--rate", str(rate),
                     "--seconds", str(seconds + 1))  # fmt: skip
    sender.answer(LIMIT_S)
    (seen,) = team.ask(f"idle {seconds}", "n1", beyond_s=seconds)
    sent = sender.answer(LIMIT_S)
    sender.end()
    return sent, seen


def _measure(count: int, seconds: float, keepalive_s: float, junk: int) -> bool:
    """Print the figures of so many nodes; False if they could not all be had."""
    hosts = [Host(f"n{number}", {DEVICE: f"10.88.0.{number}/24"}) for number in range(1, count + 1)]
    plan = LabPlan((*hosts, Host("junk", {DEVICE: "10.88.0.200/24"})))
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab.up(plan, Path(folder) / "lab")
        try:
            words = ("--of", str(count), "--keepalive", str(keepalive_s))
            names = _settings(count, keepalive_s).nodes
            workers = {name: _worker(lab, name, "--node", name, *words) for name in names}
            team = Team(workers, limit_s=LIMIT_S + 10.0)
            views = team.ask("view")
            idle = team.ask(f"idle {seconds}", beyond_s=seconds)
            (load,) = team.ask(f"load {max(8000 // count, 1000) // 16 * 16} 400", "n1")
            (ping,) = team.ask("ping", "n1")
            print(
                f"{count:3} nodes  agreed {max(each['agreed_ms'] for each in views):6.0f} ms"
                f"  {load['messages_s']:7.0f} messages/s to all ({100 * load['cpu']:.0f} % CPU)"
                f"  one way {ping['median_ms']:.2f} ms (99 %: {ping['p99_ms']:.2f})"
                f"  idle {statistics.mean(each['packets_s'] for each in idle):.1f} packets/s"
                f" {statistics.mean(each['bytes_s'] for each in idle):.0f} bytes/s"
                f" {100 * statistics.mean(each['cpu'] for each in idle):.2f} % CPU",
                flush=True,
            )
            if junk:
                _measure_junk(lab, team, views[1]["session"], seconds, junk)
            team.close()
        except CrmError as problem:
            print(f"{count:3} nodes  error: {problem}", flush=True)
            return False
        finally:
            lab.down()
    return True


def _measure_junk(lab: Lab, team: Team, session: str, seconds: float, rate: int) -> None:
    (quiet,) = team.ask(f"idle {seconds}", "n1", beyond_s=seconds)
    for kind in ("noise", "stale", "forged"):
        sent, seen = _flood_while_idle(lab, team, kind, session, rate, seconds)
        extra = max(seen["cpu"] - quiet["cpu"], 0.0)
        dropped = [f"{name} {each:.0f}/s" for name, each in seen["dropped"].items()]
        dropped.append(f"by the kernel {seen['kernel_s']:.0f}/s")
        print(
            f"    junk {kind:6} {sent['sent_s']:7.0f}/s  node 1: {100 * seen['cpu']:5.1f} % CPU,"
            f" {1e6 * extra / sent['sent_s']:5.2f} us each,"
            f" longest gap {seen['gap_ms']:.0f} ms (quiet {quiet['gap_ms']:.0f}),"
            f" views {seen['views']}, {', '.join(dropped)}",
            flush=True,
        )


def _simulate(count: int, keepalive_s: float) -> None:
    names = tuple(f"n{number:02}" for number in range(1, count + 1))
    network = Network(names, timing=_settings(2, keepalive_s).timing)
    network.start()

    def is_whole() -> bool:
        views = [life.machine.view for life in network.lives.values()]
        return all(view is not None and len(view.members) == count for view in views)

    agreed_s = network.run(5.0, until=is_whole)
    network.run(1.0)
    before, size, began = (
        network.packets,
        sum(len(data) for _, data in network.tap),
        time.process_time(),
    )
    network.tap.clear()
    network.run(2.0)
    cpu = time.process_time() - began
    packets = network.packets - before
    size = statistics.mean(len(data) for _, data in network.tap)
    began, sent = time.process_time(), 200
    for _ in range(sent):
        network.send(names[0], b"x" * 400)
        network.run(0.001)
    spent = time.process_time() - began
    print(
        f"{count:3} nodes (simulated)  agreed {1000 * agreed_s:.0f} ms"
        f"  idle {packets / 2 / count:.1f} packets/s {packets / 2 / count * size:.0f} bytes/s"
        f" {100 * cpu / 2 / count:.1f} % CPU  a message to all costs all nodes together"
        f" {1000 * spent / sent:.1f} ms of CPU",
        flush=True,
    )


def main() -> int:
    """Print the tables, or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", default="2,5,16")
    parser.add_argument("--simulated", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--keepalive-ms", type=float, default=200.0)
    parser.add_argument("--junk", type=int, default=50_000, help="junk packets a second, 0: none")
    for word in ("--node", "--of", "--keepalive", "--flood", "--session", "--rate"):
        parser.add_argument(word, default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.node:
        asyncio.run(_serve(chosen.node, int(chosen.of), float(chosen.keepalive)))
        return 0
    if chosen.flood:
        _flood(chosen.flood, chosen.session, int(chosen.rate), chosen.seconds)
        return 0
    counts = [int(word) for word in chosen.nodes.split(",") if word]
    is_whole = True
    for count in counts:
        junk = chosen.junk if count == counts[0] else 0
        is_whole &= _measure(count, chosen.seconds, chosen.keepalive_ms / 1000, junk)
    if chosen.simulated:
        _simulate(chosen.simulated, chosen.keepalive_ms / 1000)
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
