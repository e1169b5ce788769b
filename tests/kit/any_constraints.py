"""Made-up constraints of every kind, with sets, roles, tickets and rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.kit.any_resources import Resources
from tests.kit.choices import Choices

SCORES = ("INFINITY", "-INFINITY", "100", "-100", "0", "1")
_ROLES = ("Started", "Promoted", "Unpromoted", "Stopped")
_ACTIONS = ("start", "stop", "promote", "demote")
_KINDS = ("Mandatory", "Optional", "Serialize")


class Constraining:
    """Makes up constraints between the resources that there are."""

    def __init__(
        self, choices: Choices, wanted: frozenset[str], made: Resources, nodes: Sequence[str]
    ) -> None:
        self.choices = choices
        self.wanted = wanted
        self.made = made
        self.nodes = nodes
        self.tickets = "ticket" in wanted

    def everything(self) -> str:
        """Write up to five constraints."""
        kinds: list[Callable[[str], str]] = []
        kinds += [self._location, self._location] if "location" in self.wanted else []
        kinds += [self._colocation] if "colocation" in self.wanted else []
        kinds += [self._order] if "order" in self.wanted else []
        kinds += [self._ticket] if self.tickets else []
        if "rule" in self.wanted:
            kinds.append(self._rule)
        if "set" in self.wanted:
            kinds += [self._location_set, self._colocation_set, self._order_set]
        if not kinds:
            return ""
        count = self.choices.number(0, 5)
        return "".join(self.choices.pick(kinds)(f"k{index}") for index in range(count))

    def _one(self) -> str:
        return self.choices.pick(self.made.names)

    def _maybe(self, percent: int, name: str, options: Sequence[str]) -> str:
        if not self.choices.chance(percent):
            return ""
        return f' {name}="{self.choices.pick(options)}"'

    def _role(self, name: str) -> str:
        return self._maybe(30, name, _ROLES) if self.made.promotables else ""

    def _location(self, key: str) -> str:
        choices = self.choices
        if choices.chance(10):
            who = f'rsc-pattern="{choices.pick(("^r[12]$", "^g", "!^r1$"))}"'
        else:
            who = f'rsc="{self._one()}"'
        role = self._role("role")
        found = self._maybe(15, "resource-discovery", ("always", "never", "exclusive"))
        return (
            f'<rsc_location id="{key}" {who} node="{choices.pick(self.nodes)}"'
            f' score="{choices.pick(SCORES)}"{role}{found}/>'
        )

    def _rule(self, key: str) -> str:
        choices = self.choices
        score = self._maybe(100, "score", SCORES)
        if choices.chance(10):
            score = ' score-attribute="weight"'
        role = self._role("role")
        expressions = "".join(self._expression(f"{key}-e{i}") for i in range(choices.number(1, 2)))
        word = choices.pick(("and", "or"))
        return (
            f'<rsc_location id="{key}" rsc="{self._one()}"><rule id="{key}-r"{score}{role}'
            f' boolean-op="{word}">{expressions}</rule></rsc_location>'
        )

    def _expression(self, key: str) -> str:
        attribute = self.choices.pick(("color", "#uname", "#kind", "weight", "nothing"))
        value = {"#uname": "node1", "#kind": "cluster", "weight": "5"}.get(attribute, "red")
        operation = self.choices.pick(("eq", "ne", "defined", "not_defined", "lt", "gte"))
        given = "" if "defined" in operation else f' value="{value}"'
        if self.choices.chance(15):
            kind = self.choices.pick(("gt", "lt"))
            edge = "start" if kind == "gt" else "end"
            moment = self.choices.pick(("2020-01-01", "2030-01-01"))
            return f'<date_expression id="{key}" operation="{kind}" {edge}="{moment}"/>'
        return f'<expression id="{key}" attribute="{attribute}" operation="{operation}"{given}/>'

    def _colocation(self, key: str) -> str:
        choices = self.choices
        one = self._one()
        other = choices.pick([name for name in self.made.names if name != one] or [one])
        extra = self._role("rsc-role") + self._role("with-rsc-role")
        extra += self._maybe(8, "node-attribute", ("color",))
        extra += self._maybe(8, "influence", ("true", "false"))
        return (
            f'<rsc_colocation id="{key}" rsc="{one}" with-rsc="{other}"'
            f' score="{choices.pick(SCORES)}"{extra}/>'
        )

    def _order(self, key: str) -> str:
        one = self._one()
        other = self.choices.pick([name for name in self.made.names if name != one] or [one])
        extra = self._maybe(25, "first-action", _ACTIONS) + self._maybe(25, "then-action", _ACTIONS)
        extra += self._maybe(60, "kind", _KINDS)
        extra += self._maybe(10, "symmetrical", ("true", "false"))
        extra += self._maybe(10, "require-all", ("true", "false"))
        return f'<rsc_order id="{key}" first="{one}" then="{other}"{extra}/>'

    def _ticket(self, key: str) -> str:
        policy = self._maybe(80, "loss-policy", ("stop", "demote", "fence", "freeze"))
        role = self._role("rsc-role")
        return f'<rsc_ticket id="{key}" rsc="{self._one()}" ticket="T"{role}{policy}/>'

    def _sets(self, key: str, names: Callable[[str], str]) -> str:
        text = ""
        free = list(self.made.tops)
        for index in range(self.choices.number(1, 2)):
            members = []
            for _ in range(self.choices.number(1, 3)):
                if free:
                    members.append(free.pop(self.choices.number(0, len(free) - 1)))
            if members:
                refs = "".join(f'<resource_ref id="{name}"/>' for name in members)
                extra = names(f"{key}-{index}")
                text += f'<resource_set id="{key}-{index}"{extra}>{refs}</resource_set>'
        return text

    def _location_set(self, key: str) -> str:
        node = self.choices.pick(self.nodes)
        score = self.choices.pick(SCORES)
        inner = self._sets(key, lambda _: "")
        return f'<rsc_location id="{key}" node="{node}" score="{score}">{inner}</rsc_location>'

    def _colocation_set(self, key: str) -> str:
        def extra(_: str) -> str:
            return self._maybe(40, "sequential", ("true", "false")) + self._role("role")

        score = self.choices.pick(SCORES)
        return (
            f'<rsc_colocation id="{key}" score="{score}">{self._sets(key, extra)}</rsc_colocation>'
        )

    def _order_set(self, key: str) -> str:
        def extra(_: str) -> str:
            text = self._maybe(40, "sequential", ("true", "false"))
            text += self._maybe(20, "require-all", ("true", "false"))
            return text + self._maybe(15, "action", _ACTIONS)

        kind = self._maybe(60, "kind", _KINDS)
        return f'<rsc_order id="{key}"{kind}>{self._sets(key, extra)}</rsc_order>'
