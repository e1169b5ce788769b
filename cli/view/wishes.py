"""What a person wants to see of the cluster."""

from __future__ import annotations

from dataclasses import dataclass

SECTIONS = (
    "attributes", "bans", "counts", "dc", "failcounts", "failures", "fencing", "fencing-failed",
    "fencing-pending", "fencing-succeeded", "nodes", "operations", "options", "resources",
    "stack", "summary", "tickets", "times",
)  # fmt: skip
"""What can be shown or left out."""

SUMMARY = frozenset({"counts", "dc", "options", "stack", "times"})
ORDINARY = SUMMARY | {"failures", "fencing", "nodes", "resources"}
"""What is shown unless something else is asked for."""


@dataclass(frozen=True)
class Wishes:
    """What to show: which sections, and how."""

    sections: frozenset[str] = ORDINARY
    by_node: bool = False
    inactive: bool = False
    timing: bool = False
    detail: bool = False
    brief: bool = False
    stack: str = "unknown"
    release: str = ""
    """What runs where the DC does not say: known of a running cluster only."""
    leftovers: bool = False
    """Whether to remind of what `crm resource move` and `ban` left."""
    node: str = ""
    resource: str = ""

    def shows(self, section: str) -> bool:
        """Tell whether a section is wanted."""
        return section in self.sections
