"""What must hold in every run, looked at after events, at intervals, and at the end.

The numbers are those of the project's invariants: I1 exclusive (seen by `agents.World` itself), I2
durable, I3 agreed, I4 one decider, I6 no quorum no service, I7 live. Checks look at the cores from
outside: at their effects, at what a tool would be told, and at the document of a cib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crm.api import cib as cibapi
from crm.api.membership import ViewEvent, ViewInstalled
from crm.cib.warrants import Warrant
from crm.controller.core import Controller
from crm.model.version import Reign
from crm.plumbing.machine import Tell
from lrmd.operations import StartAgent
from tests.sim.engine import Violation
from tests.sim.layers import TIMING
from tests.sim.nodes import Node
from tests.sim.processes import Process

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster

STOP_BOUND_S = 4.0
"""So long a node whose membership lost its quorum may keep resources: an election, a join, a
schedule, the longest chain of stops, and one daemon that had to be started again."""

STABLE_S = 2 * TIMING.deadtime_s
"""So long after the last disturbance a partition counts as stable."""

REST_BOUND_S = TIMING.initdead_s + 2 * TIMING.deadtime_s + 10.0
"""So long after the last fault everything must be at rest."""

IDLE_STATES = ("S_IDLE", "S_NOT_DC")


class Checks:
    """All checks of one run."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._engine = cluster.engine
        self._digests: dict[Warrant, tuple[str, str]] = {}
        self._versions: dict[str, tuple[int, int]] = {}
        self._reigns: dict[tuple[str, int, int], Reign] = {}
        self._without_quorum: dict[str, float] = {}
        self._alone: dict[str, float] = {}
        self.acknowledged: dict[str, float] = {}
        self.counted = 0

    # --- on every effect ---

    def watch(self, process: Process, effect: Any) -> None:
        """Look at an effect that was just carried out."""
        if isinstance(effect, StartAgent):
            self._one_decider(process, effect)
        elif isinstance(effect, Tell):
            if isinstance(effect.message, ViewInstalled) and effect.peer == "crmd":
                self._note_view(process, effect.message)
            elif isinstance(effect.message, cibapi.CibChanged | cibapi.CibReplaced):
                self._agreed(process)

    def _one_decider(self, process: Process, effect: StartAgent) -> None:
        """I4: an action of an older reign never starts after one of a newer."""
        run = process.machine._runs.get(effect.run)  # type: ignore[attr-defined]
        if run is None:
            return
        execute = run.order.execute
        if execute.interval_ms:
            return  # repetitions go on over a change of DC
        node = process.label.split("/")[0]
        key = (node, self._cluster.nodes[node].life, id(process))
        known = self._reigns.get(key, Reign())
        if execute.reign < known:
            text = f"{node} starts {execute.key} of reign {execute.reign} after reign {known}"
            raise Violation("I4 one decider", text)
        self._reigns[key] = execute.reign

    def _note_view(self, process: Process, message: ViewInstalled) -> None:
        node = process.label.split("/")[0]
        if message.event is ViewEvent.NOT_PRIMARY:
            return  # a new view is being agreed on; it may well be quorate
        if message.view.quorate and message.event is not ViewEvent.EVICTED:
            self._without_quorum.pop(node, None)
        else:
            self._without_quorum.setdefault(node, self._engine.now)

    def _agreed(self, process: Process) -> None:
        """I3: one version of a configuration written with quorum names one content."""
        replica = process.machine
        document = replica.document  # type: ignore[attr-defined]
        version = document.version
        node = process.label.split("/")[0]
        key = (version.admin_epoch, version.epoch)
        if self._versions.get(process.label) == key:
            return
        self._versions[process.label] = key
        warrant = replica._copy.warrant  # type: ignore[attr-defined]
        if warrant.written == Reign() or warrant.settled != key:
            return
        digest = document.digest()
        known = self._digests.setdefault(warrant, (digest, node))
        if known[0] != digest:
            text = (
                f"version {version} (written in reign {warrant.written}) is {digest} on {node} and"
                f" {known[0]} on {known[1]}"
            )
            raise Violation("I3 agreed", text)

    # --- now and then ---

    def look(self) -> None:
        """The checks that need no particular event."""
        self.counted += 1
        self._no_quorum_no_service()
        if self.stable_for() > STABLE_S:
            self._one_dc()

    def stable_for(self) -> float:
        """For how many seconds nothing has changed from outside."""
        cluster = self._cluster
        moments = [cluster.network.changed_at, *(node.changed_at for node in cluster.up())]
        moments += [node.changed_at for node in cluster.nodes.values()]
        return self._engine.now - max(moments)

    def _no_quorum_no_service(self) -> None:
        """I6: a node whose membership has no quorum lets go of everything in time.

        A node that can reach no majority must have learnt that after the deadtime.
        """
        for node in self._cluster.up():
            if self._cluster.reaches_majority(node):
                self._alone.pop(node.name, None)
            else:
                self._alone.setdefault(node.name, self._engine.now)
            known = self._without_quorum.get(node.name)
            alone = self._alone.get(node.name)
            moments = [known] if known is not None else []
            moments += [alone + TIMING.deadtime_s] if alone is not None else []
            if not moments:
                continue
            since = min(moments)
            if node.process("crmd") is None or node.process("heartbeat") is None:
                continue
            waited = self._engine.now - max(since, node.changed_at, self._cluster.trouble_at)
            held = self._cluster.world.resources_on(node.name)
            if waited > STOP_BOUND_S and held:
                text = f"{node.name} holds {', '.join(held)} {waited:.1f} s after losing quorum"
                raise Violation("I6 no quorum", text)

    def _one_dc(self) -> None:
        """I4: one controller per partition calls itself DC."""
        for group in self._cluster.partitions():
            ruling = [node.name for node in group if _is_dc(node)]
            if len(ruling) > 1:
                raise Violation("I4 one decider", f"{' and '.join(ruling)} are both DC")

    # --- at the end ---

    def why_not_at_rest(self, *, without: str = "") -> str:
        """I7: what still keeps all nodes but one from being at rest; empty when nothing does."""
        cluster = self._cluster
        nodes = [node for node in cluster.nodes.values() if node.name != without]
        states = {
            node.name: controller.state for node in nodes if (controller := _controller(node))
        }
        silent = [node.name for node in nodes if node.name not in states]
        if silent:
            return f"no crmd on {', '.join(silent)}"
        ruling = [node.name for node in nodes if _is_dc(node)]
        if len(ruling) != 1:
            return f"DCs: {', '.join(ruling) or 'none'}"
        restless = [f"{n} is {s}" for n, s in states.items() if s not in IDLE_STATES]
        if restless:
            return ", ".join(restless)
        views = {str(_view(node)) for node in nodes}
        if len(views) != 1:
            return f"views differ: {' / '.join(sorted(views))}"
        for resource in cluster.resources:
            where = cluster.world.where(resource)
            if len(where) != 1:
                return f"{resource} is active on {', '.join(where) or 'no node'}"
        return self._why_copies_differ(nodes)

    def _why_copies_differ(self, nodes: list[Node]) -> str:
        copies = {}
        for node in nodes:
            process = node.process("cib")
            if process is None:
                return f"no cib on {node.name}"
            document = process.machine.document  # type: ignore[attr-defined]
            copies[node.name] = (str(document.version), document.digest())
        if len(set(copies.values())) != 1:
            return f"copies differ: {copies}"
        return ""

    def at_end(self) -> None:
        """I2: what was acknowledged is there, on every node.

        Two nodes are not judged: each may rule alone while the other is down, and when they take
        turns neither has seen what the other acknowledged.
        """
        if len(self._cluster.nodes) == 2:
            return
        for node in self._cluster.nodes.values():
            process = node.process("cib")
            assert process is not None
            document = process.machine.document  # type: ignore[attr-defined]
            for token in self.acknowledged:
                if document.by_id(token) is None:
                    when = self.acknowledged[token]
                    text = f"{token}, acknowledged at {when:.3f}, is missing on {node.name}"
                    raise Violation("I2 durable", text)


def _controller(node: Node) -> Controller | None:
    process = node.process("crmd")
    return process.machine if process is not None else None  # type: ignore[return-value]


def _is_dc(node: Node) -> bool:
    controller = _controller(node)
    return controller is not None and controller.dc == node.name


def _view(node: Node) -> Any:
    process = node.process("heartbeat")
    view = process.machine.view if process is not None else None  # type: ignore[attr-defined]
    return None if view is None else (view.id, [m.name for m in view.members], view.quorate)
