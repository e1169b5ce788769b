"""A large message on a narrow wire: how long does a heartbeat wait behind it?"""

from __future__ import annotations

import heapq
import random

import pytest

from messaging import frame
from messaging.delivery import Deliver, Effect, Transmit
from messaging.pacing import FIRST_WINDOW, LARGEST_WINDOW, LEAST_WINDOW, REPEAT_S, Pace
from messaging.streams import Channel
from tests.unit.messaging.test_delivery import Wire


class NarrowWire(Wire):
    """Two deliveries and a cable that carries `bytes_per_s`, with a queue of any length."""

    def __init__(self, bytes_per_s: float, way_s: float = 0.0005, loss: float = 0.0) -> None:
        super().__init__(loss=loss)
        self.bytes_per_s = bytes_per_s
        self.way_s = way_s
        self.free_at = {"a": 0.0, "b": 0.0}
        self.waits: list[tuple[float, float]] = []
        self.repeated = 0

    def carry_out(self, name: str, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Deliver):
                self.got[name].append(effect.payload)
            if not isinstance(effect, Transmit):
                continue
            size = len(frame.PACKETS.encode(effect.message)) + 77
            begin = max(self.now, self.free_at[name])
            self.free_at[name] = begin + size / self.bytes_per_s
            self.waits.append((self.now, begin - self.now))
            if isinstance(effect.message, frame.Data):
                self.repeated += effect.message.copy > 1
            if self.rng.random() >= self.loss:
                at = self.free_at[name] + self.way_s
                heapq.heappush(self._air, (at, next(self._numbers), effect.peer, effect.message))

    def longest_wait_s(self, *, after: float = 0.0) -> float:
        return max(wait for at, wait in self.waits if at >= after)


MBIT = 1e6 / 8


@pytest.mark.parametrize(
    ("bytes_per_s", "seconds", "longest_s"),
    [(1000 * MBIT, 0.5, 0.003), (100 * MBIT, 1.0, 0.020), (10 * MBIT, 6.0, 0.030)],
)
def test_nothing_waits_long_behind_a_snapshot_and_the_wire_is_used(
    bytes_per_s: float, seconds: float, longest_s: float
) -> None:
    wire = NarrowWire(bytes_per_s)
    snapshot = random.Random(1).randbytes(round(0.5 * seconds * bytes_per_s / 1.2))
    wire.send("a", snapshot)

    wire.run(seconds)

    assert wire.got["b"] == [snapshot], "it took more than twice the time the wire needs"
    assert wire.longest_wait_s() <= longest_s
    assert wire.repeated == 0


def test_a_line_of_19200_baud_carries_a_message_without_repeating_it_over_and_over() -> None:
    wire = NarrowWire(1920.0, way_s=0.001)
    message = random.Random(2).randbytes(40_000)
    wire.send("a", message)

    wire.run(60.0)

    assert wire.got["b"] == [message]
    assert wire.repeated <= 40, "each piece about once more, while the line is still unknown"


def test_loss_does_not_slow_a_stream_down_but_silence_does() -> None:
    wire = NarrowWire(100 * MBIT, loss=0.05)
    snapshot = random.Random(3).randbytes(2_000_000)
    wire.send("a", snapshot)

    wire.run(10.0)

    assert wire.got["b"] == [snapshot]


def test_membership_is_urgent_and_clients_messages_are_bulk() -> None:
    wire = Wire()
    marks = {}
    for channel in Channel:
        effects = wire.ends["a"].send("b", channel, b"x", 0.0)
        marks[channel] = [effect.is_bulk for effect in effects if isinstance(effect, Transmit)]

    assert marks == {Channel.CONTROL: [False], Channel.CLIENTS: [True]}


def test_the_window_grows_while_the_way_is_free_and_shrinks_once_per_window() -> None:
    pace = Pace(0.020)
    pace.measure(0.001, 0.0)
    pace.advance(FIRST_WINDOW, FIRST_WINDOW, FIRST_WINDOW + 1, 0.001)
    assert pace.window == 2 * FIRST_WINDOW

    for upto in range(40, 60):
        pace.measure(0.050, 0.1)
        pace.advance(1, upto, 60, 0.050)
    assert pace.window == int(2 * FIRST_WINDOW * 0.7)

    for upto in range(60, 2000, 60):
        pace.advance(1, upto, upto + 60, 0.050)
    assert pace.window == LEAST_WINDOW

    for upto in range(2000, 200_000):
        pace.advance(1, upto, upto, 0.001)
    assert pace.window == LARGEST_WINDOW


def test_the_wait_for_an_answer_follows_the_length_of_the_way() -> None:
    pace = Pace(0.010)
    pace.measure(2.0, 0.0)
    pace.advance(1, 1, 2, 2.0)
    assert pace.repeat_s == 3.0

    short = Pace(0.010)
    short.measure(0.001, 0.0)
    short.advance(1, 1, 2, 0.001)
    assert short.repeat_s == REPEAT_S
