"""Carries a transition graph out on paper: what would be done, and the cluster afterwards.

Rounds as the controller's: one pass over the synapses in graph order, firing each whose inputs
are confirmed; what fires is confirmed at once, so a later synapse of the same pass may follow.
Everything goes as expected, except what `failures` names.

Source: reference scheduler.md 4.12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from crm.model import digests
from crm.model.cluster import Cluster
from crm.model.graph import Action, ActionKind, Graph
from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.resources import AttributeSet
from crm.model.status import HistoryEntry, NodeState, ResourceHistory


@dataclass(frozen=True, slots=True)
class Executed:
    """One action carried out, and the name under which its node keeps the resource."""

    action: Action
    name: str


@dataclass(frozen=True, slots=True)
class Simulation:
    """What was done, in order, and the cluster it leaves. `complete` is False if it got stuck."""

    executed: tuple[Executed, ...]
    cluster: Cluster
    complete: bool


def simulate(
    cluster: Cluster, graph: Graph, failures: Mapping[tuple[str, str], int] | None = None
) -> Simulation:
    """Carry out a graph; `failures` maps (operation key, node) to an exit code."""
    paper = _Paper(cluster, failures or {})
    confirmed: set[int] = set()
    broken: set[int] = set()
    executed: list[Executed] = []
    waiting = list(graph.synapses)
    while waiting:
        left = []
        for synapse in waiting:
            if all(number in confirmed for number in synapse.inputs):
                for action in synapse.actions:
                    executed.append(Executed(action, paper.name_of(action)))
                    if paper.carry_out(action):
                        confirmed.add(action.id)
                    else:
                        broken.add(action.id)
            else:
                left.append(synapse)
        if len(left) == len(waiting):
            break
        waiting = left
    return Simulation(tuple(executed), paper.cluster(), not waiting and not broken)


class _Paper:
    """The status being changed; it does not leave this module."""

    def __init__(self, cluster: Cluster, failures: Mapping[tuple[str, str], int]) -> None:
        self._cluster = cluster
        self._failures = failures
        self._states = {state.id: state for state in cluster.status}
        self._plain = {history.id for state in cluster.status for history in state.history}
        latest_s = (e.last_change_s for s in cluster.status for h in s.history for e in h.entries)
        self._now_s = int(cluster.execution_s or 1 + max(latest_s, default=0))
        self._call = 1 + max(
            (e.call_id for s in cluster.status for h in s.history for e in h.entries), default=0
        )

    def cluster(self) -> Cluster:
        """Give the cluster as it is now."""
        return replace(self._cluster, status=tuple(self._states.values()))

    def name_of(self, action: Action) -> str:
        """Say under which name a resource is kept: a copy's own, unless any node uses the plain."""
        if action.resource is None:
            return ""
        plain, long = action.resource.id, action.resource.long_id
        return plain if plain in self._plain or not long else long

    def carry_out(self, action: Action) -> bool:
        """Do one action; False if it fails."""
        match action.kind:
            case ActionKind.PSEUDO:
                return True
            case ActionKind.CLUSTER:
                self._carry_out_cluster(action)
                return True
            case ActionKind.RESOURCE:
                return self._carry_out_resource(action)

    def _state(self, action: Action) -> NodeState:
        found = self._states.get(action.node_id)
        if found is not None:
            return found
        return NodeState(action.node_id, action.node, True, True, "member", "member")

    def _carry_out_cluster(self, action: Action) -> None:
        state = self._state(action)
        if action.task == "stonith" and action.meta.get("stonith_action") != "on":
            self._states[state.id] = replace(
                state,
                in_membership=False,
                member_since_s=0,
                process_online=False,
                join="down",
                expected="down",
                is_seen=True,
                attributes=(),
                history=(),
            )
        if action.task == "lrm_delete" and action.resource is not None:
            self._put(self._state(action), action.resource.id, None)
        if action.task == "clear_failcount":
            name = action.key.removesuffix("_clear_failcount_0")
            self._states[state.id] = replace(
                state, attributes=tuple(_without_failures(s, name) for s in state.attributes)
            )

    def _carry_out_resource(self, action: Action) -> bool:
        resource = action.resource
        assert resource is not None
        if action.task in ("notify", "delete"):
            return True  # A deleted history stays on paper (case remote-orphaned).
        state = self._state(action)
        name = self.name_of(action)
        history = next((h for h in state.history if h.id == name), None) or ResourceHistory(
            name, resource.agent_class, resource.provider, resource.type
        )
        if action.task == "cancel":
            interval_ms = int(action.meta.get("interval", "0"))
            kept = tuple(
                e
                for e in history.entries
                if e.interval_ms != interval_ms or e.id.endswith("_last_failure_0")
            )
            self._put(state, name, replace(history, entries=kept))
            return True
        expected = action.expected_rc or 0
        code = self._failures.get((action.key, action.node), expected)
        entry = HistoryEntry(
            id=action.key,
            operation=action.task,
            interval_ms=action.interval_ms,
            call_id=self._call,
            exit_code=code,
            status=OperationStatus.DONE if code == expected else OperationStatus.ERROR,
            target_rc=expected,
            digest=digests.operation_digest(
                action.parameters, interval_ms=action.interval_ms, timeout_ms=action.timeout_ms
            ),
            last_change_s=self._now_s,
            migrate_source=action.meta.get("migrate_source", ""),
            migrate_target=action.meta.get("migrate_target", ""),
        )
        self._call += 1
        entries = tuple(e for e in history.entries if not _is_replaced(e, entry))
        self._put(state, name, replace(history, entries=(*entries, entry)))
        return code == expected or code == ExitCode.OK

    def _put(self, state: NodeState, resource: str, history: ResourceHistory | None) -> None:
        others = [h for h in state.history if h.id != resource]
        if history is not None:
            others.append(history)
        self._states[state.id] = replace(state, history=tuple(others))


def _is_replaced(old: HistoryEntry, new: HistoryEntry) -> bool:
    """Tell whether a new entry takes the place of an old one: the last result of what it did.

    Recurring operations and failures stay where a resource is stopped, so a failure of a
    connection lasts until its time is over (case remote-fence-before-reconnect). What was
    being looked at when it stopped is not any more.
    """
    if new.operation == "stop" and old.status == OperationStatus.PENDING:
        return True
    if old.id.endswith("_last_failure_0"):
        return False
    if new.interval_ms > 0 or old.interval_ms > 0:
        return (old.operation, old.interval_ms) == (new.operation, new.interval_ms)
    return True


def _without_failures(item: AttributeSet, name: str) -> AttributeSet:
    def is_about(key: str) -> bool:
        for prefix in ("fail-count-", "last-failure-"):
            if key.startswith(prefix):
                return key[len(prefix) :].partition("#")[0].partition(":")[0] == name
        return False

    return replace(item, values=tuple((k, v) for k, v in item.values if not is_about(k)))
