"""What a run of `crm_resource` was asked for: its options, as they were given."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """The options.

    `subject` is what the chosen command takes as its own value (a parameter, an agent, a level);
    `overrides` are words NAME=VALUE that stand in for configured ones.

    Units: `timeout_s` in seconds, None if no limit was given.
    """

    resource: str = ""
    node: str = ""
    subject: str = ""
    value: str | None = None
    kind: str = "instance"
    element: str | None = None
    set_id: str | None = None
    pair_id: str | None = None
    operation: str = ""
    interval: str = ""
    lifetime: str = ""
    promoted: bool = False
    expired: bool = False
    recursive: bool = False
    everything: bool = False
    forced: bool = False
    quiet: bool = False
    verbose: int = 0
    timeout_s: float | None = None
    standard: str = ""
    provider: str = ""
    agent: str = ""
    overrides: dict[str, str] = field(default_factory=dict)
