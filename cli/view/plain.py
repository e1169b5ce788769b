"""Text without its frame: what the classic tools print where numbers matter more than layout.

Headings go, and so do bullets, indentation and the names of the node lists; what is left is one
plain line for each thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_BULLET = re.compile(r" *\* ")
_HEADING = re.compile(
    r" *(\* )?(Node List|Full List of Resources|Node Attributes|Migration Summary"
    r"|Resource Group: .*|Clone Set: .*|Container bundle.*|Node: [^ ]*):$"
)
_LABEL = re.compile(r"^(Online|OFFLINE|RemoteOnline|RemoteOFFLINE|GuestOnline): (?=\[)")


def plain(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines without headings, bullets and labels."""
    for line in lines:
        if _HEADING.match(line):
            continue
        yield _LABEL.sub("", _BULLET.sub("", line, count=1))
