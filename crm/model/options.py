"""Every option of the cluster, of resources and of operations: name, type, default, text; once.

The scheduler's defaults, the shell's completion, the checks of a CIB and the manual are made
from these tables. Agents' own parameters are not here: their metadata says them.

An option has one *name*, under which this project writes and shows it. Its other spellings
(`aliases`, older or newer) and the forms with underscores of Heartbeat 2 are read as well.
"""

from __future__ import annotations

import difflib
import enum
import functools
import re
from collections.abc import Iterable, Mapping

import msgspec

from crm.model import score
from crm.model.score import Score
from crm.plumbing import durations


class Kind(enum.Enum):
    """What a value of an option looks like."""

    TEXT = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NONNEGATIVE = "nonnegative_integer"
    SCORE = "score"
    DURATION = "duration"
    PERCENTAGE = "percentage"
    CHOICE = "select"


class Option(msgspec.Struct, frozen=True):
    """One option: what it is called, what it may be, what it is when not given, what it does.

    An empty `default` means that the option is unset unless given. `values` lists the words of a
    CHOICE (others, where a kind allows them, as text: `value-based`). `generated` options are
    written by the cluster, `advanced` ones left out of short listings.
    """

    name: str
    kind: Kind
    default: str
    text: str
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    generated: bool = False
    advanced: bool = False

    @property
    def spellings(self) -> tuple[str, ...]:
        """All names under which the option is read, its own first."""
        return (self.name, *self.aliases)

    @property
    def all_spellings(self) -> tuple[str, ...]:
        """The same, and then each with underscores as Heartbeat 2 wrote it."""
        underscored = (spelling.replace("-", "_") for spelling in self.spellings)
        return tuple(dict.fromkeys((*self.spellings, *underscored)))


# --- the cluster ----------------------------------------------------------------------------

