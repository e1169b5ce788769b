"""Who is in the cluster, as one crmd knows it from heartbeat.

Responsible for the current view, which crmds are online, the uuids of nodes and the classic log
lines of membership events; not for what follows from a change.
"""

from __future__ import annotations

from crm.api.membership import (
    ClientChanged,
    ClientStatus,
    Member,
    NodeChanged,
    NodeKind,
    View,
    ViewEvent,
    ViewInstalled,
)
from crm.api.peers import CLIENT
from crm.plumbing.machine import Note, info, notice

_WITH_QUORUM = (ViewEvent.NEW_MEMBERSHIP, ViewEvent.PRIMARY_RESTORED)


class Roster:
    """The nodes, the members among them, and the crmds that are online."""

    def __init__(self) -> None:
        self.node = ""
        self.view: View | None = None
        self.uuids: dict[str, str] = {}
        self.online: dict[str, None] = {}
        self.departed: dict[str, None] = {}
        self.was_lost: dict[str, None] = {}
        self.returned: dict[str, None] = {}
        self._members: dict[str, Member] = {}
        self._incarnations: dict[str, str] = {}

    @property
    def members(self) -> dict[str, Member]:
        """The members of the current view by name, in order of names."""
        return self._members

    @property
    def is_member(self) -> bool:
        """Tell whether this node belongs to a view."""
        return self.node in self._members

    @property
    def is_quorate(self) -> bool:
        """Tell whether the current view has quorum."""
        return self.view is not None and self.view.quorate and self.is_member

    @property
    def participants(self) -> dict[str, Member]:
        """The members whose crmd is online, by name."""
        return {name: member for name, member in self._members.items() if self.is_online(name)}

    def is_online(self, name: str) -> bool:
        """Tell whether the crmd of a node is signed on; our own is."""
        return name == self.node or name in self.online

    def node_changed(self, message: NodeChanged) -> None:
        """Remember the uuid of a node."""
        if message.kind is NodeKind.NORMAL and message.uuid:
            self.uuids[message.node] = message.uuid

    def client_changed(self, message: ClientChanged) -> tuple[bool, list[Note]]:
        """Take over whether a crmd is online; tell whether it is a new life or the end of one."""
        if message.client != CLIENT or message.node == self.node:
            return False, []
        name = message.node
        line = notice(
            "crmd",
            f"crmd_client_status_callback: Status update: Client {name}/{CLIENT} now has status"
            f" [{'online' if message.status is ClientStatus.JOIN else message.status.value}]",
        )
        if message.status in (ClientStatus.JOIN, ClientStatus.ONLINE):
            was_online = name in self.online
            self.online[name] = None
            self.departed.pop(name, None)
            return not was_online or message.status is ClientStatus.JOIN, [line]
        if name not in self.online:
            return False, []
        del self.online[name]
        return True, [line]

    def install(self, message: ViewInstalled) -> list[Note]:
        """Take over a view; an event without a new list only writes its lines."""
        view = message.view
        notes = _event_lines(message)
        if message.event is ViewEvent.NOT_PRIMARY:
            return notes
        if message.event is ViewEvent.EVICTED:
            self.view = None
            self._members = {}
            return notes
        self.view = view
        # Who comes back in the same life was in another partition, and may have ruled there.
        self.returned = {
            member.name: None
            for member in view.members
            if member.name in view.new
            and member.name not in self._members
            and member.incarnation
            and self._incarnations.get(member.name) == member.incarnation
        }
        self._incarnations.update({member.name: member.incarnation for member in view.members})
        self._members = {member.name: member for member in sorted(view.members, key=_by_name)}
        for member in view.members:
            self.uuids[member.name] = member.uuid
        for name in view.lost:
            self.was_lost[name] = None
            self.departed.pop(name, None)
        return [*notes, *_detail_lines(message)]


def _by_name(member: Member) -> str:
    return member.name


def _event_lines(message: ViewInstalled) -> list[Note]:
    view, event = message.view, message.event
    count = len(view.members)
    new_index = 0 if len(view.new) == count else count
    word = event.value.replace(" ", "_")
    verdict = "(re)attained" if event in _WITH_QUORUM else "lost"
    lines = [
        f"mem_handle_event: Got an event OC_EV_MS_{word} from ccm",
        f"mem_handle_event: instance={view.id}, nodes={count}, new={len(view.new)},"
        f" lost={len(view.lost)}, n_idx=0, new_idx={new_index},"
        f" old_idx={count + view.total_nodes}",
        f"crmd_ccm_msg_callback: Quorum {verdict} after event={event.value} (id={view.id})",
    ]
    return [info("crmd", line) for line in lines]


def _detail_lines(message: ViewInstalled) -> list[Note]:
    view = message.view
    count = len(view.members)
    new_index = 0 if len(view.new) == count else count
    lines = [
        f"{message.event.value}: trans={view.id}, nodes={count}, new={len(view.new)},"
        f" lost={len(view.lost)} n_idx=0, new_idx={new_index},"
        f" old_idx={count + view.total_nodes}"
    ]
    for member in view.members:
        lines.append(f"    CURRENT: {member.name} [nodeid={member.index}, born={member.born}]")
    for member in view.members:
        if member.name in view.new:
            lines.append(f"    NEW:     {member.name} [nodeid={member.index}, born={member.born}]")
    lines.extend(f"    LOST:    {name}" for name in view.lost)
    return [info("crmd", f"ccm_event_detail: {line}") for line in lines]
