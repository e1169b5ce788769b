"""Reads a field of a haresources line: which agent it means, and with which parameters.

Source: docs/decisions/0030-haresources.md.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from crm.cib.haresources_lines import place
from crm.model import options
from crm.model.heartbeat_agents import ADDRESS_AGENTS, AGENT_PARAMETERS
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_ADDRESS = re.compile(r"[^./]+\.[^./]+\.[^./]+\.[^./]+(/|\Z)")

Pair = tuple[int, str, str]
"""Position (for the id), name and value of a parameter."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How fields are read: which scripts exist, and what was asked for on the command line.

    `script_class` tells whether a script exists in resource.d ("heartbeat") or init.d ("lsb").
    """

    script_class: Callable[[str], str | None]
    no_ocf: bool = False
    no_monitor: bool = False
    historic: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """What a field says: the agent, its arguments, and its parameters."""

    type: str
    agent_class: str
    arguments: tuple[str, ...]
    pairs: tuple[Pair, ...]

    @property
    def address(self) -> str:
        """The address of an IPaddr resource, which its id is made of; else empty."""
        if self.type != "IPaddr" or not self.arguments:
            return ""
        return self.arguments[0].partition("/")[0]


def read_resource(text: str, number: int, habits: Habits, problems: list[Problem]) -> Resource:
    """Read one field; what is odd about it is appended to `problems`."""
    kind, arguments = _split(text, historic=habits.historic)
    agent_class = _class_of(kind, number, habits, problems)
    if kind in ADDRESS_AGENTS and not habits.historic:
        problems += _check_address(text, arguments, number)
    if agent_class != "ocf":
        return Resource(kind, agent_class, tuple(arguments), positional(arguments))
    names = AGENT_PARAMETERS[kind]
    if kind in ADDRESS_AGENTS and arguments:
        if len(arguments) > 1:
            problems.append(_ignored(text, "::".join(arguments[1:]), number))
        values, rest = _address_values(arguments[0], historic=habits.historic)
        if rest:
            problems.append(_ignored(text, "/".join(rest), number))
        pairs = tuple(
            (position, name, values[name])
            for position, name in enumerate(names)
            if values.get(name)
        )
    else:
        if arguments and not names:
            problems.append(_ignored(text, "::".join(arguments), number))
        pairs = tuple(named(names, arguments))
    return Resource(kind, agent_class, tuple(arguments), pairs)


def named(names: Sequence[str], arguments: Sequence[str]) -> Iterator[Pair]:
    """Give arguments the names of the table; the last name takes what is left over."""
    if not names:
        return
    values = [*arguments[: len(names) - 1], " ".join(arguments[len(names) - 1 :])]
    for position, (name, value) in enumerate(zip(names, values, strict=False)):
        if value:
            yield position, name, value


def positional(arguments: Sequence[str]) -> tuple[Pair, ...]:
    """Name arguments by their position, as scripts get them."""
    return tuple((k, str(k), value) for k, value in enumerate(arguments, start=1))


def _split(text: str, *, historic: bool) -> tuple[str, list[str]]:
    """Take a field apart into the agent's name and its arguments."""
    if "::" not in text:
        return ("IPaddr", [text]) if _ADDRESS.match(text) else (text, [])
    kind, _, rest = text.partition("::")
    if kind == "IPv6addr" and not historic:
        return kind, [rest]
    return kind, rest.split("::")


def _class_of(kind: str, number: int, habits: Habits, problems: list[Problem]) -> str:
    if kind in AGENT_PARAMETERS and not habits.no_ocf:
        return "ocf"
    found = habits.script_class(kind)
    if found is None:
        near = options.nearest(kind, AGENT_PARAMETERS)
        meant = f"there is an agent '{near}'; " if near and near != kind else ""
        problems.append(
            errors.warning(
                "unknown-agent",
                place(number),
                f"{kind} is an unknown Resource Agent",
                f"{meant}taken to be an init script (class lsb): install it or mend the name",
            )
        )
    return found or "lsb"


# --- addresses ------------------------------------------------------------------------------


def _address_values(argument: str, *, historic: bool) -> tuple[dict[str, str], list[str]]:
    """Read `ADDRESS[/MASK[/INTERFACE][/BROADCAST]]`; returns what is beyond that, too."""
    ip, *rest = argument.split("/")
    mask, third, fourth = (*rest, "", "", "")[:3]
    if historic and "." in mask:
        return {"ip": ip, "broadcast": mask}, []
    if third[:1].isdigit():
        nic, broadcast, beyond = "", third, rest[2:]
    else:
        nic, broadcast, beyond = third, fourth, rest[3:]
    if historic:
        return {"ip": ip, "nic": mask, "cidr_netmask": nic, "broadcast": broadcast}, []
    return {"ip": ip, "nic": nic, "cidr_netmask": mask, "broadcast": broadcast}, beyond


def _check_address(text: str, arguments: Sequence[str], number: int) -> Iterator[Problem]:
    ip, _, rest = (arguments[0] if arguments else "").partition("/")
    if not _is_address(ip):
        yield errors.warning(
            "bad-address",
            place(number),
            f"'{text}': '{ip}' is no IPv4 address",
            "an address looks like 10.0.0.1, 10.0.0.1/24 or 10.0.0.1/24/eth0/10.0.0.255",
        )
    mask = rest.partition("/")[0]
    if mask and not _is_mask(mask):
        yield errors.warning(
            "bad-netmask",
            place(number),
            f"'{text}': '{mask}' is no netmask",
            "a netmask is a number from 0 to 32, or four numbers like 255.255.255.0",
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_mask(text: str) -> bool:
    try:
        ipaddress.IPv4Network(f"0.0.0.0/{text}")
    except ValueError:
        return False
    return True


def _ignored(text: str, argument: str, number: int) -> Problem:
    return errors.warning(
        "arguments-ignored",
        place(number),
        f"'{text}': the agent takes no argument '{argument}'",
        "remove it, or mend what stands before it",
    )
