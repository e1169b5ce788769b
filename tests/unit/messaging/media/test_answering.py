"""A socket on all addresses answers from the one it was asked at; over the loopback interface."""

from __future__ import annotations

import select
import socket

import pytest

from messaging.media.answering import AnsweringSocket, Way


def answer_of(listens_on: str, asked_at: str) -> bytes:
    """What a connected socket, which hears nobody else, hears of the server."""
    server = AnsweringSocket(listens_on, 0)
    family = socket.AF_INET6 if ":" in asked_at else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(1.0)
        client.connect((asked_at, server.port))
        client.send(b"question")
        select.select([server], [], [], 1.0)
        heard = server.receive(100)
        assert heard is not None and heard[0] == b"question"
        server.send(b"answer", heard[1])
        server.close()
        return client.recv(100)


@pytest.mark.parametrize("asked_at", ["127.0.0.1", "127.0.0.2", "::1"])
def test_on_all_addresses_of_both_versions(asked_at: str) -> None:
    assert answer_of("::", asked_at) == b"answer"


def test_on_all_addresses_of_ipv4() -> None:
    assert answer_of("0.0.0.0", "127.0.0.3") == b"answer"


@pytest.mark.parametrize("address", ["127.0.0.2", "::1"])
def test_on_one_address(address: str) -> None:
    assert answer_of(address, address) == b"answer"


def test_what_cannot_be_sent_is_lost() -> None:
    server = AnsweringSocket("127.0.0.1", 0)
    server.send(bytes(100_000), Way(("127.0.0.1", server.port)))
    assert server.receive(100) is None
    server.close()
