"""How fast a three-node lab starts, fails over and moves, and what it costs when idle.

    ./run bench failover [--runs 5] [--deadtime-ms 1000] [--keepalive-ms 200]

Everything is measured from outside: by the client that fetches the page every 10 ms, and by the
moment at which a line appears in a node's log (read every 5 ms). Figures are milliseconds unless
said otherwise: median (least - greatest). For the peers' figures of the same scenarios see the
design; only figures of one run on one machine compare.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cli.lab.evidence import ClientView, LogView, Missing, await_answer, log_of
from cli.lab.plan import make_plan
from cli.lab.remote import Lab

_ADDRESS = "10.77.0.100"
_CONFIG = (
    "property stonith-enabled=false no-quorum-policy=stop\n"
    "rsc_defaults resource-stickiness=100\n"
    "primitive vip ocf:heartbeat:IPaddr2 params ip=10.77.0.100 cidr_netmask=24 nic=eth0"
    " op monitor interval=10s timeout=5s\n"
    "primitive web ocf:pacekeeper:webpage op monitor interval=10s timeout=5s\n"
    "group site vip web\n"
    + "".join(
        f"primitive d{number} ocf:pacekeeper:Dummy op monitor interval=10s\n"
        for number in range(1, 9)
    )
    + "commit\n"
)
_NODES = ("node1", "node2", "node3")


class Lines:
    """Stamps each new log line of every node with the moment at which it was read."""

    def __init__(self, lab: Lab) -> None:
        self._logs: dict[str, LogView] = {node: log_of(lab, node) for node in _NODES}
        self._marks = {node: log.mark() for node, log in self._logs.items()}
        self._seen: list[tuple[float, str, str]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(0.005):
            now = time.monotonic()
            for node, log in self._logs.items():
                if log.mark() == self._marks[node]:
                    continue
                lines = log.lines_since(self._marks[node])
                self._marks[node] += sum(len(line.encode()) + 1 for line in lines)
                self._seen.extend((now, node, line) for line in lines)

    def first(self, since: float, accept: Callable[[str], bool]) -> float | None:
        """When the first accepted line after `since` was read."""
        for when, _, line in list(self._seen):
            if when >= since and accept(line):
                return when
        return None


def figures(values: list[float]) -> str:
    """Median (least - greatest) of milliseconds."""
    if not values:
        return "not seen"
    return f"{statistics.median(values):7.0f} ({min(values):.0f} - {max(values):.0f})"


def started(text: str) -> bool:
    """Tell from crm_mon's text that all ten resources run."""
    return text.count(" Started node") == 10


def holder(lab: Lab, ask: str) -> str:
    """The node that runs the address, and thereby the page."""
    text = lab.run(ask, "crm_mon", "-1").stdout
    line = next(line for line in text.splitlines() if "vip" in line and "Started" in line)
    return line.split("Started")[1].split()[0]


def dc(lab: Lab, ask: str) -> str:
    """The node that is DC."""
    text = lab.run(ask, "crm_mon", "-1").stdout
    return text.split("Current DC:")[1].split()[0]


def measure_start(lab: Lab) -> tuple[float, float]:
    """Milliseconds from `start` of three cold nodes to one DC with all online, and to the page."""
    lines = Lines(lab)
    began = time.monotonic()
    lab.start()
    await_answer(
        lab,
        "node1",
        ["crm_mon", "-1"],
        lambda text: "Online: [ node1 node2 node3 ]" in text,
        limit_s=60,
    )
    idle = lines.first(began, lambda line: "-> S_IDLE" in line)
    lines.close()
    return ((idle or time.monotonic()) - began) * 1000, (time.monotonic() - began) * 1000


def measure_crash(lab: Lab, client: ClientView, parts: dict[str, list[float]]) -> None:
    """Crash the holder of the address once and note how the outage divides."""
    victim = holder(lab, "node1")
    was_dc = dc(lab, "node1") == victim
    others = [node for node in _NODES if node != victim]
    lines = Lines(lab)
    began = time.monotonic()
    lab.crash(victim)
    when, _ = client.await_page(None, since=began + 0.1, limit_s=30)
    gap = client.gap_after(began)
    dead = lines.first(began, lambda line: f"node {victim}: is dead" in line)
    view = lines.first(began, lambda line: "OC_EV_MS_NEW_MEMBERSHIP" in line)
    order = lines.first(began, lambda line: "Initiating action" in line and "vip_start" in line)
    done = lines.first(
        began, lambda line: "start_0 on vip complete" in line or "vip_start_0" in line
    )
    lines.close()
    kind = "holder is DC" if was_dc else "holder is not DC"
    parts.setdefault(f"outage, {kind}", []).append(gap.ms)
    for name, left, right in (
        ("power off -> called dead", began, dead),
        ("called dead -> view agreed", dead, view),
        ("view -> start ordered", view, order),
        ("start ordered -> page answers", order, when),
        ("view -> page answers", view, when),
    ):
        if left is not None and right is not None:
            parts.setdefault(name + f" ({kind})", []).append((right - left) * 1000)
    assert done is None or done >= began
    lab.start(victim)
    await_answer(
        lab,
        others[0],
        ["crm_mon", "-1"],
        lambda text: "Online: [ node1 node2 node3 ]" in text and started(text),
        limit_s=60,
    )


