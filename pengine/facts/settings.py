"""The cluster options the scheduler obeys, as one typed value."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

Value = TypeVar("Value")


class QuorumPolicy(enum.Enum):
    """What a partition without quorum does."""

    STOP = "stop"
    FREEZE = "freeze"
    IGNORE = "ignore"
    DEMOTE = "demote"
    FENCE = "fence"


class Settings(msgspec.Struct, frozen=True):
    """Cluster options, read and defaulted. Units: milliseconds."""

    no_quorum_policy: QuorumPolicy
    symmetric: bool
    fencing_enabled: bool
    startup_fencing: bool
    maintenance: bool
    stop_all: bool
    stop_removed_resources: bool
    cancel_removed_actions: bool
    start_failure_is_fatal: bool
    enable_startup_probes: bool
    cluster_delay_ms: int
    fencing_timeout_ms: int
    batch_limit: int
    migration_limit: int
    has_watchdog: bool
    pairs: tuple[tuple[str, str], ...] = ()
    fencing_action: str = "reboot"
    concurrent_fencing: bool = True
    priority_fencing_delay_ms: int = 0
    node_pending_timeout_ms: int = 0
    fence_remote_without_quorum: bool = False
    shutdown_lock: bool = False
    shutdown_lock_limit_ms: int = 0

    def text(self, name: str) -> str:
        """Give an option as it is configured, under any spelling, or its default."""
        option = options.cluster_option(name)
        assert option is not None, name
        return options.setting(dict(self.pairs), option)


def read_settings(pairs: Mapping[str, str]) -> tuple[Settings, list[Problem]]:
    """Read the options; a bad value is reported and the default takes its place."""
    problems: list[Problem] = []

    def read(name: str, convert: Callable[[str], Value]) -> Value:
        option = options.cluster_option(name)
        assert option is not None, name
        text = options.setting(pairs, option)
        try:
            return convert(text)
        except ValueError as problem:
            problems.append(
                errors.warning("bad-value", name, f"cluster option '{name}': {problem}")
            )
            return convert(option.default)

    settings = Settings(
        no_quorum_policy=read("no-quorum-policy", _quorum_policy),
        symmetric=read("symmetric-cluster", options.as_bool),
        fencing_enabled=read("stonith-enabled", options.as_bool),
        startup_fencing=read("startup-fencing", options.as_bool),
        maintenance=read("maintenance-mode", options.as_bool),
        stop_all=read("stop-all-resources", options.as_bool),
        stop_removed_resources=read("stop-orphan-resources", options.as_bool),
        cancel_removed_actions=read("stop-orphan-actions", options.as_bool),
        start_failure_is_fatal=read("start-failure-is-fatal", options.as_bool),
        enable_startup_probes=read("enable-startup-probes", options.as_bool),
        cluster_delay_ms=read("cluster-delay", options.as_duration_ms),
        fencing_timeout_ms=read("stonith-timeout", options.as_duration_ms),
        batch_limit=read("batch-limit", int),
        migration_limit=read("migration-limit", int),
        has_watchdog=read("have-watchdog", options.as_bool),
        pairs=tuple(sorted(pairs.items())),
        fencing_action="reboot" if read("stonith-action", str) != "off" else "off",
        concurrent_fencing=read("concurrent-fencing", options.as_bool),
        priority_fencing_delay_ms=read("priority-fencing-delay", options.as_duration_ms),
        node_pending_timeout_ms=read("node-pending-timeout", options.as_duration_ms),
        fence_remote_without_quorum=read("fence-remote-without-quorum", options.as_bool),
        shutdown_lock=read("shutdown-lock", options.as_bool),
        shutdown_lock_limit_ms=read("shutdown-lock-limit", options.as_duration_ms),
    )
    return settings, problems


def effective_quorum_policy(settings: Settings, *, has_quorum: bool, had_quorum: bool) -> Settings:
    """Fall back to stopping where fencing is off, or where there never was a quorum to lose."""
    if settings.no_quorum_policy is not QuorumPolicy.FENCE:
        return settings
    if settings.fencing_enabled and (has_quorum or had_quorum):
        return settings
    return replace(settings, no_quorum_policy=QuorumPolicy.STOP)


def _quorum_policy(text: str) -> QuorumPolicy:
    word = text.strip().lower()
    return QuorumPolicy.FENCE if word == "suicide" else QuorumPolicy(word)