_CLUSTER = (
    Option("dc-version", Kind.TEXT, "", "version of the software on the DC", generated=True),
    Option(
        "cluster-infrastructure",
        Kind.TEXT,
        "heartbeat",
        "messaging layer the cluster runs on",
        generated=True,
    ),
    Option("cluster-name", Kind.TEXT, "", "a name for the cluster, for people and for rules"),
    Option(
        "no-quorum-policy",
        Kind.CHOICE,
        "stop",
        "what a partition without quorum does with the resources it holds",
        values=("stop", "freeze", "ignore", "demote", "fence", "suicide"),
    ),
    Option(
        "symmetric-cluster",
        Kind.BOOLEAN,
        "true",
        "whether resources may run on any node unless a constraint forbids it",
    ),
    Option(
        "stonith-enabled",
        Kind.BOOLEAN,
        "true",
        "whether failed nodes, and nodes with resources that cannot be stopped, are fenced",
        aliases=("fencing-enabled",),
    ),
    Option(
        "stonith-action",
        Kind.CHOICE,
        "reboot",
        "what fencing does to a node",
        values=("reboot", "off", "poweroff"),
        aliases=("fencing-action",),
    ),
    Option(
        "stonith-timeout",
        Kind.DURATION,
        "60s",
        "how long the result of a fencing action is waited for",
        aliases=("fencing-timeout",),
    ),
    Option(
        "startup-fencing",
        Kind.BOOLEAN,
        "true",
        "whether nodes that were never seen are fenced at start",
        advanced=True,
    ),
    Option(
        "concurrent-fencing",
        Kind.BOOLEAN,
        "true",
        "whether several nodes may be fenced at the same time",
    ),
    Option(
        "fence-reaction",
        Kind.CHOICE,
        "stop",
        "what a node does that learns of its own fencing",
        values=("stop", "panic"),
    ),
    Option(
        "fence-remote-without-quorum",
        Kind.BOOLEAN,
        "false",
        "whether a partition without quorum may fence remote nodes",
        advanced=True,
    ),
    Option(
        "have-watchdog",
        Kind.BOOLEAN,
        "false",
        "whether a watchdog takes part in fencing",
        generated=True,
    ),
    Option(
        "stonith-watchdog-timeout",
        Kind.TEXT,
        "0",
        "how long until a node without quorum is taken to have ended itself; 0 means never",
        aliases=("fencing-watchdog-timeout",),
    ),
    Option(
        "stonith-max-attempts",
        Kind.NONNEGATIVE,
        "10",
        "how often fencing of one node may fail before it is no longer tried at once",
        aliases=("fencing-max-attempts",),
    ),
    Option(
        "priority-fencing-delay",
        Kind.DURATION,
        "0",
        "how long fencing of the node with the more important resources is held back",
    ),
    Option(
        "node-pending-timeout",
        Kind.DURATION,
        "0",
        "how long a node may hang while joining before it is fenced; 0 means for ever",
    ),
    Option(
        "maintenance-mode",
        Kind.BOOLEAN,
        "false",
        "whether the cluster leaves all resources alone and stops watching them",
    ),
    Option("stop-all-resources", Kind.BOOLEAN, "false", "whether all resources are stopped"),
    Option(
        "stop-orphan-resources",
        Kind.BOOLEAN,
        "true",
        "whether running resources that are no longer configured are stopped",
        aliases=("stop-removed-resources",),
    ),
    Option(
        "stop-orphan-actions",
        Kind.BOOLEAN,
        "true",
        "whether recurring operations that are no longer configured are cancelled",
        aliases=("cancel-removed-actions",),
    ),
    Option(
        "remove-after-stop",
        Kind.BOOLEAN,
        "false",
        "whether the executor forgets a resource once it is stopped",
        advanced=True,
    ),
    Option(
        "start-failure-is-fatal",
        Kind.BOOLEAN,
        "true",
        "whether one failed start bans a resource from a node",
    ),
    Option(
        "enable-startup-probes",
        Kind.BOOLEAN,
        "true",
        "whether nodes that join are asked what already runs on them",
        advanced=True,
    ),
    Option(
        "shutdown-lock",
        Kind.BOOLEAN,
        "false",
        "whether resources of a node that was shut down in order wait for it",
    ),
    Option(
        "shutdown-lock-limit",
        Kind.DURATION,
        "0",
        "how long a resource waits for its node after a shutdown; 0 means for ever",
    ),
    Option(
        "placement-strategy",
        Kind.CHOICE,
        "default",
        "how the capacity of nodes and the use of resources decide placement",
        values=("default", "utilization", "minimal", "balanced"),
    ),
    Option(
        "node-health-strategy",
        Kind.CHOICE,
        "none",
        "how attributes that begin with #health count",
        values=("none", "migrate-on-red", "only-green", "progressive", "custom"),
    ),
    Option("node-health-base", Kind.SCORE, "0", "score every node starts from (progressive)"),
    Option("node-health-green", Kind.SCORE, "0", "score of the health value green"),
    Option("node-health-yellow", Kind.SCORE, "0", "score of the health value yellow"),
    Option("node-health-red", Kind.SCORE, "-INFINITY", "score of the health value red"),
    Option(
        "cluster-delay",
        Kind.DURATION,
        "60s",
        "how long an answer from another node may take beyond the timeout of the action",
    ),
    Option(
        "batch-limit",
        Kind.INTEGER,
        "0",
        "how many actions run at the same time; 0 lets the cluster decide",
    ),
    Option(
        "migration-limit",
        Kind.INTEGER,
        "-1",
        "how many live migrations run at the same time on one node; -1 means no limit",
    ),
    Option(
        "node-action-limit",
        Kind.INTEGER,
        "0",
        "how many actions run at the same time on one node; 0 means twice its cores",
    ),
    Option("load-threshold", Kind.PERCENTAGE, "80%", "load above which fewer actions are run"),
    Option(
        "cluster-recheck-interval",
        Kind.DURATION,
        "15min",
        "how often the policy is looked at again although nothing changed",
    ),
    Option("dc-deadtime", Kind.DURATION, "20s", "how long a starting node waits to hear of a DC"),
    Option("election-timeout", Kind.DURATION, "2min", "how long an election may take"),
    Option(
        "shutdown-escalation",
        Kind.DURATION,
        "20min",
        "how long an orderly shutdown may take before a node leaves anyway",
    ),
    Option(
        "join-integration-timeout",
        Kind.DURATION,
        "3min",
        "how long joining nodes are waited for",
        aliases=("crmd-integration-timeout",),
        advanced=True,
    ),
    Option(
        "join-finalization-timeout",
        Kind.DURATION,
        "30min",
        "how long the end of a join may take",
        aliases=("crmd-finalization-timeout",),
        advanced=True,
    ),
    Option(
        "transition-delay",
        Kind.DURATION,
        "0s",
        "how long to gather changes before a transition is computed",
        aliases=("crmd-transition-delay",),
        advanced=True,
    ),
    Option(
        "pe-error-series-max",
        Kind.INTEGER,
        "-1",
        "how many scheduler inputs that gave errors are kept; -1 keeps all",
    ),
    Option(
        "pe-warn-series-max",
        Kind.INTEGER,
        "5000",
        "how many scheduler inputs that gave warnings are kept; -1 keeps all",
    ),
    Option(
        "pe-input-series-max",
        Kind.INTEGER,
        "4000",
        "how many other scheduler inputs are kept; -1 keeps all",
    ),
    Option(
        "cluster-ipc-limit",
        Kind.NONNEGATIVE,
        "500",
        "how many messages a client of a daemon may leave unread before it is cut off",
        advanced=True,
    ),
    Option("enable-acl", Kind.BOOLEAN, "false", "whether access control lists are applied"),
    Option(
        "last-lrm-refresh",
        Kind.TEXT,
        "",
        "when resources were last refreshed, in seconds since 1970",
        generated=True,
    ),
    Option(
        "default-resource-stickiness",
        Kind.SCORE,
        "",
        "old place of the resource default resource-stickiness",
        advanced=True,
    ),
    Option(
        "is-managed-default",
        Kind.BOOLEAN,
        "",
        "old place of the resource default is-managed",
        advanced=True,
    ),
    Option(
        "transition-idle-timeout",
        Kind.DURATION,
        "",
        "old name of cluster-delay",
        advanced=True,
    ),
    Option(
        "default-action-timeout",
        Kind.DURATION,
        "",
        "old place of the operation default timeout",
        advanced=True,
    ),
)

