"""Reads ha.cf: text in, settings and problems out; accepted or refused as a whole.

Responsible for the grammar and for every check that needs nothing but the text. Whether devices,
hosts and programs exist is the daemon's to find out.

Source: Heartbeat's ha.cf as published; the reading rules are told in docs/protocol/links.md.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from crm.plumbing.errors import Problem, error, has_errors, warning
from messaging.cluster_settings import (
    DEFAULT_CLUSTER,
    DEFAULT_PORT,
    ClusterSettings,
    LogSettings,
    Medium,
    MediumKind,
    PingTarget,
    RespawnLine,
    Timing,
)

MAX_NODES = 100
MAX_MEDIA = 64
MAX_TEXT = 1024 * 1024
FACILITIES = frozenset(
    [
        "auth",
        "authpriv",
        "cron",
        "daemon",
        "ftp",
        "kern",
        "lpr",
        "mail",
        "news",
        "none",
        "syslog",
        "user",
        "uucp",
    ]
) | {f"local{number}" for number in range(8)}
BAUD_RATES = frozenset(["9600", "19200", "38400", "57600", "115200", "230400", "460800"])
TRUE_WORDS = frozenset(("true", "on", "yes", "y", "1"))
FALSE_WORDS = frozenset(("false", "off", "no", "n", "0"))
_TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|s)?\Z")
_TIME_UNITS = {None: 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_WHOLE_LINE = frozenset(
    [
        "stonith",
        "stonith_host",
        "apiauth",
        "respawn",
        "failfast",
        "ucast",
        "ucast6",
        "mcast",
        "mcast6",
        "ping_group",
        "rds",
        "tipc",
    ]
)
_REFUSED = {
    "serial": "serial lines are not supported; use ucast, bcast or mcast",
    "ucast6": "IPv6 media are not supported; use ucast",
    "mcast6": "IPv6 media are not supported; use mcast",
    "ping6": "IPv6 ping nodes are not supported; use ping",
    "rds": "this medium is not supported; use ucast, bcast or mcast",
    "tipc": "this medium is not supported; use ucast, bcast or mcast",
    "stonith": "fencing devices are configured in the CIB, as primitives of class stonith",
    "stonith_host": "fencing devices are configured in the CIB, as primitives of class stonith",
    "quorum_server": "a quorum server is not supported; use three nodes",
    "use_apphbd": "the application heartbeat daemon is not supported; remove the line",
}
_IGNORED_BOOLEANS = frozenset(
    [
        "realtime",
        "coredumps",
        "normalpoll",
        "log_badpack",
        "traditional_compression",
        "record_config_changes",
        "record_pengine_inputs",
        "enable_config_writes",
        "crmd_spawns_pengine",
    ]
)
_IGNORED_VALUES = frozenset(
    [
        "coreroot",
        "crm_daemon_dir",
        "hopfudge",
        "memreserve",
        "rtprio",
        "max_rexmit_delay",
        "msgfmt",
        "hbgenmethod",
        "watchdog",
        "uuidfrom",
    ]
)


def read(
    text: str, *, node: str, path: str = "/etc/ha.d/ha.cf", has_haresources: bool = False
) -> tuple[ClusterSettings | None, list[Problem]]:
    """Read the text of an ha.cf for the node called `node`.

    Settings are None exactly when a problem of severity ERROR is among the problems.
    """
    if len(text) > MAX_TEXT:
        return None, [error("too-large", path, f"the file has {len(text)} characters")]
    reader = _Reader(path)
    for number, line in enumerate(text.splitlines(), start=1):
        reader.take_line(number, line)
    settings = reader.conclude(node.lower(), has_haresources=has_haresources)
    return (None if has_errors(reader.problems) else settings), reader.problems


class _BadValueError(ValueError):
    """A value that does not fit its directive; the text says what was expected."""


class _Reader:
    """Collects directives line by line, then checks the whole."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._line = 0
        self._port = DEFAULT_PORT
        self._seen: dict[str, int] = {}
        self._values: dict[str, Any] = {}  # Any: each directive has a type of its own
        self._texts: dict[str, list[str]] = {}
        self._nodes: list[str] = []
        self._media: list[Medium] = []
        self._pings: list[PingTarget] = []
        self._respawns: list[RespawnLine] = []
        self._environment: dict[str, str] = {}
        self._clients: set[str] = set()
        self._handlers: Mapping[str, Callable[[str], None]] = {
            "udpport": self._take_udpport,
            "baud": self._take_baud,
            "bcast": self._take_bcast,
            "udp": self._take_bcast,
            "ucast": self._take_ucast,
            "mcast": self._take_mcast,
            "node": self._take_node,
            "ping": self._take_ping,
            "ping_group": self._take_ping_group,
            "hbaping": self._take_hbaping,
            "crm": self._take_crm,
            "pacemaker": self._take_crm,
            "auto_failback": self._take_auto_failback,
            "nice_failback": self._take_nice_failback,
            "respawn": self._take_respawn,
            "failfast": self._take_respawn,
            "apiauth": self._take_apiauth,
            "cluster": self._take_text,
            "logfile": self._take_path,
            "debugfile": self._take_path,
            "logfacility": self._take_facility,
            "use_logd": self._take_boolean,
            "syslogmsgfmt": self._take_boolean,
            "debug": self._take_debug,
            "compression": self._take_compression,
            "compression_threshold": self._take_threshold,
            "autojoin": self._take_autojoin,
            "env": self._take_env,
            **dict.fromkeys(
                ("keepalive", "deadtime", "warntime", "initdead", "deadping", "conn_logd_time"),
                self._take_time,
            ),
            **dict.fromkeys(_IGNORED_BOOLEANS, self._take_boolean),
            **dict.fromkeys(_IGNORED_VALUES, self._take_text),
        }
        self._directive = ""

    # --- lines ----------------------------------------------------------------------------

    def take_line(self, number: int, line: str) -> None:
        """Take one line of the file."""
        self._line = number
        if "\0" in line:
            self._fail("bad-character", "the line holds a zero byte", "write the line again")
            return
        content = line.split("#", 1)[0].strip()
        if not content:
            return
        directive, _, rest = content.partition(" ")
        if "\t" in directive:
            directive, _, more = content.partition("\t")
            rest = more
        rest = rest.strip()
        self._directive = directive
        if directive in _REFUSED:
            self._fail("unsupported-directive", f"directive '{directive}'", _REFUSED[directive])
            return
        handler = self._handlers.get(directive)
        if handler is None:
            self._refuse_unknown(directive)
            return
        values = [rest] if directive in _WHOLE_LINE and rest else re.split(r"[\s,]+", rest)
        values = [value for value in values if value]
        if not values:
            self._fail("missing-value", f"directive '{directive}' has no value", "add one")
            return
        self._seen.setdefault(directive, number)
        self._texts.setdefault(directive, []).extend(values)
        for value in values:
            try:
                handler(value)
            except _BadValueError as problem:
                self._fail("bad-value", f"directive '{directive}', value '{value}'", str(problem))

    def _where(self) -> str:
        return f"{self.path}:{self._line}"

    def _fail(self, code: str, what: str, hint: str) -> None:
        message = f"{self._where()}: {what}"
        if "//" in what or re.search(r"'/.*[^\x00-\x7f]", what):
            hint = f"{hint}; '//' and '/.../' are not remarks here, a remark begins with '#'"
        self.problems.append(error(code, self._where(), message, hint))

    def _warn(self, code: str, what: str, hint: str = "") -> None:
        message = f"{self._where()}: {what}"
        self.problems.append(warning(code, self._where(), message, hint))

    def _refuse_unknown(self, directive: str) -> None:
        near = difflib.get_close_matches(directive, [*self._handlers, *_REFUSED], n=1)
        if directive.startswith("/"):
            hint = "'//' and '/.../' are not remarks here, a remark begins with '#'"
        elif near:
            hint = f"did you mean '{near[0]}'?"
        else:
            hint = "remove the line, or put '#' in front of it"
        message = f"{self._where()}: Illegal directive [{directive}] in {self.path}"
        self.problems.append(error("unknown-directive", self._where(), message, hint))

    # --- values ---------------------------------------------------------------------------

    def _take_time(self, value: str) -> None:
        seconds = parse_time(value)
        if seconds <= 0:
            raise _BadValueError("expected a time above zero")
        self._values[self._directive] = seconds

    def _take_boolean(self, value: str) -> None:
        self._values[self._directive] = _boolean(value)

    def _take_text(self, value: str) -> None:
        self._values[self._directive] = value

    def _take_path(self, value: str) -> None:
        if not value.startswith("/") or value.startswith("//"):
            raise _BadValueError("expected a file name that begins with one '/'")
        self._values[self._directive] = value

    def _take_facility(self, value: str) -> None:
        if value.lower() not in FACILITIES:
            raise _BadValueError("expected a syslog facility such as daemon or local0, or none")
        self._values["logfacility"] = value.lower()

    def _take_debug(self, value: str) -> None:
        self._values["debug"] = _integer(value, 0, 255)

    def _take_compression(self, value: str) -> None:
        if value not in ("zlib", "bz2"):
            raise _BadValueError("expected zlib or bz2")
        self._values["compression"] = value

    def _take_threshold(self, value: str) -> None:
        self._values["compression_threshold"] = _integer(value, 1, 1024 * 1024)

    def _take_autojoin(self, value: str) -> None:
        if value not in ("none", "other", "any"):
            raise _BadValueError("expected none, other or any")
        if value != "none":
            raise _BadValueError("unlisted nodes cannot join; list every node with 'node'")
        self._values["autojoin"] = value

    def _take_env(self, value: str) -> None:
        name, equals, text = value.partition("=")
        if not equals or not re.match(r"[A-Za-z_][A-Za-z0-9_]*\Z", name):
            raise _BadValueError("expected NAME=value")
        self._environment[name] = text

    def _take_baud(self, value: str) -> None:
        if value not in BAUD_RATES:
            raise _BadValueError("expected a rate such as 19200")
        self._warn("without-effect", "directive 'baud' has no effect without serial lines")

    def _take_udpport(self, value: str) -> None:
        self._port = _integer(value, 1, 65535)
        if self._media:
            self._warn(
                "udpport-below-media",
                "directive 'udpport' applies to media lines below it only",
                "move it above the first bcast, ucast or mcast line",
            )

    def _take_bcast(self, value: str) -> None:
        if self._directive == "udp":
            self._warn("old-name", "directive 'udp' is an old name of 'bcast'")
        self._add_medium(Medium(MediumKind.BCAST, _device(value), self._port))

    def _take_ucast(self, value: str) -> None:
        words = value.split()
        if len(words) != 2:
            raise _BadValueError("expected 'ucast DEVICE PEER-ADDRESS'")
        self._add_medium(
            Medium(MediumKind.UCAST, _device(words[0]), self._port, address=_host(words[1]))
        )

    def _take_mcast(self, value: str) -> None:
        words = value.split()
        if len(words) != 5:
            raise _BadValueError("expected 'mcast DEVICE GROUP PORT TTL LOOP'")
        device, group, port, ttl, loop = words
        try:
            if not ipaddress.IPv4Address(group).is_multicast:
                raise _BadValueError(f"'{group}' is not a multicast (class D) address")
        except ipaddress.AddressValueError as problem:
            raise _BadValueError(f"'{group}' is not an IPv4 address") from problem
        self._add_medium(
            Medium(
                MediumKind.MCAST,
                _device(device),
                _integer(port, 1, 65535),
                address=group,
                ttl=_integer(ttl, 0, 255),
                loop=_integer(loop, 0, 1),
            )
        )

    def _add_medium(self, medium: Medium) -> None:
        if len(self._media) >= MAX_MEDIA:
            raise _BadValueError(f"there are more than {MAX_MEDIA} media")
        if medium not in self._media:
            self._media.append(medium)

    def _take_node(self, value: str) -> None:
        name = value.lower()
        if not re.match(r"[a-z0-9_][a-z0-9_.-]{0,99}\Z", name):
            raise _BadValueError("expected a host name as 'uname -n' prints it")
        if name in self._nodes:
            raise _BadValueError(f"node '{name}' is listed twice")
        if len(self._nodes) >= MAX_NODES:
            raise _BadValueError(f"there are more than {MAX_NODES} nodes")
        self._nodes.append(name)

    def _take_ping(self, value: str) -> None:
        self._add_ping(PingTarget(value, (_host(value),)))

    def _take_ping_group(self, value: str) -> None:
        words = value.split()
        if len(words) < 2:
            raise _BadValueError("expected 'ping_group NAME HOST...'")
        self._add_ping(PingTarget(words[0], tuple(_host(word) for word in words[1:])))

    def _add_ping(self, target: PingTarget) -> None:
        if any(known.name == target.name for known in self._pings):
            raise _BadValueError(f"ping node '{target.name}' is listed twice")
        self._pings.append(target)

    def _take_hbaping(self, value: str) -> None:
        self._warn("unsupported-ping", f"directive 'hbaping {value}' is accepted without effect")

    def _take_crm(self, value: str) -> None:
        if "crm" in self._values:
            raise _BadValueError("crm (or pacemaker) may be stated once")
        word = value.lower()
        if word in ("respawn", "manual", "minimal", "ccm-only", "valgrind"):
            self._values["crm"] = True
        else:
            self._values["crm"] = _boolean(value)

    def _take_auto_failback(self, value: str) -> None:
        word = value.lower()
        self._values["auto_failback"] = (
            "legacy" if word == "legacy" else ("on" if _boolean(value) else "off")
        )

    def _take_nice_failback(self, value: str) -> None:
        self._values["auto_failback"] = "off" if _boolean(value) else "on"
        self._warn(
            "old-name", "directive 'nice_failback' is obsolete", "use 'auto_failback on' or 'off'"
        )

    def _take_respawn(self, value: str) -> None:
        user, _, command = value.partition(" ")
        command = command.strip()
        if not command.startswith("/"):
            raise _BadValueError("expected 'USER /full/path/of/program ARGUMENTS'")
        self._respawns.append(
            RespawnLine(user, command, failfast=self._directive == "failfast", line=self._line)
        )

    def _take_apiauth(self, value: str) -> None:
        client, *lists = value.split()
        if not lists:
            raise _BadValueError("expected 'apiauth CLIENT uid=a,b gid=c,d'")
        for word in lists:
            if not re.match(r"(uid|gid)=[^,=]+(,[^,=]+)*\Z", word):
                raise _BadValueError(f"'{word}' is neither uid=LIST nor gid=LIST")
        if client in self._clients:
            raise _BadValueError(f"client '{client}' is listed twice")
        self._clients.add(client)

    # --- the whole ------------------------------------------------------------------------

    def conclude(self, node: str, *, has_haresources: bool) -> ClusterSettings:
        """Check what needs the whole file, and build the settings."""
        timing = self._conclude_timing()
        crm = bool(self._values.get("crm", False))
        self._check_presence(node, crm, has_haresources)
        log = self._conclude_log()
        return ClusterSettings(
            nodes=tuple(self._nodes),
            media=tuple(self._media),
            pings=tuple(self._pings),
            respawns=tuple(self._respawns),
            timing=timing,
            cluster=self._values.get("cluster", DEFAULT_CLUSTER),
            crm=crm,
            auto_failback=self._values.get("auto_failback", "legacy"),
            compression=self._values.get("compression", "zlib"),
            compression_threshold_bytes=1024 * self._values.get("compression_threshold", 2),
            log=log,
            environment=dict(self._environment),
            parameters=self._parameters(timing),
        )

    def _conclude_timing(self) -> Timing:
        values = self._values
        keepalive = values.get("keepalive", 1.0)
        deadtime = values.get("deadtime", 30.0)
        default_initdead = deadtime if deadtime > 10 else (12.0 if deadtime < 6 else 2 * deadtime)
        timing = Timing(
            keepalive_s=keepalive,
            deadtime_s=deadtime,
            warntime_s=values.get("warntime", deadtime / 2),
            initdead_s=values.get("initdead", default_initdead),
            deadping_s=values.get("deadping", deadtime),
        )
        if deadtime <= 2 * keepalive:
            self._check_failed(
                "deadtime-too-small",
                "deadtime",
                f"Dead time [{_ms(deadtime)}] is too small compared to keeplive [{_ms(keepalive)}]",
                "deadtime must be above twice the keepalive (milliseconds are shown)",
            )
        if timing.initdead_s < deadtime:
            self._check_failed(
                "initdead-too-small",
                "initdead",
                f"Initial dead time [{_ms(timing.initdead_s)}] is smaller than"
                f" deadtime [{_ms(deadtime)}]",
                "initdead must be at least deadtime (milliseconds are shown)",
            )
        elif timing.initdead_s < 10:
            self._warn_check(
                "initdead-small",
                "initdead",
                f"Initial dead time [{_ms(timing.initdead_s)} ms] may be too small!",
            )
        if timing.deadping_s <= 2 * keepalive:
            self._check_failed(
                "deadping-too-small",
                "deadping",
                f"Dead ping time [{_ms(timing.deadping_s)}] is too small compared to"
                f" keepalive [{_ms(keepalive)}]",
                "deadping must be above twice the keepalive (milliseconds are shown)",
            )
        return timing

    def _check_presence(self, node: str, crm: bool, has_haresources: bool) -> None:
        if not self._media:
            self._check_failed(
                "no-media",
                "",
                "No heartbeat media defined",
                "add a line such as 'bcast eth1' or 'ucast eth1 ADDRESS'",
            )
        if not self._nodes:
            self._check_failed("no-nodes", "", "no node is listed", "add 'node NAME' lines")
        elif node not in self._nodes:
            self._check_failed(
                "local-node-missing",
                "node",
                f"Current node [{node}] not in configuration!",
                "nodes are listed by the name 'uname -n' prints",
            )
        if not crm and not has_haresources:
            self._check_failed(
                "no-resources",
                "crm",
                "neither 'crm yes' nor a haresources file: haresources cannot be opened",
                "add 'crm yes', or write /etc/ha.d/haresources",
            )
        if crm and has_haresources:
            self._warn_check("haresources-unused", "crm", "File haresources exists.")
            self._warn_check(
                "haresources-unused", "crm", "This file is not used because crm is enabled"
            )
        is_legacy = self._values.get("auto_failback", "legacy") == "legacy"
        if not crm and has_haresources and is_legacy:
            self._warn_check(
                "legacy-failback",
                "auto_failback",
                "Deprecated 'legacy' auto_failback option selected.",
            )
            self._warn_check(
                "legacy-failback", "auto_failback", "Please convert to 'auto_failback on'."
            )

    def _conclude_log(self) -> LogSettings:
        values = self._values
        log = LogSettings(
            logfile=values.get("logfile", ""),
            debugfile=values.get("debugfile", ""),
            facility="" if values.get("logfacility") == "none" else values.get("logfacility", ""),
            use_logd=values.get("use_logd"),
            debug=values.get("debug", 0),
            syslog_format=values.get("syslogmsgfmt", True),
        )
        named = bool(log.logfile or log.debugfile or "logfacility" in values)
        if not named and log.use_logd is False:
            self._check_failed(
                "no-log", "use_logd", "no log is named", "state 'use_logd yes' or a 'logfile'"
            )
        elif not named and log.use_logd is None:
            self._warn_check("no-log", "", "No log entry found in ha.cf -- use logd")
        return log

    def _check_failed(self, code: str, directive: str, message: str, hint: str) -> None:
        self.problems.append(
            error(code, self._subject(directive), self._at(directive, message), hint)
        )

    def _warn_check(self, code: str, directive: str, message: str) -> None:
        self.problems.append(warning(code, self._subject(directive), message))

    def _subject(self, directive: str) -> str:
        line = self._seen.get(directive)
        return self.path if line is None else f"{self.path}:{line}"

    def _at(self, directive: str, message: str) -> str:
        return f"{self._subject(directive)}: {message}"

    def _parameters(self, timing: Timing) -> dict[str, str]:
        """What `cl_status hbparameter` answers; times in milliseconds."""
        parameters = {name: " ".join(values) for name, values in self._texts.items()}
        parameters.setdefault("udpport", str(DEFAULT_PORT))
        parameters.setdefault("auto_failback", "legacy")
        parameters.setdefault("cluster", DEFAULT_CLUSTER)
        for name, seconds in (
            ("keepalive", timing.keepalive_s),
            ("deadtime", timing.deadtime_s),
            ("warntime", timing.warntime_s),
            ("initdead", timing.initdead_s),
            ("deadping", timing.deadping_s),
        ):
            parameters[name] = str(_ms(seconds))
        return parameters


def parse_time(text: str) -> float:
    """Turn `3`, `1.5`, `1500ms`, `1500000us` or `3s` into seconds.

    Raises: ValueError if the text is no time.
    """
    match = _TIME.match(text)
    if match is None:
        raise _BadValueError("expected a time such as 3, 1.5 or 1500ms")
    seconds = float(match[1]) * _TIME_UNITS[match[2]]
    if seconds > 86400:
        raise _BadValueError("expected a time of at most one day")
    return seconds


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _boolean(text: str) -> bool:
    word = text.lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise _BadValueError("expected on or off (true, yes, y, 1 or false, no, n, 0)")


def _integer(text: str, lowest: int, highest: int) -> int:
    if not re.match(r"\d{1,9}\Z", text, re.ASCII) or not lowest <= int(text) <= highest:
        raise _BadValueError(f"expected a number from {lowest} to {highest}")
    return int(text)


def _device(text: str) -> str:
    if not re.match(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}\Z", text):
        raise _BadValueError(f"'{text}' is not the name of a network interface")
    return text


def _host(text: str) -> str:
    if not re.match(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}\Z", text):
        raise _BadValueError(f"'{text}' is neither an IPv4 address nor a host name")
    return text
