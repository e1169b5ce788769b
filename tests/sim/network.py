"""Datagrams between nodes: late, lost, doubled, out of order, and cut in one direction or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.sim.engine import Engine


@dataclass
class Weather:
    """How one direction between two nodes treats a datagram."""

    loss: float = 0.0
    doubling: float = 0.0
    shortest_s: float = 0.0001
    longest_s: float = 0.001
    is_cut: bool = False


class Network:
    """All directions between all nodes."""

    def __init__(self, engine: Engine, nodes: list[str]) -> None:
        self._engine = engine
        self.nodes = nodes
        self.paths = {(a, b): Weather() for a in nodes for b in nodes if a != b}
        self.listeners: dict[str, Callable[[str, str, bytes], None]] = {}
        self.changed_at = 0.0
        self.sent = 0

    def broadcast(self, sender: str, link: str, data: bytes) -> None:
        """Send a datagram to every other node of a link."""
        for receiver in self.nodes:
            if receiver != sender:
                self.send(sender, receiver, link, data)

    def send(self, sender: str, receiver: str, link: str, data: bytes) -> None:
        """Send a datagram one way; it may arrive later, twice, or not at all."""
        path = self.paths[sender, receiver]
        chance = self._engine.random
        self.sent += 1
        if path.is_cut or (path.loss and chance.random() < path.loss):
            return
        copies = 2 if path.doubling and chance.random() < path.doubling else 1
        for _ in range(copies):
            delay_s = chance.uniform(path.shortest_s, path.longest_s)
            self._engine.after(delay_s, self._arrive, sender, receiver, link, data)

    def _arrive(self, sender: str, receiver: str, link: str, data: bytes) -> None:
        listener = self.listeners.get(receiver)
        # A datagram on its way when the cable is cut does not arrive any more.
        if listener is not None and not self.paths[sender, receiver].is_cut:
            listener(link, sender, data)

    # --- the weather ---

    def split(self, groups: list[list[str]]) -> None:
        """Cut every direction between nodes of different groups."""
        place = {node: index for index, group in enumerate(groups) for node in group}
        for (a, b), path in self.paths.items():
            path.is_cut = place[a] != place[b]
        self._note(f"partition {' | '.join(','.join(group) for group in groups)}")

    def cut(self, sender: str, receiver: str) -> None:
        """Cut one direction only."""
        self.paths[sender, receiver].is_cut = True
        self._note(f"cut {sender} -> {receiver}")

    def disturb(self, *, loss: float, doubling: float, longest_s: float) -> None:
        """Make every direction worse."""
        for path in self.paths.values():
            path.loss, path.doubling, path.longest_s = loss, doubling, longest_s
        self._note(
            f"weather loss={loss:.2f} doubling={doubling:.2f} delay<{longest_s * 1000:.0f}ms"
        )

    def heal(self) -> None:
        """Make every direction good again."""
        for path in self.paths.values():
            path.loss, path.doubling, path.longest_s, path.is_cut = 0.0, 0.0, 0.001, False
        self._note("network healed")

    def _note(self, text: str) -> None:
        self.changed_at = self._engine.now
        self._engine.remember("network", "!", text)
