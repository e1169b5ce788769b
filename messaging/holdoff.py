"""When contact is made again with a peer that is heard and takes nothing.

Responsible for the pause after a contact that stood still. Not responsible for noticing that
(`delivery`), nor for contacts (`links`).

Theory of operation. Such a peer is heard, so contact could be made again at once; it would stand
still again after a while, and each time the view would lose a member and gain it again. The first
time that is tried, for much can stop a stream once. Then there is a pause, which doubles each time
up to a limit. The peer is told in each heartbeat, so it makes no contact either, which would be
one-sided. A contact that lasts, or a new life of the peer, begins anew.

Source: docs/protocol/links.md, "Contact".
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_S = 600.0
FORGIVEN_AFTER = 10
"""So many stall limits a contact has to last for those before it to be forgotten."""


@dataclass
class HoldOff:
    """The stalls of one peer, and the pause after the last. Times are seconds, monotonic."""

    stalls: int = 0
    """How many contacts in a row stood still."""

    until: float | None = None
    """When the pause ends; None: there is none."""

    _made_at: float = float("-inf")

    def contact_made(self, now: float) -> None:
        """A contact begins."""
        self._made_at = now

    def stalled(self, now: float, stall_s: float) -> float:
        """Take in that the contact stood still for a limit; tells how long to make none."""
        if now - self._made_at > FORGIVEN_AFTER * stall_s:
            self.stalls = 0
        self.stalls += 1
        pause_s = 0.0
        if self.stalls > 1:
            longest_s = max(LONGEST_S, stall_s)
            pause_s = min(stall_s * 2.0 ** min(self.stalls - 2, 32), longest_s)
            self.until = now + pause_s
        return pause_s

    def is_over(self, now: float) -> bool:
        """Tells once, when the pause has passed, that contact may be made."""
        if self.until is None or now < self.until:
            return False
        self.until = None
        return True
