"""What becomes of an agent's end: the report to the asker and the lines for the log.

Responsible for turning exit code, output and error text of one run into an `OperationFinished` and
into notes. Not responsible for deciding whether a result is reported, nor for exit codes of other
standards than OCF (`lrmd/classes` has mapped them before).

An agent speaks to the log through its standard error: a line `INFO: text` (also WARNING, ERROR,
CRIT, DEBUG; also behind the prefix `Type(instance)[pid]: date_time`, as the common shell functions
of OCF agents write) becomes a log line under the agent's own name. `ocf-exit-reason:` announces why
an action failed. Anything else is logged as `RA output`.

Source: docs/protocol/lrm.md, "What an agent says".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from crm.api.lrm import Execute, OperationFinished
from crm.model.outcomes import ExitCode, OperationStatus
from crm.plumbing.machine import Note, debug, info, warn

MAX_NOTED_LINES = 40
"""Of one run at most so many lines of output reach the log."""

MAX_OUTPUT_CHARS = 4096
"""So much of an agent's standard output travels with a result."""

NEAR_TIMEOUT = 0.8
"""An operation that needed more than this part of its timeout is worth a warning."""

_EXIT_REASON = "ocf-exit-reason:"
_LOG_LINE = re.compile(
    r"(?:\S+\[\d+\]:\s+(?:\S+\s+)?)?(?P<level>DEBUG|INFO|WARN|WARNING|ERROR|ERR|CRIT):\s+(?P<text>.*)\Z"
)
_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "ERR": logging.ERROR,
    "CRIT": logging.CRITICAL,
}


def is_success(order: Execute, rc: int, status: int) -> bool:
    """Tell whether a result is what the order expected (exit code 0 unless it says otherwise)."""
    expected = ExitCode.OK if order.expected_rc is None else order.expected_rc
    return status == OperationStatus.DONE and rc == expected


def report(
    order: Execute,
    *,
    rc: int,
    status: OperationStatus,
    exit_reason: str = "",
    output: str = "",
    last_run: float = 0,
    exec_ms: int = 0,
    queue_ms: int = 0,
) -> OperationFinished:
    """Answer an order; the time of the last change of result is that of this run.

    Units: `last_run` in seconds since 1970, the others in milliseconds.
    """
    return OperationFinished(
        call_id=order.call_id,
        key=order.key,
        resource=order.resource,
        agent=order.agent,
        operation=order.operation,
        interval_ms=order.interval_ms,
        rc=int(rc),
        status=int(status),
        parameters=order.parameters,
        meta=order.meta,
        expected_rc=order.expected_rc,
        exit_reason=exit_reason,
        output=output[-MAX_OUTPUT_CHARS:],
        last_run=last_run,
        last_rc_change=last_run,
        exec_ms=exec_ms,
        queue_ms=queue_ms,
        timeout_ms=order.timeout_ms,
    )


def exit_reason_in(errors: str) -> str:
    """Find the last reason an agent announced, or ""."""
    reasons = [
        line.removeprefix(_EXIT_REASON).strip()
        for line in errors.splitlines()
        if line.startswith(_EXIT_REASON)
    ]
    return reasons[-1] if reasons else ""


def notes(order: Execute, output: str, errors: str) -> Iterator[Note]:
    """Put what an agent said into log lines, the last ones if there are too many."""
    source = f"{order.resource}:{order.operation}"
    lines = [line.rstrip() for line in errors.splitlines() if line.strip()]
    if len(lines) > MAX_NOTED_LINES:
        skipped = len(lines) - MAX_NOTED_LINES
        yield warn("lrmd", f"RA output: ({source}:stderr) {skipped} earlier lines left out")
    for line in lines[-MAX_NOTED_LINES:]:
        yield _error_note(order, source, line)
    said = [line.rstrip() for line in output.splitlines() if line.strip()]
    for line in said[-MAX_NOTED_LINES:]:
        text = f"RA output: ({source}:stdout) {line}"
        yield debug("lrmd", text) if order.interval_ms else info("lrmd", text)


def slowness(order: Execute, exec_ms: int) -> Note | None:
    """Warn when an operation came close to its timeout: before it fails, not after."""
    if exec_ms < NEAR_TIMEOUT * order.timeout_ms:
        return None
    return warn(
        "lrmd",
        f"{order.operation} of {order.resource} took {exec_ms} ms of the {order.timeout_ms} ms it "
        "may take: raise its timeout or find what slows it down",
    )


def _error_note(order: Execute, source: str, line: str) -> Note:
    if line.startswith(_EXIT_REASON):
        return info("lrmd", f"RA output: ({source}:stderr) {line}")
    match = _LOG_LINE.match(line)
    if match is None:
        return info("lrmd", f"RA output: ({source}:stderr) {line}")
    return Note(_LEVELS[match["level"]], order.agent.type, match["text"])
