"""What `links` and `pings` say of a node or a link when it changes.

Responsible for the two effects alone; who is told is decided by `core`.
"""

from __future__ import annotations

from dataclasses import dataclass

from crm.api.membership import LinkStatus, NodeKind, NodeStatus


@dataclass(frozen=True, slots=True)
class ShowNode:
    """Tell clients what a node has become."""

    node: str
    kind: NodeKind
    status: NodeStatus


@dataclass(frozen=True, slots=True)
class ShowLink:
    """Tell clients that a link changed."""

    node: str
    link: str
    status: LinkStatus
