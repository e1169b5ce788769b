from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging import frame
from messaging.delivery import (
    ACK_S,
    MAX_QUEUED_BYTES,
    NAK_S,
    Channel,
    Delivery,
    Effect,
    GiveUp,
    Transmit,
)
from messaging.pacing import FIRST_REPEAT_S, FIRST_WINDOW, LARGEST_WINDOW, REPEAT_S
from messaging.standing import Contact
from tests.kit.streams import SESSIONS, Wire


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32),
    st.floats(0.0, 0.5),
    st.floats(0.0, 0.5),
    st.lists(st.integers(0, 6000), min_size=1, max_size=25),
)
def test_under_loss_duplication_and_reordering_each_message_arrives_once_and_in_order(
    seed: int, loss: float, duplication: float, sizes: list[int]
) -> None:
    wire = Wire(seed, loss, duplication)
    messages = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    for message in messages:
        wire.send("a", message)
        wire.send("b", message[::-1])
        wire.run(wire.rng.uniform(0, 0.01))
    wire.run(120.0)

    assert wire.got["b"] == messages
    assert wire.got["a"] == [message[::-1] for message in messages]
    assert wire.ends["a"].is_drained() and wire.ends["b"].is_drained()


def test_the_loss_of_the_last_packet_is_mended_without_another_message() -> None:
    wire = Wire()
    wire.send("a", b"first")
    wire.run(1.0)
    wire.loss = 1.0
    wire.send("a", b"last of all")
    wire.loss = 0.0
    sent_at = wire.now

    wire.run(REPEAT_S + 0.005)

    assert wire.got["b"] == [b"first", b"last of all"]
    assert wire.now - sent_at < 0.1


def test_a_gap_is_asked_for_within_milliseconds() -> None:
    wire = Wire()
    wire.send("a", b"zero")
    wire.run(1.0)
    wire.loss = 1.0
    wire.send("a", b"one")
    wire.loss = 0.0
    wire.send("a", b"two")

    wire.run(NAK_S + 3 * 0.004 + 0.001)

    assert wire.got["b"] == [b"zero", b"one", b"two"]


def test_a_first_message_that_came_too_early_for_the_peer_is_repeated_at_once() -> None:
    wire = Wire()
    wire.ends["b"].end("a")
    wire.send("a", b"early")
    wire.run(0.005)
    wire.ends["b"].begin("a", Contact(SESSIONS["a"], 0, 0))

    wire.run(2 * FIRST_REPEAT_S + 0.005)

    assert wire.got["b"] == [b"early"]


def test_at_most_a_window_of_pieces_is_in_the_air() -> None:
    wire = Wire()
    wire.loss = 1.0

    wire.send("a", random.Random(1).randbytes(frame.PIECE_PACKET_BYTES * LARGEST_WINDOW * 3))

    assert wire.sent == FIRST_WINDOW


@pytest.mark.parametrize("limit", [frame.PIECE_PACKET_BYTES, 1232, 512])
def test_no_packet_exceeds_what_fits_without_fragments(limit: int) -> None:
    delivery = Delivery("a", session=SESSIONS["a"])
    delivery.limit_packets({"": limit})
    delivery.begin("b", Contact(SESSIONS["b"], 2**31, 2**31))

    effects = delivery.send("b", Channel.CLIENTS, random.Random(1).randbytes(3_000_000), 0.0)

    for effect in effects:
        assert isinstance(effect, Transmit)
        size = len(frame.PACKETS.encode(effect.message))
        assert size + frame.HEADER_BYTES + frame.TAG_BYTES <= limit


def test_a_large_message_passes_and_membership_does_not_wait_behind_it() -> None:
    wire = Wire()
    snapshot = random.Random(2).randbytes(5_000_000)
    wire.send("a", snapshot)
    wire.send("a", b"join", Channel.CONTROL)

    wire.run(0.02)
    assert wire.got["b"] == [b"join"]
    wire.run(60.0)

    assert wire.got["b"] == [b"join", snapshot]


def test_text_is_compressed_above_the_threshold() -> None:
    wire = Wire()
    text = b"<nvpair/>" * 20_000

    wire.send("a", text)
    wire.run(1.0)

    assert wire.got["b"] == [text]
    assert wire.sent < 20


