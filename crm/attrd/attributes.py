"""Transient node attributes: who holds which value, and when it is written into the CIB.

Responsible for values, dampening and their way into the status section; not for what they mean.

Theory of operation. Each node's attrd owns the attributes of its node. A changed value is
announced to the other attrds at once, so that they hold a copy; it is *written* when its
dampening has run out. The first change starts that timer, later ones only replace the value. When
it fires, a flush is broadcast and every node writes its own current value, so that all nodes'
values change together in the CIB and the scheduler does not see one of them early. Without
dampening the owner writes at once.

An update for another node is passed to the attrd there; when that one is not online, this one
writes in its place and holds the value for it. A new attrd asks the others what they hold of its
node, and its cib what is written. A full refresh (a new DC, a replaced CIB, a new life of the
cib) writes all own values again; a cib that has them changes nothing.

What may be lost: a value that was neither announced nor written when its attrd died. A node that
leaves the membership loses all of its values here; it comes back without any.

Invariant: what was last written for the own node is what `written` says, or a write is under way
or due.

Source: docs/protocol/transition.md, "Attributes".
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from crm.api import attributes, cib, membership
from crm.attrd.wire import (
    WIRE,
    Announcement,
    Answer,
    Flush,
    Held,
    Instruction,
    Question,
    Written,
)
from crm.model import score
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError, RemoteProtocolError
from crm.plumbing.machine import (
    Exit,
    MessageArrived,
    Note,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
    info,
    warn,
)

CLIENT = "attrd"
RETRY_S = 1.0
"""A refused write is repeated after this long."""

MAX_RETRIES = 30
"""After so many refusals in a row only a refresh writes again."""

MAX_ATTRIBUTES = 10_000
"""A node holds no more attributes than this."""

NOT_ADOPTED = ("shutdown", "terminate", "probe_complete")
"""What others write into the CIB for their own ends is not taken over from there."""

Event = MessageArrived | PeerConnected | PeerLost | StopRequested
Effect = Tell | Note | Exit


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who is to be told when a value is written: a local client, or an attrd at a node."""

    peer: str = ""
    request: int = 0
    node: str = ""


@dataclass(slots=True)
class _Own:
    """One attribute of this node. `written` is what the CIB has, None nothing."""

    value: str | None
    set_id: str = ""
    dampen_ms: int = 0
    written: str | None = None
    due: float | None = None


