"""Made-up resources of every kind, as XML, with what the status needs to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.kit.choices import Choices

OCF = 'class="ocf" provider="pacemaker" type="Dummy"'
STATEFUL = 'class="ocf" provider="pacemaker" type="Stateful"'
_AGENTS = (
    OCF,
    'class="lsb" type="httpd"',
    'class="systemd" type="httpd"',
    'class="service" type="httpd"',
)
_YES = ("true", "false")
_AMOUNTS = ("0", "1", "100", "INFINITY")


@dataclass(frozen=True)
class Primitive:
    """A primitive as the status knows it: its names in a history, its agent, its monitors."""

    id: str
    agent: str
    names: tuple[str, ...]
    is_promotable: bool = False
    intervals_ms: tuple[int, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass
class Resources:
    """All that was made up: the XML of the top level, the ids that constraints may name."""

    xml: list[str] = field(default_factory=list)
    primitives: list[Primitive] = field(default_factory=list)
    tops: list[str] = field(default_factory=list)
    collectives: list[str] = field(default_factory=list)
    promotables: list[str] = field(default_factory=list)
    remotes: list[str] = field(default_factory=list)
    guests: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Whatever a constraint may name."""
        inner = [p.id for p in self.primitives if p.id not in self.tops]
        return [*self.tops, *inner, *self.tags]


def pairs(holder: str, kind: str, values: dict[str, str], rule: str = "") -> str:
    """Write a block of nvpairs, or nothing."""
    if not values:
        return ""
    key = f"{holder}-{kind[:4]}"
    inner = "".join(f'<nvpair id="{key}-{n}" name="{n}" value="{v}"/>' for n, v in values.items())
    return f'<{kind} id="{key}">{rule}{inner}</{kind}>'


def some(choices: Choices, percent: int, options: dict[str, Sequence[str]]) -> dict[str, str]:
    """Take a few of many settings, each with the same chance."""
    return {name: choices.pick(v) for name, v in options.items() if choices.chance(percent)}


_META: dict[str, Sequence[str]] = {
    "resource-stickiness": _AMOUNTS,
    "migration-threshold": ("0", "1", "3", "INFINITY"),
    "failure-timeout": ("0", "60s", "1h"),
    "priority": ("0", "5", "10", "-3"),
    "target-role": ("Started", "Stopped", "Unpromoted", "Promoted"),
    "is-managed": _YES,
    "maintenance": ("false", "false", "true"),
    "allow-migrate": _YES,
    "multiple-active": ("stop_start", "stop_only", "block", "stop_unexpected"),
    "requires": ("nothing", "quorum", "fencing", "unfencing"),
    "allow-unhealthy-nodes": _YES,
    "critical": _YES,
}
_ON_FAIL = ("restart", "ignore", "stop", "block", "fence", "standby", "demote")


def _operations(choices: Choices, key: str, is_promotable: bool) -> tuple[str, tuple[int, ...]]:
    """Write the operations of a primitive; gives the intervals of its monitors too."""
    text, intervals = "", []
    for seconds, role in (
        (10, ""),
        (11, "Promoted"),
        (20, "Stopped"),
        (30, "Unpromoted"),
        (40, "Started"),
    ):
        if role == "Promoted" and not is_promotable:
            continue
        if not choices.chance(70 if not role or is_promotable else 3):
            continue
        intervals.append(seconds * 1000)
        extra = f' role="{role}"' if role else ""
        if choices.chance(25):
            extra += f' on-fail="{choices.pick(_ON_FAIL)}"'
        if choices.chance(5):
            extra += ' enabled="false"'
        text += f'<op id="{key}-m{seconds}" name="monitor" interval="{seconds}s"{extra}/>'
    for name in ("start", "stop", "promote", "demote"):
        if choices.chance(10):
            policy = choices.pick(("fence", "ignore", "block", "stop", "restart"))
            text += f'<op id="{key}-{name}" name="{name}" interval="0" on-fail="{policy}"/>'
    return (f"<operations>{text}</operations>" if text else ""), tuple(intervals)


