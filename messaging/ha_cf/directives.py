"""Every directive of ha.cf: how it is read, what it defaults to, and what it does here.

One table. The reader, the hints of its errors, `heartbeat --check`, `heartbeat -D` and the page
docs/ha.cf.md are made from it. A directive that makes no sense any more is in it too, with the
reason: old files stay valid wherever nothing is lost by that.

Source: Heartbeat's ha.cf as published, releases 2.0 to 3.0.6.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from messaging.cluster_settings import (
    DEFAULT_BAUD,
    DEFAULT_CLUSTER,
    DEFAULT_PORT,
    DEFAULT_QUORUM_PORT,
)
from messaging.ha_cf import values


class Reading(enum.Enum):
    """What of a line makes one value."""

    LINE = "the rest of the line"
    WORDS = "each word"


class Stance(enum.Enum):
    """What becomes of a directive here."""

    EFFECTIVE = "effective"
    WITHOUT_EFFECT = "accepted, without effect"
    REFUSED = "refused"


@dataclass(frozen=True)
class Directive:
    """One directive: `parse` turns one value into what it means, or raises `BadValueError`.

    `default` is text for people: what holds when the file says nothing. `effect` is a sentence;
    for one without effect it says why, for a refused one what to write instead. `key` is the name
    under which the value is kept, where several directives state the same.
    """

    name: str
    form: str
    effect: str
    # Any: each directive has a type of its own; `building` knows which.
    parse: Callable[[str], Any] = values.text
    default: str = ""
    reading: Reading = Reading.WORDS
    stance: Stance = Stance.EFFECTIVE
    key: str = ""
    is_list: bool = False
    may_stand_once: bool = False
    must_precede: str = ""
    old_name_of: str = ""

    @property
    def kept_as(self) -> str:
        """The name its values are kept under."""
        return self.key or self.name


def _idle(name: str, form: str, why: str, parse: Callable[[str], Any], **more: Any) -> Directive:
    """Describe a directive that is read, checked, and has no effect."""
    return Directive(name, form, why, parse, stance=Stance.WITHOUT_EFFECT, **more)


def _refused(name: str, form: str, instead: str) -> Directive:
    return Directive(name, form, instead, reading=Reading.LINE, stance=Stance.REFUSED)


_TIMING = (
    Directive("keepalive", "TIME", "time between two heartbeats", values.span_s, "1"),
    Directive(
        "warntime",
        "TIME",
        "a heartbeat later than this is logged as late",
        values.span_s,
        "half of deadtime",
    ),
    Directive(
        "deadtime",
        "TIME",
        "silence after which a node is declared dead; above twice the keepalive",
        values.span_s,
        "30",
    ),
    Directive(
        "initdead",
        "TIME",
        "deadtime of a node not yet heard of since the start; not below deadtime",
        values.span_s,
        "deadtime if above 10; 12 if deadtime is below 6; else twice deadtime",
    ),
    Directive("deadping", "TIME", "deadtime of ping nodes", values.span_s, "deadtime"),
    _idle(
        "hbgenmethod",
        "file|time",
        "starts are counted in hb_generation, and sessions are told apart by keys of their own",
        values.one_of("file", "time"),
        default="file",
    ),
    _idle("normalpoll", "BOOLEAN", "the event loop always uses epoll", values.boolean),
    _idle(
        "max_rexmit_delay",
        "MILLISECONDS",
        "what is missing is asked for within milliseconds",
        values.number(1, 999_999_999),
        default="250",
    ),
)

_MEDIA = (
    Directive(
        "udpport",
        "PORT",
        "UDP port of the bcast and ucast lines below it; the default is that of the service"
        " ha-cluster, if the system knows one",
        values.number(1, 65535),
        str(DEFAULT_PORT),
    ),
    Directive(
        "bcast",
        "INTERFACE...",
        "heartbeats to the broadcast address of each interface",
        values.bcast,
        key="media",
        is_list=True,
    ),
    Directive(
        "udp",
        "INTERFACE...",
        "the same as bcast",
        values.bcast,
        key="media",
        is_list=True,
        old_name_of="bcast",
    ),
    Directive(
        "ucast",
        "INTERFACE PEER",
        "heartbeats to one peer; a line with an own address does no harm",
        values.ucast,
        reading=Reading.LINE,
        key="media",
        is_list=True,
    ),
    Directive(
        "ucast6",
        "INTERFACE PEER",
        "heartbeats to one peer over IPv6",
        values.ucast6,
        reading=Reading.LINE,
        key="media",
        is_list=True,
    ),
    Directive(
        "mcast",
        "INTERFACE GROUP PORT TTL LOOP",
        "heartbeats to a multicast group (class D); TTL 0 to 255, LOOP 0 or 1",
        values.mcast,
        reading=Reading.LINE,
        key="media",
        is_list=True,
    ),
    Directive(
        "mcast6",
        "INTERFACE GROUP PORT HOPS LOOP",
        "heartbeats to an IPv6 multicast group",
        values.mcast6,
        reading=Reading.LINE,
        key="media",
        is_list=True,
    ),
    Directive(
        "baud",
        "RATE",
        "speed of the serial lines, 9600 to 460800 bits per second",
        values.baud,
        str(DEFAULT_BAUD),
        may_stand_once=True,
        must_precede="serial",
    ),
    Directive(
        "serial",
        "DEVICE...",
        "heartbeats over serial lines; a node with two of them passes packets on, around a ring",
        values.serial,
        key="media",
        is_list=True,
    ),
    _refused("rds", "...", "this medium is not supported; use ucast, bcast or mcast"),
    _refused("tipc", "...", "this medium is not supported; use ucast, bcast or mcast"),
    Directive(
        "ping",
        "HOST...",
        "each host becomes a ping node, which shows whether the network works",
        values.ping,
        key="pings",
        is_list=True,
    ),
    Directive(
        "ping_group",
        "NAME HOST...",
        "one ping node that is up while any of its hosts answers; names are looked up for IPv4",
        values.ping_group,
        reading=Reading.LINE,
        key="pings",
        is_list=True,
    ),
    Directive(
        "ping6",
        "HOST...",
        "the same as ping, over IPv6",
        values.ping6,
        key="pings",
        is_list=True,
    ),
    _refused(
        "hbaping",
        "ADAPTER...",
        "it needs a library of the adapter's vendor; ping the network instead, with ping",
    ),
)

_NODES = (
    Directive(
        "node",
        "NAME...",
        "the nodes of the cluster, by the names 'uname -n' prints",
        values.node,
        is_list=True,
    ),
    Directive(
        "nodeweight",
        "NODE VOTES",
        "votes of a node where the quorum plugin 'weight' counts (`env quorum=weight:twonodes`);"
        " the same on all nodes",
        values.node_weight,
        "100",
        reading=Reading.LINE,
        is_list=True,
    ),
    Directive(
        "nodesite",
        "NODE SITE",
        "the site of a node, as `cl_status nodesite` tells it",
        values.node_site,
        reading=Reading.LINE,
        is_list=True,
    ),
    Directive(
        "autojoin",
        "none|other|any",
        "none: only hb_addnode adds nodes. other, any: a node with the right authkeys that is not"
        " listed joins when a quorum of the others lets it in. any: this node need not be listed"
        " itself; then it waits for a cluster that lets it in. Not with haresources",
        values.one_of("none", "other", "any"),
        "none",
    ),
    _idle(
        "uuidfrom",
        "file|nodename",
        "the identity of a node is always kept in hb_uuid",
        values.one_of("file", "nodename"),
        default="file",
    ),
    Directive(
        "cluster",
        "NAME",
        "name of the cluster; packets of another name are not taken",
        values.cluster_name,
        DEFAULT_CLUSTER,
    ),
    Directive(
        "quorum_server",
        "HOST [PORT]",
        "host where `quorumd` decides which half of the cluster goes on (docs/protocol/quorumd.md);"
        f" port {DEFAULT_QUORUM_PORT} unless stated; written alike on all nodes",
        values.quorum_server,
        reading=Reading.LINE,
        may_stand_once=True,
    ),
    _idle(
        "memreserve",
        "KILOBYTES",
        "heartbeat locks what it uses, and nothing ahead of it",
        values.number(0, 999_999_999),
        default="6500",
    ),
)

_RESOURCES = (
    Directive(
        "crm",
        "BOOLEAN",
        "on: resources come from the CIB; off: from haresources; ccm-only: membership alone",
        values.resource_manager,
        "off",
        may_stand_once=True,
    ),
    Directive(
        "pacemaker",
        "BOOLEAN",
        "the same as crm",
        values.resource_manager,
        "off",
        key="crm",
        may_stand_once=True,
    ),
    _idle(
        "crm_daemon_dir",
        "FOLDER",
        "our daemons are found beside heartbeat itself",
        values.path,
        must_precede="crm",
    ),
    _idle(
        "crmd_spawns_pengine",
        "BOOLEAN",
        "heartbeat starts the policy engine",
        values.boolean,
        must_precede="crm",
    ),
    Directive(
        "auto_failback",
        "on|off|legacy",
        "whether resources of haresources go back to their home node; in the CIB it is stickiness",
        values.failback,
        "legacy",
    ),
    Directive(
        "nice_failback",
        "BOOLEAN",
        "the contrary of auto_failback",
        values.old_failback,
        key="auto_failback",
        old_name_of="auto_failback",
    ),
    _refused(
        "stonith",
        "TYPE FILE",
        "fencing devices are configured in the CIB, as primitives of class stonith",
    ),
    _refused(
        "stonith_host",
        "HOST TYPE PARAMETERS...",
        "fencing devices are configured in the CIB, as primitives of class stonith",
    ),
    Directive(
        "respawn",
        "USER PROGRAM ARGUMENTS...",
        "a program that runs while the node is active and is started again when it ends",
        values.respawn,
        reading=Reading.LINE,
        key="programs",
        is_list=True,
    ),
    Directive(
        "failfast",
        "USER PROGRAM ARGUMENTS...",
        "like respawn; when the program ends, the node leaves the cluster",
        values.failfast,
        reading=Reading.LINE,
        key="programs",
        is_list=True,
    ),
    Directive(
        "apiauth",
        "CLIENT uid=A,B gid=C,D",
        "who may register with heartbeat under a name; 'default' is for names without a line,"
        " 'anon' for programs that call themselves by their pid",
        values.apiauth,
        "our daemons' users; others are refused",
        reading=Reading.LINE,
        is_list=True,
    ),
    Directive(
        "watchdog",
        "DEVICE",
        "resets this computer when heartbeat shows no life for the time of watchdog_timer; usually"
        " /dev/watchdog, which has to be there",
        values.path,
        may_stand_once=True,
    ),
    Directive(
        "watchdog_timer",
        "TIME",
        "silence after which the watchdog bites, in whole seconds; above twice the keepalive. Below"
        " deadtime, a node that hangs is reset before the others take over",
        values.span_s,
        "deadtime and 10 ms",
        may_stand_once=True,
    ),
    Directive(
        "hopfudge",
        "NUMBER",
        "serial lines a packet may travel, beyond the number of nodes",
        values.number(0, 255),
        "1",
    ),
    _idle("coredumps", "BOOLEAN", "the limits of the service manager hold", values.boolean),
    _idle("coreroot", "FOLDER", "black boxes lie in the state directory", values.path),
    Directive(
        "realtime",
        "BOOLEAN",
        "heartbeat (not its children) has real-time scheduling and locked memory, if permitted",
        values.boolean,
        "on",
    ),
    Directive(
        "rtprio",
        "PRIORITY",
        "priority of the real-time scheduling (round-robin), 1 to 99",
        values.number(1, 99),
        "1",
    ),
    _idle(
        "use_apphbd",
        "no",
        "there is no application heartbeat daemon; every daemon of ours is watched",
        values.no_apphbd,
        default="no",
    ),
    _idle(
        "record_config_changes",
        "BOOLEAN",
        "every version of the configuration is kept ('crm configure log')",
        values.boolean,
    ),
    _idle(
        "record_pengine_inputs",
        "BOOLEAN",
        "the properties pe-input-series-max and its kin say it",
        values.boolean,
    ),
    _idle(
        "enable_config_writes",
        "BOOLEAN",
        "the configuration is always written to disk",
        values.boolean,
    ),
    Directive(
        "env",
        "NAME=VALUE",
        "sets the environment variable HA_NAME for all children",
        values.variable,
        is_list=True,
    ),
)

_LOGGING = (
    Directive("debug", "LEVEL", "0 none, 1 some, higher more", values.number(0, 255), "0"),
    Directive("debugfile", "FILE", "lines of all levels go there", values.path),
    Directive("logfile", "FILE", "lines of all levels but debug go there", values.path),
    Directive("logfacility", "FACILITY|none", "syslog facility of all lines", values.facility),
    Directive(
        "use_logd",
        "BOOLEAN",
        "on: lines go to the log file of the logging daemon's default",
        values.boolean,
        "on where no log is named",
    ),
    _idle(
        "conn_logd_time",
        "TIME",
        "there is no logging daemon to lose: no daemon of ours waits for its log",
        values.span_s,
        default="60",
    ),
    Directive("syslogmsgfmt", "BOOLEAN", "form of the lines in files", values.boolean, "on"),
    _idle(
        "log_badpack",
        "BOOLEAN",
        "what is dropped is counted by reason and logged once a minute",
        values.boolean,
        default="on",
    ),
)

_MESSAGES = (
    _idle(
        "msgfmt",
        "classic|netstring",
        "packets are sealed and have one form",
        values.one_of("classic", "netstring"),
        default="classic",
    ),
    Directive(
        "compression",
        "zlib|bz2",
        "how large messages are compressed",
        values.one_of("zlib", "bz2"),
        "zlib",
    ),
    Directive(
        "compression_threshold",
        "KILOBYTES",
        "messages larger than this are compressed",
        values.number(1, 1024 * 1024),
        "2",
    ),
    _idle(
        "traditional_compression",
        "BOOLEAN",
        "a message is always compressed as a whole",
        values.boolean,
        default="off",
    ),
)

SECTIONS: tuple[tuple[str, tuple[Directive, ...]], ...] = (
    ("Timing", _TIMING),
    ("Media and ping nodes", _MEDIA),
    ("Nodes", _NODES),
    ("Resources and programs", _RESOURCES),
    ("Logging", _LOGGING),
    ("Messages", _MESSAGES),
)
"""The directives by theme, in the order of the manual."""

DIRECTIVES = {directive.name: directive for _, section in SECTIONS for directive in section}
