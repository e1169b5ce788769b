"""The conversation with `pengine`: here is a CIB, what has to be done?"""

from __future__ import annotations

from crm.model.graph import Graph
from crm.plumbing.codec import Codec, Message

SERVICE = "pengine"


class Schedule(Message, frozen=True, omit_defaults=True):
    """Compute a transition. `cib` is the whole document, `wall` seconds since 1970."""

    request: int
    cib: bytes
    wall: float
    transition: int


class LogLine(Message, frozen=True):
    """A line the scheduler wants in the log: level (a `logging` number), entity and text."""

    level: int
    entity: str
    text: str


class Scheduled(Message, frozen=True, omit_defaults=True):
    """The answer. `input_path` is where the input was kept (pe-input-N.bz2), "" if it was not.

    `sentence` says in one line what was decided and why. `failed` is True when no graph could be
    made: then the graph is empty and the lines say why.
    """

    request: int
    graph: Graph
    lines: tuple[LogLine, ...] = ()
    input_path: str = ""
    sentence: str = ""
    failed: bool = False


TO_PENGINE = Codec(Schedule)
FROM_PENGINE = Codec(Scheduled)
