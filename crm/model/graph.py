"""The transition graph: what has to be done, and what must wait for what.

The scheduler emits it, the controller carries it out, tools print it as Pacemaker's XML
(`crm.model.writexml.graph`). A *synapse* fires its actions once every input is confirmed.
"""

from __future__ import annotations

import enum

import msgspec


class ActionKind(enum.Enum):
    """Who carries an action out: an executor, nobody (pseudo), or the controller itself."""

    RESOURCE = "rsc_op"
    PSEUDO = "pseudo_event"
    CLUSTER = "crm_event"


class GraphResource(msgspec.Struct, frozen=True, omit_defaults=True):
    """The resource an action is about, with all the executor must know of it."""

    id: str
    agent_class: str
    type: str
    provider: str = ""
    long_id: str = ""


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """One node of the graph.

    `key` is `RSC_TASK_INTERVALms` for resource operations and the task's name otherwise.
    `parameters` are the agent's own; `meta` holds what Pacemaker writes as CRM_meta_* (without
    the prefix, hyphens as underscores), among them `timeout` and `interval` in milliseconds.
    `expected_rc` is None when success is expected.
    """

    id: int
    kind: ActionKind
    task: str
    key: str
    node: str = ""
    node_id: str = ""
    resource: GraphResource | None = None
    interval_ms: int = 0
    timeout_ms: int = 20_000
    expected_rc: int | None = None
    parameters: dict[str, str] = {}
    meta: dict[str, str] = {}
    reasons: tuple[str, ...] = ()
    router: str = ""
    """The member through which an action on a remote or guest node goes, "" elsewhere."""
    full_key: str = ""
    """The key with the number of the copy, of a copy that nodes know without it."""
    downed: tuple[str, ...] = ()
    """The ids of the nodes that are down when it is done."""


class Synapse(msgspec.Struct, frozen=True, omit_defaults=True):
    """Actions that fire together once all `inputs` (action ids) are confirmed."""

    id: int
    actions: tuple[Action, ...]
    inputs: tuple[int, ...] = ()
    priority: int = 0


class Graph(msgspec.Struct, frozen=True, omit_defaults=True):
    """A transition graph with the limits the controller must keep.

    Units: delays and timeouts in milliseconds. `recheck_at` is seconds since 1970 when time alone
    will change the answer, or None.
    """

    transition: int = 0
    synapses: tuple[Synapse, ...] = ()
    cluster_delay_ms: int = 60_000
    fencing_timeout_ms: int = 60_000
    failed_stop_is_infinity: bool = True
    failed_start_is_infinity: bool = True
    batch_limit: int = 0
    migration_limit: int = -1
    recheck_at: float | None = None
    missing: tuple[Action, ...] = ()
    """Actions that something waits for although nobody will carry them out."""
    cluster_delay: str = ""
    """As it is configured, for the XML; "" where it is not."""
    fencing_timeout: str = ""
    """As it is configured, for the XML; "" where it is not."""
