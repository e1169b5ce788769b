"""The decoders, each with what it is fed and what must hold.

A target is called with one input and may raise nothing: where an exception is the documented answer
it is caught here, by its class. Machines are fed with messages too, since what a decoder accepts is
not yet sensible: a member that lost its mind must not end the others.
"""

from __future__ import annotations

import random

import msgspec
from hypothesis import strategies as st

from crm.api import controller, conversations, gate, membership, peers
from crm.attrd import wire as attrd_wire
from crm.cib import wire as cib_wire
from crm.plumbing.codec import Codec
from crm.plumbing.errors import RemoteProtocolError
from crm.plumbing.machine import MessageArrived
from messaging import (
    arbitration,
    auth,
    ballot,
    delivery,
    events,
    frame,
    packing,
    quorumserver,
    streams,
)
from messaging.media import icmp, serial
from messaging.standing import Contact
from tests.fuzz import files, inputs
from tests.fuzz.inputs import Target
from tests.kit.gate import GateBench
from tests.kit.messaging import KEYS, LINK, Network, random_bytes, settings


def _decoding(codec: Codec) -> Target:
    def take(data: bytes) -> None:
        try:
            message = codec.decode(data)
        except RemoteProtocolError:
            return
        again = codec.encode(message)
        assert codec.encode(codec.decode(again)) == again

    return Target(inputs.encoded(codec), take)


# --- packets ------------------------------------------------------------------------------


def _wire(node: str, seed: int, *, hears_strangers: bool = False) -> auth.Wire:
    others = [name for name in "abc" if name != node]
    source = random_bytes(random.Random(seed))
    return auth.Wire(
        KEYS,
        cluster="linux-ha",
        node=node,
        peers=others,
        random_bytes=source,
        hears_strangers=hears_strangers,
    )


def _headers() -> st.SearchStrategy[bytes]:
    """Headers of this cluster and this sender, with the rest made up."""
    return st.builds(
        lambda kind, key, sender, session, counter: frame.Header(
            kind, frame.cluster_tag("linux-ha"), key, sender, session, counter
        ).pack(),
        st.integers(0, 3),
        st.integers(0, 255),
        st.sampled_from([frame.sender_tag("linux-ha", name) for name in "abcd"]),
        st.sampled_from([bytes(8), b"sessions"]) | st.binary(min_size=8, max_size=8),
        st.integers(0, 2**64 - 1),
    )


def _packets() -> st.SearchStrategy[bytes]:
    sealed = st.builds(
        lambda body, kind: _wire("a", 1).seal(body, kind),
        st.binary(max_size=80) | inputs.encoded(frame.HANDSHAKES),
        st.sampled_from(list(frame.Kind)),
    )
    forged = st.builds(bytes.__add__, _headers(), st.binary(max_size=80))
    return inputs.spoilt(sealed) | inputs.spoilt(forged) | st.binary(max_size=120)


def _strange_packets() -> st.SearchStrategy[bytes]:
    """Handshakes of a node that no list names, and what others make of them."""
    handshakes = st.builds(
        frame.Handshake,
        challenges=st.dictionaries(st.sampled_from("abd"), st.binary(min_size=16, max_size=16)),
        answers=st.dictionaries(st.sampled_from("abd"), st.binary(min_size=16, max_size=16)),
        node=st.sampled_from(["d", "D", "a", "", "x" * 101]),
        is_joining=st.booleans(),
        lists_them=st.booleans(),
    ).map(frame.HANDSHAKES.encode)
    body = handshakes | inputs.encoded(frame.HANDSHAKES)
    sealed = body.map(lambda data: _wire("d", 4).seal(data, frame.Kind.HANDSHAKE))
    return inputs.spoilt(sealed) | _packets()


def _take_strangers(packets: list[bytes]) -> None:
    b = _wire("b", 2, hears_strangers=True)
    for number, data in enumerate(packets):
        received = b.open(data, number / 100)
        assert not received.is_stranger, "nobody here has thrown our word back"
        assert received.body is None or received.sender in "ac"
    b.admit("d")
    assert b.session_of("d") is None


