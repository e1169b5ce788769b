"""UDP links over loopback: marks, bulk that waits, and what an interface allows."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from messaging import frame
from messaging.cluster_settings import Medium, MediumKind
from messaging.media import udp


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A plain socket at 127.0.0.2, which tells the mark of each datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        made.bind(("127.0.0.2", 0))
        made.settimeout(5)
        yield made


def link_to(listener: socket.socket, loop: asyncio.AbstractEventLoop) -> udp.UdpLink:
    port = listener.getsockname()[1]
    medium = Medium(MediumKind.UCAST, "lo", port=port, address="127.0.0.2")
    link = udp.UdpLink([medium], lambda *_: None, loop)
    link.open()
    return link


def next_datagram(listener: socket.socket) -> tuple[bytes, int]:
    data, (mark, *_), *_ = listener.recvmsg(2048, 64)
    return data, mark[2][0]


def test_heartbeats_are_marked_urgent_and_bulk_is_not(
    listener: socket.socket, loop: asyncio.AbstractEventLoop
) -> None:
    link = link_to(listener, loop)
    try:
        link.send(b"heartbeat", "")
        link.send(b"snapshot", "", is_bulk=True)
        port = listener.getsockname()[1]
        link.send(b"answer", f"127.0.0.2:{port}")

        assert [next_datagram(listener) for _ in range(3)] == [
            (b"heartbeat", udp.DSCP_CS6),
            (b"snapshot", udp.DSCP_DEFAULT),
            (b"answer", udp.DSCP_CS6),
        ]
    finally:
        link.close()


class Kernel:
    """Takes datagrams and keeps them until the test lets them go."""

    def __init__(self) -> None:
        self.waiting = 0
        self.taken: list[bytes] = []
        self.works = True

    def waiting_bytes(self) -> int:
        return self.waiting

    def hand_over(self, data: bytes, target: udp.Address, mark: int) -> bool:
        assert mark == udp.DSCP_DEFAULT and target == ("192.0.2.1", 694)
        if self.works:
            self.waiting += len(data)
            self.taken.append(data)
        return self.works


def next_timer(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until the queue has tried again."""
    loop.call_later(udp.BULK_PAUSE_S, loop.stop)
    loop.run_forever()


def test_bulk_waits_while_the_kernel_holds_enough_and_keeps_its_order(
    loop: asyncio.AbstractEventLoop,
) -> None:
    kernel = Kernel()
    queue = udp.BulkQueue(kernel.waiting_bytes, kernel.hand_over, loop)
    packets = [bytes([number]) * 1400 for number in range(200)]
    for packet in packets:
        queue.put(packet, ("192.0.2.1", 694))
    assert kernel.waiting <= udp.BULK_AHEAD_BYTES + 1400
    before = len(kernel.taken)

    while len(kernel.taken) < len(packets):
        kernel.waiting = 0
        next_timer(loop)

    assert 0 < before < 60
    assert kernel.taken == packets


def test_bulk_does_not_wait_for_what_the_kernel_keeps_for_a_host_that_is_gone(
    loop: asyncio.AbstractEventLoop,
) -> None:
    kernel = Kernel()
    kernel.waiting = held = udp.BULK_AHEAD_BYTES + 70_000
    queue = udp.BulkQueue(kernel.waiting_bytes, kernel.hand_over, loop)

    queue.put(b"an order", ("192.0.2.1", 694))
    assert kernel.taken == []
    while not kernel.taken:
        next_timer(loop)
    for number in range(200):
        queue.put(bytes([number]) * 1400, ("192.0.2.1", 694))

    assert len(kernel.taken) < 60, "there is room beside what is held, and no more than ever"
    while len(kernel.taken) < 201:
        kernel.waiting = held
        next_timer(loop)
    kernel.waiting = 0
    queue.put(b"later", ("192.0.2.1", 694))
    kernel.waiting = udp.BULK_AHEAD_BYTES
    queue.put(b"last", ("192.0.2.1", 694))
    assert kernel.taken[-1] == b"later", "what has gone is held no longer"


def test_bulk_for_a_link_in_trouble_is_forgotten(loop: asyncio.AbstractEventLoop) -> None:
    kernel = Kernel()
    kernel.waiting = udp.BULK_AHEAD_BYTES
    queue = udp.BulkQueue(kernel.waiting_bytes, kernel.hand_over, loop)
    for _ in range(udp.MAX_BULK + 10):
        queue.put(b"x", ("192.0.2.1", 694))
    kernel.works, kernel.waiting = False, 0
    next_timer(loop)
    kernel.works = True
    queue.put(b"later", ("192.0.2.1", 694))

    assert kernel.taken == [b"later"]


@pytest.mark.parametrize(
    ("media", "longest"),
    [
        ((Medium(MediumKind.UCAST, "lo", address="127.0.0.2"),), {"lo": frame.PIECE_PACKET_BYTES}),
        ((Medium(MediumKind.BCAST, "missing0"),), {}),
        ((Medium(MediumKind.SERIAL, "/dev/ttyS0", baud=9600),), {}),
        (
            (
                Medium(MediumKind.UCAST, "lo", address="127.0.0.2"),
                Medium(MediumKind.UCAST6, "lo", address="::1"),
            ),
            {"lo": 1280 - 48},
        ),
    ],
    ids=["ipv4", "missing", "serial", "ipv6"],
)
def test_packets_fit_the_narrowest_medium_of_each_link(
    media: tuple[Medium, ...], longest: dict[str, int]
) -> None:
    assert udp.packet_bytes(media) == longest


def test_a_link_without_its_interface_sends_nothing_and_says_so_once(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    medium = Medium(MediumKind.BCAST, "missing0", port=694)
    link = udp.UdpLink([medium], lambda *_: None, loop)
    link.open()
    for _ in range(5):
        link.send(b"heartbeat", "")

    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "link missing0 port 694 cannot be opened: No such device" in caplog.text


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_packets_come_with_their_age_and_never_older_than_the_socket_was_left_alone(
    loop: asyncio.AbstractEventLoop,
) -> None:
    came: list[tuple[bytes, float]] = []

    def take(link: str, source: str, data: bytes, age_s: float) -> None:
        came.append((data, age_s))
        if len(came) == 2:
            loop.stop()

    medium = Medium(MediumKind.UCAST, "lo", free_port(), "127.0.0.1")
    link = udp.UdpLink([medium], take, loop)
    opened_at = loop.time()
    link.open()
    link.send(b"one", "")
    link.send(b"two", "")
    loop.call_later(10, loop.stop)
    loop.run_forever()
    left_alone_s = loop.time() - opened_at + 0.1
    link.close()

    assert [data for data, _ in came] == [b"one", b"two"]
    assert all(0.0 <= age_s <= left_alone_s for _, age_s in came)
    assert came[0][1] > 0.0, "the kernel stamps every packet"
