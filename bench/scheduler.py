"""How long the scheduler takes for clusters of growing size, beside another one if it is here.

    ./run bench scheduler [--sizes 3x10 16x500 ...] [--simulate 16x500] [--peer PATH] [--limit S]
                          [--repeat N] [--profile]

Each cluster of N nodes x M resources is generated: 60 % primitives, 25 % members of groups of five,
10 % clones, 5 % promotable clones, with a monitor each, an order, a colocation and a location for
every tenth. Three situations: *cold* (nothing was looked at), *steady* (all runs where it was put)
and *failed* (one node of the steady cluster has just vanished).

`read` is from bytes to the model; `warm` is one call inside a process that has made one before,
from the model to the graph; `process` is user and system time of a whole `crm_simulate -Q -x FILE
-G FILE`, ours and that of the peer (`crm_simulate` of Debian's pacemaker-cli-utils), and what
memory it needed at most. `simulate` is the same with `-S`: the graph is carried out on paper.
What takes more than the limit of processor seconds is ended. Processes run as installed, with
bytecode that one before them has written. Only figures of one run on one
machine compare. `--profile` says where the time of each situation goes instead.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import os
import pstats
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from crm.model.cluster import Cluster
from crm.model.readxml import cluster as reading
from crm.plumbing import xml
from pengine import schedule

_NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_AGENT = 'class="ocf" provider="pacemaker"'
_KEY = "00000000-0000-0000-0000-000000000000"
_PEER = "/usr/sbin/crm_simulate"
_SIZES = ("3x10", "8x100", "16x500", "32x1000", "32x2000", "32x5000")

_DIGESTS = {0: "f2317cad3d54cec5d7d7aa7d0bf35cf8", 10_000: "4811cef7f7f94e3a35a70be7916cb2fd"}
"""What operations without parameters ran with, by interval: without it, they would run again."""


def _primitive(key: str, kind: str = "Dummy") -> str:
    op = f'<op id="{key}-m" name="monitor" interval="10s" timeout="20s"/>'
    return f'<primitive id="{key}" {_AGENT} type="{kind}"><operations>{op}</operations></primitive>'


def _resources(count: int) -> Iterator[tuple[str, str]]:
    """Yield the id of each top-level resource and its XML, until `count` primitives are there."""
    made = 0
    while made < count:
        place = made % 20
        if place < 12:
            yield f"p{made}", _primitive(f"p{made}")
            made += 1
        elif place < 17:
            members = "".join(_primitive(f"g{made}m{i}") for i in range(min(5, count - made)))
            yield f"g{made}", f'<group id="g{made}">{members}</group>'
            made += 5
        elif place < 19:
            yield f"c{made}", f'<clone id="c{made}">{_primitive(f"cp{made}")}</clone>'
            made += 1
        else:
            meta = (
                f'<meta_attributes id="c{made}-meta">'
                f'<nvpair id="c{made}-p" name="promotable" value="true"/></meta_attributes>'
            )
            inner = _primitive(f"cp{made}", "Stateful")
            yield f"c{made}", f'<clone id="c{made}">{meta}{inner}</clone>'
            made += 1


def _constraints(keys: list[str], nodes: int) -> Iterator[str]:
    plain = [key for key in keys if key.startswith("p")]
    for index in range(0, len(plain) - 1, 10):
        a, b = plain[index], plain[index + 1]
        yield f'<rsc_order id="o{index}" first="{a}" then="{b}"/>'
        yield f'<rsc_colocation id="t{index}" rsc="{b}" with-rsc="{a}" score="INFINITY"/>'
        yield f'<rsc_location id="l{index}" rsc="{a}" node="n{index % nodes}" score="100"/>'


def generate(nodes: int, count: int) -> bytes:
    """Write the CIB of a cluster on which nothing was looked at yet."""
    found = list(_resources(count))
    keys = [key for key, _ in found]
    names = [f"n{i}" for i in range(nodes)]
    states = "".join(
        f'<node_state id="{n}" uname="{n}" in_ccm="true" crmd="online" join="member"'
        f' expected="member"><lrm id="{n}"><lrm_resources/></lrm></node_state>'
        for n in names
    )
    return (
        '<cib admin_epoch="0" epoch="1" num_updates="1" have-quorum="1" dc-uuid="n0"'
        ' validate-with="pacemaker-3.0"><configuration><crm_config>'
        '<cluster_property_set id="o"><nvpair id="o-s" name="stonith-enabled" value="false"/>'
        "</cluster_property_set></crm_config><nodes>"
        + "".join(f'<node id="{n}" uname="{n}"/>' for n in names)
        + f"</nodes><resources>{''.join(text for _, text in found)}</resources>"
        + f"<constraints>{''.join(_constraints(keys, nodes))}</constraints></configuration>"
        + f"<status>{states}</status></cib>"
    ).encode()


def carried_out(document: bytes, cluster: Cluster) -> bytes:
    """Write the CIB as it is after the graph was carried out: histories of what was done."""
    entries: dict[str, dict[str, list[str]]] = {}
    kinds: dict[str, str] = {}
    for call, synapse in enumerate(schedule(cluster, _NOW).graph.synapses, start=1):
        for action in synapse.actions:
            target = action.resource
            if target is None or action.task not in ("monitor", "start"):
                continue
            kinds[target.id] = target.type
            rc = action.expected_rc or 0
            # A recurring monitor follows the start, whatever its place in the graph.
            number = call + (1_000_000 if action.interval_ms else 0)
            number += 500_000 if action.task == "start" else 0
            entries.setdefault(action.node, {}).setdefault(target.id, []).append(
                f'<lrm_rsc_op id="{target.id}_{action.task}_{action.interval_ms}"'
                f' operation="{action.task}" interval="{action.interval_ms}" call-id="{number}"'
                f' rc-code="{rc}" op-status="0" op-digest="{_DIGESTS[action.interval_ms]}"'
                f' transition-key="1:1:{rc}:{_KEY}"/>'
            )
    text = document.decode()
    for node, known in entries.items():
        written = "".join(
            f'<lrm_resource id="{key}" {_AGENT} type="{kinds[key]}">{"".join(found)}</lrm_resource>'
            for key, found in known.items()
        )
        text = text.replace(
            f'<lrm id="{node}"><lrm_resources/>',
            f'<lrm id="{node}"><lrm_resources>{written}</lrm_resources>',
        )
    return text.encode()


def with_failed_node(document: bytes) -> bytes:
    """Let the last node vanish."""
    head, mark, tail = document.rpartition(b'in_ccm="true" crmd="online"')
    return head + mark.replace(b"true", b"false").replace(b"online", b"offline") + tail


def situations(nodes: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield the three situations of a cluster."""
    cold = generate(nodes, count)
    cluster, _ = reading.read(xml.parse(cold))
    steady = carried_out(cold, cluster)
    yield "cold", cold
    yield "steady", steady
    yield "failed", with_failed_node(steady)


