"""What a person wants to see of the cluster beyond the ordinary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wishes:
    """What to show beyond the ordinary."""

    by_node: bool = False
    inactive: bool = False
    failcounts: bool = False
    attributes: bool = False
    operations: bool = False
    timing: bool = False
    bans: bool = False
    detail: bool = False
    brief: bool = False
    no_headers: bool = False
    stack: str = "unknown"
    node: str = ""
    resource: str = ""
