"""Turns the words of ha.cf into values: times, names, numbers, media lines.

Responsible for one value at a time. A word that does not fit raises `BadValueError`, whose text
says what was expected; where it stood, and in which directive, is for `reading` to say.

Source: Heartbeat's ha.cf as published.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from messaging.cluster_settings import (
    DEFAULT_QUORUM_PORT,
    ApiRight,
    Medium,
    MediumKind,
    PingTarget,
    RespawnLine,
)

_PLAIN_FACILITIES = (
    *("auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "none"),
    *("syslog", "user", "uucp"),
)
FACILITIES = frozenset(_PLAIN_FACILITIES) | {f"local{number}" for number in range(8)}
TRUE_WORDS = frozenset(("true", "on", "yes", "y", "1"))
FALSE_WORDS = frozenset(("false", "off", "no", "n", "0"))
PORT_ABOVE = 0
"""The port of a medium whose line states none: that of the `udpport` line above it."""

_LONGEST_NAME = 100
_LONGEST_TIME_S = 86400.0
_TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|s)?\Z", re.ASCII)
_TIME_UNITS = {None: 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_CRM_WORDS = frozenset(("respawn", "manual", "minimal", "ccm-only", "valgrind"))


class BadValueError(ValueError):
    """A word that does not fit its directive; the text says what was expected."""


def time_s(word: str) -> float:
    """Turn `3`, `1.5`, `1500ms`, `1500000us` or `3s` into seconds, zero included.

    Raises: BadValueError if the word is no time, or more than a day.
    """
    match = _TIME.match(word)
    if match is None:
        raise BadValueError("expected a time such as 3, 1.5 or 1500ms")
    seconds = float(match[1]) * _TIME_UNITS[match[2]]
    if seconds > _LONGEST_TIME_S:
        raise BadValueError("expected a time of at most one day")
    return seconds


def span_s(word: str) -> float:
    """Read a time above zero, in seconds."""
    seconds = time_s(word)
    if seconds <= 0:
        raise BadValueError("expected a time above zero")
    return seconds


def boolean(word: str) -> bool:
    """Read on or off in any of their spellings."""
    lowered = word.lower()
    if lowered in TRUE_WORDS:
        return True
    if lowered in FALSE_WORDS:
        return False
    raise BadValueError("expected on or off (true, yes, y, 1 or false, no, n, 0)")


def number(lowest: int, highest: int) -> Callable[[str], int]:
    """Make a reader of whole numbers within bounds."""

    def read(word: str) -> int:
        if not re.match(r"\d{1,9}\Z", word, re.ASCII) or not lowest <= int(word) <= highest:
            raise BadValueError(f"expected a number from {lowest} to {highest}")
        return int(word)

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """Make a reader of one word out of several."""
    *most, last = choices
    expected = f"expected {', '.join(most)} or {last}"

    def read(word: str) -> str:
        if word not in choices:
            raise BadValueError(expected)
        return word

    return read


def text(word: str) -> str:
    """Take a word as it is."""
    return word


def cluster_name(word: str) -> str:
    """Read the name of a cluster."""
    if len(word) > _LONGEST_NAME:
        raise BadValueError(f"expected a name of at most {_LONGEST_NAME} characters")
    return word


def path(word: str) -> str:
    """Read the full name of a file or a folder."""
    if not word.startswith("/") or word.startswith("//"):
        raise BadValueError("expected a file name that begins with one '/'")
    return word


def facility(word: str) -> str:
    """Read the name of a syslog facility, or none."""
    if word.lower() not in FACILITIES:
        raise BadValueError("expected a syslog facility such as daemon or local0, or none")
    return word.lower()


def failback(word: str) -> str:
    """Read on, off or legacy."""
    if word.lower() == "legacy":
        return "legacy"
    return "on" if boolean(word) else "off"


def old_failback(word: str) -> str:
    """Read the value of nice_failback, which says the contrary of auto_failback."""
    return "off" if boolean(word) else "on"


def resource_manager(word: str) -> str:
    """Read what decides about resources: on, off, or one of the words of a partial start."""
    lowered = word.lower()
    if lowered in _CRM_WORDS:
        return lowered
    return "on" if boolean(word) else "off"


def no_apphbd(word: str) -> bool:
    """Read whether to register with the application heartbeat daemon, which there is none of."""
    if boolean(word):
        raise BadValueError("there is no application heartbeat daemon here: remove the line")
    return False


def variable(word: str) -> tuple[str, str]:
    """Read NAME=value."""
    name, equals, value = word.partition("=")
    if not equals or not re.match(r"[A-Za-z_][A-Za-z0-9_]*\Z", name):
        raise BadValueError("expected NAME=value")
    return name, value


def node(word: str) -> str:
    """Read the name of a node, in lower case."""
    name = word.lower()
    if not re.match(r"[a-z0-9_][a-z0-9_.-]{0,99}\Z", name):
        raise BadValueError("expected a host name as 'uname -n' prints it")
    return name


def device(word: str) -> str:
    """Read the name of a network interface."""
    if not re.match(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}\Z", word):
        raise BadValueError(f"'{word}' is not the name of a network interface")
    return word


def host(word: str) -> str:
    """Read an IPv4 address or a host name."""
    if not re.match(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}\Z", word):
        raise BadValueError(f"'{word}' is neither an IPv4 address nor a host name")
    return word


def host6(word: str) -> str:
    """Read an IPv6 address or a host name."""
    if ":" not in word:
        return host(word)
    try:
        return str(ipaddress.IPv6Address(word))
    except ipaddress.AddressValueError as problem:
        raise BadValueError(f"'{word}' is not an IPv6 address") from problem


# --- media and ping nodes -------------------------------------------------------------------


def bcast(word: str) -> Medium:
    """Read the interface of a bcast line."""
    return Medium(MediumKind.BCAST, device(word), PORT_ABOVE)


def ucast(line: str) -> Medium:
    """Read `DEVICE PEER-ADDRESS`."""
    interface, peer = _words(line, "ucast DEVICE PEER-ADDRESS")
    return Medium(MediumKind.UCAST, device(interface), PORT_ABOVE, address=host(peer))


def ucast6(line: str) -> Medium:
    """Read `DEVICE PEER-ADDRESS` of an IPv6 peer."""
    interface, peer = _words(line, "ucast6 DEVICE PEER-ADDRESS")
    return Medium(MediumKind.UCAST6, device(interface), PORT_ABOVE, address=host6(peer))


def mcast(line: str) -> Medium:
    """Read `DEVICE GROUP PORT TTL LOOP`."""
    interface, group, port, ttl, loop = _words(line, "mcast DEVICE GROUP PORT TTL LOOP")
    try:
        is_group = ipaddress.IPv4Address(group).is_multicast
    except ipaddress.AddressValueError as problem:
        raise BadValueError(f"'{group}' is not an IPv4 address") from problem
    if not is_group:
        raise BadValueError(f"'{group}' is not a multicast (class D) address")
    return _multicast(MediumKind.MCAST, interface, group, (port, ttl, loop))


def mcast6(line: str) -> Medium:
    """Read `DEVICE GROUP PORT HOPS LOOP` of an IPv6 group."""
    interface, group, port, ttl, loop = _words(line, "mcast6 DEVICE GROUP PORT HOPS LOOP")
    try:
        address = ipaddress.IPv6Address(group)
    except ipaddress.AddressValueError as problem:
        raise BadValueError(f"'{group}' is not an IPv6 address") from problem
    if not address.is_multicast:
        raise BadValueError(f"'{group}' is not a multicast (ff00::/8) address")
    return _multicast(MediumKind.MCAST6, interface, str(address), (port, ttl, loop))


def serial(word: str) -> Medium:
    """Read the device of a serial line."""
    return Medium(MediumKind.SERIAL, path(word), 0)


def baud(word: str) -> int:
    """Read the speed of serial lines, in bits per second."""
    return int(one_of("9600", "19200", "38400", "57600", "115200", "230400", "460800")(word))


def ping(word: str) -> PingTarget:
    """Read a host that is pinged."""
    return PingTarget(word, (host(word),))


def ping6(word: str) -> PingTarget:
    """Read a host that is pinged over IPv6."""
    return PingTarget(word, (_pinged6(word),), by_ipv6=True)


def node_weight(line: str) -> tuple[str, int]:
    """Read `NODE VOTES`."""
    name, votes = _words(line, "nodeweight NODE VOTES")
    return node(name), number(0, 1_000_000)(votes)


def node_site(line: str) -> tuple[str, str]:
    """Read `NODE SITE`."""
    name, site = _words(line, "nodesite NODE SITE")
    return node(name), text(site)


def quorum_server(line: str) -> tuple[str, int]:
    """Read `HOST [PORT]`."""
    name, *rest = line.split()
    if len(rest) > 1:
        raise BadValueError("expected 'quorum_server HOST [PORT]'")
    return host(name), number(1, 65535)(rest[0]) if rest else DEFAULT_QUORUM_PORT


def ping_group(line: str) -> PingTarget:
    """Read `NAME HOST...`; an address of IPv6 is pinged over IPv6."""
    name, *hosts = line.split()
    if not hosts:
        raise BadValueError("expected 'ping_group NAME HOST...'")
    return PingTarget(name, tuple(_pinged6(each) if ":" in each else host(each) for each in hosts))


def _pinged6(word: str) -> str:
    """Read an IPv6 address or a host name; one that holds on a link only has to name the link."""
    read = host6(word)
    if ":" in read and ipaddress.IPv6Address(read).is_link_local and "%" not in read:
        raise BadValueError(f"'{word}' holds on one link only: write '{word}%INTERFACE'")
    return read


def _words(line: str, form: str) -> list[str]:
    words = line.split()
    if len(words) != len(form.split()) - 1:
        raise BadValueError(f"expected '{form}'")
    return words


def _multicast(kind: MediumKind, interface: str, group: str, rest: tuple[str, str, str]) -> Medium:
    port, ttl, loop = rest
    return Medium(
        kind,
        device(interface),
        number(1, 65535)(port),
        address=group,
        ttl=number(0, 255)(ttl),
        loop=number(0, 1)(loop),
    )


# --- programs and clients -------------------------------------------------------------------


def respawn(line: str) -> RespawnLine:
    """Read `USER /full/path ARGUMENTS` of a program that is started again."""
    return _program(line, is_failfast=False)


def failfast(line: str) -> RespawnLine:
    """Read `USER /full/path ARGUMENTS` of a program whose death ends the node."""
    return _program(line, is_failfast=True)


def _program(line: str, *, is_failfast: bool) -> RespawnLine:
    user, _, command = line.partition(" ")
    command = command.strip()
    if not command.startswith("/"):
        raise BadValueError("expected 'USER /full/path/of/program ARGUMENTS'")
    return RespawnLine(user, command, failfast=is_failfast)


def apiauth(line: str) -> ApiRight:
    """Read `CLIENT uid=a,b gid=c,d`."""
    client, *lists = line.split()
    if not lists:
        raise BadValueError("expected 'apiauth CLIENT uid=a,b gid=c,d'")
    named: dict[str, tuple[str, ...]] = {}
    for word in lists:
        if not re.match(r"(uid|gid)=[^,=]+(,[^,=]+)*\Z", word):
            raise BadValueError(f"'{word}' is neither uid=LIST nor gid=LIST")
        kind, _, names = word.partition("=")
        named[kind] = named.get(kind, ()) + tuple(names.split(","))
    return ApiRight(client, named.get("uid", ()), named.get("gid", ()))
