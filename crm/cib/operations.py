"""Carrying out a change: its operations on a document, all of them or none.

Responsible for what create, modify, replace, delete, erase, bump, upgrade and patch mean, for
the version that results, and for the patch that repeats it. The document is untouched when the
outcome is not OK. Not responsible for naming what was touched (`touches`), for who may change it
(`acl`), for quorum and replication (`replica`), nor for the rules a configuration must follow: a
validator is handed in. It is shown the live tree and must leave it alone; a grammar is to be asked
about a throw-away copy (validating one tree again and again leaks).

Source: docs/protocol/cib.md, "Operations"; tools.md section 2.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from lxml import etree

from crm.api import cib as api
from crm.cib import (
    acl,
    compare,
    excerpt,
    patch,
    report,
    revisions,
    status,
    touches,
    upgrade,
    upgrade_fragment,
)
from crm.cib import document as documents
from crm.model import score
from crm.model.version import Version
from crm.plumbing import errors, xml

Validator = Callable[[etree._Element], list[errors.Problem]]
Upgrader = Callable[[etree._Element], tuple[etree._Element, list[errors.Problem]]]

_HANDS_IN_OBJECTS = frozenset({api.XmlTask.CREATE, api.XmlTask.REPLACE})
_ARITHMETIC = re.compile(r"(?P<name>[\w.-]+)(?:\+\+|\+=(?P<step>-?\w+))\Z")
_LIVE_ATTRIBUTES = ("have-quorum", "dc-uuid", "execution-date")
"""What the DC says about the moment; a replacement that is silent about it keeps it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a change must obey: the validator, and how a document is upgraded.

    The validator judges a CIB. After a small change it is first handed one that holds only the
    objects that were touched and those they refer to; what it finds there, it is asked about
    once more with the whole document.
    """

    validate: Validator
    upgrade: Upgrader


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


class Refused(errors.CrmError):
    """An operation cannot be carried out; the whole change is taken back."""

    def __init__(self, outcome: api.Outcome, problem: errors.Problem, report: bytes = b"") -> None:
        super().__init__(problem.message)
        self.outcome = outcome
        self.problem = problem
        self.report = report


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
    before = document.version
    edit = documents.Edit(document)
    told: list[errors.Problem] = []
    rules = _telling(rules, told)
    if guard is not None:
        guard.begin()
    try:
        for operation in operations:
            _carry_out_one(edit, _of_today(edit, operation, told), rules)
        _check_version(edit, before)
        if status_only and _is_configuration(edit, before):
            problem = errors.error("not-status", "cib", "the change reaches the configuration")
            raise Refused(api.Outcome.ERROR, problem)
        if guard is not None:
            _check_access(edit, operations, guard)
    except Refused as refusal:
        edit.undo()
        return Carried(
            refusal.outcome, before, before, findings=(refusal.problem,), xml=refusal.report
        )
    except errors.ConfigurationError as problem:
        edit.undo()
        found = problem.problems or (errors.error("invalid-xml", "cib", str(problem)),)
        return Carried(api.Outcome.INVALID_XML, before, before, findings=found)
    except patch.PatchDoesNotFit as problem:
        edit.undo()
        finding = errors.error("patch-does-not-fit", "patch", str(problem), "read the CIB again")
        return Carried(api.Outcome.CONFLICT, before, before, findings=(finding,))
    if not edit.changes:
        return Carried(api.Outcome.OK, before, before, xml=_shown(edit, guard) if dry_run else b"")
    carried = _conclude(edit, before, rules, stamp or {}, dry_run=dry_run, guard=guard)
    return replace(carried, findings=(*told, *carried.findings)) if told else carried


def _telling(rules: Rules, told: list[errors.Problem]) -> Rules:
    """Have what an upgrade warns of written down: it is a finding of the change."""

    def upgrade_and_tell(root: etree._Element) -> tuple[etree._Element, list[errors.Problem]]:
        upgraded, problems = rules.upgrade(root)
        told.extend(problems)
        return upgraded, problems

    return Rules(rules.validate, upgrade_and_tell)


def _of_today(
    edit: documents.Edit, operation: api.Operation, told: list[errors.Problem]
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


def _check_access(
    edit: documents.Edit, operations: Sequence[api.Operation], guard: acl.Guard
) -> None:
    """Refuse what the user has no right to.

    Who has no right at all is told so object by object, as cibadmin prints it for creations.
    """
    tasks = [each.task for each in operations if isinstance(each, api.XmlOperation)]
    wrong = guard.objection(edit, bumps=api.XmlTask.BUMP in tasks)
    if wrong is None:
        return
    first = operations[0] if not guard.permissions else None
    text = b""
    if isinstance(first, api.XmlOperation) and first.task is api.XmlTask.CREATE:
        text = report.failed_creation(_given(first), "Permission denied")
    raise Refused(api.Outcome.DENIED, wrong, text)


def _shown(edit: documents.Edit, guard: acl.Guard | None) -> bytes:
    """Write the document as far as the user may see it."""
    if guard is None:
        return edit.document.text()
    shown = guard.shown()
    return b"" if shown is None else xml.serialise(shown)


def _conclude(
    edit: documents.Edit,
    before: Version,
    rules: Rules,
    stamp: Mapping[str, str],
    *,
    dry_run: bool,
    guard: acl.Guard | None,
) -> Carried:
    document = edit.document
    configuration = _is_configuration(edit, before)
    after = _next_version(edit, before, configuration=configuration)
    findings: tuple[errors.Problem, ...] = ()
    if configuration:
        for name, value in stamp.items():
            edit.set(document.root, name, value)
    _write_version(edit, after)
    if edit.touches_configuration or _schema_changed(edit):
        findings = tuple(_judge(edit, rules))
        if errors.has_errors(findings):
            candidate = b"" if guard is not None else document.text(pretty=True)
            edit.undo()
            return Carried(
                api.Outcome.INVALID_XML, before, before, findings=findings, xml=candidate
            )
    if dry_run:
        result = _shown(edit, guard)
        edit.undo()
        return Carried(api.Outcome.OK, before, before, findings=findings, xml=result)
    document.version = after
    touched = touches.of_edit(edit)
    return Carried(
        api.Outcome.OK,
        before,
        after,
        patch=patch.write(edit.changes, before, after),
        touched=touched,
        configuration=configuration,
        replaced=len(touched) >= touches.MAX_TOUCHED,
        trace=revisions.trace_of(edit) if configuration else None,
        findings=findings,
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
    edit = documents.Edit(document)
    try:
        patch.perform(edit, patch.read(data))
        if document.read_version() != after:
            raise patch.PatchDoesNotFit(f"the patch does not lead to {after}")
    except errors.CrmError:
        edit.undo()
        raise
    document.version = after
    if (before.admin_epoch, before.epoch) == (after.admin_epoch, after.epoch):
        return None
    return revisions.trace_of(edit)


# --- one operation -----------------------------------------------------------------------------


def _carry_out_one(edit: documents.Edit, operation: msgspec.Struct, rules: Rules) -> None:
    match operation:
        case api.XmlOperation():
            _xml_operation(edit, operation, rules)
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
                raise Refused(api.Outcome.ERROR, errors.error("protected", "cib", wrong))
        case api.DescribeNodes():
            status.describe_nodes(edit, operation)
        case _:
            raise AssertionError(f"an operation of an unknown kind: {type(operation).__name__}")


def _xml_operation(edit: documents.Edit, operation: api.XmlOperation, rules: Rules) -> None:
    match operation.task:
        case api.XmlTask.CREATE:
            _create(edit, operation, _given(operation))
        case api.XmlTask.MODIFY:
            _modify(edit, operation, _given(operation))
            _count_raised_version(edit)
        case api.XmlTask.REPLACE:
            _replace(edit, operation, _given(operation))
        case api.XmlTask.DELETE:
            _delete(edit, operation, every=False)
        case api.XmlTask.DELETE_ALL:
            _delete(edit, operation, every=True)
        case api.XmlTask.ERASE:
            _erase(edit)
        case api.XmlTask.BUMP:
            version = edit.document.version
            _write_version(edit, Version(version.admin_epoch, version.epoch + 1, 1))
        case api.XmlTask.UPGRADE:
            _upgrade(edit, rules)
        case api.XmlTask.PATCH:
            if operation.xml:
                _patch(edit, patch.read(operation.xml))


def _given(operation: api.XmlOperation) -> etree._Element:
    if not operation.xml:
        problem = errors.error("no-xml", "cib", f"nothing to {operation.task.value} was given")
        raise Refused(api.Outcome.NO_DATA, problem)
    return xml.parse(operation.xml, keep_comments=True)


def _create(edit: documents.Edit, operation: api.XmlOperation, given: etree._Element) -> None:
    if operation.xpath:
        _create_one(edit, _selected(edit, operation), given)
        return
    if given.tag in ("cib", "configuration") and not operation.section:
        for part in _elements(given):
            _create(edit, operation, part)
        return
    section = operation.section or _section_name(given)
    parent = _section(edit, section)
    if given.tag == section:
        for child in _elements(given):
            _create_one(edit, parent, child)
    else:
        _create_one(edit, parent, given)


def _section_name(given: etree._Element) -> str:
    tag = str(given.tag)
    return tag if tag in (*documents.SECTIONS, "status") else ""


def _create_one(edit: documents.Edit, parent: etree._Element, given: etree._Element) -> None:
    identity = given.get("id")
    if identity is not None and _exists(edit.document, parent, given, identity):
        raise Refused(
            api.Outcome.EXISTS,
            errors.error(
                "exists", identity, f"there is already a <{given.tag}> with the id '{identity}'"
            ),
            report.failed_creation(given, "File exists"),
        )
    edit.insert(parent, copy.deepcopy(given))


def _exists(
    document: documents.Document, parent: etree._Element, given: etree._Element, identity: str
) -> bool:
    if document.in_configuration(parent) and given.tag not in documents.REFERENCES:
        return document.by_id(identity) is not None
    return any(child.get("id") == identity for child in parent.iterchildren(str(given.tag)))


def _modify(edit: documents.Edit, operation: api.XmlOperation, given: etree._Element) -> None:
    if operation.xpath:
        anchors = edit.document.select(operation.xpath)
        anchor = anchors[0] if anchors else None
    elif operation.section:
        anchor = _section(edit, operation.section, make=operation.may_create)
    else:
        anchor = edit.document.root
    target = None if anchor is None else _find_like(edit.document, anchor, given)
    if target is not None:
        _merge(edit, target, given)
        return
    if operation.may_create and not operation.xpath:
        _create(edit, operation, given)
        return
    if not operation.xpath and _is_new_section(edit, given):
        edit.insert(edit.document.configuration, copy.deepcopy(given))
        return
    raise Refused(api.Outcome.NOT_FOUND, _missing(operation, given))


def _is_new_section(edit: documents.Edit, given: etree._Element) -> bool:
    return (
        given.tag in documents.SECTIONS and edit.document.configuration.find(str(given.tag)) is None
    )


def _find_like(
    document: documents.Document, anchor: etree._Element, given: etree._Element
) -> etree._Element | None:
    """Find the element of this kind and id: the anchor itself or the first one below it."""
    identity = given.get("id")
    tag = str(given.tag)
    if anchor.tag == tag and anchor.get("id") == identity:
        return anchor
    if identity is not None:
        known = document.by_id(identity)
        if known is not None and known.tag == tag and _stands_below(known, anchor):
            return known
    for candidate in anchor.iterdescendants(tag):
        if candidate.get("id") == identity:
            return candidate
    return None


def _stands_below(element: etree._Element, anchor: etree._Element) -> bool:
    return any(step is anchor for step in element.iterancestors())


def _count_raised_version(edit: documents.Edit) -> None:
    """Count a version that was raised by hand, and nothing else, as one more update."""
    before, given = edit.document.version, edit.document.read_version()
    raised = (given.admin_epoch, given.epoch) > (before.admin_epoch, before.epoch)
    if raised and not edit.touches_configuration:
        _write_version(edit, Version(given.admin_epoch, given.epoch, given.updates + 1))


def _merge(edit: documents.Edit, target: etree._Element, given: etree._Element) -> None:
    """Set the given attributes and merge the given children by kind and id."""
    for name, value in given.attrib.items():
        text = _computed(str(name), str(value), target.get(str(name)))
        edit.set(target, str(name), text)
    for child in _elements(given):
        own = next(
            (item for item in target.iterchildren(str(child.tag)) if _is_same(item, child)), None
        )
        if own is None:
            edit.insert(target, copy.deepcopy(child))
        else:
            _merge(edit, own, child)


def _is_same(own: etree._Element, given: etree._Element) -> bool:
    return given.get("id") is None or own.get("id") == given.get("id")


def _computed(name: str, value: str, old: str | None) -> str:
    """Work out `value++` and `value+=N` on the old value; anything else stands for itself."""
    sum_of = _ARITHMETIC.match(value)
    if sum_of is None or sum_of["name"] != name:
        return value
    try:
        step = score.parse(sum_of["step"]) if sum_of["step"] else score.Score(1)
        return score.text(score.add(score.parse(old or "0"), step))
    except ValueError:
        return value


def _replace(edit: documents.Edit, operation: api.XmlOperation, given: etree._Element) -> None:
    document = edit.document
    if given.tag == "cib" and not operation.xpath:
        _replace_root(edit, documents.Document(given))
        return
    if operation.xpath:
        old: etree._Element | None = _selected(edit, operation)
    elif given.tag in (*documents.SECTIONS, "configuration", "status"):
        old = _section(edit, str(given.tag))
    else:
        anchor = _section(edit, operation.section) if operation.section else document.root
        old = _find_like(document, anchor, given)
    if old is None:
        raise Refused(api.Outcome.NOT_FOUND, _missing(operation, given))
    if old.tag == given.tag:
        compare.become(edit, old, given)
        return
    parent = old.getparent()
    if parent is None:
        raise Refused(api.Outcome.ERROR, _missing(operation, given))
    place = parent.index(old)
    edit.remove(old)
    edit.insert(parent, copy.deepcopy(given), place)


def _replace_root(edit: documents.Edit, given: documents.Document) -> None:
    current = edit.document.version
    if given.version < current:
        raise Refused(
            api.Outcome.OLD_DATA,
            errors.error(
                "old-data",
                "cib",
                f"the version {given.version} is older than {current}",
                "read the CIB again and repeat the change there",
            ),
        )
    for name in _LIVE_ATTRIBUTES:
        if name in edit.document.root.attrib and name not in given.root.attrib:
            given.root.set(name, edit.document.root.get(name, ""))
    keep: tuple[str, ...] = ()
    if len(given.status) == 0:
        own = documents.attributes_of(edit.document.status)
        given.root.replace(given.status, etree.Element("status", own))
        keep = ("status",)
    compare.become(edit, edit.document.root, given.root, keep=keep)


def _delete(edit: documents.Edit, operation: api.XmlOperation, *, every: bool) -> None:
    if operation.xpath:
        found = edit.document.select(operation.xpath)
    else:
        given = _given(operation)
        anchor = _section(edit, operation.section, make=False) if operation.section else None
        if operation.section and anchor is None:
            return
        found = _matching(edit.document.root if anchor is None else anchor, given)
    fixed = (edit.document.root, edit.document.configuration, edit.document.status)
    for element in found if every else found[:1]:
        if any(element is part for part in fixed):
            problem = errors.error("undeletable", str(element.tag), f"<{element.tag}> must stay")
            raise Refused(api.Outcome.ERROR, problem)
        if element.getroottree().getroot() is edit.document.root:
            edit.remove(element)


def _matching(anchor: etree._Element, given: etree._Element) -> list[etree._Element]:
    return [
        candidate
        for candidate in anchor.iter(str(given.tag))
        if all(candidate.get(str(name)) == value for name, value in given.attrib.items())
    ]


def _erase(edit: documents.Edit) -> None:
    document = edit.document
    version = document.version
    blank = documents.empty()
    for old, new in (
        (document.configuration, blank.find("configuration")),
        (document.status, blank.find("status")),
    ):
        assert new is not None, "the empty CIB has both parts"
        compare.become(edit, old, new)
    _write_version(edit, Version(version.admin_epoch + 1, version.epoch + 1, 0))


def _upgrade(edit: documents.Edit, rules: Rules) -> None:
    version = edit.document.version
    upgraded, problems = rules.upgrade(copy.deepcopy(edit.document.root))
    if errors.has_errors(problems):
        raise Refused(api.Outcome.INVALID_XML, next(p for p in problems if errors.has_errors([p])))
    for name in documents.VERSION_ATTRIBUTES:
        upgraded.set(name, edit.document.root.get(name, "0"))
    compare.become(edit, edit.document.root, upgraded)
    if edit.changes:
        _write_version(edit, Version(version.admin_epoch + 1, 2, 0))


def _patch(edit: documents.Edit, given: etree._Element) -> None:
    source, target = patch.versions_of(given)
    current = edit.document.version
    if source is not None and source != current:
        raise Refused(
            api.Outcome.OLD_DATA,
            errors.error(
                "old-data",
                "patch",
                f"the patch was made for version {source}, the CIB is {current}",
                "make it again from the current CIB",
            ),
        )
    patch.perform(edit, given)
    if target is not None and target > current:
        _write_version(edit, target)


# --- where -------------------------------------------------------------------------------------


def _selected(edit: documents.Edit, operation: api.XmlOperation) -> etree._Element:
    found = edit.document.select(operation.xpath)
    if not found:
        raise Refused(api.Outcome.NOT_FOUND, _missing(operation, None))
    return found[0]


def _missing(operation: api.XmlOperation, given: etree._Element | None) -> errors.Problem:
    if operation.xpath:
        return errors.error("not-found", "xpath", f"nothing matches '{operation.xpath}'")
    tag = "" if given is None else str(given.tag)
    identity = "" if given is None else given.get("id", "")
    named = f" with the id '{identity}'" if identity else ""
    return errors.error("not-found", identity or tag, f"there is no <{tag}>{named}")


def _section(edit: documents.Edit, name: str, *, make: bool = True) -> etree._Element:
    known = edit.document.section(name)
    if known is None:
        known = etree.Element(name)
        if make:
            edit.insert(edit.document.configuration, known)
    return known


def _elements(parent: etree._Element) -> list[etree._Element]:
    return [child for child in parent if documents.is_element(child)]


# --- version ---------------------------------------------------------------------------------


def _check_version(edit: documents.Edit, before: Version) -> None:
    if edit.document.read_version() < before:
        problem = errors.error(
            "old-data",
            "cib",
            f"the change would take the version back from {before}"
            f" to {edit.document.read_version()}",
        )
        raise Refused(api.Outcome.OLD_DATA, problem)


def _is_configuration(edit: documents.Edit, before: Version) -> bool:
    given = edit.document.read_version()
    jumped = (given.admin_epoch, given.epoch) != (before.admin_epoch, before.epoch)
    return edit.touches_configuration or jumped or _schema_changed(edit)


def _schema_changed(edit: documents.Edit) -> bool:
    root = edit.document.root
    return any(
        isinstance(change, documents.Modified)
        and change.element is root
        and "validate-with" in change.attributes
        for change in edit.changes
    )


def _next_version(edit: documents.Edit, before: Version, *, configuration: bool) -> Version:
    """Count the change, unless an operation (replace, patch, bump) named a later version."""
    given = edit.document.read_version()
    if given > before:
        return given
    if configuration:
        return Version(before.admin_epoch, before.epoch + 1, 0)
    return Version(before.admin_epoch, before.epoch, before.updates + 1)


def _write_version(edit: documents.Edit, version: Version) -> None:
    values = (version.admin_epoch, version.epoch, version.updates)
    for name, value in zip(documents.VERSION_ATTRIBUTES, values, strict=True):
        edit.set(edit.document.root, name, str(value))


def _judge(edit: documents.Edit, rules: Rules) -> list[errors.Problem]:
    root = edit.document.root
    part = None if _schema_changed(edit) else excerpt.of_edit(edit)
    if part is None:
        return rules.validate(root)
    found = rules.validate(part)
    return rules.validate(root) if errors.has_errors(found) else found
