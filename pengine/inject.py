"""Changes a cluster on paper before it is scheduled: what if a node failed, a ticket was revoked.

Each injection gives the changed cluster and the line that says what was done. Nothing is checked
against reality: a node that is brought up need not have been known.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from crm.model.cluster import Cluster, Node
from crm.model.resources import AttributeSet, Bundle, Primitive, primitives_of
from crm.model.status import NodeState, ResourceHistory, TicketState
from pengine.facts import bundles
from pengine.recording import Ended, count_failure, write_down


class Outcome(msgspec.Struct, frozen=True):
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

    Raises: ValueError in the words of the classic tool, which counts what it could read.
    """
    key, at, rest = text.partition("@")
    node, equals, code = rest.partition("=")
    words = key.rsplit("_", 2)
    if len(words) == 3 and words[1] in ("to", "from") and words[0].endswith("_migrate"):
        words = [words[0].removesuffix("_migrate"), f"migrate_{words[1]}", words[2]]
    found = 1 if not (at and node) else 2 if not (equals and code.isdigit()) else 3
    if found < 3:
        raise ValueError(f"Invalid operation spec: {text}.  Only found {found} fields")
    if len(words) != 3 or not all(words) or not words[2].isdigit():
        raise ValueError(f"Invalid operation spec: {text}.  {key} is no RESOURCE_TASK_MILLISECONDS")
    return Outcome(words[0], words[1], int(words[2]), node, int(code))


def bring_up(cluster: Cluster, name: str) -> Cluster:
    """Put a node online; one that is not configured is added."""
    if all(node.name != name for node in cluster.nodes):
        cluster = replace(cluster, nodes=(*cluster.nodes, Node(id=name, name=name)))
    return _with_membership(cluster, name, is_up=True, expected="member")


def take_down(cluster: Cluster, name: str) -> Cluster:
    """Take a node offline as if it had left in good order; nothing is remembered of it."""
    changed = _with_membership(cluster, name, is_up=False, expected="down")
    state = _state_of(changed, name)
    return _with_state(changed, replace(state, attributes=(), history=()))


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

    It is written as if success had been expected, and says nothing of parameters: a later look
    takes it for an operation that has been defined anew.

    Raises: ValueError with a sentence if there is no such resource or node.
    """
    primitive = _find(cluster, outcome.resource)
    if primitive is None:
        raise ValueError(f"Invalid resource name: {outcome.resource}")
    if all(outcome.node != node.name for node in cluster.nodes):
        raise ValueError(f"Invalid node name: {outcome.node}")
    state = _state_of(cluster, outcome.node)
    agent = primitive.agent
    history = next(
        (history for history in state.history if history.id == outcome.resource),
        ResourceHistory(outcome.resource, agent.standard, agent.provider, agent.type),
    )
    ended = Ended(
        task=outcome.task,
        interval_ms=outcome.interval_ms,
        exit_code=outcome.exit_code,
        expected_rc=0,
        at_s=now_s,
    )
    state, lines = count_failure(state, outcome.resource, ended)
    return _with_state(cluster, write_down(state, history, ended)), lines


def _find(cluster: Cluster, name: str) -> Primitive | None:
    """Find a primitive by its name, or by that of one of its copies."""
    plain = name.partition(":")[0]
    return next((p for p in _primitives(cluster) if p.id in (name, plain)), None)


def _primitives(cluster: Cluster) -> Iterator[Primitive]:
    for resource in cluster.resources:
        yield from primitives_of(resource)
        if isinstance(resource, Bundle):
            yield from bundles.generated_primitives(resource)
