"""How many configuration writes and reads a three-node cluster acknowledges, and what they cost.

    ./run bench cib [--resources 10 200 1000] [--seconds 5] [--directory DIR] [--connections 8 16]
                    [--peer /usr/sbin/cibadmin]
    ./run bench cib --stall [--resources 1000] [--nodes 16]
    ./run bench cib --offline [--resources 10 200 1000] [--peer /usr/sbin/cibadmin]

One connection asks the gate of a node and waits for each answer before it asks again; every write
changes one value of the configuration and is answered once it is durable on all three nodes. The
nodes of the lab share the disks of this computer, so `--directory` decides what a durable write
costs: the first lines say how often the disk adds a line durably, which is what a change of the
configuration waits for, alone and for three nodes at once, and how often it replaces a file. With
one connection nothing can be quicker than one such line after the other. Writes are asked of the
DC and of another node; then many connections write at once; one write and one query with
`cibadmin`, a process each, say what an administrator waits for. Last, where the peer's `cibadmin`
(Debian's pacemaker-cli-utils) is there: a modification and a query of a file of the same size, by
ours and by the peer's, by processor time and by the clock.

`--offline` needs no lab: it compares with the peer and does nothing else. `--stall` neither: it
says how long the event loop of a cib stands still (`cib_stall`). Only figures of one run on one
machine compare.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import cib_stall
from cli.lab.evidence import await_answer
from cli.lab.plan import make_plan
from cli.lab.remote import Lab
from crm.api import cib as api
from crm.api import gateclient
from crm.plumbing import atomicfile

_NODES = ("node1", "node2", "node3")
_ORIGIN = api.Origin("bench")
_CONNECTIONS = (8, 16)
_LINE = b"x" * 1500 + b"\n"
_SETTLED_S = 120.0
_SIZES = (10, 200, 1000)
_PEER = Path("/usr/sbin/cibadmin")
_MODIFY = (
    "--modify",
    "--allow-create",
    "--scope=crm_config",
    "--xml-text",
    '<cluster_property_set id="bench"><nvpair id="bench-value" name="pe-input-series-max"'
    ' value="4001"/></cluster_property_set>',
)
_QUERY = ("--query",)


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
    if len(taken) < 2:
        return f"{len(taken) / seconds:7.0f} /s   too few for a distribution: longer --seconds"
    cuts = statistics.quantiles(taken, n=100)
    return (
        f"{len(taken) / seconds:7.0f} /s   ms: median {statistics.median(taken):6.2f}"
        f"  95 % {cuts[94]:6.2f}  99 % {cuts[98]:6.2f}  max {max(taken):6.1f}"
    )


def measure_disk(directory: Path, seconds: float) -> None:
    """Print how often the disk does durably, by itself, what a cib asks of it."""

    def append(number: int) -> list[float]:
        path = directory / f"probe{number}"
        path.write_bytes(_LINE)
        return timed(lambda: atomicfile.append_durably(path, _LINE), seconds)

    path = directory / "probe"
    replaced = timed(lambda: atomicfile.write_durably(path, b"x" * 4096), seconds)
    print(f"the disk alone, a file replaced         {figures(replaced, seconds)}")
    print(f"the disk alone, a line added            {figures(append(0), seconds)}")
    each = [part for parts in at_once(append, len(_NODES)) for part in parts]
    print(f"the disk alone, three files at once     {figures(each, seconds)}", flush=True)


def at_once(call: Callable[[int], list[float]], times: int) -> list[list[float]]:
    """Call so many times at once, with the number of the call; give all results."""
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(call, range(times)))


def measure_at_once(lab: Lab, seconds: float, connections: int) -> str:
    """Write over several connections at once."""

    def work(number: int) -> list[float]:
        with gateclient.connect(lab.root(_NODES[number % 3]), name="bench") as session:
            return timed(writer(session, f"many{number}"), seconds)

    return figures([each for part in at_once(work, connections) for each in part], seconds)


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


def measure(lab: Lab, resources: int, seconds: float, connections: list[int]) -> None:
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
    for number in connections:
        title = f"{number} connections writing"
        many = measure_at_once(lab, seconds, number)
        print(f"{resources:4} resources, {title:<24}{many}", flush=True)
    with gateclient.connect(lab.root(other), name="bench") as session:
        taken = timed(reader(session), seconds)
    print(f"{resources:4} resources, {'reads of all':<24}{figures(taken, seconds)}", flush=True)
    for title, words in (("cibadmin -M, a process", _MODIFY), ("cibadmin -Q, a process", _QUERY)):
        taken = timed(lambda words=words: one_process(lab, other, words), seconds)
        print(f"{resources:4} resources, {title:<24}{figures(taken, seconds)}", flush=True)


def one_process(lab: Lab, node: str, words: tuple[str, ...]) -> None:
    """Run cibadmin on a node."""
    done = lab.run(node, "cibadmin", *words)
    assert done.returncode == 0, done.stderr


# --- beside the peer, with a file -----------------------------------------------------------------


def offline(resources: int, peer: Path, count: int = 10) -> None:
    """Print what one modification and one query of a file cost, ours and the peer's."""
    ours = Path(sys.executable).parent / "cibadmin"
    with tempfile.TemporaryDirectory(prefix="pacekeeper-bench-") as directory:
        path = Path(directory) / "cib.xml"
        for title, words in (("modify", _MODIFY), ("query", _QUERY)):
            costs = []
            for tool in (ours, peer):
                path.write_bytes(cib_stall.generated(resources, 3))
                costs.append(cost_of([str(tool), *words], path, count))
            (our_cpu, our_wall), (their_cpu, their_wall) = costs
            print(
                f"{resources:4} resources, {title:<7} ms of processor: ours {our_cpu:6.0f}"
                f"  peer {their_cpu:6.0f}  ratio {our_cpu / max(their_cpu, 0.1):5.1f}"
                f"   by the clock: ours {our_wall:6.0f}  peer {their_wall:6.0f}"
                f"  ratio {our_wall / their_wall:5.1f}",
                flush=True,
            )


