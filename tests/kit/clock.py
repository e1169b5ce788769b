"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(2007, 1, 16, 12, 0, tzinfo=UTC)


class FakeClock:
    """The clock of `crm.plumbing.clock.Clock`, moved by hand."""

    def __init__(self, monotonic: float = 0.0, wall: datetime = EPOCH) -> None:
        self._monotonic = monotonic
        self._wall = wall

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> datetime:
        return self._wall

    def advance(self, seconds: float) -> None:
        assert seconds >= 0, "monotonic time does not go back"
        self._monotonic += seconds
        self._wall += timedelta(seconds=seconds)

    def set_wall(self, wall: datetime) -> None:
        self._wall = wall