class Making:
    """Makes up resources one after the other; `bundles` and the like say what may come."""

    def __init__(self, choices: Choices, wanted: frozenset[str]) -> None:
        self.choices = choices
        self.wanted = wanted
        self.made = Resources()
        self._next = 0

    def everything(self) -> Resources:
        """Make up between one and five top-level resources, a device and a tag."""
        for _ in range(self.choices.number(1, 5)):
            kinds = [self._plain, self._plain]
            kinds += [self._group] if "group" in self.wanted else []
            kinds += [self._clone] if "clone" in self.wanted else []
            kinds += [self._bundle] if "bundle" in self.wanted else []
            kinds += [self._remote] if "remote" in self.wanted and not self.made.remotes else []
            self.made.xml.append(self.choices.pick(kinds)())
        if "fencing" in self.wanted:
            self.made.xml.append(self._device())
        if "template" in self.wanted:
            self.made.xml.insert(0, f'<template id="like" {OCF}/>')
        return self.made

    def tags(self) -> str:
        """Write a tag over some of the resources."""
        if "tag" not in self.wanted or not self.made.tops:
            return ""
        self.made.tags.append("some")
        one, other = self.choices.pick(self.made.tops), self.choices.pick(self.made.tops)
        refs = "".join(f'<obj_ref id="{key}"/>' for key in dict.fromkeys((one, other)))
        return f'<tags><tag id="some">{refs}</tag></tags>'

    def _name(self) -> str:
        self._next += 1
        return f"r{self._next}"

    def _top(self, key: str) -> None:
        self.made.tops.append(key)

    def _primitive(
        self, agent: str = "", copies: tuple[str, ...] = ("",), promotable: bool = False
    ) -> str:
        key = self._name()
        choices = self.choices
        agent = agent or (STATEFUL if promotable else choices.pick(_AGENTS))
        meta = some(choices, 7, _META)
        if "container" in self.wanted and key != "r1" and choices.chance(30):
            meta["container"] = "r1"
        if "guest" in self.wanted and copies == ("",) and not self.made.guests:
            meta["remote-node"] = "guest1"
            self.made.guests.append("guest1")
        operations, intervals = _operations(choices, key, promotable)
        inner = pairs(key, "meta_attributes", meta)
        parameters = some(choices, 10, {"state": ("a", "b")})
        inner += pairs(key, "instance_attributes", parameters)
        inner += operations
        if "utilization" in self.wanted:
            inner += pairs(key, "utilization", {"cpu": choices.pick(("1", "2", "5"))})
        names = tuple(f"{key}{copy}" for copy in copies)
        self.made.primitives.append(
            Primitive(key, agent, names, promotable, intervals, tuple(parameters.items()))
        )
        if "template" in self.wanted and agent == OCF and choices.chance(50):
            agent = 'template="like"'
        return f'<primitive id="{key}" {agent}>{inner}</primitive>'

    def _plain(self) -> str:
        text = self._primitive()
        self._top(f"r{self._next}")
        return text

    def _group(self, copies: tuple[str, ...] = ("",), promotable: bool = False) -> str:
        key = "g" + self._name()
        meta = some(self.choices, 5, {**_META, "ordered": _YES, "collocated": _YES})
        inner = "".join(
            self._primitive(copies=copies, promotable=promotable)
            for _ in range(self.choices.number(1, 3))
        )
        if copies == ("",):
            self._top(key)
        self.made.collectives.append(key)
        return f'<group id="{key}">{pairs(key, "meta_attributes", meta)}{inner}</group>'

    def _clone(self) -> str:
        choices = self.choices
        key = "c" + self._name()
        unique, promotable = choices.chance(20), choices.chance(50)
        meta = some(
            choices,
            15,
            {
                "notify": _YES,
                "interleave": _YES,
                "ordered": _YES,
                "clone-max": ("0", "1", "2", "5"),
                "clone-node-max": ("1", "2"),
                "clone-min": ("1", "2"),
                "promoted-max": ("0", "1", "2"),
                "promoted-node-max": ("1", "2"),
                **_META,
            },
        )
        meta.pop("requires", None)
        meta |= {"globally-unique": "true"} if unique else {}
        meta |= {"promotable": "true"} if promotable else {}
        copies = (":0", ":1", ":2") if unique else ("", ":0", ":1")
        made = self._group if choices.chance(25) else self._primitive
        inner = made(copies=copies, promotable=promotable)
        self._top(key)
        self.made.collectives.append(key)
        if promotable:
            self.made.promotables.append(key)
        return f'<clone id="{key}">{pairs(key, "meta_attributes", meta)}{inner}</clone>'

    def _bundle(self) -> str:
        choices = self.choices
        key = "b" + self._name()
        promoted = f' promoted-max="{choices.number(1, 2)}"' if choices.chance(40) else ""
        replicas = choices.number(1, 3)
        network = '<network control-port="3121"/>'
        if choices.chance(50):
            network = '<network ip-range-start="192.168.122.131" host-interface="eth0"/>'
        inner = ""
        if choices.chance(70):
            inner = self._primitive(promotable=bool(promoted), copies=("", ":0"))
        self._top(key)
        self.made.collectives.append(key)
        if promoted:
            self.made.promotables.append(key)
        for index in range(replicas):
            for kind, agent in (
                ("podman", 'class="ocf" provider="heartbeat" type="podman"'),
                ("ip", 'class="ocf" provider="heartbeat" type="IPaddr2"'),
                ("", 'class="ocf" provider="pacemaker" type="remote"'),
            ):
                name = {"podman": f"{key}-podman-{index}", "": f"{key}-{index}"}.get(
                    kind, f"{key}-ip-192.168.122.{131 + index}"
                )
                self.made.primitives.append(Primitive(name, agent, (name,)))
            self.made.guests.append(f"{key}-{index}")
        return (
            f'<bundle id="{key}"><podman image="some" replicas="{replicas}"{promoted}/>'
            f"{network}{inner}</bundle>"
        )

    def _remote(self) -> str:
        self.made.remotes.append("remote1")
        self._top("remote1")
        agent = 'class="ocf" provider="pacemaker" type="remote"'
        meta = {"reconnect_interval": "60s"} if self.choices.chance(20) else {}
        known = Primitive("remote1", agent, ("remote1",), False, (60000,), tuple(meta.items()))
        self.made.primitives.append(known)
        return (
            f'<primitive id="remote1" {agent}>{pairs("remote1", "instance_attributes", meta)}'
            '<operations><op id="remote1-m" name="monitor" interval="60s"/></operations>'
            "</primitive>"
        )

    def _device(self) -> str:
        agent = 'class="stonith" type="fence_dummy"'
        self.made.primitives.append(Primitive("fence", agent, ("fence",), False, (60000,)))
        self._top("fence")
        meta = {"provides": "unfencing"} if "unfencing" in self.wanted else {}
        return (
            f'<primitive id="fence" {agent}>{pairs("fence", "meta_attributes", meta)}</primitive>'
        )
