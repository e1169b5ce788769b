"""Echo requests and replies as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.media import icmp
from messaging.media.icmp import MAGIC, checksum, reply_token, request

TOKEN = b"12345678"
_IP_HEADER = bytes([0x45]) + bytes(19)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def reply_to(packet: bytes) -> bytes:
    """What a host makes of a request."""
    return bytes([icmp.ICMP.reply]) + packet[1:]


def slow_checksum(data: bytes) -> int:
    """The ones' complement of the ones' complement sum of 16-bit words, one by one."""
    padded = data + b"\0" * (len(data) % 2)
    total = 0
    for index in range(0, len(padded), 2):
        total += padded[index] * 256 + padded[index + 1]
        if total > 0xFFFF:
            total -= 0xFFFF
    return 0xFFFF - total


@given(st.binary(min_size=2, max_size=200).filter(any))
def test_the_checksum_is_that_of_rfc_1071(data: bytes) -> None:
    assert checksum(data) == slow_checksum(data)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=32))
def test_a_request_sums_up_to_nothing(identifier: int, sequence: int, payload: bytes) -> None:
    assert checksum(request(identifier, sequence, MAGIC + payload)) == 0


def test_a_reply_carries_the_token_back_with_and_without_an_ip_header() -> None:
    reply = reply_to(request(7, 1, MAGIC + TOKEN))
    assert reply_token(reply, is_raw=False) == TOKEN
    assert reply_token(_IP_HEADER + reply, is_raw=True) == TOKEN


def test_a_request_of_somebody_else_is_no_reply() -> None:
    assert reply_token(request(7, 1, MAGIC + TOKEN), is_raw=False) is None


def test_a_reply_to_another_program_carries_no_token() -> None:
    assert reply_token(reply_to(request(7, 1, b"abcdefgh" + TOKEN)), is_raw=False) is None


@given(st.binary(max_size=80), st.booleans())
def test_garbage_is_no_reply(data: bytes, is_raw: bool) -> None:
    token = reply_token(data, is_raw=is_raw)
    assert token is None or MAGIC in data


def test_a_reply_of_the_other_ip_version_is_none_of_ours() -> None:
    reply = bytes([icmp.ICMP6.reply]) + request(7, 1, MAGIC + TOKEN, icmp.ICMP6)[1:]
    assert reply_token(reply, is_raw=False, dialect=icmp.ICMP6) == TOKEN
    assert reply_token(reply, is_raw=False, dialect=icmp.ICMP) is None


def test_a_host_is_looked_up_in_its_own_ip_version() -> None:
    four, six, none = icmp.Host("127.0.0.1"), icmp.Host("::1", is_ipv6=True), icmp.Host("::1")
    places, unknown = icmp.resolve([four, six, none])
    assert places == {four: icmp.Place("127.0.0.1"), six: icmp.Place("::1")}
    assert unknown == [none]


@pytest.mark.parametrize("host", [icmp.Host("127.0.0.1"), icmp.Host("::1", is_ipv6=True)])
def test_a_host_answers_over_either_ip_version(
    host: icmp.Host, loop: asyncio.AbstractEventLoop
) -> None:
    heard: asyncio.Future[tuple[str, bytes]] = loop.create_future()

    def hear(name: str, token: bytes) -> None:
        if not heard.done():
            heard.set_result((name, token))

    places, _ = icmp.resolve([host])
    pinger = icmp.Pinger(places, hear, loop)
    if not pinger.open():
        pytest.skip("ICMP sockets are not permitted here")
    try:
        pinger.send(host.name, TOKEN, is_ipv6=host.is_ipv6)
        answer = loop.run_until_complete(asyncio.wait_for(heard, 5))
    finally:
        pinger.close()

    assert answer == (host.name, TOKEN)
