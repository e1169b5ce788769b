from __future__ import annotations

import random

import pytest

from messaging import frame
from messaging.auth import CHALLENGE_LIFE_S, MAX_STRANGERS_PER_S, WINDOW, Wire
from messaging.authkeys import KeyFile, SharedKey
from tests.kit.messaging import KEYS, random_bytes

OTHER_KEYS = KeyFile(1, (SharedKey(1, "sha1", b"another secret"),))


def make(node: str, seed: int, keys: KeyFile = KEYS, cluster: str = "linux-ha") -> Wire:
    return Wire(
        keys,
        cluster=cluster,
        node=node,
        peers=[name for name in ("a", "b", "c") if name != node],
        random_bytes=random_bytes(random.Random(seed)),
    )


def shake(one: Wire, other: Wire, now: float = 0.0) -> None:
    """Let `one` say hello and both answer until nobody has anything to say."""
    packets = [(other, one.hello(now))]
    for _ in range(10):
        if not packets:
            return
        receiver, data = packets.pop(0)
        received = receiver.open(data, now)
        if received.reply is not None:
            packets.append((one if receiver is other else other, received.reply))
    raise AssertionError("the handshake does not end")


@pytest.fixture
def pair() -> tuple[Wire, Wire]:
    a, b = make("a", 1), make("b", 2)
    shake(a, b)
    return a, b


def test_handshake_takes_one_round_trip_for_the_starter_and_half_a_trip_more_for_the_peer() -> None:
    a, b = make("a", 1), make("b", 2)

    first = b.open(a.hello(0.0), 0.0)
    assert first.reply is not None and not first.opened
    second = a.open(first.reply, 0.0)
    assert second.opened and second.reply is not None
    third = b.open(second.reply, 0.0)

    assert third.opened and third.reply is None
    assert b.session_of("a") == a.session and a.session_of("b") == b.session


def test_a_sealed_packet_opens_once(pair: tuple[Wire, Wire]) -> None:
    a, b = pair
    packet = a.seal(b"hello")

    assert b.open(packet, 0.0).body == b"hello"
    assert b.open(packet, 0.0).reason == "replayed"
    assert b.counters["dropped-replayed"] == 1


def test_what_comes_over_a_second_link_too_says_that_this_link_works(
    pair: tuple[Wire, Wire],
) -> None:
    a, b = pair
    first, second = a.seal(b"first"), a.seal(b"second")
    bent = second[:-1] + bytes([second[-1] ^ 1])
    b.open(first, 0.0, "eth1")
    b.open(second, 0.0, "eth1")

    assert b.open(bent, 0.0, "eth2").reason == "bad-signature"
    copy = b.open(second, 0.0, "eth2")

    assert (copy.is_copy, copy.sender, copy.session, copy.body) == (True, "a", a.session, None)
    assert b.counters["copies"] == 1
    assert b.open(second, 0.0, "eth2").reason == "replayed"
    assert b.open(second, 0.0, "eth1").reason == "replayed"
    assert b.open(first, 0.0, "eth2").reason == "replayed", "a link only goes forward"


def test_packets_may_overtake_each_other_within_the_window(pair: tuple[Wire, Wire]) -> None:
    a, b = pair
    packets = [a.seal(bytes([number])) for number in range(200)]
    random.Random(3).shuffle(packets)

    bodies = sorted(received.body for packet in packets if (received := b.open(packet, 0.0)).body)

    assert bodies == [bytes([number]) for number in range(200)]


def test_a_packet_older_than_the_window_is_dropped(pair: tuple[Wire, Wire]) -> None:
    a, b = pair
    old = a.seal(b"old")
    for _ in range(WINDOW):
        last = a.seal(b"x")
    assert b.open(last, 0.0).body == b"x"

    assert b.open(old, 0.0).reason == "replayed"


