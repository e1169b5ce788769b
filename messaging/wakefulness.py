"""Doubt about oneself: how much of what was said lately this node may have missed.

Responsible for noticing that this node did not run, and for how long that puts judgements off. Not
responsible for whom the judgements are about (`suspicion` for peers, `pings` for pinged hosts).

Theory of operation. A node that does not run does not listen. After a lateness above
`Timing.drowsy_s` it doubts for `Timing.grace_s`; a doubt that goes on is not renewed. All time in
which it did not run is added up: no judgement is put off for longer than that since the one who is
judged was heard.

Source: docs/protocol/links.md, "Suspicion"; decision 0018.
"""

from __future__ import annotations

from messaging.cluster_settings import Timing
from messaging.standing import NEVER


class Wakefulness:
    """What one watcher of a node knows of the times at which it was not awake."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.missed_s = 0.0
        """All time in which this node did not run, added up since its start."""

        self.lag_s = 0.0
        """How long the last packet lay in a socket, if that was long."""

        self._doubts_until = NEVER
        self._missed_from = NEVER
        self._missed_to = NEVER
        self._ran_at = NEVER

    def notice(self, late_s: float, now: float) -> bool:
        """Take in how late a timer was; tells whether a doubt begins."""
        ran_at, self._ran_at = self._ran_at, now
        if late_s <= self.timing.drowsy_s:
            return False
        if now > ran_at:
            self._missed_from, self._missed_to = max(now - late_s, ran_at), now
            self.missed_s += self._missed_to - self._missed_from
        return self._doubt(late_s, now)

    def notice_age(self, age_s: float, now: float) -> bool:
        """Take in how long a packet lay in a socket; tells whether a doubt begins.

        A lag that does not grow is known: whatever is older than it has been read.
        """
        lag_s, self.lag_s = self.lag_s, age_s if age_s > self.timing.drowsy_s else 0.0
        return age_s - lag_s > self.timing.drowsy_s and self._doubt(age_s, now)

    def _doubt(self, late_s: float, now: float) -> bool:
        """Doubt for one grace; a doubt that goes on is not renewed."""
        if self.is_doubtful(now):
            return False
        begins = not self.is_doubtful(now - late_s)
        self._doubts_until = now + self.timing.grace_s
        return begins

    def is_doubtful(self, now: float) -> bool:
        """Whether this node may still have missed what was said to it."""
        return now < self._doubts_until

    def missed_before(self, heard_at: float) -> float:
        """What this node had missed in all up to a moment that may lie in its last absence."""
        since = max(self._missed_from, heard_at)
        return self.missed_s - max(self._missed_to - since, 0.0)

    def put_off(self, end: float, missed_before_s: float) -> float:
        """Put off a judgement that is due at `end`, as far as this node doubts itself.

        `missed_before_s` is what it had missed in all when it last heard who is judged.
        """
        missed_s = self.missed_s - missed_before_s
        return max(end, min(self._doubts_until, end + missed_s))
