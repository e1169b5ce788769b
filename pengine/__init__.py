"""The scheduler: a pure function from a CIB to a transition graph, with the reasons.

Here live the five stages, what explains and simulates their result, and the daemon around them.
Nothing here reads a clock or a file but `daemon` and `archive`. `schedule` is the public door; the
stages behind it are loaded when it is opened: who only asks for facts does not pay for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pengine.pipeline import Decision, schedule

__all__ = ["Decision", "schedule"]


def __getattr__(name: str) -> object:
    """Open the door."""
    if name not in __all__:
        raise AttributeError(f"module 'pengine' has no attribute '{name}'")
    from pengine import pipeline

    return getattr(pipeline, name)
