"""What the DC writes of nodes into the status section.

Responsible for the wording: which changes say that a node has joined, is lost, is offline or wants
to leave, that there is quorum, and what its executor has done. Not for when any of it is true,
which is the `Office`'s to say, nor for sending it, which is the `Ledger`'s. Belongs to one office
and is dropped with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from crm.api import cib
from crm.api.lrm import ExecutorDescription
from crm.controller import history
from crm.controller.conductor import Conductor
from crm.controller.roster import Roster


class Register:
    """The status of nodes, as one DC writes it."""

    def __init__(self, conductor: Conductor, roster: Roster, leaving: Mapping[str, None]) -> None:
        self._conductor = conductor
        self._roster = roster
        self._leaving = leaving
        self._quorum_written: bool | None = None

    def forget_quorum(self) -> None:
        """Have the quorum written again, whatever was written before."""
        self._quorum_written = None

    def write_joined(self, name: str, description: ExecutorDescription) -> None:
        """Write down a member that has joined, with what runs there."""
        node_id = self._roster.uuids.get(name, "")
        ledger = self._conductor.ledger
        if name in self._roster.was_lost:
            del self._roster.was_lost[name]
            ledger.add(cib.ForgetNodeState(name, history=False, attributes=True))
        ledger.add(
            cib.SetNodeState(
                node=name,
                node_id=node_id,
                in_membership=True,
                crmd_online=True,
                join="member",
                expected="member",
                reason="do_dc_join_final",
            )
        )
        self.write_history(name, description)

    def write_history(self, name: str, description: ExecutorDescription) -> None:
        """Replace the history of a node by what its executor says."""
        node_id = self._roster.uuids.get(name, "")
        records = tuple(
            history.record(done, node=name, node_id=node_id) for done in description.operations
        )
        self._conductor.ledger.add(cib.ReplaceHistory(name, node_id, records))

    def write_absentees(self) -> None:
        """Write down every node that is known and not a member."""
        for name in sorted(self._roster.uuids):
            if name not in self._roster.members:
                self.write_lost(name, "not a member of the first view of this DC")

    def write_lost(self, name: str, reason: str) -> None:
        """Write down a node that is no member; its attributes go, its history stays."""
        has_gone_in_order = name in self._leaving or name in self._roster.departed
        self._conductor.ledger.add(
            cib.SetNodeState(
                node=name,
                node_id=self._roster.uuids.get(name, ""),
                in_membership=False,
                crmd_online=False,
                join="down",
                expected="down" if has_gone_in_order else None,
                reason=reason,
            ),
            cib.ForgetNodeState(name, history=False, attributes=True),
        )

    def write_offline(self, name: str, reason: str) -> None:
        """Write down a member whose crmd or executor has been away too long."""
        in_order = name in self._leaving or name in self._roster.departed
        self._conductor.ledger.add(
            cib.SetNodeState(
                node=name,
                node_id=self._roster.uuids.get(name, ""),
                in_membership=True,
                crmd_online=False,
                join="down",
                expected="down" if in_order else None,
                reason=reason,
            )
        )

    def write_quorum(self) -> None:
        """Write down whether there is quorum, if that is not written yet."""
        quorate = self._roster.is_quorate
        if quorate == self._quorum_written:
            return
        self._quorum_written = quorate
        values = {"have-quorum": "1" if quorate else "0"}
        values["dc-uuid"] = self._roster.uuids.get(self._roster.node, "")
        self._conductor.ledger.add(cib.SetCibAttributes(values))

    def write_shutdown(self, name: str) -> None:
        """Write down that a member wants to leave."""
        if name in self._roster.members:
            when = str(int(self._conductor.wall()))
            node_id = self._roster.uuids.get(name, "")
            self._conductor.ledger.add(cib.SetNodeAttribute(name, node_id, "shutdown", when))
