"""Every directive of ha.cf: what it accepts, what it makes of it, and every refusal."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crm.plumbing.errors import Severity
from messaging.cluster_settings import (
    ApiRight,
    ClusterSettings,
    Medium,
    MediumKind,
    PingTarget,
    RespawnLine,
    Timing,
)
from messaging.ha_cf import meaning, reading
from messaging.ha_cf.directives import DIRECTIVES, Stance

MANUAL = Path(__file__).resolve().parents[4] / "docs/ha.cf.md"
_NEEDED = {
    "keepalive": "keepalive 1",
    "deadtime": "deadtime 10",
    "initdead": "initdead 20",
    "media": "bcast eth1",
    "node": "node n1 n2",
    "crm": "crm yes",
    "logfacility": "logfacility daemon",
}

Look = Callable[[ClusterSettings], object]


def read(*lines: str) -> tuple[ClusterSettings | None, list[str], list[str]]:
    """Read lines with what else a file needs; settings, codes of errors, codes of warnings."""
    stated = {
        DIRECTIVES[name].kept_as
        for name in (line.split()[0] for line in lines)
        if name in DIRECTIVES
    }
    rest = [line for key, line in _NEEDED.items() if key not in stated]
    settings, problems = reading.read("\n".join([*lines, *rest]), node="n1")
    by_severity: dict[Severity, list[str]] = {Severity.ERROR: [], Severity.WARNING: []}
    for problem in problems:
        by_severity[problem.severity].append(problem.code)
    return settings, by_severity[Severity.ERROR], by_severity[Severity.WARNING]


def media(settings: ClusterSettings) -> object:
    return settings.media


def timing(settings: ClusterSettings) -> Timing:
    return settings.timing


VALID: list[tuple[str, Look, object]] = [
    ("keepalive 200ms", lambda s: timing(s).keepalive_s, 0.2),
    ("keepalive 2 3", lambda s: timing(s).keepalive_s, 3.0),
    ("warntime 5", lambda s: timing(s).warntime_s, 5.0),
    ("deadtime 15", lambda s: timing(s).deadtime_s, 15.0),
    ("initdead 30", lambda s: timing(s).initdead_s, 30.0),
    ("deadping 12", lambda s: timing(s).deadping_s, 12.0),
    ("udpport 700", media, (Medium(MediumKind.BCAST, "eth1", 700),)),
    ("bcast eth1,eth2", lambda s: s.links, ("eth1", "eth2")),
    ("udp eth1", media, (Medium(MediumKind.BCAST, "eth1", 694),)),
    ("ucast eth1 peer.example", media, (Medium(MediumKind.UCAST, "eth1", 694, "peer.example"),)),
    ("ucast6 eth1 fd00:0::2", media, (Medium(MediumKind.UCAST6, "eth1", 694, "fd00::2"),)),
    (
        "mcast eth1 225.0.0.1 700 255 1",
        media,
        (Medium(MediumKind.MCAST, "eth1", 700, "225.0.0.1", 255, 1),),
    ),
    (
        "mcast6 eth1 ff05::694 694 1 0",
        media,
        (Medium(MediumKind.MCAST6, "eth1", 694, "ff05::694", 1, 0),),
    ),
    ("baud 9600", lambda s: s.links, ("eth1",)),
    (
        "serial /dev/ttyS0",
        media,
        (Medium(MediumKind.SERIAL, "/dev/ttyS0", 0, baud=19200),),
    ),
    ("hopfudge 3", lambda s: s.hopfudge, 3),
    ("realtime off", lambda s: s.realtime, False),
    ("rtprio 5", lambda s: s.rtprio, 5),
    ("ping gw,10.0.0.1", lambda s: [each.name for each in s.pings], ["gw", "10.0.0.1"]),
    ("ping_group net a b", lambda s: s.pings, (PingTarget("net", ("a", "b")),)),
    (
        "ping6 fd00:0::1 gw fe80::1%eth0",
        lambda s: s.pings,
        (
            PingTarget("fd00:0::1", ("fd00::1",), by_ipv6=True),
            PingTarget("gw", ("gw",), by_ipv6=True),
            PingTarget("fe80::1%eth0", ("fe80::1%eth0",), by_ipv6=True),
        ),
    ),
    ("ping_group net a fd00::1", lambda s: s.pings, (PingTarget("net", ("a", "fd00::1")),)),
    ("node N1,n2 n3", lambda s: s.nodes, ("n1", "n2", "n3")),
    ("nodeweight n2 200", lambda s: s.weights, {"n2": 200}),
    ("quorum_server q", lambda s: s.electorate.server, "q:5561"),
    ("quorum_server q 700", lambda s: s.electorate.chain, ("majority", "quorumd")),
    ("nodesite n2 berlin", lambda s: s.sites, {"n2": "berlin"}),
    ("env quorum=weight:twonodes", lambda s: s.electorate.chain, ("weight", "twonodes")),
    ("autojoin none", lambda s: s.autojoin, "none"),
    ("autojoin other", lambda s: s.autojoin, "other"),
    ("autojoin any", lambda s: s.autojoin, "any"),
    ("cluster lab", lambda s: s.cluster, "lab"),
    ("crm on", lambda s: s.mode, "crm"),
    ("crm respawn", lambda s: s.crm, True),
    ("crm ccm-only", lambda s: (s.crm, s.only_membership), (True, True)),
    ("pacemaker true", lambda s: s.crm, True),
    ("auto_failback legacy", lambda s: s.auto_failback, "legacy"),
    ("auto_failback No", lambda s: s.auto_failback, "off"),
    ("nice_failback on", lambda s: s.auto_failback, "off"),
    (
        "respawn hacluster /usr/lib/heartbeat/pingd -m 100",
        lambda s: s.respawns,
        (RespawnLine("hacluster", "/usr/lib/heartbeat/pingd -m 100", failfast=False, line=1),),
    ),
    (
        "failfast root /usr/bin/guard",
        lambda s: s.respawns,
        (RespawnLine("root", "/usr/bin/guard", failfast=True, line=1),),
    ),
    ("watchdog /dev/watchdog0", lambda s: s.watchdog, "/dev/watchdog0"),
    ("watchdog_timer 5500ms", lambda s: s.watchdog_timer_s, 6),
    (
        "apiauth ipfail uid=hacluster gid=haclient,root",
        lambda s: s.api_rights,
        (ApiRight("ipfail", ("hacluster",), ("haclient", "root"), 1),),
    ),
    ("env A=b=c", lambda s: s.environment, {"A": "b=c"}),
    ("debug 3", lambda s: s.log.debug, 3),
    ("debugfile /var/log/ha-debug", lambda s: s.log.debugfile, "/var/log/ha-debug"),
    ("logfile /var/log/ha-log", lambda s: s.log.logfile, "/var/log/ha-log"),
    ("logfacility LOCAL0", lambda s: s.log.facility, "local0"),
    ("logfacility none", lambda s: s.log.facility, ""),
    ("use_logd yes", lambda s: s.log.use_logd, True),
    ("syslogmsgfmt off", lambda s: s.log.syslog_format, False),
    ("compression bz2", lambda s: s.compression, "bz2"),
    ("compression_threshold 4", lambda s: s.compression_threshold_bytes, 4096),
]

IDLE = [
    "hbgenmethod time",
    "normalpoll on",
    "max_rexmit_delay 250",
    "uuidfrom nodename",
    "memreserve 6500",
    "crm_daemon_dir /usr/lib/heartbeat",
    "crmd_spawns_pengine off",
    "coredumps true",
    "coreroot /var/lib/heartbeat/cores",
    "record_config_changes on",
    "record_pengine_inputs on",
    "enable_config_writes on",
    "conn_logd_time 60",
    "use_apphbd no",
    "log_badpack on",
    "msgfmt netstring",
    "traditional_compression no",
]

REFUSALS = [
    ("keepalive 0", "bad-value"),
    ("keepalive x", "bad-value"),
    ("keepalive 2min", "bad-value"),
    ("keepalive -1", "bad-value"),
    ("keepalive 90000", "bad-value"),
    ("keepalive ٣", "bad-value"),
    ("keepalive 6", "deadtime-too-small"),
    ("warntime soon", "bad-value"),
    ("deadtime 2", "deadtime-too-small"),
    ("deadtime 0", "bad-value"),
    ("initdead 5", "initdead-too-small"),
    ("initdead 0", "bad-value"),
    ("deadping 2", "deadping-too-small"),
    ("deadping x", "bad-value"),
    ("hbgenmethod clock", "bad-value"),
    ("normalpoll maybe", "bad-value"),
    ("max_rexmit_delay 0", "bad-value"),
    ("max_rexmit_delay 2s", "bad-value"),
    ("udpport 0", "bad-value"),
    ("udpport 65536", "bad-value"),
    ("udpport ha-cluster", "bad-value"),
    ("bcast eth1/0", "bad-value"),
    ("bcast a-name-that-is-too-long", "bad-value"),
    ("udp eth1/0", "bad-value"),
    ("ucast eth1", "bad-value"),
    ("ucast eth1 10.0.0.1 10.0.0.2", "bad-value"),
    ("ucast eth1 10.0.0.1/24", "bad-value"),
    ("ucast eth1 fd00::1", "bad-value"),
    ("ucast6 eth1", "bad-value"),
    ("ucast6 eth1 fd00:::1", "bad-value"),
    ("mcast eth1 10.0.0.1 694 1 0", "bad-value"),
    ("mcast eth1 group 694 1 0", "bad-value"),
    ("mcast eth1 225.0.0.1 694 1", "bad-value"),
    ("mcast eth1 225.0.0.1 0 1 0", "bad-value"),
    ("mcast eth1 225.0.0.1 694 256 0", "bad-value"),
    ("mcast eth1 225.0.0.1 694 1 2", "bad-value"),
    ("mcast6 eth1 fd00::1 694 1 0", "bad-value"),
    ("mcast6 eth1 225.0.0.1 694 1 0", "bad-value"),
    ("mcast6 eth1 ff05::694 694 1", "bad-value"),
    ("baud 7", "bad-value"),
    ("serial ttyS0", "bad-value"),
    ("rds eth1", "unsupported-directive"),
    ("tipc eth1", "unsupported-directive"),
    ("ping gw gw", "bad-value"),
    ("ping a/b", "bad-value"),
    ("ping_group lonely", "bad-value"),
    ("ping_group net a/b", "bad-value"),
    ("ping6 fd00:::1", "bad-value"),
    ("ping6 a/b", "bad-value"),
    ("ping6 fe80::1", "bad-value"),
    ("ping6 gw gw", "bad-value"),
    ("ping_group net fe80::1", "bad-value"),
    ("hbaping fc0", "unsupported-directive"),
    ("node n1 N1", "bad-value"),
    ("node n$", "bad-value"),
    ("node -n", "bad-value"),
    ("autojoin yes", "bad-value"),
    ("autojoin perhaps", "bad-value"),
    ("uuidfrom clock", "bad-value"),
    ("quorum_server q r", "bad-value"),
    ("quorum_server q 1 2", "bad-value"),
    ("nodeweight n1", "bad-value"),
    ("nodeweight n1 heavy", "bad-value"),
    ("nodeweight n1 -1", "bad-value"),
    ("nodeweight n7 100", "bad-value"),
    ("nodesite n1", "bad-value"),
    ("nodesite n7 berlin", "bad-value"),
    ("env quorum=majorty", "bad-value"),
    ("env quorum=majority:quorumd", "bad-value"),
    ("env quorum=majority:ping:twonodes", "bad-value"),
    ("memreserve lots", "bad-value"),
    (f"cluster {'x' * 101}", "bad-value"),
    ("crm maybe", "bad-value"),
    ("crm no", "no-resources"),
    ("pacemaker perhaps", "bad-value"),
    ("crm_daemon_dir lib", "bad-value"),
    ("crmd_spawns_pengine perhaps", "bad-value"),
    ("auto_failback perhaps", "bad-value"),
    ("nice_failback perhaps", "bad-value"),
    ("stonith external/ssh /etc/x", "unsupported-directive"),
    ("stonith_host * ssh a", "unsupported-directive"),
    ("respawn hacluster pingd", "bad-value"),
    ("respawn /usr/bin/pingd", "bad-value"),
    ("failfast root guard", "bad-value"),
    ("apiauth x", "bad-value"),
    ("apiauth x pid=3", "bad-value"),
    ("apiauth x uid=", "bad-value"),
    ("watchdog watchdog", "bad-value"),
    ("watchdog_timer soon", "bad-value"),
    ("hopfudge 256", "bad-value"),
    ("coredumps perhaps", "bad-value"),
    ("coreroot cores", "bad-value"),
    ("realtime perhaps", "bad-value"),
    ("rtprio 0", "bad-value"),
    ("rtprio 100", "bad-value"),
    ("use_apphbd on", "bad-value"),
    ("use_apphbd perhaps", "bad-value"),
    ("record_config_changes perhaps", "bad-value"),
    ("record_pengine_inputs perhaps", "bad-value"),
    ("enable_config_writes perhaps", "bad-value"),
    ("env A", "bad-value"),
    ("env 1=2", "bad-value"),
    ("debug 256", "bad-value"),
    ("debugfile ha-debug", "bad-value"),
    ("logfile //var/log/ha-log", "bad-value"),
    ("logfacility local8", "bad-value"),
    ("use_logd perhaps", "bad-value"),
    ("conn_logd_time never", "bad-value"),
    ("syslogmsgfmt perhaps", "bad-value"),
    ("log_badpack perhaps", "bad-value"),
    ("msgfmt xml", "bad-value"),
    ("compression lzma", "bad-value"),
    ("compression_threshold 0", "bad-value"),
    ("traditional_compression perhaps", "bad-value"),
]


def test_every_directive_is_tried_both_ways() -> None:
    accepted = {line.split()[0] for line in (*(line for line, _, _ in VALID), *IDLE)}
    refused = {line.split()[0] for line, _ in REFUSALS}
    unsupported = {d.name for d in DIRECTIVES.values() if d.stance is Stance.REFUSED}

    assert accepted == set(DIRECTIVES) - unsupported
    assert refused == set(DIRECTIVES)


@pytest.mark.parametrize(("line", "look", "value"), VALID, ids=[line for line, _, _ in VALID])
def test_a_right_line_says_what_it_means(line: str, look: Look, value: object) -> None:
    settings, errors, _ = read(line)

    assert settings is not None, errors
    assert look(settings) == value


@pytest.mark.parametrize("line", IDLE)
def test_a_line_without_effect_is_read_and_its_reason_told(line: str) -> None:
    settings, errors, _ = read(line)
    statements, _ = reading.read_statements(line)

    assert settings is not None, errors
    assert len(meaning.of_idle_lines(statements)) == 1


@pytest.mark.parametrize(("line", "code"), REFUSALS, ids=[line for line, _ in REFUSALS])
def test_a_wrong_line_is_refused_with_a_way_out(line: str, code: str) -> None:
    settings, errors, _ = read(line)
    _, problems = reading.read(line, node="n1")

    assert settings is None
    assert code in errors
    assert all(problem.hint for problem in problems if problem.severity is Severity.ERROR)


@pytest.mark.parametrize("name", sorted(DIRECTIVES))
def test_a_directive_without_a_value_is_refused(name: str) -> None:
    _, errors, _ = read(name)

    is_supported = DIRECTIVES[name].stance is not Stance.REFUSED
    assert ("missing-value" if is_supported else "unsupported-directive") in errors


@pytest.mark.parametrize("name", sorted(d.name for d in DIRECTIVES.values() if d.may_stand_once))
def test_what_may_stand_once_is_refused_the_second_time(name: str) -> None:
    line = next(line for line in (*(row[0] for row in VALID), *IDLE) if line.split()[0] == name)

    assert read(line, line)[1] == ["bad-value"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("watchdog_timer 5",), "without-effect"),
        (("serial /dev/ttyS0", "baud 9600"), "too-low"),
        (("crm manual",), "without-effect"),
        (("use_logd yes", "logfile /var/log/ha-log"), "without-effect"),
        (("udp eth1",), "old-name"),
        (("nice_failback on",), "old-name"),
        (("bcast eth1", "udpport 700"), "udpport-below-media"),
        (("crm yes", "crm_daemon_dir /usr/lib/heartbeat"), "too-low"),
        (("keepalive 1", "keepalive 2"), "stated-again"),
        (("keepalive 1 2",), "stated-again"),
        (("deadtime 2", "keepalive 500ms", "initdead 9"), "initdead-small"),
    ],
)
def test_what_surprises_is_warned_of(lines: tuple[str, ...], code: str) -> None:
    settings, errors, warnings = read(*lines)

    assert settings is not None, errors
    assert warnings == [code]


@pytest.mark.parametrize(
    ("lines", "timer_s"),
    [
        (("watchdog /dev/watchdog", "deadtime 10"), 11),
        (("watchdog /dev/watchdog", "deadtime 1500ms", "keepalive 500ms"), 2),
        (("watchdog /dev/watchdog", "watchdog_timer 4"), 4),
        (("watchdog /dev/watchdog", "watchdog_timer 4200ms"), 5),
    ],
)
def test_the_watchdog_bites_a_little_after_the_deadtime_unless_stated(
    lines: tuple[str, ...], timer_s: int
) -> None:
    settings, errors, _ = read(*lines)

    assert settings is not None, errors
    assert settings.watchdog_timer_s == timer_s


def test_a_watchdog_that_would_bite_a_node_that_works_is_refused() -> None:
    assert read("watchdog /dev/watchdog", "watchdog_timer 2")[1] == ["watchdog-timer-too-small"]
    assert read("watchdog /dev/watchdog", "watchdog_timer 2001ms")[1] == []


def test_a_speed_holds_for_the_serial_lines_below_it() -> None:
    settings, _, warnings = read("serial /dev/ttyS0", "baud 9600", "serial /dev/ttyS1")

    assert settings is not None
    assert [(each.device, each.baud) for each in settings.media] == [
        ("/dev/ttyS0", 19200),
        ("/dev/ttyS1", 9600),
    ]
    assert warnings == ["too-low"]


@pytest.mark.parametrize(
    ("word", "errors"),
    [("none", ["local-node-missing"]), ("other", ["local-node-missing"]), ("any", [])],
)
def test_only_autojoin_any_does_without_this_node_in_the_list(word: str, errors: list[str]) -> None:
    assert read(f"autojoin {word}", "node n2")[1] == errors


def test_autojoin_any_needs_no_list_at_all() -> None:
    lines = [line for name, line in _NEEDED.items() if name != "node"]
    settings, problems = reading.read("\n".join([*lines, "autojoin any"]), node="n1")
    assert settings is not None and settings.nodes == (), problems


def test_haresources_has_two_nodes_and_nobody_joins() -> None:
    text = "\n".join(line for name, line in _NEEDED.items() if name != "crm")
    _, problems = reading.read(f"{text}\nautojoin other", node="n1", has_haresources=True)
    assert "autojoin-with-haresources" in [problem.code for problem in problems]


def test_a_ping_node_is_not_called_as_a_node_is() -> None:
    assert read("ping n2")[1] == ["bad-value"]
    assert read("ping_group N2 a b")[1] == ["bad-value"]


def test_the_port_without_a_line_is_that_of_the_service() -> None:
    text = "bcast eth1\nnode n1\ncrm yes\nlogfacility daemon\ndeadtime 10\n"
    settings, _ = reading.read(text, node="n1", default_port=1694)

    assert settings is not None
    assert (settings.media[0].port, settings.parameters["udpport"]) == (1694, "1694")


def test_there_is_room_for_a_hundred_nodes_and_64_media() -> None:
    names = " ".join(f"n{number}" for number in range(1, 102))
    devices = " ".join(f"eth{number}" for number in range(1, 66))

    assert read(f"node {names}")[1] == ["bad-value"]
    assert read(f"bcast {devices}")[1] == ["bad-value"]


def test_the_stated_defaults_are_those_of_an_empty_file() -> None:
    needed = ("bcast eth1", "node n1", "logfacility daemon")
    defaults = [line for line in meaning.of_defaults() if not line.startswith(("crm ", "use_logd"))]
    silent, _ = reading.read("\n".join([*needed, "crm on"]), node="n1")
    spoken, problems = reading.read("\n".join([*defaults, *needed, "crm on"]), node="n1")

    assert problems == []
    assert silent is not None and spoken is not None
    assert replace(spoken, parameters={}) == replace(silent, parameters={})


def test_the_manual_lists_every_directive_as_the_table_does() -> None:
    if os.environ.get("BLESS"):
        MANUAL.write_text(meaning.manual(), encoding="utf-8")

    assert MANUAL.read_text(encoding="utf-8") == meaning.manual()