def _take_packets(packets: list[bytes]) -> None:
    b = _wire("b", 2)
    accepted: set[bytes] = set()
    for number, data in enumerate(packets):
        received = b.open(data, number / 100)
        assert (received.body is None) or data not in accepted, "accepted twice"
        if received.body is not None:
            accepted.add(data)
        assert received.reply is None or len(received.reply) <= frame.MAX_PACKET_BYTES


# --- streams ------------------------------------------------------------------------------


def _stream_messages() -> st.SearchStrategy[list[msgspec.Struct]]:
    """Pieces and acknowledgements of the right contact, with everything else made up."""
    contact = {"to": "b", "peer_session": b"session-b", "my_epoch": 0, "your_epoch": 0}
    numbers = st.integers(0, 20) | inputs.WHOLE_NUMBERS
    channels = st.integers(0, 1) | inputs.WHOLE_NUMBERS
    chunks = st.binary(max_size=20) | st.sampled_from([b"\0x", b"\1", b"\2", b""])
    heard = st.builds(frame.Heard, upto=numbers, copy=numbers, held_us=numbers)
    pieces = st.builds(
        frame.Data,
        channel=channels,
        seq=numbers,
        last=st.booleans(),
        chunk=chunks,
        copy=numbers,
        heard=st.none() | heard,
        part=st.integers(0, 3) | inputs.WHOLE_NUMBERS,
        parts=st.integers(0, 3) | inputs.WHOLE_NUMBERS,
        **{name: st.just(value) for name, value in contact.items()},
    )
    acks = st.builds(
        frame.Ack,
        channel=channels,
        heard=heard,
        missing=st.lists(st.tuples(numbers, numbers), max_size=5).map(tuple),
        **{name: st.just(value) for name, value in contact.items()},
    )
    return st.lists(pieces | acks | inputs.messages(frame.PACKETS), max_size=20)


def _take_packed(packed: bytes) -> None:
    payload = packing.unpack(packed)
    if payload is not None:
        again = packing.pack(payload, "zlib", above_bytes=16)
        assert packing.unpack(again) == payload


def _packed_input() -> st.SearchStrategy[bytes]:
    whole = st.builds(
        lambda payload, kind: packing.pack(payload, kind, above_bytes=8),
        st.binary(max_size=40).map(lambda some: some * 9),
        st.sampled_from(["zlib", "bz2"]),
    )
    return inputs.spoilt(whole) | st.binary(max_size=64)


def _take_stream(messages: list[msgspec.Struct]) -> None:
    machine = delivery.Delivery("b", session=b"session-b")
    machine.begin("a", Contact(b"session-a", 0, 0))
    machine.send("a", streams.Channel.CLIENTS, bytes(range(256)) * 30, 0.0)
    now = 0.0
    for message in messages:
        now += 0.003
        if isinstance(message, frame.Data | frame.Ack):
            machine.receive("a", b"session-a", message, now)
        due = machine.next_deadline()
        assert due is None or due > now - 60
        machine.tick(now)


# --- the whole machine of heartbeat -------------------------------------------------------


def _agreed() -> Network:
    network = Network(3, seed=1)
    network.start()
    network.run(0.5, until=lambda: network.is_agreed("abc"))
    return network