# --- resources ------------------------------------------------------------------------------

_RESOURCE = (
    Option("priority", Kind.SCORE, "0", "which resources go first when not all can be active"),
    Option(
        "critical",
        Kind.BOOLEAN,
        "true",
        "whether a failure may move the resources this one is placed with",
    ),
    Option(
        "target-role",
        Kind.CHOICE,
        "Started",
        "the state the cluster tries to keep the resource in",
        values=("Stopped", "Started", "Unpromoted", "Promoted", "Slave", "Master"),
    ),
    Option("is-managed", Kind.BOOLEAN, "true", "whether the cluster may start and stop it"),
    Option("maintenance", Kind.BOOLEAN, "false", "whether it is neither managed nor watched"),
    Option(
        "resource-stickiness",
        Kind.SCORE,
        "",
        "how much it prefers to stay where it is; 0 unless given, 1 for clones",
    ),
    Option(
        "requires",
        Kind.CHOICE,
        "",
        "what must hold before it may start; fencing unless given (quorum without fencing)",
        values=("nothing", "quorum", "fencing", "unfencing"),
    ),
    Option(
        "migration-threshold",
        Kind.SCORE,
        "INFINITY",
        "how many failures make a node ineligible; 0 means never",
    ),
    Option(
        "failure-timeout",
        Kind.DURATION,
        "0",
        "how long until a failure is forgotten; 0 means never",
    ),
    Option(
        "multiple-active",
        Kind.CHOICE,
        "stop_start",
        "what to do when it is found active on more than one node",
        values=("block", "stop_only", "stop_start", "stop_unexpected"),
    ),
    Option("allow-migrate", Kind.BOOLEAN, "", "whether it may be migrated without a stop"),
    Option(
        "allow-unhealthy-nodes",
        Kind.BOOLEAN,
        "false",
        "whether the health of nodes does not matter to it",
    ),
    Option(
        "container-attribute-target",
        Kind.TEXT,
        "",
        "whose attributes are read: of the guest (unless given) or of its host",
    ),
    Option("remote-node", Kind.TEXT, "", "name of the guest node this resource brings up"),
    Option("remote-addr", Kind.TEXT, "", "address of the guest node, if not its name"),
    Option("remote-port", Kind.INTEGER, "3121", "port of the guest node"),
    Option(
        "remote-connect-timeout",
        Kind.DURATION,
        "60s",
        "how long a connection to the guest may take",
    ),
    Option("remote-allow-migrate", Kind.BOOLEAN, "true", "whether the connection may move live"),
    Option("container", Kind.TEXT, "", "the resource this one lives inside", advanced=True),
    Option("provides", Kind.TEXT, "", "what a fencing device gives besides fencing", advanced=True),
)