@pytest.mark.parametrize(
    ("session", "changed"),
    [
        (b"session-x", {}),
        (SESSIONS["a"], {"peer_session": b"session-x"}),
        (SESSIONS["a"], {"my_epoch": 1}),
        (SESSIONS["a"], {"your_epoch": 1}),
        (SESSIONS["a"], {"to": "c"}),
        (SESSIONS["a"], {"channel": 7}),
        (SESSIONS["a"], {"seq": 10_000}),
    ],
)
def test_a_piece_of_another_contact_is_dropped(session: bytes, changed: dict[str, object]) -> None:
    receiver = Delivery("b", session=SESSIONS["b"])
    receiver.begin("a", Contact(SESSIONS["a"], 0, 0))
    fields: dict[str, object] = {
        "to": "b",
        "peer_session": SESSIONS["b"],
        "my_epoch": 0,
        "your_epoch": 0,
        "channel": 1,
        "seq": 1,
        "last": True,
        "chunk": b"\0x",
    }

    effects = receiver.receive("a", session, frame.Data(**{**fields, **changed}), 0.0)  # type: ignore[arg-type]

    assert effects == []
    assert receiver.next_deadline() is None


def test_nothing_of_before_is_delivered_in_a_new_contact() -> None:
    wire = Wire()
    wire.loss = 1.0
    wire.send("a", b"before")
    wire.loss = 0.0
    for name, peer in (("a", "b"), ("b", "a")):
        wire.ends[name].end(peer)
        wire.ends[name].begin(peer, Contact(SESSIONS[peer], 1, 1))
    wire.send("a", b"after")

    wire.run(5.0)

    assert wire.got["b"] == [b"after"]


def test_a_peer_that_takes_nothing_is_given_up_before_memory_is() -> None:
    delivery = Delivery("a", session=SESSIONS["a"])
    delivery.begin("b", Contact(SESSIONS["b"], 0, 0))
    block = random.Random(1).randbytes(MAX_QUEUED_BYTES // 4)
    effects: list[Effect] = []
    for _ in range(5):
        effects += delivery.send("b", Channel.CLIENTS, block, 0.0)

    assert [effect.peer for effect in effects if isinstance(effect, GiveUp)] == ["b"]
    assert delivery.peers == ()


@pytest.mark.parametrize("packed", [b"", b"\7x", b"\1not zlib", b"\2not bz2"])
def test_a_message_that_cannot_be_unpacked_ends_the_contact(packed: bytes) -> None:
    receiver = Delivery("b", session=SESSIONS["b"])
    receiver.begin("a", Contact(SESSIONS["a"], 0, 0))
    piece = frame.Data("b", SESSIONS["b"], 0, 0, 1, 1, True, packed)

    effects = receiver.receive("a", SESSIONS["a"], piece, 0.0)

    assert any(isinstance(effect, GiveUp) for effect in effects)


def test_an_answer_carries_the_acknowledgement_of_what_it_answers() -> None:
    wire = Wire()
    wire.send("a", b"first")
    wire.send("b", b"first")
    wire.run(1.0)
    wire.sent = 0

    for number in range(1, 11):
        wire.send("a", b"question")
        wire.run(0.0045)
        wire.send("b", b"answer")
        wire.run(0.0045)
        assert len(wire.got["a"]) == len(wire.got["b"]) == 1 + number
    wire.run(1.0)

    assert wire.sent == 10 + 10 + 1
    assert wire.ends["a"].is_drained() and wire.ends["b"].is_drained()


def test_an_acknowledgement_does_not_wait_behind_bulk() -> None:
    wire = Wire()
    wire.send("a", b"first")
    wire.send("b", b"first")
    wire.run(1.0)
    wire.send("a", b"question")
    wire.run(0.0045)

    effects = wire.ends["b"].send("a", Channel.CLIENTS, random.Random(1).randbytes(200_000), 1.0)
    pieces = [effect.message for effect in effects if isinstance(effect, Transmit)]

    assert pieces
    assert not any(isinstance(piece, frame.Data) and piece.heard for piece in pieces)


def test_an_acknowledgement_follows_soon_and_once() -> None:
    wire = Wire()
    wire.send("a", b"x")
    wire.run(1.0)

    assert wire.sent == 2

    wire.send("a", b"y")
    wire.run(0.004 + ACK_S + 0.004)

    assert wire.sent == 4