def _take_member(messages: list[msgspec.Struct]) -> None:
    """Node b, which is believed, says anything; a and c must outlive it and go on."""
    network = _agreed()
    speaker = network.lives["b"].machine
    wire = speaker._wire
    contact = speaker._delivery._conversations["a"].contact
    stream = speaker._delivery._conversations["a"].outbound
    for message in messages:
        if isinstance(message, frame.Status | frame.Beat | frame.Data | frame.Ack):
            body = frame.PACKETS.encode(message)
        else:
            is_control = isinstance(message, frame.Join | frame.LetGo)
            codec = frame.MEMBERSHIP_MESSAGES if is_control else frame.NODE_MESSAGES
            channel = streams.Channel.CONTROL if is_control else streams.Channel.CLIENTS
            number = stream[channel].next_seq
            stream[channel].next_seq += 1
            piece = frame.Data(
                "a",
                contact.session,
                contact.my_epoch,
                contact.peer_epoch,
                channel,
                number,
                True,
                b"\0" + codec.encode(message),
            )
            body = frame.PACKETS.encode(piece)
        network.feed("a", events.DatagramArrived(LINK, "b", wire.seal(body)))
        network.run(0.01)
    network.run(2.0)
    network.crash("b")
    network.run(8.0, until=lambda: network.is_agreed("ac"))
    assert {"a", "c"} <= set(network.lives), "a node ended because of what another one said"


def _member_says() -> st.SearchStrategy[list[msgspec.Struct]]:
    said = st.one_of(
        inputs.messages(frame.PACKETS),
        inputs.messages(frame.MEMBERSHIP_MESSAGES),
        inputs.messages(frame.NODE_MESSAGES),
    )
    return st.lists(said, min_size=1, max_size=8)


def _take_client(requests: list[msgspec.Struct]) -> None:
    network = _agreed()
    for request in requests:
        if "a" in network.lives:
            network.feed("a", MessageArrived("crmd", request))
        network.run(0.01)
    network.run(0.5)
    assert {"b", "c"} <= set(network.lives)


# --- other framings -----------------------------------------------------------------------


def _take_serial(parts: list[bytes]) -> None:
    reader = serial.Deframer()
    for part in parts:
        for content in reader.feed(part):
            assert 0 < len(content) <= serial.MAX_FRAME_BYTES
    reader.feed(b"\0")
    assert reader.feed(serial.enframe(b"\1whole")) == [b"\1whole"]


def _serial_input() -> st.SearchStrategy[list[bytes]]:
    framed = st.binary(min_size=1, max_size=600).map(serial.enframe)
    return st.lists(inputs.spoilt(framed) | st.binary(max_size=300), max_size=8)


def _take_echo(data: bytes) -> None:
    for is_raw, dialect in ((True, icmp.ICMP), (False, icmp.ICMP), (False, icmp.ICMP6)):
        token = icmp.reply_token(data, is_raw=is_raw, dialect=dialect)
        assert token is None or token in data


def _echo_input() -> st.SearchStrategy[bytes]:
    reply = st.builds(
        lambda kind, number, token: (
            bytes([kind, 0]) + icmp.request(number, number, icmp.MAGIC + token)[2:]
        ),
        st.sampled_from([icmp.ICMP.reply, icmp.ICMP6.reply]),
        st.integers(0, 65535),
        st.binary(max_size=30),
    )
    header = st.integers(0, 15).map(lambda words: bytes([0x40 | words]) + bytes(19))
    return inputs.spoilt(reply | st.builds(bytes.__add__, header, reply)) | st.binary(max_size=64)


def _take_gate(frames: list[bytes]) -> None:
    """A caller says anything, greeted or not; the gate keeps serving another one."""
    bench = GateBench()
    bench.caller(1)
    bench.caller(2, greets=False)
    for data in frames:
        bench.now += 0.1
        try:
            message = gate.FRAMES.decode(data)
        except RemoteProtocolError:
            continue
        for number in (1, 2):
            bench.frame(number, message)
        due = bench.gate.next_deadline()
        assert due is None or due < bench.now + 3600
        bench.gate.tick(bench.now)
    bench.caller(99)
    assert bench.say(99, "crmd", controller.AskController(1))


def _gate_input() -> st.SearchStrategy[list[bytes]]:
    envelopes = st.sampled_from(sorted(conversations.BY_SERVICE)).flatmap(
        lambda service: st.builds(
            gate.Envelope,
            service=st.just(service),
            payload=inputs.encoded(conversations.BY_SERVICE[service].requests),
            user=st.sampled_from(inputs.NAMES),
            wait_s=st.floats(allow_nan=True),
        )
    )
    whole = (envelopes | inputs.messages(gate.FRAMES)).map(gate.FRAMES.encode)
    return st.lists(inputs.spoilt(whole) | inputs.encoded(gate.FRAMES), max_size=8)