def _warm_ms(cluster: Cluster, repeat: int) -> float:
    schedule(cluster, _NOW)
    best = float("inf")
    for _ in range(repeat):
        gc.collect()
        begin = time.process_time()
        schedule(cluster, _NOW)
        best = min(best, time.process_time() - begin)
    return best * 1000


@dataclass(frozen=True)
class Cost:
    """What a process took: processor seconds and peak memory, or that it hit the limit."""

    seconds: float
    peak_mib: float
    ended: bool

    def __str__(self) -> str:
        if not self.ended:
            return f"> {self.seconds:6.1f} s (ended)"
        return f"{self.seconds:8.2f} s {self.peak_mib:5.0f} MiB"


def _cost(command: list[str], limit_s: int, bytecode: Path) -> Cost:
    """Run a command, for so many processor seconds at most."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with Path(os.devnull).open("wb") as nowhere:
        process = subprocess.Popen(command, stdout=nowhere, stderr=nowhere, env=environment)
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (limit_s, limit_s + 1))
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = usage.ru_utime + usage.ru_stime
    return Cost(seconds, usage.ru_maxrss / 1024, process.returncode == 0)


def _command() -> list[str]:
    code = "import sys; from cli.tools.crm_simulate import main; sys.exit(main())"
    return [sys.executable, "-c", code]


def _ours(path: Path, *words: str) -> list[str]:
    return [*_command(), "-x", str(path), *words]


@dataclass(frozen=True)
class Wishes:
    """What to measure, with what."""

    peer: str | None
    repeat: int
    limit_s: int
    folder: Path
    simulated: tuple[str, ...]

    @property
    def bytecode(self) -> Path:
        """Name the folder that keeps bytecode from one process to the next."""
        return self.folder / "bytecode"


def measure(nodes: int, count: int, wishes: Wishes) -> Iterator[str]:
    """Yield one line for each situation of one size, and what carrying it out takes."""
    graph = str(wishes.folder / "graph.xml")
    for name, document in situations(nodes, count):
        gc.collect()
        begin = time.process_time()
        cluster, _ = reading.read(xml.parse(document))
        read_ms = (time.process_time() - begin) * 1000
        warm_ms = _warm_ms(cluster, wishes.repeat)
        path = wishes.folder / f"{nodes}x{count}-{name}.xml"
        path.write_bytes(document)
        del cluster
        ours = _cost(_ours(path, "-Q", "-G", graph), wishes.limit_s, wishes.bytecode)
        line = f"{nodes:>3} x {count:<5} {name:<7} read {read_ms:8.1f} ms  warm {warm_ms:9.1f} ms"
        yield line + f"  process {ours}" + _beside(ours, wishes, path, "-Q", "-G", graph)
        if f"{nodes}x{count}" in wishes.simulated:
            ours = _cost(_ours(path, "-S"), wishes.limit_s, wishes.bytecode)
            line = f"{nodes:>3} x {count:<5} {name:<7} simulate {ours}"
            yield line + _beside(ours, wishes, path, "-S")


def _beside(ours: Cost, wishes: Wishes, path: Path, *words: str) -> str:
    """Say what the peer takes for the same."""
    if wishes.peer is None:
        return ""
    command = [wishes.peer, "-x", str(path), *words]
    theirs = _cost(command, wishes.limit_s, wishes.bytecode)
    return f"  peer {theirs}  ratio {ours.seconds / max(theirs.seconds, 0.001):6.2f}"


def show_profile(nodes: int, count: int) -> None:
    """Print where the time of each situation goes: by stage, then by function."""
    for name, document in situations(nodes, count):
        cluster, _ = reading.read(xml.parse(document))
        profiler = cProfile.Profile()
        profiler.runcall(schedule, cluster, _NOW)
        found = pstats.Stats(profiler, stream=sys.stdout)
        print(f"--- {nodes} x {count}, {name}")
        for (file, _, function), (_, _, _, seconds, _) in found.stats.items():  # type: ignore[attr-defined]
            if function in _STAGES and "/pengine/" in file:
                print(f"{function:<10} {seconds:8.3f} s")
        found.sort_stats("tottime").print_stats(20)


_STAGES = ("conclude", "place", "connect", "act", "order", "emit")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sizes", nargs="+", default=list(_SIZES))
    parser.add_argument("--simulate", nargs="*", default=["16x500"], help="sizes to carry out")
    parser.add_argument("--peer", default=_PEER, help="another crm_simulate")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--limit", type=int, default=120, help="processor seconds for one process")
    parser.add_argument("--profile", action="store_true", help="say where the time goes instead")
    given = parser.parse_args()
    peer = shutil.which(given.peer)
    print(f"peer: {peer or 'not installed'}")
    with tempfile.TemporaryDirectory() as folder:
        wishes = Wishes(peer, given.repeat, given.limit, Path(folder), tuple(given.simulate))
        _cost([*_command(), "--version"], given.limit, wishes.bytecode)
        for size in given.sizes:
            nodes, _, count = size.partition("x")
            if given.profile:
                show_profile(int(nodes), int(count))
                continue
            for line in measure(int(nodes), int(count), wishes):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
