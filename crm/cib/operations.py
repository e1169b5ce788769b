"""Carrying out a change: its operations on a document, all of them or none.

Responsible for the change as a whole: its version (with `counting`), its validity, and the patch
that repeats it. The document is untouched when the outcome is not OK. Not responsible for what
operations mean (`xml_operations`, `status`), for naming what was touched (`touches`), for who may
change it (`acl`), for quorum and replication (`replica`), nor for the rules a configuration must
follow: a validator is handed in. It is shown the live tree and must leave it alone; a grammar is
to be asked about a throw-away copy (validating one tree again and again leaks).

Source: docs/protocol/cib.md, "Operations"; tools.md section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from lxml import etree

from crm.api import cib as api
from crm.cib import (
    acl,
    counting,
    edits,
    excerpt,
    growth,
    patch,
    report,
    revisions,
    slices,
    status,
    touches,
    upgrade,
    upgrade_fragment,
    xml_operations,
    xpath,
)
from crm.cib import document as documents
from crm.model.version import Version
from crm.plumbing import errors, xml

Validator = Callable[[etree._Element], list[errors.Problem]]

_HANDS_IN_OBJECTS = frozenset({api.XmlTask.CREATE, api.XmlTask.REPLACE})


@dataclass(frozen=True, slots=True)
class Rules:
    """What a change must obey: the validator, and how a document is upgraded.

    The validator judges a CIB. After a small change it is first handed one that holds only the
    objects that were touched and those they refer to; what it finds there, it is asked about
    once more with the whole document.
    """

    validate: Validator
    upgrade: xml_operations.Upgrader


@dataclass(frozen=True, slots=True)
class Carried:
    """How a change ended. `patch` is empty when nothing changed or the outcome is not OK.

    `configuration` tells that it must be made durable, `replaced` that more was touched than is
    told one by one. `trace` is what the history keeps of a change of the configuration. `xml` is
    what cibadmin prints: the report of a failed creation, the candidate that was refused, or the
    result of a dry run.
    """

    outcome: api.Outcome
    before: Version
    after: Version
    patch: bytes = b""
    touched: tuple[api.Touched, ...] = ()
    configuration: bool = False
    replaced: bool = False
    trace: revisions.Trace | None = None
    findings: tuple[errors.Problem, ...] = ()
    xml: bytes = b""


MAX_NUMBER = 2_147_483_647
"""What a part of a version may be set to: what the classic tools can still read."""


_LARGE_STEP = slices.SLICE_BYTES
"""What has a turn to itself."""

MAX_STEPS = 500_000
"""So many siblings without ids are counted for one change: some milliseconds."""


def carry_out(
    document: documents.Document,
    operations: Sequence[api.Operation],
    rules: Rules,
    *,
    stamp: Mapping[str, str] | None = None,
    dry_run: bool = False,
    status_only: bool = False,
    guard: acl.Guard | None = None,
) -> Carried:
    """Carry out operations as one change, if `guard` (when given) has no objection.

    `stamp` are attributes the root gets when the configuration changes (who, when).
    `status_only` refuses a change that turns out to touch the configuration.
    """
    edit = edits.Edit(document, MAX_STEPS)
    return slices.finish(
        carrying_out(
            edit,
            operations,
            rules,
            stamp=stamp,
            dry_run=dry_run,
            status_only=status_only,
            guard=guard,
        )
    )


def carrying_out(
    edit: edits.Edit,
    operations: Sequence[api.Operation],
    rules: Rules,
    *,
    stamp: Mapping[str, str] | None = None,
    dry_run: bool = False,
    status_only: bool = False,
    guard: acl.Guard | None = None,
) -> slices.Work[Carried]:
    """Do what `carry_out` does, step by step, with an edit that is new.

    Between two steps the document is neither the old nor the new one, and nobody may use it.
    """
    before = edit.document.version
    told: list[errors.Problem] = []
    rules = _telling(rules, told)
    if guard is not None:
        guard.begin()
    try:
        for operation in operations:
            yield from _carrying_out_one(edit, _of_today(edit, operation, told), rules)
        _check_version(edit, before)
        if status_only and counting.is_of_configuration(edit, before):
            problem = errors.error("not-status", "cib", "the change reaches the configuration")
            raise xml_operations.Refused(api.Outcome.ERROR, problem)
        if guard is not None:
            _check_access(edit, operations, guard)
    except xml_operations.Refused as refusal:
        edit.undo()
        return Carried(
            refusal.outcome, before, before, findings=(refusal.problem,), xml=refusal.report
        )
    except xpath.TooMuchWork as problem:
        edit.undo()
        return Carried(api.Outcome.ERROR, before, before, findings=problem.problems)
    except errors.ConfigurationError as problem:
        edit.undo()
        found = problem.problems or (errors.error("invalid-xml", "cib", str(problem)),)
        return Carried(api.Outcome.INVALID_XML, before, before, findings=found)
    except patch.PatchDoesNotFit as problem:
        edit.undo()
        finding = errors.error(
            "patch-does-not-fit", "patch", str(problem), "make it again from the current CIB"
        )
        return Carried(api.Outcome.CONFLICT, before, before, findings=(finding,))
    if not edit.changes:
        text = (yield from _showing(edit, guard)) if dry_run else b""
        return Carried(api.Outcome.OK, before, before, xml=text)
    carried = yield from _concluding(edit, before, rules, stamp or {}, dry_run=dry_run, guard=guard)
    return replace(carried, findings=(*told, *carried.findings)) if told else carried


def _telling(rules: Rules, told: list[errors.Problem]) -> Rules:
    """Have what an upgrade warns of written down: it is a finding of the change."""

    def upgrade_and_tell(root: etree._Element) -> tuple[etree._Element, list[errors.Problem]]:
        upgraded, problems = rules.upgrade(root)
        told.extend(problems)
        return upgraded, problems

    return Rules(rules.validate, upgrade_and_tell)


def _of_today(
    edit: edits.Edit, operation: api.Operation, told: list[errors.Problem]
) -> api.Operation:
    """Give an operation that hands in an object of Heartbeat 2 the same object of today.

    A document that is written in that dialect itself takes it as it is.
    """
    if not isinstance(operation, api.XmlOperation) or operation.task not in _HANDS_IN_OBJECTS:
        return operation
    if not upgrade_fragment.may_be_old(operation.xml):
        return operation
    given = xml.parse(operation.xml, keep_comments=True)
    is_old = upgrade_fragment.is_old(given)
    if not is_old or upgrade.dialect_of(edit.document.root) is upgrade.Dialect.HEARTBEAT_2:
        return operation
    converted = upgrade_fragment.convert(given)
    told.extend(converted.problems)
    return msgspec.structs.replace(operation, xml=xml.serialise(converted.root))


def _check_access(edit: edits.Edit, operations: Sequence[api.Operation], guard: acl.Guard) -> None:
    """Refuse what the user has no right to.

    Who has no right at all is told so object by object, as cibadmin prints it for creations.
    """
    wrong = guard.objection(edit)
    if wrong is None:
        return
    first = operations[0] if not guard.permissions else None
    text = b""
    if isinstance(first, api.XmlOperation) and first.task is api.XmlTask.CREATE:
        text = report.failed_creation(xml_operations.given_to(first), "Permission denied")
    raise xml_operations.Refused(api.Outcome.DENIED, wrong, text)


def _showing(edit: edits.Edit, guard: acl.Guard | None) -> slices.Work[bytes]:
    """Write the document as far as the user may see it."""
    if guard is None:
        return (yield from edit.document.writing())
    with guard.only_visible() as sight:
        return b"" if sight.root is None else xml.serialise(sight.root)


def _concluding(
    edit: edits.Edit,
    before: Version,
    rules: Rules,
    stamp: Mapping[str, str],
    *,
    dry_run: bool,
    guard: acl.Guard | None,
) -> slices.Work[Carried]:
    document = edit.document
    configuration = counting.is_of_configuration(edit, before)
    after = counting.following(edit, before, configuration=configuration)
    findings: tuple[errors.Problem, ...] = ()
    if configuration:
        for name, value in stamp.items():
            edit.set(document.root, name, value)
    counting.write(edit, after)
    written = yield from patch.writing(edit.changes, before, after)
    measure = yield from growth.judging(edit, written)
    if isinstance(measure, errors.Problem):
        edit.undo()
        return Carried(api.Outcome.INVALID_XML, before, before, findings=(measure,))
    if edit.touches_configuration or counting.has_other_schema(edit):
        yield _LARGE_STEP
        findings = tuple(_judge(edit, rules))
        yield _LARGE_STEP
        if errors.has_errors(findings):
            candidate = b"" if guard is not None else (yield from document.writing_pretty())
            edit.undo()
            return Carried(
                api.Outcome.INVALID_XML, before, before, findings=findings, xml=candidate
            )
    if dry_run:
        result = yield from _showing(edit, guard)
        edit.undo()
        return Carried(api.Outcome.OK, before, before, findings=findings, xml=result)
    document.version = after
    document.measure = measure
    touched = yield from touches.naming(edit)
    yield _LARGE_STEP
    trace = revisions.trace_of(edit) if configuration else None
    return Carried(
        api.Outcome.OK,
        before,
        after,
        patch=written,
        touched=touched,
        configuration=configuration,
        replaced=len(touched) >= touches.MAX_TOUCHED,
        trace=trace,
        findings=findings,
    )


def names(made: Sequence[msgspec.Struct], version: Version) -> bool:
    """Tell whether one of these operations sets the admin_epoch of this version, by its number."""
    return any(
        isinstance(operation, api.XmlOperation)
        and operation.task is api.XmlTask.MODIFY
        and (root := xml.parse(operation.xml)).tag == "cib"
        and root.get("admin_epoch") == str(version.admin_epoch)
        for operation in made
    )


def apply_patch(
    document: documents.Document, data: bytes, before: Version, after: Version
) -> revisions.Trace | None:
    """Repeat a change that the master made; no rules are asked, it was valid there.

    Returns what the history keeps of it, if it changed the configuration.

    Raises: StaleVersion if this document is not at `before`; PatchDoesNotFit or
    ConfigurationError if the patch cannot be repeated. The document is then as it was.
    """
    if document.version != before:
        raise errors.StaleVersion(
            f"the patch starts at {before}, this document is {document.version}"
        )
    edit = edits.Edit(document)
    try:
        patch.perform(edit, patch.read(data))
        if document.read_version() != after:
            raise patch.PatchDoesNotFit(f"the patch does not lead to {after}")
    except errors.CrmError:
        edit.undo()
        raise
    document.version = after
    growth.note(document, data)
    if (before.admin_epoch, before.epoch) == (after.admin_epoch, after.epoch):
        return None
    return revisions.trace_of(edit)


def _check_version(edit: edits.Edit, before: Version) -> None:
    given = edit.document.read_version()
    if given > before and max(given.admin_epoch, given.epoch, given.updates) > MAX_NUMBER:
        problem = errors.error(
            "version-too-high",
            "cib",
            f"the version {given} leaves no number for the changes that follow",
            f"no part of a version may be above {MAX_NUMBER}; the CIB is at {before}",
        )
        raise xml_operations.Refused(api.Outcome.INVALID_XML, problem)
    if edit.document.read_version() < before:
        problem = errors.error(
            "old-data",
            "cib",
            f"the change would take the version back from {before}"
            f" to {edit.document.read_version()}",
            "leave admin_epoch, epoch and num_updates out, or raise them",
        )
        raise xml_operations.Refused(api.Outcome.OLD_DATA, problem)


def _judge(edit: edits.Edit, rules: Rules) -> list[errors.Problem]:
    root = edit.document.root
    part = None if counting.has_other_schema(edit) else excerpt.of_edit(edit)
    if part is None:
        return rules.validate(root)
    found = rules.validate(part)
    return rules.validate(root) if errors.has_errors(found) else found


# --- one operation -----------------------------------------------------------------------------


def _carrying_out_one(
    edit: edits.Edit, operation: msgspec.Struct, rules: Rules
) -> slices.Work[None]:
    match operation:
        case api.XmlOperation():
            yield from xml_operations.carrying_out(edit, operation, rules.upgrade)
        case api.RecordOperations(records=records):
            status.record_operations(edit, records)
        case api.EraseHistory():
            status.erase_history(edit, operation)
        case api.SetNodeState():
            status.set_node_state(edit, operation)
        case api.ForgetNodeState():
            status.forget_node_state(edit, operation)
        case api.ReplaceHistory():
            status.replace_history(edit, operation)
        case api.SetNodeAttribute():
            status.set_node_attribute(edit, operation)
        case api.SetCibAttributes():
            wrong = status.set_cib_attributes(edit, operation)
            if wrong:
                raise xml_operations.Refused(
                    api.Outcome.ERROR,
                    errors.error(
                        "protected", "cib", wrong, "leave it out: the cluster writes it itself"
                    ),
                )
        case api.DescribeNodes():
            status.describe_nodes(edit, operation)
        case _:
            raise AssertionError(f"an operation of an unknown kind: {type(operation).__name__}")
