"""The filter in front of a UDP socket, tried by sending datagrams over loopback."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from messaging import frame
from messaging.auth import Wire
from messaging.media import sieve
from tests.kit.messaging import KEYS, random_bytes


def packet(node: str, cluster: str = "linux-ha", body: bytes = b"") -> bytes:
    wire = Wire(
        KEYS, cluster=cluster, node=node, peers=["b"], random_bytes=random_bytes(random.Random(1))
    )
    return wire.seal(body)


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket of node b behind the sieve, and one that sends to it."""
    receiver = socket.socket(request.param, socket.SOCK_DGRAM)
    sender = socket.socket(request.param, socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.bind(("::1" if request.param == socket.AF_INET6 else "127.0.0.1", 0))
        sender.connect(receiver.getsockname()[:2])
        receiver.settimeout(5)
        own = frame.sender_tag("linux-ha", "b")
        assert sieve.Sieve(frame.cluster_tag("linux-ha"), own).attach(receiver)
        yield receiver, sender


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


STRANGE = {
    "empty": b"",
    "noise": random.Random(2).randbytes(300),
    "too short for a tag": packet("a")[:-1],
    "first byte of the magic": changed(packet("a"), 0, 0),
    "second byte of the magic": changed(packet("a"), 1, 0),
    "version": changed(packet("a"), frame.VERSION_AT, 2),
    "kind": changed(packet("a"), frame.KIND_AT, 2),
    "other cluster": packet("a", "other"),
    "our own, reflected": packet("b", body=b"from us"),
}


def test_packets_of_peers_pass_whole(ends: tuple[socket.socket, socket.socket]) -> None:
    receiver, sender = ends
    for body in (b"", b"x" * 1300):
        for node in ("a", "c"):
            sender.send(packet(node, body=body))
            assert receiver.recv(4096) == packet(node, body=body)
    assert sieve.dropped(receiver) == 0


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_packet_of_a_peer_is_dropped_and_counted(
    name: str, ends: tuple[socket.socket, socket.socket]
) -> None:
    receiver, sender = ends
    sender.send(STRANGE[name])
    sender.send(packet("a", body=b"after it"))

    assert receiver.recv(4096) == packet("a", body=b"after it")
    assert sieve.dropped(receiver) == 1


def test_junk_fills_no_queue(ends: tuple[socket.socket, socket.socket]) -> None:
    receiver, sender = ends
    rng = random.Random(3)
    for _ in range(5000):
        sender.send(rng.randbytes(rng.randrange(1400)))
    sender.send(packet("a"))

    assert receiver.recv(4096) == packet("a")
    assert sieve.dropped(receiver) == 5000


def test_the_sieve_drops_nothing_that_would_have_been_read() -> None:
    """Whatever the sieve drops is dropped by `auth` for the same reason."""
    b = Wire(
        KEYS,
        cluster="linux-ha",
        node="b",
        peers=["a"],
        random_bytes=random_bytes(random.Random(4)),
    )
    reasons = {name: b.open(data, 0.0).reason for name, data in STRANGE.items()}

    assert set(reasons.values()) == {"length", "magic", "version", "other-cluster", "own"}
