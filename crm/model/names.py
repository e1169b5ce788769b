"""Names of things, as types: a node name never passes for a resource id.

Node names follow Heartbeat: equal to `uname -n`, compared and kept in lower case.
"""

from __future__ import annotations

import re
from typing import NewType

NodeName = NewType("NodeName", str)
"""What `uname -n` says, in lower case."""

NodeId = NewType("NodeId", str)
"""The uuid of a node (its `id` in the CIB); ping nodes have none."""

ResourceId = NewType("ResourceId", str)
"""The id of a configured resource or of an instance of it (`web`, `web:0`)."""

XmlId = NewType("XmlId", str)
"""Any `id` attribute of the CIB: what a reason points at."""

_XML_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")


def node_name(text: str) -> NodeName:
    """Turn what a person wrote into a node name: surrounding blanks off, lower case."""
    return NodeName(text.strip().lower())


def is_xml_id(text: str) -> bool:
    """Tell whether `text` may stand as an id in today's CIB schema."""
    return _XML_ID.match(text) is not None


def operation_key(resource: str, operation: str, interval_ms: int) -> str:
    """Name an operation as history and graphs do: `vip_monitor_5000`."""
    return f"{resource}_{operation}_{interval_ms}"
