"""pingd: how many ping nodes are reachable, as a node attribute.

Responsible for counting and for telling attrd. Not for pinging: heartbeat does that and says
which ping nodes answer. Not for dampening: attrd does that, we only pass the time on.

Theory of operation. The value is the multiplier times the number of ping nodes heartbeat calls
reachable. It is told when attrd connects, and at every change; at the end 0 is told. Before
heartbeat has listed the ping nodes nothing is told.

Source: docs/protocol/links.md, "Ping nodes"; Heartbeat's pingd.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from crm.api import attributes, membership
from crm.api.membership import NodeKind, NodeStatus
from crm.plumbing.daemon import Conversation, Plan, parse_options, run
from crm.plumbing.errors import UsageError
from crm.plumbing.machine import (
    Exit,
    MessageArrived,
    Note,
    PeerConnected,
    PeerLost,
    StopRequested,
    Tell,
    error,
    info,
)
from messaging.ha_cf.values import time_s

NAME = "pingd"
FAREWELL_S = 0.2
EXIT_DO_NOT_RESPAWN = 100


@dataclass(frozen=True)
class Wishes:
    """The command line: what is counted, and under which name it is told."""

    multiplier: int = 1
    dampen_ms: int = 0
    attribute: str = "pingd"
    set_id: str = ""
    hosts: tuple[str, ...] = ()


def parse_wishes(words: Sequence[str]) -> Wishes:
    """Read pingd's own options; those without a meaning here are accepted and ignored.

    Raises: UsageError naming the option that cannot be understood.
    """
    values: dict[str, list[str]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-D", "-V", "-v", "-L"):
            continue
        option, value = (word[:2], word[2:]) if len(word) > 2 else (word, "")
        if option not in ("-m", "-d", "-a", "-s", "-S", "-h", "-p", "-i", "-n", "-t", "-U", "-N"):
            raise UsageError(f"pingd: unknown option '{word}'")
        if not value:
            if not rest:
                raise UsageError(f"pingd: option '{option}' needs a value")
            value = rest.pop(0)
        values.setdefault(option, []).append(value)
    multiplier = values.get("-m", ["1"])[-1]
    if not multiplier.isascii() or not multiplier.isdigit() or int(multiplier) > 1_000_000:
        raise UsageError(f"pingd: option '-m': '{multiplier}' is not a number up to 1000000")
    dampen = values.get("-d", ["0"])[-1]
    try:
        dampen_ms = round(time_s(dampen) * 1000)
    except ValueError as problem:
        raise UsageError(f"pingd: option '-d', value '{dampen}': {problem}") from problem
    return Wishes(
        multiplier=int(multiplier),
        dampen_ms=dampen_ms,
        attribute=values.get("-a", ["pingd"])[-1],
        set_id=values.get("-S", [""])[-1],
        hosts=tuple(values.get("-h", []) + values.get("-N", [])),
    )


Event = MessageArrived | PeerConnected | PeerLost | StopRequested
Effect = Tell | Note | Exit


class PingCounter:
    """The machine of pingd."""

    def __init__(self, wishes: Wishes, *, pid: int) -> None:
        self._wishes = wishes
        self._pid = pid
        self._nodes: dict[str, NodeStatus] = {}
        self._told: int | None = None
        self._has_attrd = False
        self._end_due: float | None = None

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take in which ping nodes answer, and who is there to be told."""
        match event:
            case PeerConnected("heartbeat"):
                self._nodes.clear()
                return [Tell("heartbeat", membership.SignOn(NAME, self._pid))]
            case PeerConnected("attrd"):
                self._has_attrd = True
                self._told = None
                return self._tell_change()
            case PeerLost("attrd"):
                self._has_attrd = False
            case MessageArrived("heartbeat", membership.SignOnRefused(_, reason)):
                return [error(NAME, f"heartbeat refuses us: {reason}"), Exit(EXIT_DO_NOT_RESPAWN)]
            case MessageArrived("heartbeat", membership.NodeChanged(node, NodeKind.PING, status)):
                self._nodes[node] = status
                return self._tell_change()
            case StopRequested():
                self._end_due = now + FAREWELL_S
                return self._tell(0)
        return []

    def tick(self, now: float) -> list[Effect]:
        """End, once the last value had time to leave."""
        if self._end_due is None or now < self._end_due:
            return []
        self._end_due = None
        return [Exit(0)]

    def next_deadline(self) -> float | None:
        """When to end."""
        return self._end_due

    def _tell_change(self) -> list[Effect]:
        counted = {
            node: status
            for node, status in self._nodes.items()
            if not self._wishes.hosts or node in self._wishes.hosts
        }
        if not counted or NodeStatus.INIT in counted.values() or self._end_due is not None:
            return []
        reachable = sum(status is NodeStatus.PING for status in counted.values())
        value = self._wishes.multiplier * reachable
        if value == self._told:
            return []
        self._told = value
        total = len(counted)
        note = info(NAME, f"{reachable} of {total} ping nodes answer: value {value}")
        return [note, *self._tell(value)]

    def _tell(self, value: int) -> list[Effect]:
        if not self._has_attrd:
            self._told = None
            return []
        wishes = self._wishes
        update = attributes.UpdateAttribute(
            wishes.attribute, str(value), dampen_ms=wishes.dampen_ms, set_id=wishes.set_id
        )
        return [Tell("attrd", update)]


def main(argv: list[str] | None = None) -> int:
    """Run pingd until SIGTERM."""
    options = parse_options(NAME, argv)
    try:
        wishes = parse_wishes(options.extra)
    except UsageError as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 100
    plan = Plan(
        NAME,
        PingCounter(wishes, pid=os.getpid()),
        dials={
            "heartbeat": Conversation(membership.TO_HEARTBEAT, membership.TO_CLIENT),
            "attrd": Conversation(attributes.TO_ATTRD, attributes.FROM_ATTRD),
        },
    )
    return run(plan, options)


if __name__ == "__main__":
    sys.exit(main())
