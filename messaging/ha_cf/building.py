"""Builds the settings from what the lines of ha.cf state, and checks them as a whole.

Responsible for defaults that follow from other values, for the order of lines where it matters
(`udpport`), for what may not be stated twice, and for what must be there. Not for lines and words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from crm.plumbing.errors import Problem, error, warning
from messaging.cluster_settings import (
    DEFAULT_BAUD,
    DEFAULT_CLUSTER,
    DEFAULT_PORT,
    QUORUM_VARIABLE,
    ApiRight,
    ClusterSettings,
    LogSettings,
    Medium,
    MediumKind,
    PingTarget,
    RespawnLine,
    Timing,
)
from messaging.ha_cf.directives import Directive
from messaging.ha_cf.values import PORT_ABOVE
from messaging.quorum import problem_of
from messaging.watchdog import default_timer_s

MAX_NODES = 100
MAX_MEDIA = 64
_AS_ON = frozenset(("manual", "minimal", "valgrind"))


@dataclass(frozen=True)
class Statement:
    """One value of one directive, and where it stands."""

    line: int
    directive: Directive
    text: str
    # Any: each directive has a type of its own; whoever asks for one by name knows which.
    value: Any


def build(
    statements: Sequence[Statement],
    *,
    path: str,
    node: str,
    has_haresources: bool,
    default_port: int = DEFAULT_PORT,
) -> tuple[ClusterSettings, list[Problem]]:
    """Build the settings of the node called `node`, and say what is wrong with the whole."""
    builder = _Builder(statements, path, default_port)
    settings = builder.build()
    builder.check_timing(settings.timing)
    builder.check_presence(settings, node, has_haresources=has_haresources)
    builder.check_watchdog(settings)
    builder.check_quorum(settings)
    builder.check_log(settings.log)
    return settings, builder.problems


class _Builder:
    """Everything stated, by the name it is kept under."""

    def __init__(self, statements: Sequence[Statement], path: str, default_port: int) -> None:
        self.problems: list[Problem] = []
        self._default_port = default_port
        self._path = path
        self._statements = statements
        self._by_name: dict[str, list[Statement]] = {}
        for statement in statements:
            self._by_name.setdefault(statement.directive.kept_as, []).append(statement)
        self._note_what_is_overruled()

    def build(self) -> ClusterSettings:
        """Put the settings together."""
        timing = self._timing()
        return ClusterSettings(
            nodes=self._nodes(),
            media=self._media(),
            pings=self._pings(),
            respawns=self._programs(),
            api_rights=self._api_rights(),
            timing=timing,
            cluster=self._last("cluster", DEFAULT_CLUSTER),
            autojoin=self._last("autojoin", "none"),
            crm=self._last("crm", "off") != "off",
            only_membership=self._last("crm", "off") == "ccm-only",
            auto_failback=self._last("auto_failback", "legacy"),
            watchdog=self._last("watchdog", ""),
            watchdog_timer_s=self._watchdog_timer_s(timing),
            hopfudge=self._last("hopfudge", 1),
            realtime=self._last("realtime", True),
            rtprio=self._last("rtprio", 1),
            compression=self._last("compression", "zlib"),
            compression_threshold_bytes=1024 * self._last("compression_threshold", 2),
            log=self._log(),
            environment=dict(statement.value for statement in self._all("env")),
            weights=self._by_node("nodeweight"),
            sites=self._by_node("nodesite"),
            quorum_server=self._last("quorum_server", ("", 0))[0],
            quorum_port=self._last("quorum_server", ("", 0))[1],
            parameters=self._parameters(timing),
        )

    def check_timing(self, timing: Timing) -> None:
        """Refuse deadlines that would declare living nodes dead."""
        if timing.deadtime_s <= 2 * timing.keepalive_s:
            self._fail(
                "deadtime-too-small",
                "deadtime",
                f"Dead time [{_ms(timing.deadtime_s)}] is too small compared to"
                f" keeplive [{_ms(timing.keepalive_s)}]",
                "deadtime must be above twice the keepalive (milliseconds are shown)",
            )
        if timing.initdead_s < timing.deadtime_s:
            self._fail(
                "initdead-too-small",
                "initdead",
                f"Initial dead time [{_ms(timing.initdead_s)}] is smaller than"
                f" deadtime [{_ms(timing.deadtime_s)}]",
                "initdead must be at least deadtime (milliseconds are shown)",
            )
        elif timing.initdead_s < 10:
            text = f"Initial dead time [{_ms(timing.initdead_s)} ms] may be too small!"
            self._warn("initdead-small", "initdead", text)
        if timing.deadping_s <= 2 * timing.keepalive_s:
            self._fail(
                "deadping-too-small",
                "deadping",
                f"Dead ping time [{_ms(timing.deadping_s)}] is too small compared to"
                f" keepalive [{_ms(timing.keepalive_s)}]",
                "deadping must be above twice the keepalive (milliseconds are shown)",
            )

    def check_watchdog(self, settings: ClusterSettings) -> None:
        """Refuse a watchdog that would bite a node that works."""
        stated = self._all("watchdog_timer")
        if stated and not settings.watchdog:
            text = "directive 'watchdog_timer' has no effect without a 'watchdog' line"
            self._warn_at(stated[0], "without-effect", text, "add 'watchdog /dev/watchdog'")
        keepalive_s = settings.timing.keepalive_s
        if settings.watchdog and settings.watchdog_timer_s <= 2 * keepalive_s:
            self._fail(
                "watchdog-timer-too-small",
                "watchdog_timer" if stated else "watchdog",
                f"the watchdog would bite after {settings.watchdog_timer_s} s, and signs of life"
                f" come every {keepalive_s:g} s",
                "watchdog_timer must be above twice the keepalive",
            )

    def check_presence(
        self, settings: ClusterSettings, node: str, *, has_haresources: bool
    ) -> None:
        """Refuse a file that lacks what no cluster can be without."""
        if not settings.media:
            self._fail(
                "no-media",
                "",
                "No heartbeat media defined",
                "add a line such as 'bcast eth1' or 'ucast eth1 ADDRESS'",
            )
        may_join = settings.autojoin == "any"
        if not settings.nodes and not may_join:
            self._fail("no-nodes", "", "no nodes defined", "add 'node NAME' lines")
        elif node not in settings.nodes and not may_join:
            self._fail(
                "local-node-missing",
                "node",
                f"Current node [{node}] not in configuration!",
                "nodes are listed by the name 'uname -n' prints",
            )
        if settings.autojoin != "none" and not settings.crm:
            self._fail(
                "autojoin-with-haresources",
                "autojoin",
                f"autojoin {settings.autojoin}: haresources knows two nodes, both of them listed",
                "remove the line, or add 'crm yes'",
            )
        self._check_mode(settings, has_haresources=has_haresources)

    def _check_mode(self, settings: ClusterSettings, *, has_haresources: bool) -> None:
        """Refuse a file that says of no resources, and warn of what has no effect."""
        if not settings.crm and not has_haresources:
            self._fail(
                "no-resources",
                "crm",
                f"Cannot open resources file [{PurePath(self._path).with_name('haresources')}]",
                "write it, or state 'crm yes' for resources that come from the CIB",
            )
        if settings.crm and has_haresources:
            haresources = PurePath(self._path).with_name("haresources")
            for text in (
                f"File {haresources} exists.",
                "This file is not used because crm is enabled",
            ):
                self._warn("haresources-unused", "crm", text)
        if not settings.crm and has_haresources and settings.auto_failback == "legacy":
            for text in (
                "Deprecated 'legacy' auto_failback option selected.",
                "Please convert to 'auto_failback on'.",
            ):
                self._warn("legacy-failback", "auto_failback", text)
        word = self._last("crm", "off")
        if word in _AS_ON:
            self._warn("without-effect", "crm", f"crm {word} has the effect of 'crm on' here")

    def check_log(self, log: LogSettings) -> None:
        """Refuse a file after which nothing would be logged."""
        is_named = bool(log.logfile or log.debugfile or self._all("logfacility"))
        if not is_named and log.use_logd is False:
            self._fail(
                "no-log", "use_logd", "no log is named", "state 'use_logd yes' or a 'logfile'"
            )
        elif not is_named and log.use_logd is None:
            self._warn("no-log", "", "No log entry found in ha.cf -- use logd")
        elif is_named and log.use_logd:
            self._warn_at(
                self._all("use_logd")[-1],
                "without-effect",
                "directive 'use_logd' has no effect beside a log that is named",
                "lines go where logfile, debugfile and logfacility say",
            )

    # --- what is stated -----------------------------------------------------------------------

    def _all(self, name: str) -> list[Statement]:
        return self._by_name.get(name, [])

    # Any: the caller knows the type of what it asks for by name.
    def _last(self, name: str, default: Any) -> Any:
        """The value that counts: the last one stated."""
        statements = self._all(name)
        return statements[-1].value if statements else default

    def _note_what_is_overruled(self) -> None:
        for name, statements in self._by_name.items():
            last = statements[-1]
            for earlier in statements[:-1]:
                if not last.directive.is_list and name != "udpport" and earlier.line != last.line:
                    self.problems.append(
                        warning(
                            "stated-again",
                            f"{self._path}:{earlier.line}",
                            f"{self._path}:{earlier.line}: '{name} {earlier.text}' is overruled by"
                            f" line {last.line}",
                            "remove one of the lines",
                        )
                    )

    def _timing(self) -> Timing:
        deadtime_s = self._last("deadtime", 30.0)
        long_s = deadtime_s if deadtime_s > 10 else (12.0 if deadtime_s < 6 else 2 * deadtime_s)
        return Timing(
            keepalive_s=self._last("keepalive", 1.0),
            deadtime_s=deadtime_s,
            warntime_s=self._last("warntime", deadtime_s / 2),
            initdead_s=self._last("initdead", long_s),
            deadping_s=self._last("deadping", deadtime_s),
        )

    def _media(self) -> tuple[Medium, ...]:
        """The media, each with the port that stands above it or in its own line."""
        port, baud = self._default_port, DEFAULT_BAUD
        media: list[Medium] = []
        for statement in self._statements:
            if statement.directive.name == "udpport":
                port = statement.value
                if media:
                    self._warn_at(
                        statement,
                        "udpport-below-media",
                        "directive 'udpport' applies to media lines below it only",
                        "move it above the first bcast, ucast or mcast line",
                    )
            elif statement.directive.name == "baud":
                baud = statement.value
            elif statement.directive.kept_as == "media":
                medium: Medium = statement.value
                if medium.kind is MediumKind.SERIAL:
                    medium = replace(medium, baud=baud)
                elif medium.port == PORT_ABOVE:
                    medium = replace(medium, port=port)
                if medium not in media:
                    media.append(medium)
                    self._check_room(statement, len(media), MAX_MEDIA, "media")
        return tuple(media[:MAX_MEDIA])

    def _nodes(self) -> tuple[str, ...]:
        names: list[str] = []
        for statement in self._all("node"):
            if statement.value in names:
                self._refuse(statement, f"node '{statement.value}' is listed twice")
                continue
            names.append(statement.value)
            self._check_room(statement, len(names), MAX_NODES, "nodes")
        return tuple(names[:MAX_NODES])

    # Any: a weight or a site, as the directive says.
    def _by_node(self, directive: str) -> dict[str, Any]:
        """What lines `directive NODE VALUE` state, each node once."""
        nodes = {statement.value for statement in self._all("node")}
        found: dict[str, Any] = {}
        for statement in self._all(directive):
            node, value = statement.value
            if node not in nodes:
                self._refuse(statement, f"node '{node}' is not listed in a 'node' line")
            if node in found:
                self._refuse(statement, f"node '{node}' is listed twice")
            found[node] = value
        return found

    def check_quorum(self, settings: ClusterSettings) -> None:
        """Refuse a chain of plugins by which the nodes could not count."""
        electorate = settings.electorate
        chain = [each for each in self._all("env") if each.value[0] == QUORUM_VARIABLE]
        problem = problem_of(electorate.chain)
        if chain and problem:
            self._refuse(chain[-1], problem)
        elif chain and "quorumd" in electorate.chain and not settings.quorum_server:
            self._refuse(
                chain[-1], "'quorumd' asks a quorum server: no line 'quorum_server' names it"
            )
        elif chain and "ping" in electorate.chain and not settings.pings:
            self._refuse(chain[-1], "'ping' asks ping nodes: there is no line 'ping'")
        if settings.quorum_server and "quorumd" not in electorate.chain:
            self._warn_at(
                self._all("quorum_server")[-1],
                "server-not-asked",
                "quorum_server has no effect",
                "the chain of 'env quorum' does not end with 'quorumd'",
            )
        weights = self._all("nodeweight")
        if weights and not any(map(electorate.weight_of, settings.nodes)):
            self._refuse(weights[-1], "no node would have a vote")
        elif weights and "weight" not in electorate.chain:
            self._warn_at(
                weights[-1],
                "weight-not-counted",
                "nodeweight has no effect",
                "heads are counted; votes are with 'env quorum=weight:twonodes'",
            )

    def _pings(self) -> tuple[PingTarget, ...]:
        targets: dict[str, PingTarget] = {}
        nodes = {each.value for each in self._all("node")}
        for statement in self._all("pings"):
            target: PingTarget = statement.value
            if target.name in targets:
                self._refuse(statement, f"ping node '{target.name}' is listed twice")
            if target.name.lower() in nodes:
                self._refuse(statement, f"'{target.name}' is the name of a node as well")
            targets.setdefault(target.name, target)
        return tuple(targets.values())

    def _watchdog_timer_s(self, timing: Timing) -> int:
        stated_s: float | None = self._last("watchdog_timer", None)
        if stated_s is not None:
            return math.ceil(stated_s)
        return default_timer_s(timing.deadtime_s) if self._all("watchdog") else 0

    def _api_rights(self) -> tuple[ApiRight, ...]:
        rights: dict[str, ApiRight] = {}
        for statement in self._all("apiauth"):
            right: ApiRight = replace(statement.value, line=statement.line)
            if right.client in rights:
                self._refuse(statement, f"client '{right.client}' is listed twice")
            rights.setdefault(right.client, right)
        return tuple(rights.values())

    def _programs(self) -> tuple[RespawnLine, ...]:
        return tuple(
            replace(statement.value, line=statement.line) for statement in self._all("programs")
        )

    def _log(self) -> LogSettings:
        facility = self._last("logfacility", "")
        return LogSettings(
            logfile=self._last("logfile", ""),
            debugfile=self._last("debugfile", ""),
            facility="" if facility == "none" else facility,
            use_logd=self._last("use_logd", None),
            debug=self._last("debug", 0),
            syslog_format=self._last("syslogmsgfmt", True),
        )

    def _parameters(self, timing: Timing) -> dict[str, str]:
        """What `cl_status hbparameter` answers: the words of the file, or the default in them."""
        parameters: dict[str, str] = {}
        for statement in self._statements:
            name = statement.directive.name
            known = parameters.get(name) if statement.directive.is_list else None
            parameters[name] = statement.text if known is None else f"{known} {statement.text}"
        parameters.setdefault("udpport", str(self._default_port))
        parameters.setdefault("auto_failback", "legacy")
        parameters.setdefault("cluster", DEFAULT_CLUSTER)
        parameters.setdefault("debug", "0")
        for name, seconds in (
            ("keepalive", timing.keepalive_s),
            ("deadtime", timing.deadtime_s),
            ("warntime", timing.warntime_s),
            ("initdead", timing.initdead_s),
            ("deadping", timing.deadping_s),
        ):
            parameters.setdefault(name, f"{_ms(seconds)}ms")
        return parameters

    # --- problems -----------------------------------------------------------------------------

    def _check_room(self, statement: Statement, count: int, most: int, what: str) -> None:
        if count == most + 1:
            self._refuse(statement, f"there are more than {most} {what}")

    def _refuse(self, statement: Statement, why: str) -> None:
        where = f"{self._path}:{statement.line}"
        what = f"{where}: directive '{statement.directive.name}', value '{statement.text}'"
        self.problems.append(error("bad-value", where, what, why))

    def _warn_at(self, statement: Statement, code: str, what: str, hint: str) -> None:
        where = f"{self._path}:{statement.line}"
        self.problems.append(warning(code, where, f"{where}: {what}", hint))

    def _fail(self, code: str, name: str, message: str, hint: str) -> None:
        where = self._where(self._all(name))
        self.problems.append(error(code, where, f"{where}: {message}", hint))

    def _warn(self, code: str, name: str, message: str) -> None:
        self.problems.append(warning(code, self._where(self._all(name)), message))

    def _where(self, statements: Iterable[Statement]) -> str:
        for statement in statements:
            return f"{self._path}:{statement.line}"
        return self._path


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
