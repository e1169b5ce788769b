"""Whose disks refuse to be written, and who is sent away for it.

Responsible for one reign's knowledge of that. Not responsible for what is refused meanwhile
(`objections`).
"""

from __future__ import annotations

from crm.api.membership import View
from crm.cib import wire
from crm.cib.outbox import Outbox
from crm.model.version import Reign


class Failing:
    """The members that cannot write, and why; `broken` are those whose disk will not get well."""

    def __init__(self, outbox: Outbox, node: str, reign: Reign) -> None:
        self.reasons: dict[str, str] = {}
        self.broken: set[str] = set()
        self._outbox = outbox
        self._node = node
        self._reign = reign

    def forget(self, node: str) -> None:
        """Forget a life of a cib that has ended."""
        self.reasons.pop(node, None)
        self.broken.discard(node)

    def dismiss(self, view: View | None, reasons: dict[str, str]) -> None:
        """Send those away whose disks are broken, if the others have quorum without them.

        One disk must not keep everybody from writing; but where too many are broken at once,
        what runs goes on, without changes. `reasons` are ours and the members'. What quorum is, is
        for the cluster layer to say.
        """
        if view is None or not view.quorate:
            return
        healthy = sum(member.votes for member in view.members if member.name not in reasons)
        if view.votes_needed and healthy >= view.votes_needed:
            for node in sorted(self.broken):
                if node == self._node:
                    self._outbox.leave(reasons[node])
                else:
                    self._outbox.to_node(node, wire.Dismiss(self._reign))
            self.broken.clear()
