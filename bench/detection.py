"""How soon five real nodes agree on a crash, and how often they call a living node dead.

    ./run bench detection [--idle-crashes 20] [--busy-crashes 10] [--busy-s 600] [--short]

Five heartbeats in namespaces of their own (membership alone, `crm ccm-only`), keepalive 100 ms and
deadtime 500 ms. A node is crashed by killing the first process of its namespace; a client on each
of the others tells when the view without it came. Then the same while every processor is kept busy
by two endless loops. Figures are milliseconds from the kill: least, median, nine in ten, most.

A false death is a node that a view names lost although nobody crashed it. Exit code 1 when there
was one, or when a crash was agreed upon later than deadtime + 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cli.lab.plan import LabPlan, make_plan
from cli.lab.remote import Lab
from crm.api import membership as api
from crm.plumbing import urgency
from crm.plumbing.ipc import Bus
from crm.plumbing.ipc_seat import Conversation
from crm.plumbing.machine import MessageArrived, PeerConnected
from crm.plumbing.settings import Paths

NODES = 5
KEEPALIVE_MS = 100
DEADTIME_MS = 500
SPARE_MS = 100
LOOPS_PER_PROCESSOR = 2
CLIENT = "lha-snmpagent"
"""A name under which root may register without a line in ha.cf."""

PID_FROM_OUTSIDE = 0
"""What the kernel shows a node of a process that is not in its namespace."""

SETTLE_S = 1.0
PATIENCE_S = 30.0


@dataclass
class Watch:
    """What the clients of all nodes are told, with the moment of each view."""

    names: tuple[str, ...]
    views: dict[str, api.View] = field(default_factory=dict)
    seen_at: dict[str, float] = field(default_factory=dict)
    buses: dict[str, Bus] = field(default_factory=dict)
    victim: str = ""
    false_deaths: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, node: str, paths: Paths) -> None:
        """Sign on at a node, now and whenever it comes back."""

        def deliver(event: object) -> None:
            match event:
                case PeerConnected(peer):
                    self.buses[node].tell(peer, api.SignOn(CLIENT, PID_FROM_OUTSIDE))
                case MessageArrived(_, api.ViewInstalled(event=kind, view=view)):
                    self._take(node, kind, view)

        bus = self.buses[node] = Bus(paths.bus_dir, CLIENT, deliver, lambda _: None)
        bus.dial("heartbeat", Conversation(api.TO_HEARTBEAT, api.TO_CLIENT))

    def _take(self, node: str, kind: api.ViewEvent, view: api.View) -> None:
        now = time.monotonic()
        wrong = [name for name in view.lost if name != self.victim]
        if node != self.victim and (wrong or kind is api.ViewEvent.EVICTED):
            self.false_deaths.append(f"{node}: {kind.name}, lost {' '.join(view.lost)}")
        self.views[node] = view
        self.seen_at[node] = now
        self.news.set()

    def are_in(self, names: list[str]) -> bool:
        """Whether all these nodes are in one view of exactly them."""
        views = {self.views[name].id for name in names if name in self.views}
        return len(views) == 1 and all(
            name in self.views
            and self.views[name].quorate
            and [member.name for member in self.views[name].members] == names
            for name in names
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something to hold.

        Raises: TimeoutError when it does not within the patience of this bench.
        """
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self.news.clear()
                await self.news.wait()

    def close(self) -> None:
        """Leave all buses."""
        for bus in self.buses.values():
            bus.close()


def plan_of_five() -> LabPlan:
    """Five nodes that keep membership and nothing else."""
    plan = make_plan(NODES, keepalive_ms=KEEPALIVE_MS, deadtime_ms=DEADTIME_MS, with_router=False)
    hosts = []
    for host in plan.hosts:
        files = dict(host.files)
        if files:
            files["etc/ha.d/ha.cf"] = files["etc/ha.d/ha.cf"].replace("crm yes", "crm ccm-only")
        hosts.append(replace(host, files=files))
    return replace(plan, hosts=tuple(hosts))


@contextlib.contextmanager
def busy_processors() -> Iterator[None]:
    """Keep every processor busy with endless loops of ordinary priority."""
    count = LOOPS_PER_PROCESSOR * (os.cpu_count() or 1)
    words = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(words, preexec_fn=urgency.give_back) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


