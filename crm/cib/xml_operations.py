"""What cibadmin's actions mean: create, modify, replace, delete, erase, bump, upgrade and patch.

Responsible for carrying one of them out as edits. Not responsible for a change as a whole, its
version and its validity (`operations`).

Source: docs/protocol/cib.md, "Operations"; tools.md section 2.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator

from lxml import etree

from crm.api import cib as api
from crm.cib import compare, counting, edits, elements, patch, report, schema, slices
from crm.cib import document as documents
from crm.cib import upgrade as upgrades
from crm.model import options, score
from crm.model.version import Version
from crm.plumbing import errors, xml

Upgrader = Callable[[etree._Element], tuple[etree._Element, list[errors.Problem]]]

_Key = tuple[str, str | None]

_STEP = 1_000
"""What merging an element costs, in bytes that are parsed."""

_WHOLE = slices.SLICE_BYTES
"""What has a turn to itself."""

_ARITHMETIC = re.compile(r"(?P<name>[\w.-]+)(?:\+\+|\+=(?P<step>-?\w+))\Z")
_LIVE_ATTRIBUTES = ("have-quorum", "dc-uuid", "execution-date")
"""What the DC says about the moment; a replacement that is silent about it keeps it."""


class Refused(errors.CrmError):
    """An operation cannot be carried out; the whole change is taken back."""

    def __init__(self, outcome: api.Outcome, problem: errors.Problem, report: bytes = b"") -> None:
        super().__init__(problem.message)
        self.outcome = outcome
        self.problem = problem
        self.report = report


def carrying_out(
    edit: edits.Edit, operation: api.XmlOperation, upgrade: Upgrader
) -> slices.Work[None]:
    """Do one of cibadmin's actions, step by step.

    Raises: Refused; ConfigurationError if what is given is no XML; PatchDoesNotFit.
    """
    match operation.task:
        case api.XmlTask.CREATE:
            _create(edit, operation, (yield from _reading(operation)))
        case api.XmlTask.MODIFY:
            yield from _modifying(edit, operation, (yield from _reading(operation)))
        case api.XmlTask.REPLACE:
            yield from _replacing(edit, operation, (yield from _reading(operation)))
        case api.XmlTask.DELETE:
            yield from _deleting(edit, operation, every=False)
        case api.XmlTask.DELETE_ALL:
            yield from _deleting(edit, operation, every=True)
        case api.XmlTask.ERASE:
            yield from _erasing(edit)
        case api.XmlTask.BUMP:
            version = edit.document.version
            counting.write(edit, Version(version.admin_epoch, version.epoch + 1, version.updates))
        case api.XmlTask.UPGRADE:
            yield from _upgrading(edit, upgrade)
        case api.XmlTask.PATCH:
            if operation.xml:
                yield from _patching(edit, patch.read((yield from _reading(operation))))


def given_to(operation: api.XmlOperation) -> etree._Element:
    """Read the XML of an operation.

    Raises: Refused if there is none; ConfigurationError if it is no XML.
    """
    return slices.finish(_reading(operation))


def _reading(operation: api.XmlOperation) -> slices.Work[etree._Element]:
    if not operation.xml:
        problem = errors.error(
            "no-xml",
            "cib",
            f"'{operation.task.value}' was asked for, but no XML was given",
            "give it as text, in a file or on standard input",
        )
        raise Refused(api.Outcome.NO_DATA, problem)
    if len(operation.xml) <= xml.BITE_BYTES:
        return xml.parse(operation.xml, keep_comments=True)
    return (yield from xml.parsing(operation.xml, keep_comments=True))


def _create(edit: edits.Edit, operation: api.XmlOperation, given: etree._Element) -> None:
    if operation.xpath:
        _create_one(edit, _selected(edit, operation), given)
        return
    if given.tag in ("cib", "configuration") and not operation.section:
        for part in _elements(given):
            _create(edit, operation, part)
        return
    section = operation.section or _section_name(given)
    parent = _section(edit, section)
    if parent is edit.document.root:
        raise _homeless(operation, given)
    if given.tag == section:
        for child in _elements(given):
            _create_one(edit, parent, child)
    else:
        _create_one(edit, parent, given)


def _homeless(operation: api.XmlOperation, given: etree._Element) -> Refused:
    """Refuse to put an object beside the configuration and the status."""
    if not operation.section and operation.task is api.XmlTask.CREATE:
        outcome, why = api.Outcome.NOT_FOUND, "it is not said into which section"
    else:
        outcome, why = api.Outcome.INVALID_XML, f"there is no section '{operation.section}'"
    text = f"<{given.tag}> cannot be created: {why}"
    names = ", ".join((*documents.SECTIONS, "configuration", "status"))
    return Refused(
        outcome, errors.error("no-section", str(given.tag), text, f"name one of: {names}")
    )


def _section_name(given: etree._Element) -> str:
    tag = str(given.tag)
    return tag if tag in (*documents.SECTIONS, "status") else ""


def _create_one(edit: edits.Edit, parent: etree._Element, given: etree._Element) -> None:
    identity = given.get("id")
    if _exists(edit.document, parent, given, identity):
        named = f"with the id '{identity}'" if identity is not None else f"in <{parent.tag}>"
        text = f"there is already a <{given.tag}> {named}"
        hint = "modify or replace it, or give another id"
        problem = errors.error("exists", identity or str(given.tag), text, hint)
        found = report.failed_creation(given, "File exists")
        raise Refused(api.Outcome.EXISTS, problem, found)
    edit.insert(parent, copy.deepcopy(given))


def _exists(
    document: documents.Document,
    parent: etree._Element,
    given: etree._Element,
    identity: str | None,
) -> bool:
    """Tell whether an object is there; one without an id may stand once in its place."""
    if identity is None:
        return parent.find(str(given.tag)) is not None
    if document.in_configuration(parent) and given.tag not in documents.REFERENCES:
        return document.by_id(identity) is not None
    return any(child.get("id") == identity for child in parent.iterchildren(str(given.tag)))


def _modifying(
    edit: edits.Edit, operation: api.XmlOperation, given: etree._Element
) -> slices.Work[None]:
    if operation.xpath:
        anchors = edit.document.select(operation.xpath)
        anchor = anchors[0] if anchors else None
    elif operation.section:
        anchor = _section(edit, operation.section, make=operation.may_create)
    else:
        anchor = edit.document.root
    target = None if anchor is None else _find_like(edit.document, anchor, given)
    if target is not None:
        yield from _merging(edit, target, given)
        return
    if operation.may_create and not operation.xpath:
        _create(edit, operation, given)
        return
    if not operation.xpath and _is_new_section(edit, given):
        edit.insert(edit.document.configuration, copy.deepcopy(given))
        return
    raise Refused(api.Outcome.NOT_FOUND, _missing(edit.document, operation, given))


def _is_new_section(edit: edits.Edit, given: etree._Element) -> bool:
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


def _merging(edit: edits.Edit, target: etree._Element, given: etree._Element) -> slices.Work[None]:
    """Set the given attributes and merge the given children by kind and id."""
    for name, value in given.attrib.items():
        text = _computed(str(name), str(value), target.get(str(name)))
        edit.set(target, str(name), text)
    known: dict[_Key, etree._Element] = {}
    unread = target.iterchildren(etree.Element)
    for child in _elements(given):
        own = _child_like(child, known, unread)
        if own is None:
            made = copy.deepcopy(child)
            edit.insert(target, made)
            _note_child(known, made)
        else:
            yield from _merging(edit, own, child)
        yield _STEP


def _child_like(
    given: etree._Element, known: dict[_Key, etree._Element], unread: Iterator[etree._Element]
) -> etree._Element | None:
    """Find the first child of this kind and id (any id, if none is given).

    Each child is read once, however many are looked for.
    """
    key = (str(given.tag), given.get("id"))
    if key not in known:
        for child in unread:
            _note_child(known, child)
            if key in known:
                break
    return known.get(key)


def _note_child(known: dict[_Key, etree._Element], child: etree._Element) -> None:
    known.setdefault((str(child.tag), child.get("id")), child)
    known.setdefault((str(child.tag), None), child)


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


def _replacing(
    edit: edits.Edit, operation: api.XmlOperation, given: etree._Element
) -> slices.Work[None]:
    document = edit.document
    if given.tag == "cib" and not operation.xpath:
        yield from _replacing_root(edit, documents.Document(given))
        return
    if operation.xpath:
        old: etree._Element | None = _selected(edit, operation)
    elif given.tag in (*documents.SECTIONS, "configuration", "status"):
        old = _section(edit, str(given.tag))
    else:
        anchor = _section(edit, operation.section) if operation.section else document.root
        old = _find_like(document, anchor, given)
    if old is None:
        raise Refused(api.Outcome.NOT_FOUND, _missing(edit.document, operation, given))
    if old.tag == given.tag:
        yield from compare.becoming(edit, old, given)
        return
    parent = old.getparent()
    if parent is None:
        raise Refused(api.Outcome.ERROR, _missing(edit.document, operation, given))
    place = parent.index(old)
    edit.remove(old)
    edit.insert(parent, copy.deepcopy(given), place)


def _replacing_root(edit: edits.Edit, given: documents.Document) -> slices.Work[None]:
    edit.outlives(given)
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
        own = elements.attributes_of(edit.document.status)
        given.root.replace(given.status, etree.Element("status", own))
        keep = ("status",)
    yield from compare.becoming(edit, edit.document.root, given.root, keep=keep)


def _deleting(edit: edits.Edit, operation: api.XmlOperation, *, every: bool) -> slices.Work[None]:
    if operation.xpath:
        found = edit.document.select(operation.xpath)
    else:
        given = given_to(operation)
        anchor = _section(edit, operation.section, make=False) if operation.section else None
        if operation.section and anchor is None:
            return
        found = _matching(edit.document.root if anchor is None else anchor, given)
    fixed = (edit.document.root, edit.document.configuration, edit.document.status)
    for element in found if every else found[:1]:
        if any(element is part for part in fixed):
            problem = errors.error(
                "undeletable",
                str(element.tag),
                f"<{element.tag}> is a part every CIB has and cannot be deleted",
                "erase the CIB, or delete the objects in it",
            )
            raise Refused(api.Outcome.ERROR, problem)
        if element.getroottree().getroot() is edit.document.root:
            edit.remove(element)
            yield compare.cost_of(element)


def _matching(anchor: etree._Element, given: etree._Element) -> list[etree._Element]:
    return [
        candidate
        for candidate in anchor.iter(str(given.tag))
        if all(candidate.get(str(name)) == value for name, value in given.attrib.items())
    ]


def _erasing(edit: edits.Edit) -> slices.Work[None]:
    document = edit.document
    version = document.version
    blank = documents.empty()
    for old, new in (
        (document.configuration, blank.find("configuration")),
        (document.status, blank.find("status")),
    ):
        assert new is not None, "the empty CIB has both parts"
        yield from compare.becoming(edit, old, new)
    counting.write(edit, Version(version.admin_epoch + 1, version.epoch, 0))


def _upgrading(edit: edits.Edit, upgrade: Upgrader) -> slices.Work[None]:
    version = edit.document.version
    frame = schema.without_status(edit.document.root)
    etree.SubElement(frame, "status")
    upgraded, problems = upgrade(frame)
    yield _WHOLE
    if errors.has_errors(problems):
        raise Refused(api.Outcome.INVALID_XML, next(p for p in problems if errors.has_errors([p])))
    for name in documents.VERSION_ATTRIBUTES:
        upgraded.set(name, edit.document.root.get(name, "0"))
    dialect = upgrades.dialect_of(edit.document.root)
    keep = () if dialect is upgrades.Dialect.HEARTBEAT_2 else ("status",)
    yield from compare.becoming(edit, edit.document.root, upgraded, keep=keep)
    if edit.changes:
        counting.write(edit, Version(version.admin_epoch + 1, 1, 0))


def _patching(edit: edits.Edit, given: etree._Element) -> slices.Work[None]:
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
    if target is not None and target < current:
        text = f"the patch leads to version {target}, which is older than {current}"
        hint = "make it again from the current CIB"
        raise Refused(api.Outcome.OLD_DATA, errors.error("old-data", "patch", text, hint))
    yield from patch.performing(edit, given)
    if target is not None and target > current:
        counting.write(edit, target)


# --- where -------------------------------------------------------------------------------------


def _selected(edit: edits.Edit, operation: api.XmlOperation) -> etree._Element:
    found = edit.document.select(operation.xpath)
    if not found:
        raise Refused(api.Outcome.NOT_FOUND, _missing(edit.document, operation, None))
    return found[0]


def _missing(
    document: documents.Document, operation: api.XmlOperation, given: etree._Element | None
) -> errors.Problem:
    if operation.xpath:
        return errors.error(
            "not-found",
            "xpath",
            f"nothing matches '{operation.xpath}'",
            "look with cibadmin --query --xpath for what is there",
        )
    tag = "" if given is None else str(given.tag)
    identity = "" if given is None else given.get("id", "")
    named = f" with the id '{identity}'" if identity else ""
    near = None
    if identity:
        alike = (each.get("id") for each in document.root.iter(tag))
        near = options.nearest(identity, [each for each in alike if each])
    hint = f"did you mean '{near}'?" if near else "create it first, or allow that it is created"
    return errors.error("not-found", identity or tag, f"there is no <{tag}>{named}", hint)


def _section(edit: edits.Edit, name: str, *, make: bool = True) -> etree._Element:
    known = edit.document.section(name)
    if known is None:
        known = etree.Element(name)
        if make:
            edit.insert(edit.document.configuration, known)
    return known


def _elements(parent: etree._Element) -> list[etree._Element]:
    return [child for child in parent if elements.is_element(child)]