def test_every_flipped_bit_is_noticed_and_leaves_the_state_as_it_was(
    pair: tuple[Wire, Wire],
) -> None:
    a, b = pair
    packet = a.seal(b"a short body")

    for bit in range(8 * len(packet)):
        bent = bytearray(packet)
        bent[bit // 8] ^= 1 << bit % 8
        assert b.open(bytes(bent), 0.0).body is None

    assert b.session_of("a") == a.session
    assert b.open(packet, 0.0).body == b"a short body"


def test_ten_thousand_random_packets_are_dropped_and_counted(pair: tuple[Wire, Wire]) -> None:
    a, b = pair
    rng = random.Random(7)
    head = a.seal(b"")[: frame.HEADER_BYTES]
    before = b.counters.total()

    for number in range(10_000):
        data = rng.randbytes(rng.randrange(0, 200))
        if number % 3 == 0:
            data = head[: rng.randrange(len(head) + 1)] + data
        assert b.open(data, 0.0).body is None

    assert b.counters.total() >= before + 10_000
    assert b.session_of("a") == a.session
    assert b.open(a.seal(b"still heard"), 0.0).body == b"still heard"


def test_a_packet_under_another_key_is_dropped() -> None:
    a, b = make("a", 1, OTHER_KEYS), make("b", 2)

    assert b.open(a.hello(0.0), 0.0).reason == "bad-signature"
    assert b.session_of("a") is None


def test_a_packet_of_another_cluster_is_dropped_before_any_crypto() -> None:
    a, b = make("a", 1, cluster="other"), make("b", 2)

    assert b.open(a.hello(0.0), 0.0).reason == "other-cluster"


def test_own_packets_coming_back_are_dropped() -> None:
    a = make("a", 1)

    assert a.open(a.seal(b"echo"), 0.0).reason == "own"


def test_a_recording_of_an_earlier_life_is_worthless_after_both_restart() -> None:
    a, b = make("a", 1), make("b", 2)
    hello = a.hello(0.0)
    tape = [hello]
    reply = b.open(hello, 0.0).reply
    assert reply is not None
    answer = a.open(reply, 0.0).reply
    assert answer is not None
    tape.append(answer)
    tape += [a.seal(b"start the resource") for _ in range(5)]

    reborn = make("b", 99)
    for packet in tape:
        received = reborn.open(packet, 1.0)
        assert received.body is None and not received.opened

    assert reborn.session_of("a") is None


def test_a_recording_does_not_displace_the_living_session(pair: tuple[Wire, Wire]) -> None:
    a, b = pair
    tape = [a.seal(b"old life") for _ in range(3)]
    reborn = make("a", 50)
    shake(reborn, b, now=5.0)
    assert b.session_of("a") == reborn.session

    for packet in tape:
        assert b.open(packet, 6.0).reason == "unknown-session"

    assert b.session_of("a") == reborn.session
    assert b.open(reborn.seal(b"new life"), 6.0).body == b"new life"


def test_an_answer_to_an_aged_challenge_opens_nothing() -> None:
    a, b = make("a", 1), make("b", 2)
    reply = b.open(a.hello(0.0), 0.0).reply
    assert reply is not None
    answer = a.open(reply, 0.0).reply
    assert answer is not None

    received = b.open(answer, CHALLENGE_LIFE_S + 0.1)

    assert not received.opened and b.session_of("a") is None


def test_a_session_lost_at_the_receiver_is_found_again_by_a_challenge(
    pair: tuple[Wire, Wire],
) -> None:
    a, _ = pair
    reborn = make("b", 77)

    challenge = reborn.open(a.seal(b"status"), 1.0)
    assert challenge.reason == "unknown-session" and challenge.reply is not None
    answer = a.open(challenge.reply, 1.0)
    assert answer.reply is not None

    assert reborn.open(answer.reply, 1.0).opened


def test_challenges_are_not_sent_faster_than_the_pause(pair: tuple[Wire, Wire]) -> None:
    a, _ = pair
    reborn = make("b", 78)

    replies = [reborn.open(a.seal(b"x"), 1.0).reply for _ in range(50)]

    assert sum(reply is not None for reply in replies) == 1


def join_through(flood: list[bytes], *, times: int) -> tuple[Wire, Wire]:
    """Let a restart and shake hands with b, who is given the whole flood before each packet."""
    old, b = make("a", 1), make("b", 2)
    shake(old, b)
    a = make("a", 60)
    packets = [(b, a.hello(9.0))]
    for _ in range(10):
        for packet in flood * times:
            b.open(packet, 9.0)
        if not packets:
            packets.append((b, a.seal(b"a heartbeat")))
        receiver, data = packets.pop(0)
        received = receiver.open(data, 9.05 if receiver is b else 9.0)
        if received.reply is not None:
            packets.append((a if receiver is b else b, received.reply))
    return a, b


def test_forged_handshakes_use_up_nothing_that_a_living_peer_needs() -> None:
    forger = make("a", 3, OTHER_KEYS)

    a, b = join_through([forger.hello(0.0) for _ in range(300)], times=1)

    assert b.session_of("a") == a.session and a.session_of("b") == b.session
    assert b.counters["dropped-bad-signature"] >= 300
    assert b.counters["dropped-too-many-handshakes"] == 0


def test_recorded_handshakes_are_answered_once_and_keep_nobody_out() -> None:
    tape = []
    for life in range(2 * MAX_STRANGERS_PER_S):
        tape.append(make("a", 1000 + life).hello(0.0))
    b = make("b", 2)
    answered = sum(b.open(packet, 9.0).reply is not None for packet in tape + tape)
    assert answered == MAX_STRANGERS_PER_S
    assert b.open(tape[0], 10.5).reason == "replayed"

    a, b = join_through(tape, times=1)

    assert b.session_of("a") == a.session and a.session_of("b") == b.session
    assert b.counters["dropped-too-many-handshakes"] > 0


def test_answers_that_do_not_help_go_to_everybody() -> None:
    a, b = make("a", 1), make("b", 2)
    hellos = [b.open(a.hello(0.1 * number), 0.1 * number) for number in range(5)]

    assert [received.reply is not None for received in hellos] == [True] * 5
    assert [received.to_all for received in hellos] == [False] * 3 + [True] * 2
    assert not b.open(a.hello(9.0), 9.0).to_all


def test_made_up_sessions_push_no_key_of_a_living_session_out(pair: tuple[Wire, Wire]) -> None:
    a, b = pair
    assert b.open(a.seal(b"x"), 0.0).body == b"x"
    kept = dict(b._ciphers)

    for number in range(200):
        b.open(make("a", 3000 + number).hello(0.0), 0.0)

    assert b._ciphers == kept


def test_a_packet_for_one_node_is_worth_nothing_under_the_name_of_another(
    pair: tuple[Wire, Wire],
) -> None:
    a, b = pair
    packet = bytearray(a.seal(b"x"))
    packet[9:17] = frame.sender_tag("linux-ha", "c")

    received = b.open(bytes(packet), 0.0)

    assert received.body is None and b.session_of("c") is None


def test_a_reflected_packet_is_dropped_before_any_crypto(pair: tuple[Wire, Wire]) -> None:
    a, b = pair
    packet = b.seal(b"x")

    assert b.open(packet, 0.0).reason == "own"
    assert a.open(packet, 0.0).body == b"x"


def test_keys_rotate_without_an_interruption(pair: tuple[Wire, Wire]) -> None:
    a, b = pair
    old, new = KEYS.keys[0], SharedKey(2, "sha1", b"the next secret")
    for signing, keys in ((1, (old, new)), (2, (old, new)), (2, (new,))):
        for wire in (a, b):
            wire.replace_keys(KeyFile(signing, keys))
            assert b.open(a.seal(b"x"), 0.0).body == b"x"
            assert a.open(b.seal(b"y"), 0.0).body == b"y"


def test_neither_wire_nor_keys_show_a_secret() -> None:
    wire = make("a", 1)

    assert "a secret of" not in repr(wire) + repr(KEYS)
