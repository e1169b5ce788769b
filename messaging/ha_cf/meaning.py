"""Tells in words what an ha.cf means, and what each directive is for.

For `heartbeat --check`, `heartbeat -D` and the page docs/ha.cf.md; the file itself is read
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from messaging.cluster_settings import ClusterSettings, Medium, MediumKind, PingTarget
from messaging.ha_cf.building import Statement
from messaging.ha_cf.directives import SECTIONS, Directive, Stance
from messaging.ha_cf.values import BadValueError

_LABEL_WIDTH = 12


def of_settings(settings: ClusterSettings, node: str) -> list[str]:
    """Tell what the settings mean for the node called `node`, a line each."""
    return [f"{label:{_LABEL_WIDTH}}{text}" for label, text in _facts(settings, node)]


def of_idle_lines(statements: Sequence[Statement]) -> list[str]:
    """Tell which lines have no effect here, and why."""
    return [
        f"line {statement.line}: {statement.directive.name} {statement.text}:"
        f" {statement.directive.effect}"
        for statement in statements
        if statement.directive.stance is Stance.WITHOUT_EFFECT
    ]


def of_defaults() -> list[str]:
    """Tell the defaults as an ha.cf would state them; those that follow from others as remarks."""
    return [
        _default(directive)
        for _, section in SECTIONS
        for directive in section
        if directive.default and directive.stance is Stance.EFFECTIVE and not directive.key
    ]


def manual() -> str:
    """The table of directives as a page of the manual (Markdown)."""
    return "\n".join(_page()) + "\n"


def _default(directive: Directive) -> str:
    try:
        directive.parse(directive.default)
    except BadValueError:
        return f"# {directive.name}: {directive.default}"
    return f"{directive.name} {directive.default}"


def _facts(settings: ClusterSettings, node: str) -> Iterator[tuple[str, str]]:
    timing = settings.timing
    yield "cluster", settings.cluster
    for index, name in enumerate(settings.nodes):
        here = " (this node)" if name == node else ""
        yield ("nodes" if index == 0 else ""), f"{name}{here}"
    if settings.autojoin != "none":
        yield "", f"and whoever has the key and is let in (autojoin {settings.autojoin})"
    for index, medium in enumerate(settings.media):
        yield ("media" if index == 0 else ""), _medium(medium)
    for index, target in enumerate(settings.pings):
        yield ("ping nodes" if index == 0 else ""), _ping(target)
    yield "heartbeat", f"every {_time(timing.keepalive_s)}, late after {_time(timing.warntime_s)}"
    yield "dead after", f"{_time(timing.deadtime_s)}, {_time(timing.initdead_s)} after a start"
    yield "", f"without quorum resources are let go {_time(timing.margin_s)} before that"
    if settings.pings:
        yield "", f"a ping node: {_time(timing.deadping_s)}"
    for index, text in enumerate(_quorum(settings)):
        yield ("quorum" if index == 0 else ""), text
    if settings.crm:
        yield "resources", "from the CIB (cib.xml)"
    else:
        yield "resources", f"from haresources, auto_failback {settings.auto_failback}"
    for index, program in enumerate(settings.respawns):
        kind = "ends the node when it ends" if program.failfast else "started again when it ends"
        label = "programs" if index == 0 else ""
        yield label, f"{program.command} (as {program.user}; {kind})"
    for index, right in enumerate(settings.api_rights):
        accounts = [f"user {name}" for name in right.users]
        accounts += [f"group {name}" for name in right.groups]
        yield ("may register" if index == 0 else ""), f"as {right.client}: {', '.join(accounts)}"
    if settings.watchdog:
        timer = f"after {settings.watchdog_timer_s} s without a sign of life"
        yield "watchdog", f"{settings.watchdog} resets this node {timer}"
    yield "log", _log(settings)
    kilobytes = settings.compression_threshold_bytes // 1024
    yield "messages", f"above {kilobytes} KB compressed with {settings.compression}"
    for index, (name, value) in enumerate(settings.environment.items()):
        yield ("variables" if index == 0 else ""), f"HA_{name}={value}"


def _medium(medium: Medium) -> str:
    where = f"{medium.device}: {medium.kind.value}, port {medium.port}"
    match medium.kind:
        case MediumKind.SERIAL:
            return f"{medium.device}: serial, {medium.baud} baud"
        case MediumKind.BCAST:
            return where
        case MediumKind.UCAST | MediumKind.UCAST6:
            return f"{where}, to {medium.address}"
        case MediumKind.MCAST | MediumKind.MCAST6:
            return f"{where}, group {medium.address}, ttl {medium.ttl}, loop {medium.loop}"


def _quorum(settings: ClusterSettings) -> Iterator[str]:
    """Tell who may act, as the chain of plugins says."""
    electorate = settings.electorate
    nodes = electorate.nodes
    votes = sum(map(electorate.weight_of, nodes))
    for index, name in enumerate(electorate.chain):
        match name:
            case "majority":
                text = f"more than half of the nodes ({len(nodes) // 2 + 1} of {len(nodes)})"
            case "weight":
                text = f"more than half of the votes ({votes // 2 + 1} of {votes})"
            case "twonodes" if len(nodes) == 2:
                text = "each of the two nodes, alone as well: without fencing both may act"
            case "twonodes":
                text = "nobody"
            case "ping":
                text = "nobody whom no ping node answers; else"
            case _:
                text = f"the half that the quorum server {electorate.server} chooses"
        yield text if index == 0 else f"at a tie: {text}"


def _ping(target: PingTarget) -> str:
    if target.hosts == (target.name,):
        return f"{target.name} (IPv6)" if target.by_ipv6 else target.name
    return f"{target.name}: any of {', '.join(target.hosts)}"


def _log(settings: ClusterSettings) -> str:
    log = settings.log
    places = [
        *([log.logfile] if log.logfile else []),
        *([f"{log.debugfile} (all levels)"] if log.debugfile else []),
        *([f"syslog facility {log.facility}"] if log.facility else []),
    ]
    if log.use_logd or not places:
        places.append("/var/log/ha-log")
    return f"{', '.join(places)}; debug level {log.debug}"


def _time(seconds: float) -> str:
    """Write a time as ha.cf does, with its unit."""
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    return f"{seconds:g} s"


def _page() -> Iterator[str]:
    yield "# ha.cf, directive by directive"
    yield ""
    yield "What the file says is checked as a whole before anything starts: `heartbeat --check`"
    yield "prints what it means, or every problem with its line and a way out. A `#` begins a"
    yield "remark anywhere in a line. Times are seconds, or carry `ms` or `us`: `2`, `1500ms`."
    yield "Booleans are `on`, `true`, `yes`, `y`, `1` and `off`, `false`, `no`, `n`, `0`."
    yield "Where several values may stand in a line, blanks and commas divide them."
    for title, section in SECTIONS:
        yield from ("", f"## {title}", "")
        yield "| directive | default | what it does |"
        yield "|---|---|---|"
        for directive in section:
            yield _row(directive)


def _row(directive: Directive) -> str:
    form = f"{directive.name} {directive.form}".replace("|", "\\|")
    notes = [directive.effect]
    if directive.old_name_of:
        notes.append(f"an old name, write `{directive.old_name_of}`")
    if directive.may_stand_once:
        notes.append("may be stated once")
    if directive.must_precede:
        notes.append(f"stands above `{directive.must_precede}`")
    match directive.stance:
        case Stance.EFFECTIVE:
            text = "; ".join(notes)
        case Stance.WITHOUT_EFFECT:
            text = f"*accepted, without effect:* {'; '.join(notes)}"
        case Stance.REFUSED:
            text = f"*refused:* {'; '.join(notes)}"
    return f"| `{form}` | {directive.default} | {text} |"