_CLONE = (
    Option("globally-unique", Kind.BOOLEAN, "false", "whether its instances differ"),
    Option("clone-max", Kind.NONNEGATIVE, "", "how many instances; one for each node unless given"),
    Option("clone-node-max", Kind.NONNEGATIVE, "1", "how many instances one node may hold"),
    Option(
        "clone-min",
        Kind.NONNEGATIVE,
        "0",
        "how many instances must be active before what is ordered after it starts",
    ),
    Option("notify", Kind.BOOLEAN, "false", "whether instances are told about each other"),
    Option("ordered", Kind.BOOLEAN, "false", "whether instances start one after the other"),
    Option(
        "interleave",
        Kind.BOOLEAN,
        "false",
        "whether an instance waits only for the instance on its own node",
    ),
    Option("promotable", Kind.BOOLEAN, "false", "whether instances can be promoted"),
    Option(
        "promoted-max",
        Kind.NONNEGATIVE,
        "1",
        "how many instances are promoted",
        aliases=("master-max",),
    ),
    Option(
        "promoted-node-max",
        Kind.NONNEGATIVE,
        "1",
        "how many promoted instances one node may hold",
        aliases=("master-node-max",),
    ),
)

_GROUP = (
    Option(
        "ordered",
        Kind.BOOLEAN,
        "true",
        "whether members start one after the other; deprecated",
        advanced=True,
    ),
    Option(
        "collocated",
        Kind.BOOLEAN,
        "true",
        "whether members stand on the same node; deprecated",
        advanced=True,
    ),
)

# --- operations -----------------------------------------------------------------------------

_OPERATION = (
    Option("interval", Kind.DURATION, "0", "how often it is repeated; 0 means once, when needed"),
    Option("timeout", Kind.DURATION, "20s", "how long it may take before it counts as failed"),
    Option(
        "on-fail",
        Kind.CHOICE,
        "",
        "what a failure leads to; restart unless given, fence (or block) for stop",
        values=(
            "ignore",
            "block",
            "stop",
            "restart",
            "standby",
            "fence",
            "demote",
            "restart-container",
        ),
    ),
    Option("enabled", Kind.BOOLEAN, "true", "whether it is done at all"),
    Option("record-pending", Kind.BOOLEAN, "true", "whether it is shown while it runs"),
    Option(
        "role",
        Kind.CHOICE,
        "",
        "in which role of the resource it is done; Started unless given",
        values=("Stopped", "Started", "Unpromoted", "Promoted", "Slave", "Master"),
    ),
    Option("start-delay", Kind.DURATION, "0", "how long after the start of the resource it begins"),
    Option("interval-origin", Kind.TEXT, "", "a time of day from which intervals are counted"),
    Option("requires", Kind.TEXT, "", "old place of the resource's requires", advanced=True),
    Option("description", Kind.TEXT, "", "a remark for people", advanced=True),
)

CLUSTER_OPTIONS: Mapping[str, Option] = {option.name: option for option in _CLUSTER}
"""Options of the whole cluster, by name."""

RESOURCE_OPTIONS: Mapping[str, Option] = {option.name: option for option in _RESOURCE}
"""Meta attributes of any resource."""

CLONE_OPTIONS: Mapping[str, Option] = {option.name: option for option in _CLONE}
"""Meta attributes only clones (and bundles) have."""

GROUP_OPTIONS: Mapping[str, Option] = {option.name: option for option in _GROUP}
"""Meta attributes only groups have."""

OPERATION_OPTIONS: Mapping[str, Option] = {option.name: option for option in _OPERATION}
"""Attributes and meta attributes of an operation."""


def _by_spelling(*tables: Mapping[str, Option]) -> dict[str, Option]:
    found: dict[str, Option] = {}
    for table in tables:
        for option in table.values():
            for spelling in option.spellings:
                found.setdefault(spelling, option)
    return found


