"""Serial lines: frames on a noisy stream, and packets that travel around a ring."""

from __future__ import annotations

import asyncio
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.cluster_settings import Medium, MediumKind
from messaging.media import serial
from messaging.media.serial import Deframer, SerialRing, enframe, stuff, unstuff

contents = st.binary(min_size=2, max_size=1300)


@given(st.binary(max_size=1300))
def test_stuffed_bytes_hold_no_zero_and_come_back(content: bytes) -> None:
    stuffed = stuff(content)

    assert 0 not in stuffed
    assert unstuff(stuffed) == content
    assert len(stuffed) <= len(content) + len(content) // 254 + 1


@given(st.lists(contents, max_size=5), st.data())
def test_frames_are_found_however_the_stream_is_cut(
    wanted: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(enframe(content) for content in wanted)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    deframer = Deframer()

    found = [
        content
        for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for content in deframer.feed(stream[begin:end])
    ]

    assert found == wanted


@given(st.binary(max_size=300), contents)
def test_after_noise_the_next_frame_but_one_arrives(noise: bytes, content: bytes) -> None:
    found = Deframer().feed(noise + enframe(content) + enframe(content))

    assert found[-1] == content


@given(st.binary(max_size=600))
def test_no_bytes_are_too_strange(noise: bytes) -> None:
    assert all(len(content) > 1 for content in Deframer().feed(noise))


def test_an_endless_frame_is_given_up_before_memory_is() -> None:
    deframer = Deframer()
    for _ in range(1000):
        assert deframer.feed(b"x" * 1000) == []
    assert deframer.feed(b"\0" + enframe(b"\x01found")) == [b"\x01found"]


# --- real terminals -------------------------------------------------------------------------


class Node:
    """A node with lines; what it received, as (line, packet)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lines: list[str], ttl: int) -> None:
        self.received: list[tuple[str, bytes]] = []
        media = [Medium(MediumKind.SERIAL, line, 0, baud=115200) for line in lines]
        self.ring = SerialRing(media, self._take, loop, ttl=ttl, reopen_pause_s=0.0)
        self.ring.open()

    def _take(self, link: str, source: str, packet: bytes) -> None:
        assert source == ""
        self.received.append((link, packet))


class Cables:
    """Pairs of pseudo-terminals; what is written into one end comes out of the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handles: list[int] = []

    def plug(self) -> tuple[str, str]:
        """Make a cable; returns the devices at its ends."""
        masters: list[int] = []
        names: list[str] = []
        for _ in range(2):
            master, slave = pty.openpty()
            os.set_blocking(master, False)
            masters.append(master)
            names.append(os.ttyname(slave))
            self._handles += [master, slave]
        for source, target in (masters, masters[::-1]):
            self._loop.add_reader(source, self._carry, source, target)
        return names[0], names[1]

    def _carry(self, source: int, target: int) -> None:
        os.write(target, os.read(source, 4096))

    def close(self) -> None:
        for handle in self._handles:
            self._loop.remove_reader(handle)
            os.close(handle)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def cables(loop: asyncio.AbstractEventLoop) -> Iterator[Cables]:
    cables = Cables(loop)
    yield cables
    cables.close()


def run_until(loop: asyncio.AbstractEventLoop, nodes: list[Node], count: int) -> None:
    async def wait() -> None:
        async with asyncio.timeout(10):
            while sum(len(node.received) for node in nodes) < count:
                await asyncio.sleep(0)

    loop.run_until_complete(wait())


def test_two_nodes_talk_over_one_line(loop: asyncio.AbstractEventLoop, cables: Cables) -> None:
    ends = cables.plug()
    nodes = [Node(loop, [end], ttl=3) for end in ends]
    packets = [bytes([number]) * (1 + number * 9) for number in range(100)]

    for packet in packets[:40]:
        assert nodes[0].ring.send(ends[0], packet)
    run_until(loop, nodes, 40)

    assert nodes[1].received == [(ends[1], packet) for packet in packets[:40]]
    assert not nodes[0].ring.send("eth1", b"x"), "no line of that name"
    for node in nodes:
        node.ring.close()


def test_a_packet_travels_around_a_ring_and_no_further(
    loop: asyncio.AbstractEventLoop, cables: Cables
) -> None:
    (a_right, b_left), (b_right, c_left), (c_right, a_left) = (cables.plug() for _ in range(3))
    a, b, c = (
        Node(loop, lines, ttl=3)
        for lines in ([a_left, a_right], [b_left, b_right], [c_left, c_right])
    )

    a.ring.send(a_right, b"news")
    run_until(loop, [a, b, c], 3)

    assert b.received == [(b_left, b"news")]
    assert c.received == [(c_left, b"news")]
    assert a.received == [(a_left, b"news")], "its seal shows that it is our own"
    for node in (a, b, c):
        node.ring.close()


def test_heartbeats_overtake_a_message_that_waits(
    loop: asyncio.AbstractEventLoop, cables: Cables
) -> None:
    near, far = cables.plug()
    sender, receiver = Node(loop, [near], ttl=1), Node(loop, [far], ttl=1)
    pieces = [bytes([number + 1]) * 1200 for number in range(20)]

    for piece in pieces:
        sender.ring.send(near, piece)
    sender.ring.send(near, b"heartbeat")
    run_until(loop, [receiver], 21)

    order = [packet for _, packet in receiver.received]
    assert [packet for packet in order if packet != b"heartbeat"] == pieces
    assert order.index(b"heartbeat") < 20, "it was sent last"
    for node in (sender, receiver):
        node.ring.close()


def test_a_device_that_is_not_there_is_tried_again(
    loop: asyncio.AbstractEventLoop, cables: Cables, tmp_path: Path
) -> None:
    device = tmp_path / "ttyS0"
    node = Node(loop, [str(device)], ttl=1)
    node.ring.send(str(device), b"lost")
    near, far = cables.plug()
    device.symlink_to(near)
    other = Node(loop, [far], ttl=1)

    node.ring.send(str(device), b"heard")
    run_until(loop, [other], 1)

    assert other.received == [(far, b"heard")]
    for each in (node, other):
        each.ring.close()


def test_only_a_character_device_can_be_a_line(tmp_path: Path) -> None:
    assert serial.is_character_device("/dev/null")
    assert not serial.is_character_device(str(tmp_path))
    assert not serial.is_character_device(str(tmp_path / "nothing"))
