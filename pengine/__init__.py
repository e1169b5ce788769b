"""The scheduler: a pure function from a CIB to a transition graph, with the reasons.

Here live the five stages, what explains and simulates their result, and the daemon around them.
Nothing here reads a clock or a file but `daemon` and `archive`. `schedule` is the public door.
"""

from pengine.pipeline import Decision, schedule

__all__ = ["Decision", "schedule"]
