"""Lines with a checksum, as the files hold them that are only ever added to.

Responsible for telling a line that is whole from one that was torn or damaged; not for what it
says.
"""

from __future__ import annotations

import re
import zlib

_LINE = re.compile(rb"(?P<sum>[0-9a-f]{8}) (?P<body>\{.*\})\Z")


def seal(body: bytes) -> bytes:
    """Write a line around a JSON object, which holds no line break."""
    return f"{zlib.crc32(body):08x} ".encode() + body + b"\n"


def unseal(line: bytes) -> bytes | None:
    """Give the JSON object of a line (without its line break), or None if it is not whole."""
    found = _LINE.match(line)
    if found is None or zlib.crc32(found["body"]) != int(found["sum"], 16):
        return None
    return found["body"]