class Attributes:
    """The attrd of one node, as a machine."""

    def __init__(self, *, pid: int = 0) -> None:
        self._pid = pid
        self._node = ""
        self._uuids: dict[str, str] = {}
        self._members: dict[str, None] = {}
        self._online: dict[str, None] = {}
        self._own: dict[str, _Own] = {}
        self._held: dict[str, dict[str, Held]] = {}
        self._waiting: dict[str, list[_Asker]] = {}
        self._tokens: dict[int, tuple[str, _Asker]] = {}  # with the node that is to answer
        self._writes: dict[int, dict[str, str | None]] = {}
        self._for_others: dict[int, _Asker] = {}
        self._is_cib_there = False
        self._adopting = 0
        self._retries = 0
        self._retry_at: float | None = None
        self._request = 0
        self._effects: list[Effect] = []

    # --- the shape of a machine -------------------------------------------------------------

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in what happened."""
        match event:
            case MessageArrived(membership.SERVICE, message):
                self._heartbeat_said(message, now)
            case MessageArrived(cib.SERVICE, message):
                self._cib_said(message, now)
            case MessageArrived(peer, message):
                self._client_said(peer, message, now)
            case PeerConnected(membership.SERVICE):
                self._tell(membership.SERVICE, membership.SignOn(CLIENT, self._pid))
            case PeerConnected(cib.SERVICE):
                self._cib_connected()
            case PeerLost(membership.SERVICE):
                self._effects.append(Exit(1))
            case PeerLost(cib.SERVICE):
                self._cib_lost()
            case StopRequested():
                if self._node:
                    self._tell(membership.SERVICE, membership.SignOff())
                self._effects.append(Exit(0))
        return self._take()

    def tick(self, now: float) -> list[Effect]:
        """Flush what is due, repeat what was refused."""
        for name, own in self._own.items():
            if own.due is not None and own.due <= now:
                text = f"attrd_timer_callback: Sending flush op to all hosts for: {name}"
                self._note(info("attrd", text))
                self._broadcast(Flush(name))
                own.due = None
                self._write([name])
        if self._retry_at is not None and self._retry_at <= now:
            self._retry_at = None
            self._write([name for name, own in self._own.items() if own.value != own.written])
        return self._take()

    def next_deadline(self) -> float | None:
        """Say when `tick` is due."""
        times = [own.due for own in self._own.values() if own.due is not None]
        if self._retry_at is not None:
            times.append(self._retry_at)
        return min(times, default=None)

    # --- clients ----------------------------------------------------------------------------

    def _client_said(self, peer: str, message: msgspec.Struct, now: float) -> None:
        match message:
            case attributes.UpdateAttribute():
                self._update(peer, message, now)
            case attributes.AskAttributes(request=request, name=name, node=node):
                values = attributes.AttributeValues(request, self._values(name, node))
                self._tell(peer, values)
            case attributes.ClearNode(node=node):
                self._clear(node)
            case attributes.RefreshAttributes():
                self._refresh()

    def _update(self, peer: str, update: attributes.UpdateAttribute, now: float) -> None:
        node = update.node or self._node
        asker = _Asker(peer=peer, request=update.request) if update.request else None
        instruction = Instruction(
            name=update.name,
            value=update.value,
            set_id=update.set_id,
            dampen_ms=update.dampen_ms,
        )
        if node == self._node:
            self._set(instruction, asker, now)
        elif node in self._online and node in self._members:
            token = 0
            if asker is not None:
                token = self._next_request()
                self._tokens[token] = (node, asker)
            self._send(node, replace_token(instruction, token))
        else:
            self._write_for(node, instruction, asker)

    def _set(self, wanted: Instruction, asker: _Asker | None, now: float) -> None:
        """Take in a value for our own node."""
        own = self._own.get(wanted.name)
        if own is None:
            if len(self._own) >= MAX_ATTRIBUTES:
                self._note(warn("attrd", f"{wanted.name} refused: too many attributes"))
                self._done(asker)
                return
            own = self._own[wanted.name] = _Own(None)
        value = evaluate(wanted.value, own.value)
        if wanted.dampen_ms is not None:
            own.dampen_ms = wanted.dampen_ms
        if wanted.set_id:
            own.set_id = wanted.set_id
        is_news = value != own.value
        own.value = value
        if is_news:
            self._broadcast(Announcement((self._hold(wanted.name, own),)))
        if own.value == own.written and not self._is_being_written(wanted.name):
            own.due = None
            self._drop_if_gone(wanted.name)
            self._done(asker)
            return
        if own.dampen_ms > 0:
            if own.due is None:
                own.due = now + own.dampen_ms / 1000
            self._done(asker)
            return
        if asker is not None:
            self._waiting.setdefault(wanted.name, []).append(asker)
        self._write([wanted.name])

    def _values(self, name: str, node: str) -> tuple[attributes.AttributeValue, ...]:
        everything = {
            **self._held,
            self._node: {own: self._hold(own, entry) for own, entry in self._own.items()},
        }
        return tuple(
            attributes.AttributeValue(owner, held.name, held.value)
            for owner, values in sorted(everything.items())
            if node in ("", owner)
            for _name, held in sorted(values.items())
            if name in ("", held.name) and held.value is not None
        )

    def _clear(self, node: str) -> None:
        self._held.pop(node, None)
        if node == self._node:
            for own in self._own.values():
                own.value = None
            self._write(list(self._own))

    # --- writing ----------------------------------------------------------------------------

    def _refresh(self) -> None:
        self._note(info("attrd", "attrd_local_callback: Sending full refresh"))
        self._write(list(self._own))

    def _write(self, names: list[str]) -> None:
        """Write our current values into the CIB, as one change."""
        names = [name for name in names if name in self._own]
        if not names or not self._is_cib_there or not self._node:
            return
        request = self._next_request()
        operations = []
        for name in names:
            own = self._own[name]
            own.due = None
            operations.append(
                cib.SetNodeAttribute(
                    node=self._node,
                    node_id=self._uuids.get(self._node, ""),
                    name=name,
                    value=own.value,
                    set_id=own.set_id,
                )
            )
            shown = "<deleted>" if own.value is None else own.value
            text = f"attrd_perform_update: Sent update {request}: {name}={shown}"
            self._note(info("attrd", text))
        self._writes[request] = {name: self._own[name].value for name in names}
        self._tell(cib.SERVICE, cib.Change(request, tuple(operations), self._origin()))

    def _write_for(self, node: str, wanted: Instruction, asker: _Asker | None) -> None:
        """Write a value for a node whose attrd is not there to do it."""
        held = self._held.setdefault(node, {})
        known = held.get(wanted.name)
        value = evaluate(wanted.value, known.value if known else None)
        held[wanted.name] = Held(wanted.name, value, wanted.set_id, wanted.dampen_ms or 0)
        if not self._is_cib_there:
            self._done(asker)
            return
        request = self._next_request()
        if asker is not None:
            self._for_others[request] = asker
        operation = cib.SetNodeAttribute(
            node=node,
            node_id=self._uuids.get(node, ""),
            name=wanted.name,
            value=value,
            set_id=wanted.set_id,
        )
        self._tell(cib.SERVICE, cib.Change(request, (operation,), self._origin()))

    def _origin(self) -> cib.Origin:
        return cib.Origin(client=CLIENT, node=self._node)

    def _is_being_written(self, name: str) -> bool:
        return any(name in values for values in self._writes.values())

    def _written(self, reply: cib.ChangeReply, now: float) -> None:
        self._done(self._for_others.pop(reply.request, None))
        values = self._writes.pop(reply.request, None)
        if values is None:
            return
        if reply.outcome is not cib.Outcome.OK:
            self._refused(reply, now)
            return
        self._retries = 0
        for name, value in values.items():
            own = self._own.get(name)
            if own is None:
                continue
            own.written = value
            if own.value == value:
                for asker in self._waiting.pop(name, ()):
                    self._done(asker)
                self._drop_if_gone(name)

    def _refused(self, reply: cib.ChangeReply, now: float) -> None:
        self._retries += 1
        if self._retries <= MAX_RETRIES:
            self._retry_at = now + RETRY_S
            return
        text = f"attrd_cib_callback: Update {reply.request} failed: {reply.outcome.name}"
        self._note(warn("attrd", text))

    def _drop_if_gone(self, name: str) -> None:
        own = self._own[name]
        if own.value is None and own.written is None and not self._is_being_written(name):
            del self._own[name]

    def _done(self, asker: _Asker | None) -> None:
        """Tell whoever waits that its update is taken care of."""
        if asker is None:
            return
        if asker.node:
            self._send(asker.node, Written(asker.request))
        else:
            self._tell(asker.peer, attributes.AttributeValues(asker.request))

    # --- the cib ----------------------------------------------------------------------------

    def _cib_connected(self) -> None:
        self._is_cib_there = True
        self._retries = 0
        self._tell(cib.SERVICE, cib.Subscribe(sections=()))
        if self._node:
            self._adopt_from_cib()
            self._refresh()

    def _cib_lost(self) -> None:
        """Expect no answer any more; what is our own is written again when a cib is back."""
        self._is_cib_there = False
        self._writes.clear()
        askers, self._for_others = self._for_others, {}
        for asker in askers.values():
            self._done(asker)

    def _cib_said(self, message: msgspec.Struct, now: float) -> None:
        match message:
            case cib.ChangeReply():
                self._written(message, now)
            case cib.CibReplaced():
                self._retries = 0
                self._refresh()
            case cib.QueryReply() if message.request == self._adopting:
                self._adopting = 0
                if message.outcome is cib.Outcome.OK:
                    self._adopt(tuple(_written_values(message.xml, self._uuids[self._node])), True)

    def _adopt_from_cib(self) -> None:
        """Ask what is written of our node: after a restart it is ours again."""
        self._adopting = self._next_request()
        self._tell(cib.SERVICE, cib.Query(self._adopting, section="status"))

    def _adopt(self, values: tuple[Held, ...], is_written: bool) -> None:
        """Take over values of our own node that we do not know ourselves."""
        unwritten = []
        for held in values:
            known = self._own.get(held.name)
            if held.value is None or (known is not None and known.value is not None):
                continue
            own = _Own(held.value, held.set_id, held.dampen_ms)
            if is_written:
                own.written = held.value
            else:
                unwritten.append(held.name)
            self._own[held.name] = own
        self._write(unwritten)

    # --- heartbeat and other attrds ---------------------------------------------------------

    def _heartbeat_said(self, message: msgspec.Struct, now: float) -> None:
        match message:
            case membership.SignedOn():
                self._node = message.node
                self._uuids[message.node] = message.uuid
                self._broadcast(Question())
                if self._is_cib_there:
                    self._adopt_from_cib()
                    self._refresh()
            case membership.NodeChanged() if message.uuid:
                self._uuids[message.node] = message.uuid
            case membership.ClientChanged(node=node, client=client, status=status):
                if client == CLIENT and node != self._node:
                    self._attrd_changed(node, status)
            case membership.ViewInstalled():
                self._view_installed(message.view)
            case membership.ClusterMessage(from_client=client) if client != CLIENT:
                text = f"dropped a message of client {client} at {message.from_node}: not its attrd"
                self._note(warn("attrd", text))
            case membership.ClusterMessage() if message.from_node != self._node:
                self._cluster_message(message, now)

    def _attrd_changed(self, node: str, status: membership.ClientStatus) -> None:
        if status in (membership.ClientStatus.JOIN, membership.ClientStatus.ONLINE):
            self._online[node] = None
        else:
            self._online.pop(node, None)
            self._forget_tokens(node)

    def _view_installed(self, view: membership.View) -> None:
        self._members = {member.name: None for member in view.members}
        for member in view.members:
            self._uuids[member.name] = member.uuid
        for name in view.lost:
            if name != self._node:
                self._held.pop(name, None)
                self._forget_tokens(name)

    def _answered(self, token: int) -> None:
        """Tell whoever sent an update to another node that it is taken care of."""
        _node, asker = self._tokens.pop(token, ("", None))
        self._done(asker)

    def _forget_tokens(self, node: str) -> None:
        """Expect no answer of an attrd that is gone, and owe it none."""
        for token in [token for token, asked in self._tokens.items() if asked[0] == node]:
            self._answered(token)
        for waiting in self._waiting.values():
            waiting[:] = [asker for asker in waiting if asker.node != node]

    def _cluster_message(self, message: membership.ClusterMessage, now: float) -> None:
        node = message.from_node
        try:
            said = WIRE.decode(message.payload)
        except RemoteProtocolError as problem:
            self._note(warn("attrd", f"dropped a message from {node}: {problem}"))
            return
        match said:
            case Announcement(values=values):
                self._hold_for(node, values)
            case Question():
                mine = tuple(self._hold(name, own) for name, own in sorted(self._own.items()))
                yours = tuple(self._held.get(node, {}).values())
                self._send(node, Answer(mine, yours))
            case Answer(mine=mine, yours=yours):
                self._hold_for(node, mine)
                self._adopt(yours, False)
            case Instruction(token=token):
                asker = _Asker(request=token, node=node) if token else None
                self._set(said, asker, now)
            case Written(token=token):
                self._answered(token)
            case Flush(name=name):
                own = self._own.get(name)
                if own is not None and own.value != own.written:
                    self._write([name])

    def _hold_for(self, node: str, values: tuple[Held, ...]) -> None:
        held = self._held.setdefault(node, {})
        for entry in values:
            if entry.value is None:
                held.pop(entry.name, None)
            else:
                held[entry.name] = entry

    def _hold(self, name: str, own: _Own) -> Held:
        return Held(name, own.value, own.set_id, own.dampen_ms)

    # --- saying things ----------------------------------------------------------------------

    def _next_request(self) -> int:
        self._request += 1
        return self._request

    def _tell(self, peer: str, message: msgspec.Struct) -> None:
        self._effects.append(Tell(peer, message))

    def _send(self, node: str, message: msgspec.Struct) -> None:
        payload = WIRE.encode(message)
        self._tell(membership.SERVICE, membership.SendCluster(CLIENT, payload, node))

    def _broadcast(self, message: msgspec.Struct) -> None:
        if self._node:
            self._send("", message)

    def _note(self, note: Note) -> None:
        self._effects.append(note)

    def _take(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects


def replace_token(instruction: Instruction, token: int) -> Instruction:
    """Give an instruction the token under which its end is reported."""
    return msgspec.structs.replace(instruction, token=token)


def evaluate(wanted: str | None, current: str | None) -> str | None:
    """Work out a value: `value++` and `value+=N` count on from the current one.

    What is no number counts as 0; infinity stays infinity.
    """
    if wanted is None or not wanted.startswith("value+"):
        return wanted
    step = "1" if wanted == "value++" else wanted.removeprefix("value+=")
    try:
        return score.text(score.add(_as_score(current), score.parse(step)))
    except ValueError:
        return wanted


def _as_score(text: str | None) -> score.Score:
    try:
        return score.parse(text or "0")
    except ValueError:
        return score.ZERO


def _written_values(status: bytes, node_id: str) -> list[Held]:
    """Read the transient attributes of a node from the status section."""
    if not status:
        return []
    try:
        root = xml.parse(status)
    except ConfigurationError:
        return []
    found = []
    for state in root.iter("node_state"):
        if state.get("id") != node_id:
            continue
        for group in state.iter("transient_attributes"):
            for pair in group.iter("nvpair"):
                name, value = pair.get("name"), pair.get("value")
                if name and value is not None and name not in NOT_ADOPTED:
                    found.append(Held(str(name), str(value)))
    return found