def cost_of(words: list[str], path: Path, count: int) -> tuple[float, float]:
    """Run a command again and again; mean milliseconds of processor, median of the clock."""
    environment = {**os.environ, "CIB_file": str(path)}
    walls = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(count):
        began = time.monotonic()
        done = subprocess.run(words, env=environment, capture_output=True, check=False)
        walls.append((time.monotonic() - began) * 1000)
        assert done.returncode == 0, f"{words[0]}: {done.stderr.decode()}"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent_s * 1000 / count, statistics.median(walls)


def main() -> int:
    """Run every measurement and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--resources", type=int, nargs="+")
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--stall", action="store_true")
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--peer", type=Path, default=_PEER)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, nargs="+", default=list(_CONNECTIONS))
    parser.add_argument("--directory", help="where the lab's disks lie (default: a temporary one)")
    options = parser.parse_args()
    if options.stall:
        sizes = options.resources or [1000]
        verdicts = [cib_stall.measure(size, options.nodes) for size in sizes]
        return 0 if all(verdicts) else 1
    sizes = options.resources or _SIZES
    if not options.offline:
        live(options.directory, sizes, options.seconds, options.connections)
    if options.peer.exists():
        for resources in sizes:
            offline(resources, options.peer)
    elif options.offline:
        parser.error(f"there is no {options.peer}: apt-get install pacemaker-cli-utils")
    return 0


def live(where: str | None, sizes: Sequence[int], seconds: float, connections: list[int]) -> None:
    """Measure a cluster of three nodes in a lab, with more and more resources."""
    with tempfile.TemporaryDirectory(prefix="pacekeeper-bench-", dir=where) as directory:
        measure_disk(Path(directory), 2.0)
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
            for resources in sorted(sizes):
                configure(lab, have, resources)
                measure(lab, resources, seconds, connections)
                have = resources
        finally:
            lab.down()


if __name__ == "__main__":
    sys.exit(main())
