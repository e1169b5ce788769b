"""Configured constraints: where, together with what, and after what a resource runs.

Resource sets stay sets here; the scheduler resolves them into pairs.
"""

from __future__ import annotations

import enum

import msgspec

from crm.model.rules import Rule
from crm.model.score import Score


class Discovery(enum.Enum):
    """Whether the cluster looks for a resource on the nodes a location constraint names."""

    ALWAYS = "always"
    NEVER = "never"
    EXCLUSIVE = "exclusive"


class OrderKind(enum.Enum):
    """How strictly an order holds.

    MANDATORY: then only runs while first does. OPTIONAL: only when both act in one transition.
    SERIALIZE: never at the same time, in this order.
    """

    MANDATORY = "Mandatory"
    OPTIONAL = "Optional"
    SERIALIZE = "Serialize"


class ResourceSet(msgspec.Struct, frozen=True):
    """Resources a constraint treats alike; `sequential` ones also among each other."""

    id: str
    resources: tuple[str, ...]
    sequential: bool = True
    require_all: bool = True
    is_listed: bool = False
    """With `ordering="listed"` each resource of a colocation is placed with the next one."""
    action: str = ""
    role: str = ""
    kind: OrderKind | None = None
    score: Score | None = None


class Location(msgspec.Struct, frozen=True):
    """A preference for or against nodes: by node and score, or by rules.

    `resources` are ids; `pattern` is a regular expression (without its leading `!` when
    `inverted`) that stands for the ids it finds.
    """

    id: str
    resources: tuple[str, ...]
    pattern: str = ""
    inverted: bool = False
    node: str = ""
    score: Score | None = None
    rules: tuple[Rule, ...] = ()
    role: str = ""
    discovery: Discovery | None = None


class Colocation(msgspec.Struct, frozen=True):
    """`dependent` runs where `primary` runs (or, with a negative score, where it does not)."""

    id: str
    score: Score
    dependent: str = ""
    primary: str = ""
    dependent_role: str = ""
    primary_role: str = ""
    node_attribute: str = "#uname"
    influence: bool | None = None
    sets: tuple[ResourceSet, ...] = ()


class Order(msgspec.Struct, frozen=True):
    """`first` acts before `then` does."""

    id: str
    kind: OrderKind
    first: str = ""
    then: str = ""
    first_action: str = ""
    then_action: str = ""
    symmetrical: bool | None = None
    require_all: bool = True
    sets: tuple[ResourceSet, ...] = ()


class LossPolicy(enum.Enum):
    """What happens to a resource that runs although its ticket is gone."""

    STOP = "stop"
    DEMOTE = "demote"
    FENCE = "fence"
    FREEZE = "freeze"


class TicketDependency(msgspec.Struct, frozen=True):
    """Resources (all of them in `role`, or each set in its own) that need a ticket."""

    id: str
    ticket: str
    resources: tuple[str, ...] = ()
    role: str = ""
    loss_policy: LossPolicy | None = None
    sets: tuple[ResourceSet, ...] = ()


Constraint = Location | Colocation | Order | TicketDependency
