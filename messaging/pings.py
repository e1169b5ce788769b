"""Ping nodes: which of the pinged hosts and groups of hosts answer.

Responsible for when to ping, for believing an answer, and for when a ping node counts as dead. Not
responsible for ICMP (`media.icmp`), nor for what follows from the number that answer (`pingd`).

Theory of operation. Every keepalive each host is sent a fresh random token; whoever sends back one
of the last `MAX_TOKENS` tokens of its own is alive. A ping node lives while one of its hosts does.
It dies when none has answered for `deadping`, or, if none ever has, when `initdead` has passed. A
node that did not run for a while doubts itself first: it pings, and accuses no host for a grace.

Source: docs/protocol/links.md, "Ping nodes".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crm.api.membership import LinkStatus, NodeKind, NodeStatus
from crm.plumbing.machine import Note, info, warn
from messaging.cluster_settings import ClusterSettings, PingTarget, Timing
from messaging.standing import NEVER, ShowLink, ShowNode
from messaging.wakefulness import Wakefulness

MAX_TOKENS = 4
TOKEN_BYTES = 8


@dataclass(frozen=True, slots=True)
class EchoArrived:
    """A host answered a ping with this token."""

    host: str
    token: bytes


@dataclass(frozen=True, slots=True)
class SendEcho:
    """Ping a host; the reply must carry the token and come from that host."""

    host: str
    token: bytes
    is_ipv6: bool = False


Effect = SendEcho | ShowNode | ShowLink | Note


@dataclass
class PingState:
    """One pinged node: the tokens still out, by host."""

    target: PingTarget
    heard_at: float = NEVER
    missed_s: float = 0.0
    """What this node had missed in all when it last heard it."""

    status: NodeStatus = NodeStatus.INIT
    tokens: dict[str, list[bytes]] = field(default_factory=dict)


class Pings:
    """The machine of all ping nodes of one node."""

    def __init__(
        self, settings: ClusterSettings, *, now: float, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._timing = settings.timing
        self._random_bytes = random_bytes
        self._dead_at = now + settings.timing.initdead_s
        self._due = now
        self._awake = Wakefulness(settings.timing)
        self.nodes = {target.name: PingState(target) for target in settings.pings}

    @property
    def is_any_up(self) -> bool:
        """Whether a ping node answers."""
        return any(ping.status is NodeStatus.PING for ping in self.nodes.values())

    def adjust(self, timing: Timing) -> None:
        """Take over deadlines that may change while we run (`ha_cf.changes`)."""
        self._timing = timing
        self._awake.timing = timing

    def receive(self, event: EchoArrived, now: float) -> list[Effect]:
        """Take in an answer, if it is one."""
        self._look(now)
        effects: list[Effect] = []
        for name, ping in self.nodes.items():
            if event.token not in ping.tokens.get(event.host, ()):
                continue
            ping.heard_at = now
            ping.missed_s = self._awake.missed_s
            if ping.status is not NodeStatus.PING:
                ping.status = NodeStatus.PING
                effects += [
                    info("heartbeat", f"Link {name}:{name} up."),
                    info("heartbeat", f"Status update for node {name}: status ping"),
                    ShowLink(name, name, LinkStatus.UP),
                    ShowNode(name, NodeKind.PING, NodeStatus.PING),
                ]
        return effects

    def ping_along(self, now: float) -> list[Effect]:
        """Ping with a heartbeat that goes out: each waking costs more than a ping."""
        self._look(now)
        is_near = self._due - now < self._timing.keepalive_s / 2
        return self._ping(now) if self.nodes and is_near else []

    def tick(self, now: float) -> list[Effect]:
        """Ping, and bury what does not answer, as far as due."""
        self._look(now)
        effects = self._ping(now) if self.nodes and now >= self._due else []
        for name, ping in self.nodes.items():
            if now < self._end_of(ping):
                continue
            ping.status = NodeStatus.DEAD
            effects += [
                warn("heartbeat", f"node {name}: is dead"),
                info("heartbeat", f"Link {name}:{name} dead."),
                ShowLink(name, name, LinkStatus.DEAD),
                ShowNode(name, NodeKind.PING, NodeStatus.DEAD),
            ]
        return effects

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        if not self.nodes:
            return None
        return min(self._due, *(self._end_of(ping) for ping in self.nodes.values()))

    def _look(self, now: float) -> None:
        """Look at oneself first: who did not run has not listened either."""
        self._awake.notice(now - self._due, now)

    def _end_of(self, ping: PingState) -> float:
        """When a ping node is to be called dead."""
        if ping.status is NodeStatus.DEAD:
            return float("inf")
        is_known = ping.status is not NodeStatus.INIT
        end = ping.heard_at + self._timing.deadping_s if is_known else self._dead_at
        return self._awake.put_off(end, ping.missed_s)

    def _ping(self, now: float) -> list[Effect]:
        self._due = now + self._timing.keepalive_s
        effects: list[Effect] = []
        for ping in self.nodes.values():
            for host in ping.target.hosts:
                tokens = ping.tokens.setdefault(host, [])
                tokens.append(self._random_bytes(TOKEN_BYTES))
                del tokens[:-MAX_TOKENS]
                is_ipv6 = ping.target.is_asked_by_ipv6(host)
                effects.append(SendEcho(host, tokens[-1], is_ipv6))
        return effects
