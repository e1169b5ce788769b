"""The core of stonithd: which devices there are, and an honest answer to who wants a node fenced.

Theory of operation. The core asks the local cib for the resources whenever they may have
changed (at most one question is open; a change meanwhile makes it ask again), and keeps the
fencing devices it finds there. It hears from heartbeat which nodes are active. Requests are
answered at once, one answer each; nothing is queued.

This version cannot run fencing agents. A request to fence is therefore always answered with a
failure that says why: no device can fence that node, or the device that could cannot be run. It
is never answered with success. The one way a node counts as fenced is that a person confirms it
(`ConfirmDown`), which is refused while the node is seen alive.

Invariant: `Fenced.rc` is 0 only for a confirmed node that is not active here.
"""

from __future__ import annotations

from typing import Any

from crm.api import cib, fencing, membership
from crm.fencing.devices import Device, devices_for, read_devices
from crm.model.names import node_name
from crm.plumbing.errors import ConfigurationError
from crm.plumbing.machine import (
    Exit,
    MessageArrived,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
    error,
    info,
    notice,
    warn,
)

ENTITY = "stonithd"

_SECTION = "resources"
"""Where the fencing devices stand."""

RC_CANNOT_RUN = 3
"""A device exists, but its agent cannot be run (unimplemented)."""

RC_NO_DEVICE = 105
"""No device can fence that node (no such object)."""

RC_ALIVE = 113
"""A node that is seen alive cannot be confirmed as down (not applicable now)."""

CANNOT_RUN = "fencing agents cannot be run by this version"


class Fencing:
    """The machine. Events are those of the bus; effects are tellings, notes and the end."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._devices: tuple[Device, ...] | None = None
        self._question = 0
        self._is_asking = False
        self._must_ask_again = False
        self._nodes: dict[str, membership.NodeStatus] = {}

    def receive(self, event: Any, now: float) -> list[Any]:  # Any: the runner's wide contract
        """Take in what happened on the bus."""
        match event:
            case PeerConnected(membership.SERVICE):
                return [Tell(membership.SERVICE, membership.SignOn(ENTITY, self._pid))]
            case PeerConnected(cib.SERVICE):
                self._is_asking = False
                return [Tell(cib.SERVICE, cib.Subscribe((_SECTION,))), *self._ask()]
            case PeerLost(membership.SERVICE):
                self._nodes.clear()
                return []
            case PeerLost(cib.SERVICE):
                self._is_asking = False
                return []
            case MessageArrived(cib.SERVICE, message):
                return self._hear_cib(message)
            case MessageArrived(membership.SERVICE, membership.NodeChanged() as change):
                self._nodes[node_name(change.node)] = change.status
                return []
            case MessageArrived(peer, message):
                return self._answer(peer, message)
            case StopRequested():
                return [info(ENTITY, "stonithd: terminated by request"), Exit(0)]
            case _:
                return []

    def tick(self, now: float) -> list[Any]:  # Any: see `receive`
        """Do nothing: there are no deadlines."""
        return []

    def next_deadline(self) -> float | None:
        """Ask for no tick."""
        return None

    # --- the configuration ------------------------------------------------------------------

    def _ask(self) -> list[Any]:  # Any: see `receive`
        if self._is_asking:
            self._must_ask_again = True
            return []
        self._is_asking, self._must_ask_again = True, False
        self._question += 1
        return [Tell(cib.SERVICE, cib.Query(self._question, section=_SECTION))]

    def _hear_cib(self, message: object) -> list[Any]:  # Any: see `receive`
        match message:
            case cib.CibChanged() | cib.CibReplaced():
                return self._ask()
            case cib.QueryReply(request=request) if request == self._question:
                self._is_asking = False
                effects = self._take_devices(message)
                return [*effects, *(self._ask() if self._must_ask_again else [])]
            case _:
                return []

    def _take_devices(self, reply: cib.QueryReply) -> list[Any]:  # Any: see `receive`
        if reply.outcome is not cib.Outcome.OK:
            return [warn(ENTITY, f"the cib did not give the resources: {reply.outcome.name}")]
        try:
            devices = read_devices(reply.xml)
        except ConfigurationError as problem:
            return [error(ENTITY, f"cannot read the resources: {problem}")]
        before, self._devices = self._devices or (), devices
        known = {device.id for device in before}
        now_known = {device.id for device in devices}
        return [
            *(
                info(ENTITY, f"stonith_device_register: Added '{device.id}' ({device.agent})")
                for device in devices
                if device.id not in known
            ),
            *(
                info(ENTITY, f"stonith_device_remove: Removed '{device.id}'")
                for device in before
                if device.id not in now_known
            ),
        ]

    # --- requests ---------------------------------------------------------------------------

    def _answer(self, peer: str, message: object) -> list[Any]:  # Any: see `receive`
        match message:
            case fencing.Fence():
                return self._refuse_to_fence(peer, message)
            case fencing.ConfirmDown():
                return self._confirm(peer, message)
            case fencing.AskDevices(request, node):
                known = self._devices or ()
                found = devices_for(known, node) if node else list(known)
                names = tuple(device.id for device in found)
                return [Tell(peer, fencing.Devices(request, names))]
            case _:
                return []

    def _refuse_to_fence(self, peer: str, order: fencing.Fence) -> list[Any]:  # Any: see `receive`
        device = ""
        if self._devices is None:
            rc, reason = RC_NO_DEVICE, "the fencing devices are not known: the cib has not answered"
        elif candidates := devices_for(self._devices, order.node):
            device = candidates[0].id
            rc, reason = RC_CANNOT_RUN, f"{CANNOT_RUN} (device '{device}')"
        elif self._devices:
            names = ", ".join(device.id for device in self._devices)
            rc, reason = RC_NO_DEVICE, f"no device can fence '{order.node}' (there are: {names})"
        else:
            rc, reason = RC_NO_DEVICE, "no fencing device is configured"
        whose = f"user {order.user} ({peer})" if order.user else peer
        text = f"cannot {order.action} node {order.node} for {whose}: {reason}"
        reply = fencing.Fenced(order.request, order.node, rc, device, reason)
        return [error(ENTITY, f"stonith_fence: {text}"), Tell(peer, reply)]

    def _confirm(self, peer: str, word: fencing.ConfirmDown) -> list[Any]:  # Any: see `receive`
        status = self._nodes.get(node_name(word.node))
        if status in {membership.NodeStatus.ACTIVE, membership.NodeStatus.UP}:
            reason = f"node '{word.node}' is alive: heartbeat hears it"
            return [
                warn(ENTITY, f"stonith_confirm: refused for user {word.user}: {reason}"),
                Tell(peer, fencing.Fenced(word.request, word.node, RC_ALIVE, reason=reason)),
            ]
        if status is None:
            near = ", ".join(sorted(self._nodes)) or "none"
            reason = f"there is no node '{word.node}' (known are: {near})"
            return [
                warn(ENTITY, f"stonith_confirm: refused for user {word.user}: {reason}"),
                Tell(peer, fencing.Fenced(word.request, word.node, RC_NO_DEVICE, reason=reason)),
            ]
        reason = f"confirmed by {word.user}"
        return [
            notice(ENTITY, f"stonith_confirm: user {word.user} says that {word.node} is down"),
            Tell(peer, fencing.Fenced(word.request, word.node, 0, "manual", reason)),
        ]
