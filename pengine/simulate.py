"""Carries a transition graph out on paper: what would be done, and the cluster afterwards.

Rounds as the controller's: one pass over the synapses in graph order, firing each whose inputs
are confirmed; what fires is confirmed at once, so a later synapse of the same pass may follow.
Everything goes as expected, except what `failures` names. After a failure only marks are still
reached, and what is more important than anything: the controller waits for a new graph.

Clearing fail counts, deleting histories and shutting down change nothing on paper: the controller
and its nodes do that in the end, and nobody reads this paper twice.

Source: reference scheduler.md 4.12; published cases remote-orphaned, simple7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from crm.model import digests
from crm.model.cluster import Cluster
from crm.model.graph import Action, ActionKind, Graph, Synapse
from crm.model.score import INFINITY
from crm.model.status import NodeState, ResourceHistory
from pengine.recording import Ended, count_failure, write_down

_UNRECORDED = frozenset({"delete", "meta-data"})


class Executed(msgspec.Struct, frozen=True):
    """One action carried out, and the name it is printed with.

    `failed_rc` is the exit code of an action that was told to fail, `lines` says what that changed.
    """

    action: Action
    name: str
    failed_rc: int | None = None
    lines: tuple[str, ...] = ()


class Simulation(msgspec.Struct, frozen=True):
    """What was done, in order, and the cluster it leaves.

    `complete` is False if anything failed or was not done.
    """

    executed: tuple[Executed, ...]
    cluster: Cluster
    complete: bool


def simulate(
    cluster: Cluster, graph: Graph, failures: Mapping[tuple[str, str], int] | None = None
) -> Simulation:
    """Carry out a graph; `failures` maps (operation key, node) to an exit code."""
    paper = _Paper(cluster, failures or {})
    confirmed: set[int] = set()
    executed: list[Executed] = []
    waiting = list(graph.synapses)
    while waiting:
        left = []
        for synapse in waiting:
            is_due = all(number in confirmed for number in synapse.inputs)
            if is_due and (not paper.has_failed or _goes_on(synapse)):
                for action in synapse.actions:
                    executed.append(paper.carry_out(action))
                    confirmed.add(action.id)
            else:
                left.append(synapse)
        if len(left) == len(waiting):
            break
        waiting = left
    complete = not waiting and not paper.has_failed
    return Simulation(tuple(executed), paper.cluster(), complete)


def _goes_on(synapse: Synapse) -> bool:
    is_mark = all(action.kind is ActionKind.PSEUDO for action in synapse.actions)
    return is_mark or synapse.priority >= INFINITY


class _Paper:
    """The status being changed; it does not leave this module."""

    def __init__(self, cluster: Cluster, failures: Mapping[tuple[str, str], int]) -> None:
        self._cluster = cluster
        self._failures = {(k.lower(), n.lower()): rc for (k, n), rc in failures.items()}
        self._states = {state.id: state for state in cluster.status}
        self._names = {history.id for state in cluster.status for history in state.history}
        latest_s = (e.last_change_s for s in cluster.status for h in s.history for e in h.entries)
        self._now_s = int(cluster.execution_s or 1 + max(latest_s, default=0))
        self.has_failed = False

    def cluster(self) -> Cluster:
        """Give the cluster as it is now."""
        return replace(self._cluster, status=tuple(self._states.values()))

    def carry_out(self, action: Action) -> Executed:
        """Do one action."""
        match action.kind:
            case ActionKind.PSEUDO:
                return Executed(action, "")
            case ActionKind.CLUSTER:
                if action.task == "stonith" and action.meta.get("stonith_action") != "on":
                    self._fence(action)
                return Executed(action, self._name_of(action))
            case ActionKind.RESOURCE:
                return self._operate(action)

    def _name_of(self, action: Action) -> str:
        """Say how a resource is called: a copy by its own name, unless any history is not."""
        if action.resource is None:
            return ""
        plain, long = action.resource.id, action.resource.long_id
        return plain if plain in self._names or not long else long

    def _state(self, action: Action) -> NodeState:
        found = self._states.get(action.node_id)
        if found is not None:
            return found
        return NodeState(action.node_id, action.node, True, True, "member", "member")

    def _fence(self, action: Action) -> None:
        self._states[action.node_id] = replace(
            self._state(action),
            in_membership=False,
            member_since_s=0,
            process_online=False,
            join="down",
            expected="down",
            is_seen=True,
            attributes=(),
            history=(),
        )

    def _operate(self, action: Action) -> Executed:
        resource = action.resource
        assert resource is not None
        name = self._name_of(action)
        if action.task in _UNRECORDED:
            return Executed(action, name)
        state = self._state(action)
        names = (name, resource.id, resource.long_id)
        called = [history for history in state.history if history.id in names]
        times = Counter(history.id for history in called)
        # Which one of several were meant nobody could say (case inc6).
        known = {history.id: history for history in called if times[history.id] == 1}
        history = next((known[each] for each in names if each in known), None)
        if history is None:
            history = ResourceHistory(
                resource.id, resource.agent_class, resource.provider, resource.type
            )
        failed_rc = self._failure_of(action, (name, resource.id))
        ended = self._ended(action, failed_rc)
        lines: tuple[str, ...] = ()
        if failed_rc is not None:
            self.has_failed = True
            state, lines = count_failure(state, name, ended)
        self._states[state.id] = write_down(state, history, ended)
        return Executed(action, name, failed_rc, lines)

    def _failure_of(self, action: Action, names: tuple[str, ...]) -> int | None:
        interval_ms = _interval_ms(action)
        for name in names:
            key = f"{name}_{action.task}_{interval_ms}".lower()
            if (key, action.node.lower()) in self._failures:
                return self._failures[key, action.node.lower()]
        return None

    def _ended(self, action: Action, failed_rc: int | None) -> Ended:
        expected = action.expected_rc or 0
        interval_ms = _interval_ms(action)
        digest = digests.operation_digest(
            action.parameters, interval_ms=interval_ms, timeout_ms=action.timeout_ms
        )
        return Ended(
            task=action.task,
            interval_ms=interval_ms,
            exit_code=expected if failed_rc is None else failed_rc,
            expected_rc=expected,
            at_s=self._now_s,
            digest=digest,
            identity=action.key if action.task == "notify" else "",
            migrate_source=action.meta.get("migrate_source", ""),
            migrate_target=action.meta.get("migrate_target", ""),
        )


def _interval_ms(action: Action) -> int:
    """Give the interval an action is about; a cancellation is about that of what it cancels."""
    if action.task == "cancel":
        return int(action.meta.get("interval", "0"))
    return action.interval_ms
