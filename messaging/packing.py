"""Messages as they travel in a stream: a mark, and compressed where that helps and is quick.

Responsible for the form of one whole message. Not responsible for cutting it up (`delivery`).
"""

from __future__ import annotations

import bz2
import zlib

from crm.plumbing.codec import MAX_MESSAGE_BYTES

MAX_COMPRESSED_BYTES = {"zlib": 256 * 1024, "bz2": 64 * 1024}
"""What is longer travels as it is: packing it would hold up the event loop."""


def pack(payload: bytes, compression: str, *, above_bytes: int) -> bytes:
    """Mark a message, and compress it (with zlib or bz2) if it is longer than `above_bytes`."""
    if above_bytes < len(payload) <= MAX_COMPRESSED_BYTES[compression]:
        if compression == "bz2":
            packed = b"\2" + bz2.compress(payload, 1)
        else:
            packed = b"\1" + zlib.compress(payload, 1)
        if len(packed) < len(payload):
            return packed
    return b"\0" + payload


def unpack(packed: bytes) -> bytes | None:
    """Undo `pack`, never yielding more than a message may have; None if it cannot be undone."""
    if not packed:
        return None
    kind, data = packed[0], packed[1:]
    try:
        if kind == 0:
            return data
        if kind == 1:
            unzip = zlib.decompressobj()
            payload = unzip.decompress(data, MAX_MESSAGE_BYTES)
            return payload if unzip.eof else None
        if kind == 2:
            unpacker = bz2.BZ2Decompressor()
            payload = unpacker.decompress(data, MAX_MESSAGE_BYTES)
            return payload if unpacker.eof else None
    except (zlib.error, OSError):
        return None
    return None
