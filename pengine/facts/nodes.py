"""What is true of each machine: is it there, may it run things, does it want to leave.

Without fencing a node that is not a full member of the cluster is simply offline. With fencing, a
node that should be there and is not is *unclean*: nobody knows what it runs.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec.structs import replace

from crm.model.cluster import Cluster, Node
from crm.model.score import Score
from crm.model.status import NodeState
from pengine.facts.presence import Circumstances, Presence, conclude_presence
from pengine.facts.settings import Settings
from pengine.facts.values import flatten, situation, truth


class Link(enum.Enum):
    """How a remote node can be reached, once its connection is placed."""

    ALIVE = "alive"
    """It is reached now, and will be."""

    RESTING = "resting"
    """The member that held it is lost, or it is half way: it comes up elsewhere."""

    UNKNOWN = "unknown"
    """It is not reached now; whether it can be will be seen."""

    STOPPED = "stopped"
    """It goes, or has gone, down cleanly."""

    FAILED = "failed"
    """It is lost and cannot be had back."""


class NodeFacts(msgspec.Struct, frozen=True):
    """One machine. `attributes` holds permanent, transient and special (`#uname`) ones."""

    name: str
    id: str
    kind: str
    online: bool
    unclean: bool
    pending: bool
    standby: bool
    maintenance: bool
    shutting_down: bool
    is_dc: bool
    attributes: Mapping[str, str]
    transient: Mapping[str, str]
    score: Score
    standby_by_failure: bool = False
    unclean_because: str = ""
    """Why the node is to be fenced; empty where nothing but its silence says so."""
    was_lost: bool = False
    """Set where it left the membership: the priority-fencing-delay is about such nodes."""
    pending_until_s: int | None = None
    connection: str = ""
    """The instance through which a remote or guest node is reached, "" for members."""
    container: str = ""
    """The resource a guest runs in."""
    is_unlisted: bool = False
    """Set where only the history of a removed connection tells of it: nothing is allowed here."""
    is_unseen: bool = False
    """Set where the node is unclean only as long as its connection cannot be had."""
    requires_reset: bool = False
    """Set on a guest whose container has to be stopped before anything there counts as ended."""
    is_cut_off: bool = False
    """Set on a guest whose host is lost and cannot be fenced: nothing can be done there."""
    was_fenced: bool = False
    reconnect_ms: int = 0
    wants_to_leave: bool = False
    """Set where the node itself asked for its shutdown."""
    link: Link | None = None
    was_online: bool = False
    """Set where a remote node was there before its connection was placed."""
    was_able: bool = False
    """Set where it might have run things then."""
    is_given_up: bool = False
    """Set where only the placing of its connection told that it has to be fenced."""
    came_by: str = ""
    """The member that holds the connection now."""
    goes_by: str = ""
    """The member that will hold it."""

    @property
    def is_searched(self) -> bool:
        """Tell whether resources are looked for here; remote nodes can opt out."""
        text = self.attributes.get("resource-discovery-enabled")
        return not self.is_remote or text is None or truth(text, default=False)

    @property
    def was_open(self) -> bool:
        """Tell whether the node counted as online when its history was read."""
        return self.was_online if self.is_remote else self.online

    @property
    def is_remote(self) -> bool:
        """Tell whether the node is reached through a connection."""
        return bool(self.connection)

    @property
    def may_run(self) -> bool:
        """Tell whether new instances may be placed here."""
        return (
            self.online
            and not self.unclean
            and not self.pending
            and not self.standby
            and not self.shutting_down
            and not self.maintenance
        )

    @property
    def is_looked_through(self) -> bool:
        """Tell whether what the node remembers is compared with the configuration.

        That is done before connections have their places.
        """
        return self.maintenance or (self.was_able if self.is_remote else self.may_run)

    @property
    def may_act(self) -> bool:
        """Tell whether operations (probes, stops) can be carried out here."""
        return self.is_reachable and not self.unclean

    @property
    def is_reachable(self) -> bool:
        """Tell whether a stop can be carried out here; an unclean node may still answer."""
        return self.online and not self.pending and not self.is_cut_off

    def to_be_fenced(self, because: str) -> NodeFacts:
        """Give the same node, unclean; the first reason is the one that counts."""
        if self.unclean:
            return self
        return replace(self, unclean=True, unclean_because=because)


_PARTS = re.compile(r"(\d+)")


def display_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort names as people do: digits as numbers, case ignored (node2 before node10)."""
    return tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part.lower())
        for part in _PARTS.split(name)
        if part
    )


def conclude_nodes(cluster: Cluster, settings: Settings, now: datetime) -> tuple[NodeFacts, ...]:
    """Judge every configured member, sorted by name."""
    states = {state.id: state for state in cluster.status}
    by_name = {state.name: state for state in cluster.status if state.name}
    found = []
    for node in cluster.nodes:
        if node.kind in ("ping", "remote"):
            continue
        state = states.get(node.id) or by_name.get(node.name)
        found.append(judge(node, state, cluster, settings, now))
    return tuple(sorted(found, key=lambda facts: display_key(facts.name)))


def judge(
    node: Node,
    state: NodeState | None,
    cluster: Cluster,
    settings: Settings,
    now: datetime,
    presence: Presence | None = None,
) -> NodeFacts:
    """Judge one node by its state; whoever knows more of its presence says so."""
    transient = flatten(state.attributes, situation(now)) if state is not None else {}
    special = {
        "#uname": node.name,
        "#id": node.id,
        "#is_dc": "true" if node.id == cluster.dc_id else "false",
        "#kind": "cluster",
    }
    permanent = flatten(node.attributes, situation(now, special))
    attributes = {**permanent, **transient, **special}
    cluster_name = dict(settings.pairs).get("cluster-name")
    if cluster_name is not None:
        attributes["#cluster-name"] = cluster_name
    attributes["#site-name"] = attributes.get("site-name", cluster_name or "")
    if not attributes["#site-name"]:
        del attributes["#site-name"]
    shutting_down = _is_nonzero(transient.get("shutdown", "0"))
    if presence is None:
        given = Circumstances(_is_wanted(transient.get("terminate")), shutting_down, now)
        presence = conclude_presence(state, settings, given)
    return NodeFacts(
        name=node.name,
        id=node.id,
        kind=node.kind,
        online=presence.online,
        unclean=presence.unclean,
        pending=presence.pending,
        unclean_because=presence.because,
        was_lost=presence.was_lost,
        pending_until_s=presence.pending_until_s,
        standby=truth(attributes.get("standby"), default=False),
        maintenance=truth(attributes.get("maintenance"), default=False),
        shutting_down=shutting_down,
        wants_to_leave=shutting_down,
        is_dc=bool(cluster.dc_id) and node.id == cluster.dc_id,
        attributes=attributes,
        transient=transient,
        score=node.score,
    )


def _is_nonzero(text: str) -> bool:
    word = text.strip()
    return bool(word) and word != "0" and word.lower() != "false"


def _is_wanted(text: str | None) -> bool:
    """Tell whether fencing is asked for: by a boolean, or by the time it was asked for."""
    return truth(text, default=False) or (
        text is not None and text[:1].isdigit() and _is_nonzero(text)
    )


def names(nodes: Iterable[NodeFacts]) -> tuple[str, ...]:
    """List the names of nodes in their order."""
    return tuple(node.name for node in nodes)
