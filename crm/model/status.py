"""The status section: what each node reports about itself and about its resources."""

from __future__ import annotations

import msgspec

from crm.model.resources import AttributeSet


class HistoryEntry(msgspec.Struct, frozen=True):
    """One `lrm_rsc_op`: the last execution of an operation on a node.

    `target_rc` is the exit code the cluster expected, from the transition key; None if the entry
    has no readable key. Units: times are seconds since 1970, 0 when not recorded.
    """

    id: str
    operation: str
    interval_ms: int
    call_id: int
    exit_code: int
    status: int
    target_rc: int | None = None
    transition_key: str = ""
    transition_magic: str = ""
    digest: str = ""
    restart_digest: str = ""
    force_restart: str | None = None
    secure_parameters: str = ""
    secure_digest: str = ""
    exit_reason: str = ""
    last_change_s: int = 0
    last_run_s: int = 0
    migrate_source: str = ""
    migrate_target: str = ""


class ResourceHistory(msgspec.Struct, frozen=True):
    """What a node remembers of one resource; agent words included, for removed resources."""

    id: str
    standard: str
    provider: str
    type: str
    entries: tuple[HistoryEntry, ...] = ()
    lock_s: int = 0
    """Since when (seconds since 1970) it waits for its node to return from a shutdown, or 0."""
    container: str = ""
    """The resource it was started in; needed where the configuration no longer tells."""


class TicketState(msgspec.Struct, frozen=True):
    """A ticket as the status knows it. On standby it is granted and gives nothing."""

    id: str
    granted: bool = False
    standby: bool = False

    @property
    def is_usable(self) -> bool:
        """Tell whether resources may run under it."""
        return self.granted and not self.standby


class NodeState(msgspec.Struct, frozen=True):
    """One `node_state`. Join, membership and process are as written; the scheduler interprets.

    `in_membership` and `process` accept both dialects: a boolean (or online/offline), or the
    time since when, 0 meaning not.
    """

    id: str
    name: str
    in_membership: bool
    process_online: bool
    join: str = ""
    expected: str = ""
    is_seen: bool = True
    maintenance: bool = False
    attributes: tuple[AttributeSet, ...] = ()
    history: tuple[ResourceHistory, ...] = ()
    member_since_s: int = 0
    """When the node became a member (new dialect), 1 for a plain yes, 0 for no, -1 for unsaid."""
    was_fenced: bool = False
    """Set on a remote node that has been fenced since it was last up."""
