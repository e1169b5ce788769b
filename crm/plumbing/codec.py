"""Typed messages as bytes: msgspec structs in MessagePack, with one kind of decoding error.

A family of messages is a tagged union of frozen structs. `Codec` encodes any of them and decodes
bytes from anywhere, turning every way in which a decoder can fail into `RemoteProtocolError`.

Source: docs/decisions/0003-messages.md.
"""

from __future__ import annotations

from typing import Any

import msgspec

from crm.plumbing.errors import RemoteProtocolError

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""No message is larger: a CIB of sixteen nodes and a thousand resources has about ten million."""


class Message(msgspec.Struct, frozen=True, tag=True, tag_field="_", omit_defaults=True):
    """Base of every message: frozen, tagged with its class name, defaults left out.

    The tag is kept under a name that no field has (`type` is one of an agent's own words).
    """


class Codec:
    """Encodes and decodes one family of messages, given as its member classes."""

    def __init__(self, *members: type[msgspec.Struct]) -> None:
        assert members, "a codec needs at least one message class"
        union: Any = members[0]  # Any: a union built at run time has no static type
        for member in members[1:]:
            union |= member
        self._decoder = msgspec.msgpack.Decoder(union)
        self._encoder = msgspec.msgpack.Encoder()
        self.members = members

    def encode(self, message: msgspec.Struct) -> bytes:
        """Turn a message of this family into bytes."""
        return self._encoder.encode(message)

    def decode(self, data: bytes | memoryview) -> msgspec.Struct:
        """Turn bytes into a message of this family.

        Raises: RemoteProtocolError if the bytes are not exactly one such message.
        """
        if len(data) > MAX_MESSAGE_BYTES:
            raise RemoteProtocolError(f"a message of {len(data)} bytes exceeds {MAX_MESSAGE_BYTES}")
        try:
            message = self._decoder.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
            raise RemoteProtocolError(f"unreadable message: {problem}") from problem
        assert isinstance(message, msgspec.Struct)
        return message
