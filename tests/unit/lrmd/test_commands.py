from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.plumbing.errors import RemoteProtocolError
from lrmd.commands import Frames, frame


@given(messages=st.lists(st.binary(max_size=50), max_size=8), cuts=st.lists(st.integers(1, 20)))
def test_messages_survive_any_cutting_of_the_stream(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(message) for message in messages)
    frames = Frames()
    found: list[bytes] = []
    for cut in [*cuts, len(stream)]:
        found += frames.feed(stream[:cut])
        stream = stream[cut:]
    assert found == messages


def test_an_impossible_length_ends_the_stream() -> None:
    with pytest.raises(RemoteProtocolError, match="4294967295"):
        Frames().feed(b"\xff\xff\xff\xff")
