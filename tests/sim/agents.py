"""The real world behind the agents: what is truly active where, whatever the daemons believe."""

from __future__ import annotations

from dataclasses import dataclass

from crm.model.outcomes import ExitCode
from tests.sim.engine import Engine, Violation


@dataclass
class Habits:
    """How agents behave. Units: seconds."""

    shortest_s: float = 0.005
    longest_s: float = 0.08
    start_failure: float = 0.0


class World:
    """Which resource is active on which node; it sees a violation of I1 when it happens."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.habits = Habits()
        self._active: dict[str, dict[str, float]] = {}
        self.lives: dict[str, int] = {}
        self.starts = 0
        self.is_watched = True

    def is_active(self, resource: str, node: str) -> bool:
        """Tell whether a resource is active on a node."""
        return node in self._active.get(resource, {})

    def where(self, resource: str) -> list[str]:
        """The nodes a resource is active on."""
        return list(self._active.get(resource, {}))

    def resources_on(self, node: str) -> list[str]:
        """What is active on a node."""
        return [resource for resource, nodes in self._active.items() if node in nodes]

    def lose(self, node: str) -> None:
        """A node is gone with everything on it."""
        self.lives[node] = self.lives.get(node, 0) + 1
        for nodes in self._active.values():
            nodes.pop(node, None)

    def break_down(self, resource: str, node: str) -> None:
        """A resource dies by itself."""
        self._active.get(resource, {}).pop(node, None)
        self._engine.remember(node, "!", f"{resource} died")

    def begin(self, resource: str, node: str, operation: str) -> tuple[float, float]:
        """Choose when an operation takes effect and when it ends (seconds from now)."""
        chance = self._engine.random
        length_s = chance.uniform(self.habits.shortest_s, self.habits.longest_s)
        return length_s * chance.random(), length_s

    def take_effect(self, resource: str, node: str, operation: str, life: int) -> None:
        """The moment an operation does what it is for; nothing, if its node has died since."""
        if self.lives.get(node, 0) != life:
            return
        nodes = self._active.setdefault(resource, {})
        if operation == "start":
            self.starts += 1
            nodes.setdefault(node, self._engine.now)
            self._engine.remember(node, "*", f"{resource} is active")
            if len(nodes) > 1 and self.is_watched:
                raise Violation("I1 exclusive", f"{resource} is active on {' and '.join(nodes)}")
        elif operation == "stop":
            nodes.pop(node, None)
            self._engine.remember(node, "*", f"{resource} is stopped")

    def outcome(self, resource: str, node: str, operation: str) -> int:
        """The exit code of an operation that ends now."""
        if operation in ("monitor", "probe", "status"):
            return ExitCode.OK if self.is_active(resource, node) else ExitCode.NOT_RUNNING
        return ExitCode.OK
