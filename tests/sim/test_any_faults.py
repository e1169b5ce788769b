"""Whatever befalls the disks and nodes, and in whichever order: the configuration keeps its word.

A made-up script that breaks it is shrunk to the few faults that matter. A short run is part of the
daily tests. `./run faults EXAMPLES=500` tries more, and others each time.
"""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.sim import cib_faults
from tests.sim.cib_cluster import CibCluster
from tests.sim.engine import Violation
from tests.sim.faults import Fault, Script

_ASKED = os.environ.get("PACEKEEPER_EXAMPLES", "")
_NAMES = ("n1", "n2", "n3")
_nodes = st.sampled_from(_NAMES)
_SETTLING_S = 16.0


class Unscripted(CibCluster):
    """Three nodes to which nothing happens by itself."""

    def _size(self, chance: random.Random) -> int:
        return len(_NAMES)

    def _script(self, chance: random.Random, names: list[str], length_s: float) -> Script:
        return Script()


class Misfortunes(RuleBasedStateMachine):
    """Writers, crashes, partitions and bad disks; the cluster is looked at all the time."""

    @initialize(seed=st.integers(1, 50))
    def begin(self, seed: int) -> None:
        self.cluster = Unscripted(seed, length_s=0.0)
        self.cluster.engine.run_until(_SETTLING_S)

    def befall(self, kind: str, node: str = "", number: float = 0.0) -> None:
        cluster = self.cluster
        cluster.befall(Fault(cluster.engine.now, kind, node, number=number))

    @rule(seconds=st.sampled_from((0.003, 0.02, 0.3, 2.0, 7.0, 15.0)))
    def wait(self, seconds: float) -> None:
        self.cluster.engine.run_until(self.cluster.engine.now + seconds)

    @rule(node=_nodes, count=st.integers(1, 4))
    def write(self, node: str, count: int) -> None:
        for _ in range(count):
            self.befall("write", node)

    @rule(node=_nodes, kind=st.sampled_from(("crash", "halt", "boot", "kill:cib", "kill:crmd")))
    def live_or_die(self, node: str, kind: str) -> None:
        self.befall(kind, node)

    @rule(
        node=_nodes,
        kind=st.sampled_from(("power-at-call", "kill-at-call")),
        number=st.integers(0, cib_faults.MAX_CALLS),
    )
    def interrupt(self, node: str, kind: str, number: int) -> None:
        self.befall(kind, node, number)

    @rule(node=_nodes, call=st.sampled_from(cib_faults.FULL_CALLS), times=st.integers(1, 3))
    def fill(self, node: str, call: str, times: int) -> None:
        self.befall(f"full:{call}", node, times)

    @rule(node=_nodes, call=st.sampled_from(cib_faults.SYNC_CALLS), times=st.integers(1, 3))
    def fail_to_sync(self, node: str, call: str, times: int) -> None:
        self.befall(f"sync-error:{call}", node, times)

    @rule(node=_nodes, kind=st.sampled_from(("broken", "read-only", "good-disk")))
    def break_or_mend(self, node: str, kind: str) -> None:
        self.befall(kind, node)

    @rule(alone=_nodes)
    def split(self, alone: str) -> None:
        others = [name for name in _NAMES if name != alone]
        self.cluster.network.split([[alone], others])

    @rule(sender=_nodes, receiver=_nodes)
    def cut(self, sender: str, receiver: str) -> None:
        if sender != receiver:
            self.cluster.network.cut(sender, receiver)

    @rule()
    def heal(self) -> None:
        self.cluster.network.heal()

    @rule()
    def black_out(self) -> None:
        for node in self.cluster.nodes.values():
            node.crash()
            node.boot()

    @precondition(lambda self: hasattr(self, "cluster"))
    @invariant()
    def nothing_refused_is_made(self) -> None:
        self.cluster.look_for_refused()

    def teardown(self) -> None:
        """All is repaired, all comes to rest, and everything that was answered is there."""
        if not hasattr(self, "cluster"):
            return
        try:
            self.cluster.run()
        except Violation:
            note("\n".join(self.cluster.engine.memory(80)))
            raise


TestMisfortunes = Misfortunes.TestCase
TestMisfortunes.settings = settings(
    max_examples=int(_ASKED or 6),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=not _ASKED,
    print_blob=True,
    # Shrinking takes minutes; who looks for a fault asks for it.
    phases=list(Phase) if _ASKED else [Phase.generate],
)
