"""Is a machine there? Reads what the controllers wrote of its membership, process and join.

Without fencing a node that is not a full member is simply offline. With fencing, one that should
be there and is not, or that behaves as nobody expects, is *unclean*. A node that is shutting down
is judged by its process alone.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from crm.model.status import NodeState
from pengine.facts.settings import Settings


class Presence(msgspec.Struct, frozen=True):
    """What was concluded; `because` says why a node is unclean, if its state says so."""

    online: bool = False
    unclean: bool = False
    pending: bool = False
    because: str = ""
    was_lost: bool = False
    pending_until_s: int | None = None


class Circumstances(msgspec.Struct, frozen=True):
    """What besides the state counts: attributes that ask for fencing or shutdown, the time."""

    is_to_terminate: bool
    is_shutting_down: bool
    now: datetime


def conclude_presence(
    state: NodeState | None, settings: Settings, given: Circumstances
) -> Presence:
    """Conclude whether a cluster node is online, unclean or on its way."""
    if state is None:
        return Presence(unclean=settings.fencing_enabled and settings.startup_fencing)
    if not settings.fencing_enabled:
        return _unfenced(state, given)
    if given.is_shutting_down:
        return Presence(online=state.process_online)
    if state.member_since_s < 0:
        return _unclean(state, "peer has not been seen by the cluster")
    if state.join in ("nack", "banned"):
        return _unclean(state, "peer failed Pacemaker membership criteria")
    if given.is_to_terminate:
        if not state.in_membership and not state.process_online and state.join == "down":
            return Presence()
        return _unclean(state, "fencing was requested")
    if state.expected in ("", "down"):
        return _newcomer(state, settings, given)
    return _member(state, settings, given)


def _unfenced(state: NodeState, given: Circumstances) -> Presence:
    """Judge a node that nobody will fence: one that has not joined is not there, leaving or not."""
    expected = state.expected == "member" and not given.is_shutting_down
    if state.in_membership and not state.process_online and expected:
        # Nobody can say what it runs either.
        return Presence(unclean=True, because="peer is unexpectedly down")
    joined = state.join == "member"
    return Presence(online=state.in_membership and state.process_online and joined)


def _unclean(state: NodeState, because: str) -> Presence:
    return Presence(online=state.in_membership, unclean=True, because=because)


def _newcomer(state: NodeState, settings: Settings, given: Circumstances) -> Presence:
    """Judge a node that nobody expects to be there yet."""
    deadline_s = _join_deadline_s(state, settings)
    if deadline_s is not None and given.now.timestamp() >= deadline_s:
        return _unclean(state, "peer pending timed out on joining the process group")
    is_coming = state.in_membership or state.process_online
    return Presence(online=state.in_membership, pending=is_coming, pending_until_s=deadline_s)


def _member(state: NodeState, settings: Settings, given: Circumstances) -> Presence:
    if not state.in_membership:
        because = "peer is no longer part of the cluster"
        return Presence(unclean=True, because=because, was_lost=True)
    if not state.process_online:
        return _unclean(state, "peer process is no longer available")
    if state.join == "member":
        return Presence(online=True)
    if state.join in ("", "pending", "down"):
        return Presence(online=True, pending=True)
    return _unclean(state, "peer was in an unknown state")


def _join_deadline_s(state: NodeState, settings: Settings) -> int | None:
    """Say until when a member may take to start its processes, or None if for ever."""
    timeout_s = settings.node_pending_timeout_ms // 1000
    if timeout_s <= 0 or not state.in_membership or state.process_online:
        return None
    return state.member_since_s + timeout_s if state.member_since_s > 1 else None
