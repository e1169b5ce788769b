"""What one client of the cluster layer was told, checked afterwards: once, in order, all of it.

Responsible for messages and views of one life; what the whole network must keep is `wires`'.
"""

from __future__ import annotations

from crm.api import membership as api
from tests.kit.messaging import Life


class Listener:
    """One life's client: checks what it was told, in the order it was told."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._last: dict[tuple[str, str], int] = {}
        self._may_have_missed: set[tuple[str, str]] = set()

    def check(self) -> int:
        """Go through everything; returns how many messages there were."""
        count = 0
        for message in self._life.messages():
            match message:
                case api.ViewInstalled():
                    self._take_view(message)
                case api.ClusterMessage(payload=payload):
                    count += 1
                    self._take_message(payload.decode())
        return count

    def _take_view(self, installed: api.ViewInstalled) -> None:
        """Who is new in a view, or outside it, may have been missed; everybody, if we are new."""
        view = installed.view
        stayed = [member for member in view.members if member.name not in view.new]
        own = self._life.machine.incarnation
        is_continued = installed.event is api.ViewEvent.NEW_MEMBERSHIP and any(
            member.incarnation == own for member in stayed
        )
        lives = {member.incarnation for member in stayed if is_continued}
        self._may_have_missed |= {stream for stream in self._last if stream[0] not in lives}

    def _take_message(self, text: str) -> None:
        sender, to, number_text = text.split()
        stream, number = (sender, to), int(number_text)
        last = self._last.get(stream)
        self._last[stream] = number
        if last is None:
            return
        own = self._life.machine.incarnation
        assert number > last, f"{own} got {text} after number {last}"
        if stream not in self._may_have_missed:
            assert number == last + 1, f"{own} got {text} right after number {last}"
        self._may_have_missed.discard(stream)
