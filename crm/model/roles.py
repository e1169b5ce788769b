"""What a resource is doing on a node, from nothing to leading.

Master and Slave are read as Promoted and Unpromoted and never written.
"""

from __future__ import annotations

import enum


class Role(enum.IntEnum):
    """Ordered by how much a resource does; UNKNOWN means that nobody has looked."""

    UNKNOWN = 0
    STOPPED = 1
    STARTED = 2
    UNPROMOTED = 3
    PROMOTED = 4

    @property
    def word(self) -> str:
        """The role as the CIB and the tools write it."""
        return self.name.capitalize()

    @property
    def is_active(self) -> bool:
        """Tell whether the resource uses its node in this role."""
        return self >= Role.STARTED


_WORDS = {
    "unknown": Role.UNKNOWN,
    "stopped": Role.STOPPED,
    "started": Role.STARTED,
    "unpromoted": Role.UNPROMOTED,
    "promoted": Role.PROMOTED,
    "slave": Role.UNPROMOTED,
    "master": Role.PROMOTED,
    "#default": Role.STARTED,
    "default": Role.STARTED,
}


def parse(text: str) -> Role:
    """Read a role word, old or new, in any case.

    Raises: ValueError if the word is no role.
    """
    word = text.strip().lower()
    if word not in _WORDS:
        raise ValueError(f"'{text}' is no role: expected Stopped, Started, Promoted or Unpromoted")
    return _WORDS[word]


def parse_or_none(text: str | None) -> Role | None:
    """Read a role word as `parse` does; what is absent or odd is no role."""
    try:
        return parse(text) if text else None
    except ValueError:
        return None
