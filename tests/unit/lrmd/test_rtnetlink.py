"""Reading what a kernel says, from bytes; tests/agents holds the same code against a real one."""

from __future__ import annotations

import ipaddress
import struct

from hypothesis import given
from hypothesis import strategies as st

from lrmd import rtnetlink

DELADDR, NEWADDR = 21, 20


def attribute(kind: int, value: bytes) -> bytes:
    padding = b"\0" * (-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + value + padding


def message(kind: int, address: str, index: int) -> bytes:
    packed = ipaddress.ip_address(address).packed
    family = 2 if len(packed) == 4 else 10
    body = struct.pack("=BBBBI", family, 24, 0, 0, index)
    body += attribute(1, packed) + attribute(3, b"eth0:0\0")
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_only_removals_are_read_from_a_batch() -> None:
    batch = (
        message(NEWADDR, "10.0.0.1", 2)
        + message(DELADDR, "10.0.0.2", 2)
        + message(DELADDR, "fd00::2", 3)
    )
    removed = rtnetlink.removed_addresses(batch)
    assert [(str(each.address), each.index) for each in removed] == [
        ("10.0.0.2", 2),
        ("fd00::2", 3),
    ]


@given(cut=st.integers(0, 200))
def test_a_batch_cut_short_is_read_as_far_as_it_goes(cut: int) -> None:
    batch = message(DELADDR, "10.0.0.2", 2) * 2
    removed = rtnetlink.removed_addresses(batch[:cut])
    assert len(removed) <= 2
    assert all(str(each.address) == "10.0.0.2" for each in removed)


def test_loopback_and_point_to_point_links_have_nobody_to_announce_to() -> None:
    hardware = bytes.fromhex("020000000001")
    assert rtnetlink.Link(1, "eth0", 0x1003, hardware).can_announce
    assert not rtnetlink.Link(1, "lo", 0x9, bytes(6)).can_announce
    assert not rtnetlink.Link(1, "tun0", 0x1091, b"").can_announce
