"""Made-up status: nodes in every state, and histories with every outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from tests.kit.any_resources import OCF, Primitive, Resources, pairs
from tests.kit.choices import Choices

NOW_S = 1_700_000_000
"""When the made-up clusters are looked at."""

EXIT_CODES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 190, 191, 193)
_KEY = "00000000-0000-0000-0000-000000000000"
_TASKS = ("monitor", "start", "stop", "promote", "demote", "migrate_to", "migrate_from")

CLEAN_AWAY = 'in_ccm="false" crmd="offline" join="down" expected="down"'
NODE_STATES = {
    "online": 'in_ccm="true" crmd="online" join="member" expected="member"',
    "away": CLEAN_AWAY,
    "vanished": 'in_ccm="false" crmd="offline" join="member" expected="member"',
    "silent": 'in_ccm="true" crmd="offline" join="member" expected="member"',
    "joining": 'in_ccm="true" crmd="online" join="pending" expected="member"',
    "banned": 'in_ccm="true" crmd="online" join="banned" expected="member"',
    "empty": 'in_ccm="true" crmd="online" join="down" expected="down"',
}


class Remembering:
    """Makes up what each node remembers, and in what state it is."""

    def __init__(
        self, choices: Choices, wanted: frozenset[str], made: Resources, nodes: Sequence[str]
    ) -> None:
        self.choices = choices
        self.wanted = wanted
        self.made = made
        self.nodes = nodes
        self._call = 1
        self._homes = {p.id: choices.pick((*nodes, "")) for p in made.primitives}

    def everything(self) -> str:
        """Write the status section."""
        text = "".join(self._member(node) for node in self.nodes)
        if "cold" not in self.wanted:
            for node in (*self.made.remotes, *self.made.guests):
                if self.choices.chance(80):
                    text += self._remote(node)
        tickets = ""
        if "ticket" in self.wanted and self.choices.chance(70):
            granted = self.choices.pick(("true", "false"))
            standby = ' standby="true"' if self.choices.chance(15) else ""
            tickets = f'<tickets><ticket_state id="T" granted="{granted}"{standby}/></tickets>'
        return f"<status>{text}{tickets}</status>"

    def _member(self, node: str) -> str:
        kind = "online"
        if "nodes" in self.wanted and self.choices.chance(40):
            kind = self.choices.pick((*NODE_STATES, "unseen"))
        if kind == "unseen":
            return ""
        words = NODE_STATES[kind]
        if "times" in self.wanted:
            since = str(NOW_S - 1000)
            words = words.replace('in_ccm="true"', f'in_ccm="{since}"')
            words = words.replace('in_ccm="false"', 'in_ccm="0"')
            words = words.replace('crmd="online"', f'crmd="{since}"')
            words = words.replace('crmd="offline"', 'crmd="0"')
        return f'<node_state id="{node}" uname="{node}" {words}>{self._memory(node)}</node_state>'

    def _remote(self, node: str) -> str:
        fenced = ' node_fenced="1"' if self.choices.chance(5) else ""
        return (
            f'<node_state id="{node}" uname="{node}" remote_node="true"{fenced} in_ccm="true">'
            f"{self._memory(node)}</node_state>"
        )

    def _memory(self, node: str) -> str:
        attributes = dict(self._attributes())
        inner = pairs(f"st-{node}", "instance_attributes", attributes)
        resources = ""
        if "cold" not in self.wanted:
            known = (*self.made.primitives, *self._leftovers())
            resources = "".join(self._histories(node, primitive) for primitive in known)
        return (
            f'<transient_attributes id="{node}">{inner}</transient_attributes>'
            f'<lrm id="{node}"><lrm_resources>{resources}</lrm_resources></lrm>'
        )

    def _leftovers(self) -> tuple[Primitive, ...]:
        if "removed" not in self.wanted:
            return ()
        return (Primitive("gone", OCF, ("gone",), False, (10000,)),)

    def _attributes(self) -> Iterator[tuple[str, str]]:
        choices = self.choices
        for name, percent, values in (
            ("probe_complete", 20, ("true",)),
            ("standby", 6, ("on", "off")),
            ("shutdown", 6, ("0", str(NOW_S - 10))),
            ("terminate", 3, ("true", str(NOW_S - 5))),
            ("color", 20, ("red", "blue")),
        ):
            if choices.chance(percent):
                yield name, choices.pick(values)
        if "health" in self.wanted and choices.chance(40):
            yield "#health-disk", choices.pick(("green", "yellow", "red", "-10"))
        for primitive in self.made.primitives:
            if primitive.is_promotable and choices.chance(70):
                value = choices.pick(("5", "10", "-1", "INFINITY", "-INFINITY", "100"))
                yield f"master-{primitive.id}", value
            if "failures" in self.wanted and choices.chance(15):
                operation = choices.pick(("monitor_10000", "start_0"))
                count = choices.pick(("1", "3", "INFINITY"))
                yield f"fail-count-{primitive.id}#{operation}", count
                yield f"last-failure-{primitive.id}#{operation}", str(NOW_S - 100)

    def _histories(self, node: str, primitive: Primitive) -> str:
        """Write what a node knows of all the names of a primitive."""
        if len(primitive.names) == 1:
            return self._history(node, primitive, primitive.names[0], self._homes.get(primitive.id))
        if primitive.names[0] == primitive.id:
            name = primitive.names[1 if self.choices.chance(10) else 0]
            home = node if self.choices.chance(70) else ""
            return self._history(node, primitive, name, home)
        number = [*self.nodes, *self.made.remotes, *self.made.guests].index(node)
        name = primitive.names[number % len(primitive.names)]
        home = node if self.choices.chance(70) else ""
        return self._history(node, primitive, name, home)

    def _history(self, node: str, primitive: Primitive, name: str, home: str | None) -> str:
        choices = self.choices
        entries: dict[str, str] = {}
        runs = home == node or ("twice" in self.wanted and choices.chance(15))
        if runs:
            entries |= self._running(primitive, name)
        elif choices.chance(85):
            entries |= self._entry(primitive, name, "monitor", 0, 7, expected=7)
        if "failures" in self.wanted and choices.chance(25):
            entries |= self._trouble(primitive, name)
        if "migration" in self.wanted and choices.chance(25):
            entries |= self._migration(node, primitive, name)
        if not entries:
            return ""
        text = "".join(entries.values())
        return f'<lrm_resource id="{name}" {primitive.agent}>{text}</lrm_resource>'

    def _running(self, primitive: Primitive, name: str) -> dict[str, str]:
        choices = self.choices
        text: dict[str, str]
        if choices.chance(10):
            text = self._entry(primitive, name, "monitor", 0, 0, expected=7)
        else:
            text = self._entry(primitive, name, "start", 0, 0)
        promoted = primitive.is_promotable and choices.chance(35)
        if promoted:
            text = self._entry(primitive, name, "promote", 0, 0)
        for interval_ms in primitive.intervals_ms:
            is_for_promoted = interval_ms == 11000
            if is_for_promoted == promoted and interval_ms != 20000 and choices.chance(90):
                code = 8 if promoted else 0
                text |= self._entry(primitive, name, "monitor", interval_ms, code, expected=code)
        return text

    def _trouble(self, primitive: Primitive, name: str) -> dict[str, str]:
        choices = self.choices
        task = choices.pick(_TASKS[:5] if primitive.is_promotable else _TASKS[:3])
        interval_ms = choices.pick((0, *primitive.intervals_ms)) if task == "monitor" else 0
        expected = choices.pick((7, 0)) if interval_ms == 0 and task == "monitor" else 0
        if choices.chance(20):
            return self._entry(
                primitive, name, task, interval_ms, 193, expected=expected, status=-1
            )
        code = choices.pick(EXIT_CODES)
        status = 0 if code in (expected, 190, 191) else choices.pick((4, 4, 0, 2))
        kind = "failure" if choices.chance(60) else ""
        return self._entry(primitive, name, task, interval_ms, code, expected, status, kind)

    def _migration(self, node: str, primitive: Primitive, name: str) -> dict[str, str]:
        other = self.choices.pick([each for each in self.nodes if each != node] or [node])
        task = self.choices.pick(("migrate_to", "migrate_from"))
        way = (node, other) if task == "migrate_to" else (other, node)
        code = self.choices.pick((0, 0, 1))
        extra = f' migrate_source="{way[0]}" migrate_target="{way[1]}"'
        return self._entry(primitive, name, task, 0, code, status=4 if code else 0, extra=extra)

    def _entry(
        self,
        primitive: Primitive,
        name: str,
        task: str,
        interval_ms: int,
        code: int,
        expected: int = 0,
        status: int = 0,
        kind: str = "",
        extra: str = "",
    ) -> dict[str, str]:
        """Write one entry by its id: a later one of the same id takes its place."""
        self._call += 1
        call = -1 if status == -1 else self._call
        key = f"{name}_{task}_{interval_ms}"
        own = f"{name}_last_failure_0" if kind else f"{name}_last_0" if not interval_ms else key
        if task == "monitor" and not kind:
            own = key
        digest = self._digest(primitive, interval_ms)
        when = NOW_S - 1000 + self._call
        text = (
            f'<lrm_rsc_op id="{own}" operation_key="{key}" operation="{task}"'
            f' interval="{interval_ms}" call-id="{call}" rc-code="{code}" op-status="{status}"'
            f' last-rc-change="{when}" exec-time="0" queue-time="0" op-digest="{digest}"'
            f' transition-key="{self._call}:1:{expected}:{_KEY}"'
            f' transition-magic="{status}:{code};{self._call}:1:{expected}:{_KEY}"{extra}/>'
        )
        return {own: text}

    def _digest(self, primitive: Primitive, interval_ms: int) -> str:
        """Digest what an operation ran with; now and then something else than today."""
        if "digests" in self.wanted and self.choices.chance(10):
            return "0" * 32
        known = dict(primitive.parameters)
        if interval_ms:
            known["CRM_meta_timeout"] = "20000"
        inner = "".join(f' {name}="{known[name]}"' for name in sorted(known))
        line = f" <parameters{inner}/>\n"
        return hashlib.md5(line.encode(), usedforsecurity=False).hexdigest()
