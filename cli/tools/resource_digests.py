"""`crm_resource --digests`: the digests by which a changed configuration is noticed.

Responsible for the words. The digests are those the scheduler compares with recorded ones.

Source: tools.md section 2, "crm_resource"; docs/protocol/transition.md, "Digests".
"""

from __future__ import annotations

from collections.abc import Mapping

from cli.tools import result
from cli.tools.resource_request import Request
from cli.tools.resource_scene import Scene, failure, wrong_use
from cli.tools.result import Element
from crm.model import digests
from crm.model.exit_codes import Exit
from crm.model.options import as_duration_ms
from crm.model.status import HistoryEntry
from pengine.facts.changes import FENCING_PREFIX
from pengine.facts.instances import Instance

_INTERVAL, _TIMEOUT = "CRM_meta_interval", "CRM_meta_timeout"
_UNSAID_PRIVATE = ("passwd", "password")
"""Parameters taken for secret where the history does not say which are."""


def show_digests(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Show the digests of the parameters a resource would be run with on a node."""
    if not request.node:
        raise wrong_use("Must supply a node name with -N")
    subject = scene.subject(request.resource)
    node = scene.node(request.node)
    if not isinstance(subject.item, Instance):
        raise failure(Exit.UNIMPLEMENTED)
    instance = subject.item
    entry = _last(scene, instance, node.name)
    task = entry.operation if entry is not None else "start"
    interval_ms = _interval_ms(request.overrides)
    operation = scene.facts.operation(instance, task, interval_ms)
    parameters = {
        **scene.facts.parameters(instance, node.name),
        **operation.parameters,
        **request.overrides,
    }
    timeout_ms = _timeout_ms(request.overrides, operation.timeout_ms)
    is_fencing = instance.resource.agent.is_fencing
    covering = _Kinds(parameters, interval_ms, timeout_ms, entry, is_fencing=is_fencing)
    shown = []
    for kind, label, counted in covering.kinds():
        text = covering.digest(counted, is_all=kind == "all")
        answer.line(f"{text} ({label} parameters)")
        inner = (Element("parameters", covering.shown(counted, is_all=kind == "all")),)
        shown.append(Element("digest", {"type": kind, "hash": text}, inner))
    words = {
        "resource": subject.name,
        "node": node.name,
        "task": task,
        "interval": f"{interval_ms}ms",
    }
    answer.element("digests", words, shown)
    return Exit.OK


def _last(scene: Scene, instance: Instance, node: str) -> HistoryEntry | None:
    """Find the last operation on a node that does not repeat."""
    there = scene.facts.activity[instance.id].at(node)
    entries = there.entries if there is not None else ()
    return next((each for each in reversed(entries) if each.interval_ms == 0), None)


def _interval_ms(overrides: Mapping[str, str]) -> int:
    text = overrides.get(_INTERVAL, "0")
    try:
        return as_duration_ms(text) if not text.isdigit() else int(text)
    except ValueError as problem:
        raise wrong_use(f"{_INTERVAL}={text}: {problem}") from problem


def _timeout_ms(overrides: Mapping[str, str], otherwise: int) -> int:
    text = overrides.get(_TIMEOUT, "")
    return int(text) if text.isdigit() else otherwise


class _Kinds:
    """The kinds of digests, and which parameters each of them covers."""

    def __init__(
        self,
        parameters: Mapping[str, str],
        interval_ms: int,
        timeout_ms: int,
        entry: HistoryEntry | None,
        *,
        is_fencing: bool,
    ) -> None:
        self._parameters = {k: v for k, v in parameters.items() if not k.startswith("CRM_meta")}
        self._interval_ms = interval_ms
        self._timeout_ms = timeout_ms
        self._entry = entry
        self._is_fencing = is_fencing

    def kinds(self) -> list[tuple[str, str, Mapping[str, str]]]:
        """List name, words and parameters of each kind there is."""
        entry, given = self._entry, self._parameters
        found: list[tuple[str, str, Mapping[str, str]]] = [
            ("all", "all", given),
            ("nonprivate", "non-private", {k: v for k, v in given.items() if self._is_shown(k)}),
        ]
        if entry is not None and entry.restart_digest:
            named = None if entry.force_restart is None else entry.force_restart.split()
            kept = {k: v for k, v in given.items() if named is None or k in named}
            found.append(("nonreloadable", "non-reloadable", kept))
        return found

    def _is_shown(self, name: str) -> bool:
        """Tell whether a parameter is no secret, and nothing the cluster itself reads."""
        private = self._entry.secure_parameters.split() if self._entry is not None else []
        if self._is_fencing and name.startswith(FENCING_PREFIX):
            return False
        return name not in (private or _UNSAID_PRIVATE)

    def digest(self, counted: Mapping[str, str], *, is_all: bool) -> str:
        """Digest what counts; the timeout of what repeats is part of the digest of all."""
        if not is_all:
            return digests.operation_digest(counted)
        return digests.operation_digest(
            counted, interval_ms=self._interval_ms, timeout_ms=self._timeout_ms
        )

    def shown(self, counted: Mapping[str, str], *, is_all: bool) -> Mapping[str, str]:
        """Give the parameters that are digested."""
        if is_all and self._interval_ms > 0:
            return {**counted, _TIMEOUT: str(self._timeout_ms)}
        return counted
