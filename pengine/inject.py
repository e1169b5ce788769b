"""Changes a cluster on paper before it is scheduled: what if a node failed, a ticket was revoked.

Each injection gives the changed cluster and the line that says what was done. Nothing is checked
against reality: a node that is brought up need not have been known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from crm.model.cluster import Cluster, Node
from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.resources import AttributeSet, Bundle, Primitive, primitives_of
from crm.model.score import INFINITY
from crm.model.status import HistoryEntry, NodeState, ResourceHistory, TicketState
from pengine.facts import bundles
from pengine.facts.failures import parse_count


@dataclass(frozen=True, slots=True)
class Outcome:
    """One result of an operation to pretend: `RSC_TASK_MS@NODE=RC` on the command line."""

    resource: str
    task: str
    interval_ms: int
    node: str
    exit_code: int

    @property
    def key(self) -> str:
        """Name the operation as histories do."""
        return f"{self.resource}_{self.task}_{self.interval_ms}"


def parse_outcome(text: str) -> Outcome:
    """Read `RSC_TASK_MS@NODE=RC`.

    Raises: ValueError with a sentence if it is not of this form.
    """
    key, _, rest = text.partition("@")
    node, _, code = rest.partition("=")
    words = key.rsplit("_", 2)
    if len(words) == 3 and words[1] in ("to", "from") and words[0].endswith("_migrate"):
        words = [words[0].removesuffix("_migrate"), f"migrate_{words[1]}", words[2]]
    if len(words) != 3 or not all(words) or not words[2].isdigit():
        raise ValueError(f"'{text}' is no operation: write RESOURCE_TASK_MILLISECONDS@NODE=CODE")
    if not node or not code.isdigit():
        raise ValueError(f"'{text}' names no node or no exit code: write @NODE=CODE at its end")
    return Outcome(words[0], words[1], int(words[2]), node, int(code))


def bring_up(cluster: Cluster, name: str) -> Cluster:
    """Put a node online; one that is not configured is added."""
    if all(node.name != name for node in cluster.nodes):
        cluster = replace(cluster, nodes=(*cluster.nodes, Node(id=name, name=name)))
    return _with_membership(cluster, name, is_up=True, expected="member")


def take_down(cluster: Cluster, name: str) -> Cluster:
    """Take a node offline as if it had left in good order."""
    return _with_membership(cluster, name, is_up=False, expected="down")


def fail(cluster: Cluster, name: str) -> Cluster:
    """Let a node vanish without a word."""
    return _with_membership(cluster, name, is_up=False, expected="member")


def _with_membership(cluster: Cluster, name: str, *, is_up: bool, expected: str) -> Cluster:
    state = _state_of(cluster, name)
    changed = replace(
        state,
        in_membership=is_up,
        process_online=is_up,
        join="member" if is_up else "down",
        expected=expected,
        member_since_s=1 if is_up else 0,
    )
    return _with_state(cluster, changed)


def _state_of(cluster: Cluster, name: str) -> NodeState:
    node = next((n for n in cluster.nodes if n.name == name), None)
    key = node.id if node is not None else name
    found = next((s for s in cluster.status if s.id == key or s.name == name), None)
    return found or NodeState(key, name, False, False)


def _with_state(cluster: Cluster, changed: NodeState) -> Cluster:
    known = any(state.id == changed.id for state in cluster.status)
    states = tuple(changed if state.id == changed.id else state for state in cluster.status)
    return replace(cluster, status=states if known else (*states, changed))


def change_ticket(
    cluster: Cluster, ticket: str, *, granted: bool | None = None, standby: bool | None = None
) -> Cluster:
    """Grant or revoke a ticket, put it on standby or make it active again."""
    found = next((t for t in cluster.tickets if t.id == ticket), TicketState(ticket))
    changed = replace(
        found,
        granted=found.granted if granted is None else granted,
        standby=found.standby if standby is None else standby,
    )
    others = tuple(t for t in cluster.tickets if t.id != ticket)
    return replace(cluster, tickets=(*others, changed))


def set_option(cluster: Cluster, name: str, value: str) -> Cluster:
    """Set a cluster option above everything configured."""
    first = AttributeSet(id="simulation-options", values=((name, value),))
    return replace(cluster, options=(first, *cluster.options))


def inject(cluster: Cluster, outcome: Outcome, now_s: int) -> tuple[Cluster, tuple[str, ...]]:
    """Pretend that an operation ended; gives the cluster and what was set besides.

    What should not have ended so counts as a failure.
    """
    primitive = next((p for p in _primitives(cluster) if p.id == _plain(outcome)), None)
    if primitive is None:
        return cluster, (f"There is no resource '{outcome.resource}'",)
    if all(outcome.node != node.name for node in cluster.nodes):
        return cluster, (f"There is no node '{outcome.node}'",)
    state = _state_of(cluster, outcome.node)
    names = {history.id: history for history in state.history}
    name = next((n for n in (outcome.resource, _plain(outcome)) if n in names), outcome.resource)
    agent = primitive.agent
    history = names.get(name) or ResourceHistory(name, agent.standard, agent.provider, agent.type)
    expected = _expected(outcome)
    entry = HistoryEntry(
        id=outcome.key,
        operation=outcome.task,
        interval_ms=outcome.interval_ms,
        call_id=1 + max((e.call_id for h in state.history for e in h.entries), default=0),
        exit_code=outcome.exit_code,
        status=OperationStatus.DONE,
        target_rc=expected,
        last_change_s=now_s,
        last_run_s=now_s,
    )
    entries = tuple(e for e in history.entries if e.id != entry.id)
    changed = replace(history, entries=(*entries, entry))
    others = tuple(h for h in state.history if h.id != name)
    state = replace(state, history=(*others, changed))
    lines: tuple[str, ...] = ()
    if outcome.exit_code != expected:
        state, lines = _count_failure(state, outcome, now_s)
    return _with_state(cluster, state), lines


def _expected(outcome: Outcome) -> int:
    is_probe = outcome.task == "monitor" and outcome.interval_ms == 0
    return int(ExitCode.NOT_RUNNING) if is_probe else 0


def _plain(outcome: Outcome) -> str:
    return outcome.resource.partition(":")[0]


def _primitives(cluster: Cluster) -> Iterator[Primitive]:
    for resource in cluster.resources:
        yield from primitives_of(resource)
        if isinstance(resource, Bundle):
            yield from bundles.generated_primitives(resource)


def _count_failure(
    state: NodeState, outcome: Outcome, now_s: int
) -> tuple[NodeState, tuple[str, ...]]:
    about = f"{_plain(outcome)}#{outcome.task}_{outcome.interval_ms}"
    count, when = f"fail-count-{about}", f"last-failure-{about}"
    values = {name: value for item in state.attributes for name, value in item.values}
    is_fatal = outcome.task == "start"
    total = INFINITY if is_fatal else parse_count(values.get(count, "0")) + 1
    first = state.attributes[0] if state.attributes else AttributeSet(f"status-{state.id}", ())
    kept = tuple(pair for pair in first.values if pair[0] not in (count, when))
    first = replace(first, values=(*kept, (count, str(int(total))), (when, str(now_s))))
    said = "INFINITY" if is_fatal else "value++"
    return replace(state, attributes=(first, *state.attributes[1:])), (
        f"Injecting attribute {count}={said} into /node_state '{state.id}'",
        f"Injecting attribute {when}={now_s} into /node_state '{state.id}'",
    )