def measure_cut(lab: Lab, client: ClientView) -> tuple[float, float]:
    """Cut the holder off from the others: milliseconds to an answer from them, and the gap."""
    source = holder(lab, "node1")
    others = [node for node in _NODES if node != source]
    began = time.monotonic()
    lab.request({"do": "partition", "sides": [[source], others], "interfaces": ["eth1"]})
    when, who = client.await_page(None, since=began, limit_s=20)
    while who == source:
        when, who = client.await_page(None, since=when, limit_s=20)
    first = client.first_page_of(who, began)
    gap = client.gap_after(began)
    lab.request({"do": "heal"})
    await_answer(
        lab,
        others[0],
        ["crm_mon", "-1"],
        lambda text: "Online: [ node1 node2 node3 ]" in text and started(text),
        limit_s=60,
    )
    return (first - began) * 1000, gap.ms


def measure_move(lab: Lab, client: ClientView) -> tuple[float, float]:
    """Move the address: milliseconds from the command to the answer, and the outage."""
    source = holder(lab, "node1")
    target = next(node for node in _NODES if node != source)
    began = time.monotonic()
    done = lab.run(source, "crm", "resource", "move", "site", target)
    if done.returncode != 0:
        raise Missing(done.stderr)
    when, _ = client.await_page(target, since=began, limit_s=20)
    first = client.first_page_of(target, began)
    gap = client.gap_after(began)
    lab.run(source, "crm", "resource", "clear", "site")
    await_answer(lab, source, ["crm_mon", "-1"], started, limit_s=20)
    assert when >= first
    return (first - began) * 1000, gap.ms


def measure_idle(lab: Lab, seconds: float) -> dict[str, tuple[float, float]]:
    """Per daemon, over all nodes: percent of one core per node, and PSS in MiB per node."""
    tick = os.sysconf("SC_CLK_TCK")
    pids = _processes(lab)
    before = {pid: _cpu_ticks(pid) for pid in pids}
    threading.Event().wait(seconds)
    result: dict[str, tuple[float, float]] = {}
    for pid, name in pids.items():
        cpu = (_cpu_ticks(pid) - before[pid]) / tick / seconds * 100 / len(_NODES)
        pss = _pss_kib(pid) / 1024 / len(_NODES)
        was = result.get(name, (0.0, 0.0))
        result[name] = (was[0] + cpu, was[1] + pss)
    return result


def _processes(lab: Lab) -> dict[int, str]:
    """Every process of every node but the lab's own, by pid."""
    status = lab.status()["hosts"]
    spaces = {
        Path(f"/proc/{status[node]['init']}/ns/pid").readlink(): status[node]["init"]
        for node in _NODES
    }
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            init = spaces.get((entry / "ns/pid").readlink())
            if init is not None and int(entry.name) != init:
                found[int(entry.name)] = (entry / "comm").read_text().strip()
        except OSError:
            continue
    return found


def _cpu_ticks(pid: int) -> int:
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(int(word) for word in words[11:15])


def _pss_kib(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])


def main() -> int:
    """Run every measurement and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--deadtime-ms", type=int, default=1000)
    parser.add_argument("--keepalive-ms", type=int, default=200)
    parser.add_argument("--idle-s", type=float, default=20)
    options = parser.parse_args()
    starts: list[float] = []
    onlines: list[float] = []
    parts: dict[str, list[float]] = {}
    moves: list[float] = []
    outages: list[float] = []
    with tempfile.TemporaryDirectory(prefix="pacekeeper-bench-") as directory:
        plan = make_plan(3, keepalive_ms=options.keepalive_ms, deadtime_ms=options.deadtime_ms)
        for number in range(options.runs):
            lab = Lab.up(plan, Path(directory) / f"start{number}")
            try:
                idle, online = measure_start(lab)
            finally:
                lab.down()
            starts.append(idle)
            onlines.append(online)
        print(f"start of three nodes to a DC, idle        {figures(starts)}", flush=True)
        print(f"the same until crm_mon says all online    {figures(onlines)}", flush=True)
        lab = Lab.up(plan, Path(directory) / "lab")
        try:
            lab.start()
            await_answer(
                lab, "node1", ["crm_mon", "-1"], lambda t: "Online: [ node1" in t, limit_s=60
            )
            done = lab.run("node1", "crm", "configure", stdin=_CONFIG)
            if done.returncode != 0:
                print(done.stderr, file=sys.stderr)
                return 1
            await_answer(lab, "node1", ["crm_mon", "-1"], started, limit_s=60)
            client = ClientView(lab, f"http://{_ADDRESS}/", every_ms=10)
            try:
                for _ in range(options.runs):
                    answered, outage = measure_move(lab, client)
                    moves.append(answered)
                    outages.append(outage)
                print(f"planned move: command -> answers          {figures(moves)}")
                print(f"planned move: outage                      {figures(outages)}", flush=True)
                cuts = [measure_cut(lab, client) for _ in range(options.runs)]
                print(f"holder cut off -> others answer           {figures([c[0] for c in cuts])}")
                print(f"the same: nobody answers for              {figures([c[1] for c in cuts])}")
                for _ in range(options.runs):
                    measure_crash(lab, client, parts)
                for name, values in sorted(parts.items()):
                    print(f"{name:<50}{figures(values)}  n={len(values)}")
                print(f"moments with two owners: {len(client.duels())}", flush=True)
            finally:
                client.close()
            idle_use = measure_idle(lab, options.idle_s)
            print(f"idle, ten resources, per node over {options.idle_s:.0f} s:")
            for name, (cpu, pss) in sorted(idle_use.items()):
                print(f"  {name:<16} {cpu:5.2f} % of a core  {pss:6.1f} MiB PSS")
            cpu = sum(value[0] for value in idle_use.values())
            pss = sum(value[1] for value in idle_use.values())
            print(f"  {'all':<16} {cpu:5.2f} % of a core  {pss:6.1f} MiB PSS")
        finally:
            lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
