"""One run: a cluster is set up from a seed, lives through its script, and must come to rest."""

from __future__ import annotations

import random
from dataclasses import dataclass
from uuid import UUID

from crm.api.cib import Change, ChangeReply, Origin, Outcome, XmlOperation, XmlTask
from tests.sim import cluster_cib, faults
from tests.sim.agents import World
from tests.sim.checks import REST_BOUND_S, Checks
from tests.sim.engine import Engine, Violation
from tests.sim.faults import Fault, Script
from tests.sim.layers import Heartbeat, Layer
from tests.sim.network import Network
from tests.sim.nodes import Makers, Node, real_makers
from tests.sim.processes import Process
from tests.sim.testimony import Testimony

LOOK_EVERY_S = 0.25
REST_S = 1.5
"""At rest means: nothing to complain of at every look for so long."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `rested_s` is the time from the last fault until everything was at rest."""

    seed: int
    violation: str = ""
    report: str = ""
    rested_s: float = 0.0
    events: int = 0
    starts: int = 0
    acknowledged: int = 0
    datagrams: int = 0


class Cluster:
    """All nodes of a run, and what happens to them."""

    def __init__(self, seed: int, *, makers: Makers | None = None, length_s: float = 80.0) -> None:
        self.engine = Engine(seed)
        chance = self.engine.random
        names = [f"n{number + 1}" for number in range(self._size(chance))]
        uuids = self._identities(chance, names)
        self.network = Network(self.engine, names)
        self.world = World(self.engine)
        self.resources = self._resources()
        self.trouble_at = 0.0
        self.testimony = Testimony()
        cib = self._configuration(chance, uuids)
        self.nodes = {
            name: Node(
                self.engine,
                self.network,
                self.world,
                name=name,
                uuid=uuids[name],
                nodes=names,
                cib=cib,
                makers=makers or real_makers(),
                testimony=self.testimony,
                layer=self._layer,
            )
            for name in names
        }
        self.checks = Checks(self)
        for node in self.nodes.values():
            node.watchers.append(self.checks.watch)
            self.engine.at(chance.uniform(0, 1.5), node.boot)
        self.script = self._script(chance, names, length_s)
        for fault in self.script.faults:
            self.engine.at(fault.when, self.befall, fault)
        self.engine.at(LOOK_EVERY_S, self._look)
        self._tokens: dict[tuple[str, int, int], str] = {}
        self._rested_from: float | None = None
        self._token = 0

    # --- what another profile may have otherwise ---

    def _size(self, chance: random.Random) -> int:
        return chance.choices((2, 3, 4, 5, 7), (2, 8, 2, 2, 1))[0]

    def _identities(self, chance: random.Random, names: list[str]) -> dict[str, str]:
        return {name: str(UUID(int=chance.getrandbits(128), version=4)) for name in names}

    def _layer(self, node: Node) -> Layer:
        return Heartbeat(node)

    def _resources(self) -> list[str]:
        return cluster_cib.resources()

    def _configuration(self, chance: random.Random, uuids: dict[str, str]) -> bytes:
        return cluster_cib.text(chance, uuids)

    def _script(self, chance: random.Random, names: list[str], length_s: float) -> Script:
        return faults.write(chance, names, self.resources, length_s)

    # --- the run ---

    def run(self) -> float:
        """Live through the script and come to rest; gives the seconds that took.

        Raises: Violation when an invariant does not hold.
        """
        self.engine.run_until(self.script.quiet_from)
        self._make_good()
        rested_at = self._come_to_rest()
        self._collect_answers()
        self.checks.at_end()
        return rested_at - self.script.quiet_from

    def _come_to_rest(self) -> float:
        """Let time pass until all is at rest; gives the moment from which it was.

        Raises: Violation if that does not come.
        """
        self._rested_from = None
        end = self.engine.now + REST_BOUND_S
        while self.engine.now < end:
            for node in self.nodes.values():
                node.boot()  # also one that was still leaving, or gave itself up
                if self._is_standby(node):
                    self._set_standby(node, "off")
            self.engine.run_until(self.engine.now + LOOK_EVERY_S)
            complaint = self.checks.why_not_at_rest()
            if complaint:
                self._rested_from = None
            elif self._rested_from is None:
                self._rested_from = self.engine.now
            elif self.engine.now - self._rested_from >= REST_S:
                return self._rested_from
        raise Violation("I7 live", f"{REST_BOUND_S:.0f} s after the last fault: {complaint}")

    @property
    def acknowledged(self) -> int:
        """How many changes of the configuration were answered "ok"."""
        return len(self.checks.acknowledged)

    def up(self) -> list[Node]:
        """The nodes that run."""
        return [node for node in self.nodes.values() if node.is_up]

    def reaches_majority(self, node: Node) -> bool:
        """Tell whether a node hears, and is heard by, a quorum (of three nodes or more)."""
        total = len(self.nodes)
        heard = [
            other for other in self.up() if other is node or self._hear_each_other(node, other)
        ]
        return total == 2 or 2 * len(heard) > total

    def partitions(self) -> list[list[Node]]:
        """Groups of running nodes that reach each other both ways; empty if it is not so simple."""
        groups: list[list[Node]] = []
        for node in self.up():
            for group in groups:
                if all(self._hear_each_other(node, other) for other in group):
                    group.append(node)
                    break
            else:
                groups.append([node])
        apart = [
            (a, b)
            for i, one in enumerate(groups)
            for two in groups[i + 1 :]
            for a in one
            for b in two
        ]
        return [] if any(self._hear_each_other(a, b) for a, b in apart) else groups

    def _hear_each_other(self, a: Node, b: Node) -> bool:
        paths = self.network.paths
        return not (paths[a.name, b.name].is_cut or paths[b.name, a.name].is_cut)

    def _look(self) -> None:
        self._collect_answers()
        self.checks.look()
        self.engine.after(LOOK_EVERY_S, self._look)

    # --- misfortune ---

    def befall(self, fault: Fault) -> None:
        """Have something happen now."""
        self.engine.remember("fault", "!", str(fault))
        kind, _, detail = fault.kind.partition(":")
        node = self.nodes.get(fault.node)
        match kind:
            case "split":
                self.network.split([list(group) for group in fault.nodes])
            case "cut":
                self.network.cut(*fault.nodes[0])
            case "weather":
                self.network.disturb(loss=fault.number, doubling=0.05, longest_s=0.03)
            case "heal":
                self.network.heal()
            case _:
                assert node is not None
                self._befall_node(node, kind, detail, fault.number)

    def _befall_node(self, node: Node, kind: str, detail: str, number: float) -> None:
        match kind:
            case "crash":
                node.crash()
            case "boot":
                node.boot()
            case "leave":
                node.leave()
            case "kill":
                self.trouble_at = self.engine.now
                node.kill(detail)
            case "fail":
                self.world.break_down(detail, node.name)
            case "slow-disk":
                node.disk.shortest_s, node.disk.longest_s = number / 2, number
            case "good-disk":
                node.disk.shortest_s, node.disk.longest_s = 0.001, 0.02
            case "write":
                self._write(node)
            case "standby":
                self._set_standby(node, "on")
            case "online":
                self._set_standby(node, "off")

    def _make_good(self) -> None:
        """The end of all faults: cables, disks and computers are repaired."""
        self.network.heal()
        for node in self.nodes.values():
            self._befall_node(node, "good-disk", "", 0.0)
        self.engine.remember("fault", "!", "everything is repaired")

    # --- an administrator ---

    def _write(self, node: Node) -> None:
        """Somebody changes the configuration at a node; the answer is looked at later."""
        process = node.process("mgmtd")
        if process is None:
            return
        self._token += 1
        token = f"token-{self._token}"
        text = f'<nvpair id="{token}" name="{token}" value="{self.engine.now:.3f}"/>'
        operation = XmlOperation(
            XmlTask.CREATE,
            text.encode(),
            xpath="//cluster_property_set[@id='cib-bootstrap-options']",
        )
        request = self._change(process, operation)
        self._tokens[node.name, id(process), request] = token

    def _set_standby(self, node: Node, value: str) -> None:
        """Somebody sets a node to standby, or online again."""
        process = node.process("mgmtd")
        if process is None:
            return
        text = (
            f'<node id="{node.uuid}"><instance_attributes id="set-{node.name}"><nvpair'
            f' id="standby-{node.name}" name="standby" value="{value}"/>'
            "</instance_attributes></node>"
        )
        operation = XmlOperation(XmlTask.MODIFY, text.encode(), section="nodes")
        self._change(process, operation)

    def _is_standby(self, node: Node) -> bool:
        process = node.process("cib")
        if process is None:
            return False
        pair = process.machine.document.by_id(f"standby-{node.name}")  # type: ignore[attr-defined]
        return pair is not None and pair.get("value") == "on"

    def _change(self, process: Process, operation: XmlOperation) -> int:
        """Ask a cib for a change, as a tool on its node does; gives the request's number."""
        node = process.label.split("/")[0]
        request: int
        request, question = process.machine.ask(  # type: ignore[attr-defined]
            "cib", lambda number: Change(number, (operation,), Origin("cibadmin", node))
        )
        process.receive(question)
        return request

    def _collect_answers(self) -> None:
        for node in self.up():
            process = node.process("mgmtd")
            if process is None:
                continue
            answers = process.machine.answers  # type: ignore[attr-defined]
            for request, answer in answers.items():
                token = self._tokens.pop((node.name, id(process), request), None)
                if token and isinstance(answer, ChangeReply) and answer.outcome is Outcome.OK:
                    self.checks.acknowledged[token] = self.engine.now
            answers.clear()


def run_seed(
    seed: int,
    *,
    makers: Makers | None = None,
    lines: int = 60,
    kind: type[Cluster] = Cluster,
) -> RunResult:
    """Run one seed to its end; a violation, or a bug of a core, becomes part of the outcome."""
    cluster = kind(seed, makers=makers)
    engine = cluster.engine
    violation = ""
    rested_s = 0.0
    report = ""
    try:
        rested_s = cluster.run()
    except Violation as found:
        violation = str(found)
    except Exception as bug:  # noqa: BLE001 - whatever breaks in a core is what we look for
        violation = f"I8 unkillable: {type(bug).__name__}: {bug}"
        report = _where(bug)
    if violation:
        script = "\n".join(f"  {fault.when:7.2f} {fault}" for fault in cluster.script.faults)
        memory = "\n".join(engine.memory(lines))
        report = f"faults:\n{script}\nlast events:\n{memory}\n{report}"
    return RunResult(
        seed,
        violation,
        report,
        rested_s,
        engine.events,
        cluster.world.starts,
        cluster.acknowledged,
        cluster.network.sent,
    )


def _where(bug: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(bug)[-6:])
