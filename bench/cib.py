"""How many configuration writes and reads a three-node cluster acknowledges, and what they cost.

    ./run bench cib [--resources 10 200] [--seconds 5] [--directory DIR]

One connection asks the gate of a node and waits for each answer before it asks again; every write
changes one value of the configuration and is answered once it is durable on all three nodes. The
nodes of the lab share the disks of this computer, so `--directory` decides what a durable write
costs: the first line says how many the disk does by itself. Writes are asked of the DC and of
another node; then eight connections write at once. Only figures of one run on one machine compare.
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

from cli.lab.evidence import await_answer
from cli.lab.plan import make_plan
from cli.lab.remote import Lab
from crm.api import cib as api
from crm.api import gateclient
from crm.plumbing import atomicfile

_NODES = ("node1", "node2", "node3")
_ORIGIN = api.Origin("bench")
_CONNECTIONS = 8
_SETTLED_S = 120.0


def writer(session: gateclient.Session, name: str) -> Callable[[], None]:
    """Make a call that writes one value and returns when it is durable everywhere."""
    count = 0

    def write() -> None:
        nonlocal count
        count += 1
        xml = (
            f'<cluster_property_set id="bench-{name}"><nvpair id="bench-{name}-value"'
            f' name="pe-input-series-max" value="{4000 + count}"/></cluster_property_set>'
        )
        change = api.XmlOperation(
            api.XmlTask.MODIFY, xml.encode(), section="crm_config", may_create=True
        )
        answer = session.ask(api.SERVICE, api.Change(0, (change,), _ORIGIN))
        assert isinstance(answer, api.ChangeReply), f"unexpected answer {answer!r}"
        assert answer.outcome is api.Outcome.OK, f"the write ended with {answer!r}"

    return write


def reader(session: gateclient.Session) -> Callable[[], None]:
    """Make a call that reads the whole CIB."""

    def read() -> None:
        answer = session.ask(api.SERVICE, api.Query(0))
        assert isinstance(answer, api.QueryReply), f"unexpected answer {answer!r}"
        assert answer.outcome is api.Outcome.OK, f"the read ended with {answer!r}"

    return read


def timed(call: Callable[[], None], seconds: float) -> list[float]:
    """Call again and again for so long; milliseconds of each call."""
    taken = []
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        call()
        taken.append((time.monotonic() - began) * 1000)
    return taken


def figures(taken: list[float], seconds: float) -> str:
    """Rate, and median, 95th and 99th percentile and maximum of milliseconds."""
    cuts = statistics.quantiles(taken, n=100)
    return (
        f"{len(taken) / seconds:7.0f} /s   ms: median {statistics.median(taken):6.2f}"
        f"  95 % {cuts[94]:6.2f}  99 % {cuts[98]:6.2f}  max {max(taken):6.1f}"
    )


def measure_disk(directory: Path, seconds: float) -> str:
    """Replace a small file durably, again and again."""
    path = directory / "probe"
    taken = timed(lambda: atomicfile.write_durably(path, b"x" * 4096), seconds)
    return figures(taken, seconds)


def measure_at_once(lab: Lab, seconds: float) -> str:
    """Write over several connections at once."""
    taken: list[list[float]] = []

    def work(number: int) -> None:
        with gateclient.connect(lab.root(_NODES[number % 3]), name="bench") as session:
            taken.append(timed(writer(session, f"many{number}"), seconds))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return figures([each for part in taken for each in part], seconds)


def configure(lab: Lab, have: int, resources: int) -> None:
    """Have so many Dummies started, `have` of which there are already."""
    text = "property stonith-enabled=false\n" + "".join(
        f"primitive d{number} ocf:pacekeeper:Dummy op monitor interval=60s\n"
        for number in range(have, resources)
    )
    done = lab.run("node1", "crm", "configure", stdin=text + "commit\n")
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    await_answer(
        lab,
        "node1",
        ["crm_mon", "-1"],
        lambda text: text.count("Started node") == resources,
        limit_s=_SETTLED_S,
    )


def cpu_s(lab: Lab) -> dict[str, float]:
    """Seconds of processor time of every daemon so far, all nodes together."""
    inits = [lab.status()["hosts"][node]["init"] for node in _NODES]
    spaces = {Path(f"/proc/{init}/ns/pid").readlink() for init in inits}
    spent: dict[str, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "ns/pid").readlink() not in spaces:
                continue
            name = (entry / "comm").read_text().strip()
            words = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks = int(words[11]) + int(words[12])
        spent[name] = spent.get(name, 0.0) + ticks / os.sysconf("SC_CLK_TCK")
    return spent


def measure(lab: Lab, resources: int, seconds: float) -> None:
    """Print what writes and reads cost with so many resources."""
    text = lab.run("node1", "crm_mon", "-1").stdout
    controller = text.split("Current DC:")[1].split()[0]
    other = next(node for node in _NODES if node != controller)
    for title, node in (("writes at the DC", controller), ("writes at another node", other)):
        with gateclient.connect(lab.root(node), name="bench") as session:
            before = cpu_s(lab)
            taken = timed(writer(session, "one"), seconds)
            after = cpu_s(lab)
        print(f"{resources:4} resources, {title:<24}{figures(taken, seconds)}", flush=True)
        costs = {name: (after[name] - before.get(name, 0.0)) / len(taken) * 1000 for name in after}
        dear = sorted(costs.items(), key=lambda item: -item[1])[:6]
        shown = "  ".join(f"{name} {cost:.1f}" for name, cost in dear)
        print(f"     ms of processor a write, three nodes: {shown}", flush=True)
    print(
        f"{resources:4} resources, {'8 connections writing':<24}{measure_at_once(lab, seconds)}",
        flush=True,
    )
    with gateclient.connect(lab.root(other), name="bench") as session:
        taken = timed(reader(session), seconds)
    print(f"{resources:4} resources, {'reads of all':<24}{figures(taken, seconds)}", flush=True)


def main() -> int:
    """Run every measurement and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--resources", type=int, nargs="+", default=[10, 200])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--directory", help="where the lab's disks lie (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(
        prefix="pacekeeper-bench-", dir=options.directory
    ) as directory:
        print(f"the disk alone, one durable file        {measure_disk(Path(directory), 2.0)}")
        lab = Lab.up(make_plan(3, keepalive_ms=200, deadtime_ms=2000), Path(directory) / "lab")
        try:
            lab.start()
            await_answer(
                lab,
                "node1",
                ["crm_mon", "-1"],
                lambda text: "Online: [ node1 node2 node3 ]" in text,
                limit_s=60,
            )
            have = 0
            for resources in sorted(options.resources):
                configure(lab, have, resources)
                measure(lab, resources, options.seconds)
                have = resources
        finally:
            lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