async def crash_once(lab: Lab, watch: Watch, victim: str) -> list[float]:
    """Crash a node and bring it back; milliseconds until each survivor had the view without it."""
    others = [name for name in watch.names if name != victim]
    status = await asyncio.to_thread(lab.status)
    watch.victim = victim
    watch.views.pop(victim, None)
    began = time.monotonic()
    os.kill(status["hosts"][victim]["init"], 9)
    await watch.until(lambda: watch.are_in(others))
    took_ms = [(watch.seen_at[name] - began) * 1000 for name in others]
    await asyncio.to_thread(lab.crash, victim)
    await asyncio.to_thread(lab.start, victim)
    await watch.until(lambda: watch.are_in(list(watch.names)))
    watch.victim = ""
    return took_ms


async def crash_often(
    lab: Lab, watch: Watch, *, crashes: int, pause_s: float, rng: random.Random
) -> tuple[list[float], list[float]]:
    """Crash nodes in turn, at random moments of the keepalive; the first and the last to agree."""
    first: list[float] = []
    last: list[float] = []
    for number in range(crashes):
        await asyncio.sleep(pause_s + rng.uniform(0, KEEPALIVE_MS / 1000))
        took_ms = await crash_once(lab, watch, watch.names[number % len(watch.names)])
        first.append(min(took_ms))
        last.append(max(took_ms))
    await asyncio.sleep(pause_s)
    return first, last


def figures(values: list[float]) -> str:
    """Least, median, nine in ten, most."""
    ordered = sorted(values)
    nine = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
    return (
        f"{ordered[0]:6.0f} {statistics.median(ordered):6.0f} {nine:6.0f} {ordered[-1]:6.0f}"
        f"   n={len(ordered)}"
    )


@contextlib.asynccontextmanager
async def watched_lab(directory: Path) -> AsyncIterator[tuple[Lab, Watch]]:
    """A running lab of five, and clients on all of its nodes."""
    lab = Lab.up(plan_of_five(), directory)
    try:
        print(f"this bench: {urgency.take(2)}", flush=True)
        lab.start()
        watch = Watch(tuple(f"node{number}" for number in range(1, NODES + 1)))
        try:
            for name in watch.names:
                watch.listen(name, Paths(lab.root(name)))
            await watch.until(lambda: watch.are_in(list(watch.names)))
            yield lab, watch
        finally:
            watch.close()
    finally:
        lab.down()


async def measure(options: argparse.Namespace) -> int:
    """Idle first, then busy; gives the exit code."""
    rng = random.Random(options.seed)
    latest = 0.0
    deaths = 0
    with tempfile.TemporaryDirectory(prefix="pacekeeper-bench-") as directory:
        async with watched_lab(Path(directory) / "lab") as (lab, watch):
            print(f"{NODES} nodes, keepalive {KEEPALIVE_MS} ms, deadtime {DEADTIME_MS} ms")
            print("milliseconds from the kill to the view    least median   9/10   most")
            for kind, crashes, seconds in (
                ("idle", options.idle_crashes, 0.0),
                ("busy", options.busy_crashes, options.busy_s),
            ):
                pause_s = max(SETTLE_S, seconds / (crashes + 1) - SETTLE_S)
                began = time.monotonic()
                with busy_processors() if kind == "busy" else contextlib.nullcontext():
                    first, last = await crash_often(
                        lab, watch, crashes=crashes, pause_s=pause_s, rng=rng
                    )
                took_s = time.monotonic() - began
                print(f"{kind}: the first survivor agrees           {figures(first)}")
                print(f"{kind}: all survivors agree                 {figures(last)}")
                count = len(watch.false_deaths)
                print(f"{kind}: false deaths in {took_s:.0f} s: {count}")
                print("".join(f"  {text}\n" for text in watch.false_deaths), end="", flush=True)
                latest = max([latest, *last])
                deaths += count
                watch.false_deaths.clear()
    return 1 if deaths or latest > DEADTIME_MS + SPARE_MS else 0


def main() -> int:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idle-crashes", type=int, default=20)
    parser.add_argument("--busy-crashes", type=int, default=10)
    parser.add_argument("--busy-s", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="a minute in all, fewer crashes")
    options = parser.parse_args()
    if options.short:
        options.idle_crashes, options.busy_crashes, options.busy_s = 6, 5, 30.0
    return asyncio.run(measure(options))


if __name__ == "__main__":
    sys.exit(main())
