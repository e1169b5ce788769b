"""The history of the picture: recorded operations, failures and their counts.

Source: tools, "crm_mon".
"""

from __future__ import annotations

import time

from cli.view import resources
from cli.view.status import STOPPED, ClusterView, NodeView, Operation, meta, primitives
from cli.view.wishes import Wishes
from crm.model.outcomes import ExitCode

_STATUS_WORDS = {-1: "pending", 0: "complete", 1: "Cancelled", 2: "Timed Out", 3: "NOT SUPPORTED",
                 4: "Error", 7: "Not installed"}  # fmt: skip
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


def operations(view: ClusterView, wishes: Wishes) -> list[str]:
    """Write the recorded operations, node by node."""
    lines: list[str] = []
    for node in view.nodes:
        done = [each for each in view.operations if each.node == node.name]
        if not done or not node.online or wishes.node not in ("", node.name):
            continue
        lines.append(f"  * Node: {node.name}:")
        for name in dict.fromkeys(each.resource for each in done):
            own = [each for each in done if each.resource == name and _is_shown(each)]
            if not own:
                continue
            lines.append(f"    * {name}: {_migration(view, node, name)}:")
            lines += [f"      * {_operation_line(each, wishes)}" for each in own]
    return ["Operations:", *lines] if lines else []


def _is_shown(operation: Operation) -> bool:
    return not (operation.is_probe and operation.rc == 7) and not operation.is_failure_record


def _operation_line(operation: Operation, wishes: Wishes) -> str:
    line = f"({operation.call_id}) {operation.name}"
    details: list[str] = []
    if operation.interval_ms:
        details.append(f'interval="{operation.interval_ms}ms"')
    if wishes.timing:
        stamp = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(operation.changed_at))
        details += [
            f'last-rc-change="{stamp}"',
            f'exec-time="{operation.exec_ms}ms"',
            f'queue-time="{operation.queue_ms}ms"',
            f"rc={operation.rc} ({rc_word(operation.rc)})",
        ]
    elif operation.failed:
        details.append(f"rc={operation.rc} ({rc_word(operation.rc)})")
    return f"{line}: {' '.join(details)}" if details else line


def rc_word(rc: int) -> str:
    """Say an exit code in words."""
    return next((word for code, word in _RC_WORDS.items() if int(code) == rc), "unknown")


def fail_count(node: NodeView, resource: str) -> int:
    """Add up the fail counts of a resource on a node, of both spellings."""
    total = 0
    for name, value in node.attributes.items():
        plain = name.removeprefix("fail-count-")
        if plain == name or plain.partition("#")[0] != resource:
            continue
        total += 1_000_000 if value.upper() == "INFINITY" else int(value) if value.isdigit() else 0
    return min(total, 1_000_000)


def _migration(view: ClusterView, node: NodeView, resource: str) -> str:
    threshold = "1000000"
    for item in view.resources:
        for primitive in primitives(item):
            if primitive.id == resource.partition(":")[0]:
                threshold = meta(
                    primitive,
                    "migration-threshold",
                    resources.parents_of(item, primitive),
                    view,
                    threshold,
                )
    threshold = "1000000" if threshold.upper() == "INFINITY" else threshold
    words = [f"migration-threshold={threshold}"]
    count = fail_count(node, resource.partition(":")[0])
    if count:
        words.append(f"fail-count={count}")
        stamp = next(
            (
                value
                for name, value in node.attributes.items()
                if name.startswith(f"last-failure-{resource}")
            ),
            "",
        )
        if stamp.isdigit():
            when = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(int(stamp)))
            words.append(f"last-failure='{when}'")
    return " ".join(words)


def failcounts(view: ClusterView, wishes: Wishes) -> list[str]:
    """Write the fail counts, node by node."""
    lines: list[str] = []
    for node in view.nodes:
        rows = [
            f"    * {primitive.id}: {_migration(view, node, primitive.id)}"
            for item in view.resources
            for primitive in primitives(item)
            if fail_count(node, primitive.id)
        ]
        if rows and wishes.node in ("", node.name):
            lines += [f"  * Node: {node.name}:", *rows]
    return lines


def failed_operations(view: ClusterView) -> list[Operation]:
    """List the failures on record, each once."""
    found: dict[tuple[str, str, str, int], Operation] = {}
    for operation in view.operations:
        if operation.failed:
            key = (operation.resource, operation.node, operation.name, operation.interval_ms)
            found.setdefault(key, operation)
    return list(found.values())


def failures(view: ClusterView, wishes: Wishes) -> list[str]:
    """Write the failures, with a title."""
    lines = [
        f"  * {_failure_line(each)}"
        for each in failed_operations(view)
        if wishes.node in ("", each.node) and wishes.resource in ("", each.resource)
    ]
    return ["Failed Resource Actions:", *lines] if lines else []


def _failure_line(operation: Operation) -> str:
    name = operation.name
    if operation.interval_ms:
        seconds = operation.interval_ms / 1000
        shown = f"{seconds:g}s" if seconds < 60 else f"{seconds / 60:g}m"
        name = f"{shown}-interval {name}"
    if operation.status in (0, 4):
        word = f"returned '{rc_word(operation.rc)}'"
    elif operation.status == 2:
        word = "could not be executed (Timed Out)"
    else:
        word = f"could not be executed ({_STATUS_WORDS.get(operation.status, 'Error')})"
    reason = f" ({operation.exit_reason})" if operation.exit_reason else ""
    stamp = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(operation.changed_at))
    when = f" at {stamp}" if operation.changed_at else ""
    return f"{operation.resource} {name} on {operation.node} {word}{reason}{when}"


def operation_list(view: ClusterView, resource: str, node: str) -> str:
    """Write the recorded operations, one a line."""
    heads: dict[str, str] = {}
    for item in view.resources:
        for primitive in primitives(item):
            if resource in ("", item.id, primitive.id):
                active = view.active(primitive.id)
                state = resources.role_of(view, item, active[0]) if active else STOPPED
                heads[primitive.id] = f"{primitive.id}\t({resources.agent(primitive)}):\t {state}"
    return "\n".join(
        f"{heads[each.resource.partition(':')[0]]}: {_recorded(each)}"
        for each in view.operations
        if each.resource.partition(":")[0] in heads and node in ("", each.node)
    )


def _recorded(operation: Operation) -> str:
    stamp = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(operation.changed_at))
    word = _STATUS_WORDS.get(operation.status, "unknown")
    return (
        f"{operation.resource}_{operation.name}_{operation.interval_ms} (node={operation.node}, "
        f"call={operation.call_id}, rc={operation.rc}, last-rc-change='{stamp}', "
        f"exec={operation.exec_ms}ms): {word}"
    )
