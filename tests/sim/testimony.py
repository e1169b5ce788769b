"""What each node has said it keeps, held against what it finds when it starts again.

The ledger judges the cluster, where one node's loss is mended by the others; this judges each
node alone. Nothing is asked of a node whose disk was damaged from outside.
"""

from __future__ import annotations

from typing import Any

from crm.api.membership import SendCluster
from crm.cib import wire
from crm.cib.document import Document
from crm.cib.warrants import Pair, Warrant, pair_of
from crm.model.version import Reign
from crm.plumbing.machine import Tell
from tests.sim.engine import Violation
from tests.sim.processes import Process

Place = tuple[Warrant, Pair]
"""Where a copy stands: the warrant it was written on, admin_epoch and epoch."""


def place_of(document: Document, warrant: Warrant) -> Place:
    """Say where a copy stands."""
    return warrant, pair_of(document.version)


class Testimony:
    """All that was said. On one warrant, one version names one content, also on the disks (I3)."""

    def __init__(self) -> None:
        self._promised: dict[str, Reign] = {}
        self._durable: dict[str, Place] = {}
        self._contents: dict[Place, str] = {}

    def forget(self, node: str) -> None:
        """Ask nothing of a node any more that it has said so far."""
        self._promised.pop(node, None)
        self._durable.pop(node, None)

    def watch(self, process: Process, effect: Any) -> None:
        """Listen to what the cibs say to each other.

        Raises: Violation if one serves a master that it has promised not to.
        """
        if process.name != "cib" or not isinstance(effect, Tell):
            return
        if not isinstance(effect.message, SendCluster):
            return
        node = process.label.split("/")[0]
        said = wire.PEERS.decode(effect.message.payload)
        known = self._promised.get(node, Reign())
        match said:
            case wire.Present(promised=promised):
                if promised < known:
                    raise Violation("I3 agreed", f"{node} promises {promised} after {known}")
                self._promised[node] = promised
            case wire.Acknowledge(reign=reign, problem="") if reign < known:
                raise Violation("I3 agreed", f"{node} follows {reign} after promising {known}")

    def kept(self, node: str, place: Place) -> None:
        """Note that a node's cib was told that its copy is durable up to here."""
        self._durable[node] = place

    def started(self, node: str, document: Document, warrant: Warrant, promised: Reign) -> None:
        """Look at what a new life of a cib has found on its disk.

        Raises: Violation if it is less than what the last one had there, or something else.
        """
        place = place_of(document, warrant)
        durable = self._durable.get(node)
        if durable is not None and place < durable:
            raise Violation("I2 durable", f"{node} had {durable} on its disk and finds {place}")
        known = self._promised.get(node, Reign())
        if promised < known:
            raise Violation("I3 agreed", f"{node} had promised {known} and finds {promised}")
        if _is_agreed(document, warrant):
            digest = document.digest()
            if self._contents.setdefault(place, digest) != digest:
                raise Violation("I3 agreed", f"{node} finds another content at {place}")

    def seen(self, document: Document, warrant: Warrant) -> None:
        """Note the content of a copy that goes to a disk."""
        if _is_agreed(document, warrant):
            self._contents.setdefault(place_of(document, warrant), document.digest())


def _is_agreed(document: Document, warrant: Warrant) -> bool:
    """Tell whether a configuration is as the master of a quorum wrote it."""
    return warrant.written != Reign() and warrant.settled == pair_of(document.version)
