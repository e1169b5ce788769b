"""The parameters of an agent: declared once, read from the environment, checked.

Responsible for names, aliases, types, defaults and the problems a value has by itself. What values
mean together is the agent's own business (`Agent.validate`).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from crm.plumbing.errors import Problem, error

PREFIX = "OCF_RESKEY_"

_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
_TRUE = frozenset({"1", "true", "yes", "on", "y"})
_FALSE = frozenset({"0", "false", "no", "off", "n", ""})


class Kind(enum.Enum):
    """The type of a parameter; the values are the words of OCF metadata."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter an agent takes.

    `aliases` are old names, read when the name itself is absent. `unsupported` is why a value
    (other than a false one) is refused: better than to ignore what somebody relies on. `check`
    returns what is wrong with a value, or "".
    """

    name: str
    short: str
    long: str
    kind: Kind = Kind.STRING
    default: str = ""
    is_required: bool = False
    is_unique: bool = False
    aliases: tuple[str, ...] = ()
    unsupported: str = ""
    check: Callable[[str], str] | None = None


class Values(Mapping[str, str]):
    """The values of all declared parameters as text, defaults filled in; typed reading on top."""

    def __init__(self, values: Mapping[str, str], given: frozenset[str]) -> None:
        self._values = dict(values)
        self._given = given

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def is_given(self, name: str) -> bool:
        """Tell whether a value was set, as opposed to a default."""
        return name in self._given

    def integer(self, name: str) -> int:
        """Return a value of kind INTEGER; `problems_in` has checked it."""
        return int(self._values[name])

    def is_true(self, name: str) -> bool:
        """Return a value of kind BOOLEAN; `problems_in` has checked it."""
        return self._values[name].strip().lower() in _TRUE


def read(declared: Iterable[Parameter], environ: Mapping[str, str]) -> Values:
    """Read the declared parameters from an agent's environment; an empty value counts as unset."""
    values: dict[str, str] = {}
    given: set[str] = set()
    for parameter in declared:
        values[parameter.name] = parameter.default
        for name in (parameter.name, *parameter.aliases):
            text = environ.get(PREFIX + name, "").strip()
            if text:
                values[parameter.name] = text
                given.add(parameter.name)
                break
    return Values(values, frozenset(given))


def problems_in(declared: Iterable[Parameter], values: Values) -> list[Problem]:
    """Find everything that is wrong with single values."""
    problems: list[Problem] = []
    for parameter in declared:
        problems += _problems_of(parameter, values)
    return problems


def _problems_of(parameter: Parameter, values: Values) -> list[Problem]:
    name = parameter.name
    text = values[name]
    if not text:
        if not parameter.is_required:
            return []
        return [error("parameter-missing", name, f"parameter '{name}' is required and not set")]
    if parameter.unsupported and text.lower() not in _FALSE:
        message = f"parameter '{name}' is not supported: {parameter.unsupported}"
        return [error("parameter-unsupported", name, message, "remove it")]
    complaint = _type_complaint(parameter.kind, text)
    if not complaint and parameter.check is not None:
        complaint = parameter.check(text)
    if not complaint:
        return []
    return [error("parameter-invalid", name, f"parameter '{name}' is '{text}', {complaint}")]


def _type_complaint(kind: Kind, text: str) -> str:
    match kind:
        case Kind.INTEGER:
            return "" if _INTEGER.match(text) else "expected an integer"
        case Kind.BOOLEAN:
            is_boolean = text.lower() in _TRUE | _FALSE
            return "" if is_boolean else "expected a boolean (true or false)"
        case Kind.STRING:
            return ""
