"""The history of a status: recorded operations, failures and their counts.

Which operations failed is for the scheduler to say; here they are put into words.

Source: tools, "crm_mon".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from lxml import etree

from cli.view import node_lines
from cli.view.extras import moment
from cli.view.recorded import STATUS_WORDS
from cli.view.resource_lines import Scope
from cli.view.status import ClusterView
from cli.view.wishes import Wishes
from crm.model import score
from crm.model.outcomes import ExitCode, OperationStatus
from pengine.facts.failures import FailCount
from pengine.facts.instances import BundleInstance, Instance, instances_of
from pengine.facts.nodes import NodeFacts

_LAST_FAILURE = "_last_failure_0"
_KEY = re.compile(r"(?P<name>.+)_(?P<task>[a-z][a-z_-]*)_(?P<interval>\d+)")
_RC_WORDS = {
    ExitCode.OK: "ok",
    ExitCode.ERROR: "error",
    ExitCode.INVALID_PARAMETER: "invalid parameter",
    ExitCode.UNIMPLEMENTED: "unimplemented feature",
    ExitCode.INSUFFICIENT_PRIVILEGES: "insufficient privileges",
    ExitCode.NOT_INSTALLED: "not installed",
    ExitCode.NOT_CONFIGURED: "not configured",
    ExitCode.NOT_RUNNING: "not running",
    ExitCode.PROMOTED: "promoted",
    ExitCode.FAILED_PROMOTED: "promoted (failed)",
}


class Entry(msgspec.Struct, frozen=True):
    """One recorded operation as it stands in the document, with whose and where it is.

    Units: the interval and durations in milliseconds, `changed_s` in seconds since 1970.
    """

    node: NodeFacts
    history: str
    instance: Instance | None
    key: str
    task: str
    interval_ms: int
    call: int
    rc: int
    status: int
    changed_s: int
    exec_ms: int | None
    queue_ms: int | None
    reason: str | None
    id: str
    has_key: bool

    @property
    def name(self) -> str:
        """Whose it is: the name of the resource, without a number where copies are alike."""
        if self.instance is None or self.instance.is_removed:
            return self.history
        return self.instance.id if self.instance.is_unique else self.instance.history_id

    @property
    def key_name(self) -> str:
        """Whose it is by the key of the operation."""
        parts = _KEY.fullmatch(self.key)
        return parts["name"] if parts else self.history

    @property
    def word(self) -> str:
        """What was done, in the words of the classic tools."""
        is_probe = self.task == "monitor" and self.interval_ms == 0
        return "probe" if is_probe else self.task

    @property
    def status_word(self) -> str:
        """How the execution ended, in the words of the classic tools."""
        return STATUS_WORDS.get(self.status, "unknown")


def entries(view: ClusterView, scope: Scope) -> Iterator[Entry]:
    """Yield what is recorded of wanted resources on wanted nodes, in the order of the status."""
    named: dict[str, Instance] = {}
    meanings: dict[str, set[str]] = {}
    for instance in view.facts.instances():
        for name in (instance.id, instance.history_id, view.facts.history_name(instance)):
            named.setdefault(name, instance)
            group = instance.parent.partition(":")[0]
            meant = (name, instance.id, instance.resource.id, instance.parent, group, instance.top)
            meanings.setdefault(name, set()).update(meant)
    for item in view.facts.items:
        # What a bundle is made of is one thing to whoever asks for a part of it.
        is_bundle = isinstance(item, BundleInstance)
        parts = {name for i in instances_of(item) for name in (i.id, i.history_id) if is_bundle}
        for instance in instances_of(item):
            meanings[instance.history_id] |= {item.id, *parts}
    for state in view.root.iterfind("status/node_state"):
        node = view.node(state.get("uname", "") or state.get("id", ""))
        if node is None or not scope.has_node(node.name):
            continue
        for history in state.iterfind("lrm/lrm_resources/lrm_resource"):
            name = history.get("id", "")
            found = named.get(name) or named.get(name.partition(":")[0])
            wanted = scope.resources
            if wanted is not None and wanted.isdisjoint(meanings.get(name, {name})):
                continue
            done = (_entry(node, name, found, each) for each in history.iterchildren("lrm_rsc_op"))
            yield from sorted(done, key=lambda each: (each.call < 0, each.call))


def _entry(
    node: NodeFacts, history: str, instance: Instance | None, element: etree._Element
) -> Entry:
    def number(name: str, otherwise: int = 0) -> int:
        try:
            return int(element.get(name, ""))
        except ValueError:
            return otherwise

    return Entry(
        node=node,
        history=history,
        instance=instance,
        key=element.get("operation_key", "") or element.get("id", ""),
        task=element.get("operation", ""),
        interval_ms=number("interval"),
        call=number("call-id"),
        rc=number("rc-code"),
        status=number("op-status"),
        changed_s=number("last-rc-change"),
        exec_ms=None if element.get("exec-time") is None else number("exec-time"),
        queue_ms=None if element.get("queue-time") is None else number("queue-time"),
        reason=element.get("exit-reason"),
        id=element.get("id", ""),
        has_key=bool(element.get("operation_key")),
    )


def shown(found: Iterator[Entry]) -> Iterator[Entry]:
    """Leave out what says nothing: probes that found nothing, and second records of failures."""
    every = list(found)
    firsts = {(e.node.name, e.history, e.call) for e in every if not e.id.endswith(_LAST_FAILURE)}
    for each in every:
        is_idle = each.task == "monitor" and each.interval_ms == 0 and each.rc == 7
        is_second = each.id.endswith(_LAST_FAILURE) and (
            (each.node.name, each.history, each.call) in firsts
        )
        if each.node.online and not is_idle and not is_second and each.task != "notify":
            yield each


def rc_word(rc: int) -> str:
    """Say an exit code in words."""
    return next((word for code, word in _RC_WORDS.items() if int(code) == rc), "unknown")


# --- operations ---------------------------------------------------------------------------------


def operations(view: ClusterView, wishes: Wishes, scope: Scope) -> list[str]:
    """Write the recorded operations, node by node."""
    lines: list[str] = []
    node = history = ""
    for each in shown(entries(view, scope)):
        if each.node.name != node:
            node, history = each.node.name, ""
            lines.append(f"  * Node: {node_name(view, each.node, wishes)}:")
        if each.history != history:
            history = each.history
            lines.append(f"    * {each.name}: {_migration(view, each)}:")
        lines.append(f"      * {_operation_line(each, wishes)}")
    return ["Operations:", *lines] if lines else []


def node_name(view: ClusterView, node: NodeFacts, wishes: Wishes) -> str:
    """Write the name of a node, in full if details are wanted."""
    return node_lines.full_name(view.facts, node) if wishes.detail else node.name


def count_of(view: ClusterView, instance: Instance, node: str) -> FailCount | None:
    """Find how often an instance failed on a node, if it did."""
    return view.facts.fail_counts.get((instance.id, node))


def _migration(view: ClusterView, entry: Entry) -> str:
    if entry.instance is None or entry.instance.is_removed:
        return "orphan"
    return migration_text(view, entry.instance, entry.node.name)


def migration_text(view: ClusterView, instance: Instance, node: str) -> str:
    """Write how often something may fail and how often it did."""
    words = [f"migration-threshold={int(instance.meta.threshold)}"]
    count = count_of(view, instance, node)
    if count is not None:
        words.append(f"fail-count={int(count.total)}")
        if count.last_failure_s:
            words.append(f"last-failure='{moment(count.last_failure_s)}'")
    return " ".join(words)


def _operation_line(entry: Entry, wishes: Wishes) -> str:
    details = [f'interval="{entry.interval_ms}ms"'] if entry.interval_ms else []
    if wishes.timing:
        if entry.changed_s:
            details.append(f'last-rc-change="{moment(entry.changed_s)}"')
        if entry.exec_ms is not None:
            details.append(f'exec-time="{entry.exec_ms}ms"')
        if entry.queue_ms is not None:
            details.append(f'queue-time="{entry.queue_ms}ms"')
        details.append(f"rc={entry.rc} ({rc_word(entry.rc)})")
    line = f"({entry.call}) {entry.word}"
    return f"{line}: {' '.join(details)}" if details else line


# --- failures -----------------------------------------------------------------------------------


def fail_count(node: NodeFacts, resource: str) -> int:
    """Add up the fail counts of a resource on a node, of both spellings."""
    total = score.ZERO
    for name, value in node.attributes.items():
        plain = name.removeprefix("fail-count-")
        if plain == name or plain.partition("#")[0] != resource:
            continue
        try:
            total = score.add(total, score.parse(value))
        except ValueError:
            continue
    return int(total)


def failcounts(view: ClusterView, wishes: Wishes, scope: Scope) -> list[str]:
    """Write the fail counts, node by node."""
    lines: list[str] = []
    for node in view.nodes:
        rows: dict[str, str] = {}
        for instance in view.facts.instances():
            is_wanted = scope.has_node(node.name) and scope.names(instance)
            if is_wanted and count_of(view, instance, node.name) is not None:
                text = migration_text(view, instance, node.name)
                rows.setdefault(instance.history_id, f"    * {instance.history_id}: {text}")
        if rows:
            lines += [f"  * Node: {node_name(view, node, wishes)}:", *rows.values()]
    return ["Migration Summary:", *lines]


def failed(view: ClusterView, scope: Scope) -> list[Entry]:
    """List the recorded failures, each once."""
    known = {
        (failure.node, failure.entry.id)
        for instance in view.facts.instances()
        for failure in view.facts.activity[instance.id].failures
    }
    found: dict[tuple[str, str], Entry] = {}
    for each in entries(view, Scope(nodes=scope.nodes)):
        if not _is_named(scope, each) or _tells_of_absence(each):
            continue
        if (each.node.name, each.id) in known:
            found.setdefault((each.node.name, each.key), each)
    return list(found.values())


def _is_named(scope: Scope, entry: Entry) -> bool:
    """Tell whether the failures of a resource are wanted: those of what it is in are others."""
    if scope.resources is None or entry.history in scope.resources:
        return True
    return entry.instance is not None and entry.instance.id in scope.resources


def _tells_of_absence(entry: Entry) -> bool:
    """Tell whether a probe only found that its agent cannot run there, as is usual."""
    is_probe = entry.task == "monitor" and entry.interval_ms == 0
    return is_probe and entry.rc in (ExitCode.NOT_INSTALLED, ExitCode.INVALID_PARAMETER)


def failures(view: ClusterView, wishes: Wishes, scope: Scope) -> list[str]:
    """Write the failures, with a title."""
    write = _exact_failure if wishes.detail else _failure
    lines = [f"  * {write(each)}" for each in failed(view, scope)]
    return ["Failed Resource Actions:", *lines] if lines else []


def _failure(entry: Entry) -> str:
    name = entry.word
    if entry.interval_ms:
        name = f"{_readable(entry.interval_ms)}-interval {name}"
    if entry.status == OperationStatus.DONE:
        word = f"returned '{rc_word(entry.rc)}'"
    else:
        word = f"could not be executed ({entry.status_word})"
    reason = f" ({entry.reason})" if entry.reason else ""
    when = f" at {moment(entry.changed_s)}" if entry.changed_s else ""
    took = f" after {_readable(entry.exec_ms)}" if entry.exec_ms else ""
    return f"{entry.key_name} {name} on {entry.node.name} {word}{reason}{when}{took}"


def _readable(duration_ms: int) -> str:
    """Write a duration in its largest units: 90 s are 1m30s, but 60 s stay 60s."""
    parts = []
    rest = duration_ms
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if rest > size:
            count, rest = divmod(rest, size)
            parts.append(f"{count}{unit}")
    seconds, rest = divmod(rest, 1000)
    if seconds and rest:
        parts.append(f"{seconds}.{rest:03}s")
    elif seconds:
        parts.append(f"{seconds}s")
    elif rest:
        parts.append(f"{rest}ms")
    return "".join(parts)


def _exact_failure(entry: Entry) -> str:
    reason = f", exitreason='{entry.reason}'" if entry.reason else ""
    when = ""
    if entry.changed_s:
        when = f", last-rc-change='{moment(entry.changed_s)}'"
        when += f", queued={entry.queue_ms or 0}ms, exec={entry.exec_ms or 0}ms"
    return (
        f"{entry.key} on {entry.node.name} '{rc_word(entry.rc)}' ({entry.rc}): call={entry.call}, "
        f"status='{entry.status_word}'{reason}{when}"
    )