_CLUSTER_BY_SPELLING = _by_spelling(CLUSTER_OPTIONS)
_META_BY_SPELLING = _by_spelling(RESOURCE_OPTIONS, CLONE_OPTIONS, GROUP_OPTIONS)
_OPERATION_BY_SPELLING = _by_spelling(OPERATION_OPTIONS)


def _look_up(table: Mapping[str, Option], name: str) -> Option | None:
    return table.get(name) or table.get(name.replace("_", "-"))


def cluster_option(name: str) -> Option | None:
    """Find a cluster option by any of its spellings, underscores included."""
    return _look_up(_CLUSTER_BY_SPELLING, name)


def meta_option(name: str) -> Option | None:
    """Find a meta attribute of a resource of any kind by any of its spellings."""
    return _look_up(_META_BY_SPELLING, name)


def operation_option(name: str) -> Option | None:
    """Find an attribute of an operation by any of its spellings."""
    return _look_up(_OPERATION_BY_SPELLING, name)


def setting(pairs: Mapping[str, str], option: Option) -> str:
    """Read an option from what is configured, under any spelling, or give its default."""
    for spelling in option.all_spellings:
        if spelling in pairs:
            return pairs[spelling]
    return option.default


_MOST_COMPARED = 2000
_MOST_COMPARED_CHARS = 100


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Find the candidate a person most likely meant by `name`, or None if none is like it.

    None also beyond a length and a number no person types: to compare costs the product of the
    lengths, for each candidate.
    """
    different = set(candidates)
    if len(name) > _MOST_COMPARED_CHARS or len(different) > _MOST_COMPARED:
        return None
    folded = {candidate.lower(): candidate for candidate in sorted(different, reverse=True)}
    if name.lower() in folded:
        return folded[name.lower()]
    folded = {key: found for key, found in folded.items() if len(key) <= _MOST_COMPARED_CHARS}
    matches = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None


# --- values ---------------------------------------------------------------------------------

_TRUE = frozenset({"true", "on", "yes", "y", "1"})
_FALSE = frozenset({"false", "off", "no", "n", "0"})


def as_bool(text: str) -> bool:
    """Read a boolean as the CIB and ha.cf write them.

    Raises: ValueError if the word is neither a yes nor a no.
    """
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"'{text}' is neither true nor false")


def is_true(text: str) -> bool:
    """Tell whether a word means true; any other word, a no or nonsense, does not."""
    return text.lower() in _TRUE


def as_score(text: str) -> Score:
    """Read a score; a fraction is cut off.

    Raises: ValueError if the text is no score.
    """
    word = text.strip()
    if re.fullmatch(r"[+-]?\d+\.\d*", word):
        word = word.partition(".")[0]
    try:
        return score.parse(word)
    except ValueError as problem:
        raise ValueError(f"'{text}' is no score: expected an integer or INFINITY") from problem


@functools.lru_cache(maxsize=1024)
def as_duration_ms(text: str) -> int:
    """Read a duration of the CIB: a number with an optional unit (seconds without), or ISO 8601.

    Remembered, because a configuration repeats the same few durations hundreds of times.

    Units: milliseconds.
    Raises: ValueError if the text is no duration.
    """
    return durations.parse_ms(text)


def _check_integer(text: str) -> None:
    if score.text(as_score(text)).lstrip("-") != "INFINITY":
        int(text.strip())


def complaint(option: Option, value: str) -> str:
    """Say what is wrong with `value` for this option, or "" when nothing is."""
    try:
        match option.kind:
            case Kind.BOOLEAN:
                as_bool(value)
            case Kind.SCORE:
                as_score(value)
            case Kind.INTEGER:
                _check_integer(value)
            case Kind.NONNEGATIVE:
                _check_integer(value)
                if as_score(value) < 0:
                    return f"'{value}' is negative"
            case Kind.DURATION:
                as_duration_ms(value)
            case Kind.PERCENTAGE:
                if not re.fullmatch(r"\d+(\.\d+)?%?", value.strip()):
                    return f"'{value}' is no percentage"
            case Kind.CHOICE:
                if value.lower() not in {word.lower() for word in option.values}:
                    return f"'{value}' is none of: {', '.join(option.values)}"
            case Kind.TEXT:
                pass
    except ValueError as problem:
        return str(problem)
    return ""
