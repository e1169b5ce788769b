"""A whole CIB as one frozen value: the input of the scheduler."""

from __future__ import annotations

import msgspec

from crm.model.constraints import Constraint
from crm.model.resources import AttributeSet, Resource
from crm.model.score import ZERO, Score
from crm.model.status import NodeState, TicketState


class Node(msgspec.Struct, frozen=True):
    """A configured machine. `kind` is member, remote or ping."""

    id: str
    name: str
    kind: str = "member"
    attributes: tuple[AttributeSet, ...] = ()
    utilization: tuple[AttributeSet, ...] = ()
    score: Score = ZERO


class Cluster(msgspec.Struct, frozen=True):
    """Configuration and status, resolved of templates and references, rules not yet judged.

    `tags` maps a tag (or a template) to the ids it stands for. `execution_s` is the time a kept
    input was made at (seconds since 1970), None in a live CIB.
    """

    options: tuple[AttributeSet, ...] = ()
    nodes: tuple[Node, ...] = ()
    resources: tuple[Resource, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    resource_defaults: tuple[AttributeSet, ...] = ()
    operation_defaults: tuple[AttributeSet, ...] = ()
    status: tuple[NodeState, ...] = ()
    tags: tuple[tuple[str, tuple[str, ...]], ...] = ()
    has_quorum: bool = False
    dc_id: str = ""
    tickets: tuple[TicketState, ...] = ()
    execution_s: int | None = None
    dialect: str = ""
    unscheduled: tuple[str, ...] = ()
    """Ids of configured resources that could not be read; what they run is left alone."""
    had_quorum: bool = False
    """Set where this partition had quorum before (no-quorum-panic)."""
