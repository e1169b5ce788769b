"""The last events and effects of a machine, kept for the day it breaks.

A ring with a limit on entries and on bytes, so that keeping them costs nothing one would notice.
Written out as a transcript (`crm.plumbing.transcript`), which drops into tests/transcripts.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from crm.plumbing import transcript

MAX_ENTRIES = 400
MAX_BYTES = 4 * 1024 * 1024

_SMALL = frozenset({int, float, bool, type(None)})
_DEPTH = 3
"""Items hold events, which hold messages, which hold what may be large."""


class BlackBox:
    """Remembers what went in and what came out, in order."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._entries: deque[tuple[float, str, object, int]] = deque()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0

    def remember(self, now: float, mark: str, item: object) -> None:
        """Keep an event (mark `>`), an effect (`<`) or a tick (`@`); `now` is monotonic."""
        size = _weight(item, _DEPTH)
        self._entries.append((now, mark, item, size))
        self._bytes += size
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._bytes -= self._entries.popleft()[3]

    def text(self) -> str:
        """Everything kept, as a transcript."""
        lines = []
        moment: float | None = None
        for now, mark, item, _ in self._entries:
            if now != moment:
                lines.append(f"at {now:.6f}")
                moment = now
            lines.append("tick" if mark == "@" else f"{mark} {transcript.render(item)}")
        return "\n".join(lines) + "\n"

    def write(self, path: Path, problem: BaseException) -> None:
        """Write the transcript and, as remarks before it, what went wrong.

        Raises: OSError if that cannot be done.
        """
        trace = "".join(traceback.format_exception(problem))
        remarks = "".join(f"# {line}\n" for line in trace.splitlines())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(remarks + self.text(), encoding="utf-8", errors="backslashreplace")
        path.chmod(0o600)


def _weight(item: object, levels: int) -> int:
    """About how many bytes an item holds on to; called for everything, so it must be quick."""
    kind: Any = type(item)  # Any: what follows asks it what it is
    if kind is tuple:
        parts = cast("tuple[object, ...]", item)
        values: Sequence[object] = parts[:8]
        total = 64 + 64 * len(parts)
    else:
        total = 64
        values = _values_of(kind)(item)
    for value in values:
        kind = type(value)
        if kind is bytes or kind is str:
            total += len(cast("bytes | str", value))
        elif levels > 1 and kind not in _SMALL:
            total += _weight(value, levels - 1)
        else:
            total += 64
    return total


@functools.cache
def _values_of(kind: Any) -> Callable[[object], Sequence[object]]:  # Any: see above
    """Make what reads the fields of a kind of event, effect or message; anything else has none."""
    names: tuple[str, ...] = ()
    if issubclass(kind, msgspec.Struct):
        names = kind.__struct_fields__
    elif dataclasses.is_dataclass(kind):
        names = tuple(each.name for each in dataclasses.fields(kind))
    if len(names) > 1:
        return operator.attrgetter(*names)
    if names:
        only = operator.attrgetter(names[0])
        return lambda item: (only(item),)
    return lambda item: ()