# --- the quorum server --------------------------------------------------------------------


def _take_questions(questions: list[bytes | msgspec.Struct]) -> None:
    """Anything from the network, sealed or not: answered at most once, and it goes on."""
    source = random_bytes(random.Random(1))
    server = quorumserver.QuorumServer({"linux-ha": KEYS}, now=0.0, random_bytes=source)
    sealer = ballot.Sealer(KEYS, "linux-ha", is_server=False, random_bytes=source)
    for number, question in enumerate(questions):
        data = question if isinstance(question, bytes) else sealer.seal(question)
        asked = quorumserver.QuestionArrived(data, ("192.0.2.1", 5561))
        assert len(server.receive(asked, 100.0 + number)) <= 2


def _take_answers(answers: list[bytes | msgspec.Struct]) -> None:
    """A server, or who plays one: nothing gives the tie for longer than was asked for."""
    source = random_bytes(random.Random(1))
    waiting = arbitration.QuorumServerArbitrator(settings(2), KEYS, node="a", random_bytes=source)
    waiting.want(("a",), 0.0)
    sealer = ballot.Sealer(KEYS, "linux-ha", is_server=True, random_bytes=source)
    now = 0.0
    for answer in answers:
        now += 0.05
        if isinstance(answer, ballot.Answer) and waiting._open:
            answer = msgspec.structs.replace(answer, word=next(iter(waiting._open)))
        data = answer if isinstance(answer, bytes) else sealer.seal(answer)
        for effect in waiting.receive(arbitration.ServerAnswered(data), now):
            if isinstance(effect, arbitration.TieGiven):
                assert effect.members == ("a",)
                assert effect.until <= now + settings(2).timing.deadtime_s
        due = waiting.next_deadline()
        assert due is not None
        now = max(now, due)
        waiting.tick(now)


TARGETS: dict[str, Target] = {
    "packet": Target(st.lists(_packets(), max_size=12), _take_packets),
    "stranger": Target(st.lists(_strange_packets(), max_size=12), _take_strangers),
    "handshake": _decoding(frame.HANDSHAKES),
    "sealed": _decoding(frame.PACKETS),
    "membership": _decoding(frame.MEMBERSHIP_MESSAGES),
    "node": _decoding(frame.NODE_MESSAGES),
    "packed": Target(_packed_input(), _take_packed),
    "stream": Target(_stream_messages(), _take_stream),
    "member": Target(_member_says(), _take_member),
    "client": Target(st.lists(inputs.messages(membership.TO_HEARTBEAT), max_size=8), _take_client),
    **files.TARGETS,
    "quorum-question": Target(
        st.lists(inputs.messages(ballot.QUESTIONS) | st.binary(max_size=80), max_size=8),
        _take_questions,
    ),
    "quorum-answer": _decoding(ballot.ANSWERS),
    "arbitrator": Target(
        st.lists(inputs.messages(ballot.ANSWERS) | st.binary(max_size=80), max_size=8),
        _take_answers,
    ),
    "serial": Target(_serial_input(), _take_serial),
    "echo": Target(_echo_input(), _take_echo),
    "gate": Target(_gate_input(), _take_gate),
    "cib-peers": _decoding(cib_wire.PEERS),
    "attrd-peers": _decoding(attrd_wire.WIRE),
    "crmd-peers": _decoding(peers.PEERS),
    "gate-frames": _decoding(gate.FRAMES),
    **{
        f"{service}-{side}": _decoding(codec)
        for service, languages in conversations.BY_SERVICE.items()
        for side, codec in (("requests", languages.requests), ("replies", languages.replies))
    },
}
"""Every decoder by name."""
