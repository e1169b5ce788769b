"""Ways that drop large packets without a word: noticed, got round, and tried again."""

from __future__ import annotations

import random

import pytest

from messaging import frame
from messaging.pacing import REPEAT_MAX_S
from messaging.piecesize import (
    LATE_RUN,
    LEAST_PACKET_BYTES,
    RAISE_MAX_S,
    RAISE_S,
    SPLIT_RUN,
    PieceSize,
)
from messaging.streams import Channel
from tests.kit.streams import Wire

FULL = frame.PIECE_PACKET_BYTES


def lowered(size: PieceSize, now: float, *, times: int = 1) -> PieceSize:
    for _ in range(times):
        for _ in range(SPLIT_RUN):
            size.judge(3, now, in_parts=True)
    return size


def test_what_arrives_at_once_leaves_the_size_alone() -> None:
    size = PieceSize(FULL)
    assert not any(size.judge(1, 0.0) for _ in range(100))
    assert size.packet_bytes == FULL


def test_pieces_that_come_in_parts_only_lower_it_a_step() -> None:
    size = PieceSize(FULL)
    assert [size.judge(3, 0.0, in_parts=True) for _ in range(SPLIT_RUN)] == [False] * (
        SPLIT_RUN - 1
    ) + [True]
    assert size.packet_bytes == 1200


def test_pieces_that_come_over_another_link_only_lower_it_too() -> None:
    size = PieceSize(FULL)
    assert [size.judge(2, 0.0) for _ in range(LATE_RUN)] == [False] * (LATE_RUN - 1) + [True]


def test_a_whole_piece_that_arrives_shows_that_it_was_mere_loss() -> None:
    size = PieceSize(FULL)
    for _ in range(20):
        assert not size.judge(3, 0.0, in_parts=True)
        assert not size.judge(2, 0.0)
        assert not size.judge(1, 0.0)
    assert size.packet_bytes == FULL


def test_it_never_falls_below_the_least() -> None:
    assert lowered(PieceSize(FULL), 0.0, times=9).packet_bytes == LEAST_PACKET_BYTES


def test_a_larger_size_is_tried_after_a_pause_that_doubles_when_that_fails() -> None:
    size = lowered(PieceSize(FULL), 0.0)
    assert not size.try_larger(RAISE_S - 1)
    assert size.try_larger(RAISE_S)
    assert size.packet_bytes == FULL

    lowered(size, 100.0)

    assert size.packet_bytes == 1200
    assert not size.try_larger(100.0 + 2 * RAISE_S - 1)
    assert size.try_larger(100.0 + 2 * RAISE_S)


def test_the_pause_has_a_limit() -> None:
    size, now = lowered(PieceSize(FULL), 0.0), 0.0
    for _ in range(12):
        now += RAISE_MAX_S
        assert size.try_larger(now)
        lowered(size, now)
    assert size.packet_bytes == 1200


@pytest.mark.parametrize("carries", [LEAST_PACKET_BYTES, 700, 1000, 1300])
@pytest.mark.parametrize("channel", list(Channel))
def test_a_way_that_drops_large_packets_delays_a_message_and_stops_none(
    carries: int, channel: Channel
) -> None:
    wire = Wire()
    wire.send("a", b"hello")
    wire.run(1.0)
    wire.carries = carries
    messages = [random.Random(size).randbytes(size) for size in (1200, 40_000, 400_000, 9)]

    for message in messages:
        wire.send("a", message, channel)
    wire.run(60.0)

    assert wire.got["b"] == [b"hello", *messages]
    assert wire.ends["a"].is_drained() and not wire.given_up
    assert any("bytes do not reach node b" in note for note in wire.notes)


def test_the_first_message_on_such_a_way_arrives_with_its_third_copy() -> None:
    wire = Wire()
    wire.send("a", b"hello")
    wire.run(1.0)
    wire.carries = LEAST_PACKET_BYTES
    message = random.Random(1).randbytes(1100)
    wire.send("a", message)

    wire.run(3 * REPEAT_MAX_S)

    assert wire.got["b"][1:] == [message]


def test_a_way_that_was_mended_carries_large_packets_again() -> None:
    wire = Wire()
    wire.send("a", b"hello")
    wire.run(1.0)
    wire.carries = 1000
    noise = random.Random(1).randbytes(100_000)
    wire.send("a", noise)
    wire.run(30.0)
    wire.carries = FULL
    for _ in range(4):
        wire.send("a", b"small")
        wire.run(RAISE_S)
    packets = wire.sent

    wire.send("a", noise)
    wire.run(5.0)

    assert wire.got["b"][-1] == noise
    full_chunk = FULL - frame.PIECE_OVERHEAD_BYTES
    assert wire.sent - packets < 1.5 * len(noise) / full_chunk  # acknowledgements included
    assert any(f"trying packets of {FULL} bytes" in note for note in wire.notes)


def test_a_way_that_drops_large_packets_from_the_first_one_on_is_no_dead_end() -> None:
    wire = Wire()
    wire.carries = LEAST_PACKET_BYTES
    message = random.Random(1).randbytes(1100)
    wire.send("a", message)

    wire.run(1.0)

    assert wire.got["b"] == [message]
