"""What a CIB may grow to: no more than those who read it take.

Each object that is given is small enough, for it was parsed within the limits. Together they must
stay so too: a file that nobody may read would be the end of the configuration, and an answer
that is longer than a frame never reaches who asked. Responsible for refusing the change that would
go too far; not for the limits themselves (`crm.plumbing.xml`).

How that is kept cheap: what a document measures *at most* is what it measured once, and what the
patches since then have brought. Only when that reaches a limit the document is written and measured
as whoever reads it does. What the patches bring also tells when no element can have become too
deep, too wide or too long.

Source: docs/protocol/cib.md, "Limits".
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from crm.api import gate
from crm.cib import document as documents
from crm.cib import edits, elements, slices, texts
from crm.cib.texts import Measure
from crm.plumbing import errors, xml

_AROUND_ANSWER_BYTES = 64 * 1024
"""What goes with a document that is sent to who asks for it."""

LIMITS = dataclasses.replace(xml.ORDINARY, total_bytes=gate.MAX_FRAME_BYTES - _AROUND_ANSWER_BYTES)
"""What a whole CIB may measure: it must fit into one answer of the gate."""

MANY = 20
_STEP = 100
"""What checking an element costs, in bytes that are parsed."""

_LONGEST_INDENT = 2 * xml.ORDINARY.depth + 1
_REMEDY = "delete what is no longer needed, or describe it with fewer or shorter parts"


def judging(edit: edits.Edit, written: bytes) -> slices.Work[Measure | errors.Problem | None]:
    """Tell what the document measures at most after an edit, or what becomes too large by it.

    `written` is the patch of the edit. None: nobody knows, and nothing was added.
    """
    brought = yield from texts.measuring(written)
    known = edit.document.measure
    at_most = None if known is None else known + brought
    try:
        if not _is_surely_small(edit, brought, written):
            yield from _checking_elements(edit.changes)
        if any(_adds(edit, change) for change in edit.changes):
            is_small = at_most is not None and _fits(at_most)
            return at_most if is_small else (yield from _measuring(edit.document))
    except errors.ConfigurationError as problem:
        found = problem.problems[0]
        message = f"with this change the CIB could not be read again: {found.message}"
        return errors.error(found.code, found.subject, message, _REMEDY)
    return at_most


def note(document: documents.Document, written: bytes) -> None:
    """Take into account what a patch has brought that was judged elsewhere."""
    if document.measure is not None:
        document.measure = document.measure + Measure.of(written)


def _adds(edit: edits.Edit, change: edits.Change) -> bool:
    """Tell whether a change needs room: what only takes away is the remedy, never refused."""
    match change:
        case edits.Created():
            return True
        case edits.Modified(_, element, attributes):
            return element is not edit.document.root and any(attributes.values())
        case _:
            return False


def _is_surely_small(edit: edits.Edit, brought: Measure, written: bytes) -> bool:
    """Tell whether a patch is too small to have made any element too deep, wide or long."""
    deepest = max((change.path.count("/") for change in edit.changes), default=0)
    return (
        len(written) <= LIMITS.attribute_chars
        and deepest + brought.elements <= LIMITS.depth
        and written.count(b'="') <= LIMITS.attributes
        and not any(_is_wide(change) for change in edit.changes)
    )


def _is_wide(change: edits.Change) -> bool:
    return isinstance(change, edits.Modified) and len(change.element.attrib) > LIMITS.attributes


def _is_long(change: edits.Modified) -> bool:
    return any(len(value or "") > LIMITS.attribute_chars for value in change.attributes.values())


def _checking_elements(changes: Sequence[edits.Change]) -> slices.Work[None]:
    """Check what was created or modified.

    Where much was created in one place, that is checked as a whole: asking costs more than looking.

    Raises: ConfigurationError as the parser does.
    """
    created = [
        parent
        for change in changes
        if isinstance(change, edits.Created)
        and elements.is_element(change.element)
        and (parent := change.element.getparent()) is not None
    ]
    crowded = [parent for parent, count in Counter(created).items() if count > MANY]
    for parent in crowded:
        _refuse(xml.first_beyond(parent, LIMITS))
        yield _STEP * len(parent)
    for change in changes:
        match change:
            case edits.Created(_, _, element) if elements.is_element(element):
                if element.getparent() not in crowded:
                    _refuse(xml.first_beyond(element, LIMITS))
                    yield _STEP * sum(1 for _ in element.iter())
            case edits.Modified(_, element, _) if _is_wide(change) or _is_long(change):
                _refuse(xml.first_beyond(element, LIMITS, only_itself=True))
            case _:
                pass
        yield _STEP


def _refuse(beyond: tuple[xml.Element, str] | None) -> None:
    if beyond is None:
        return
    found, what = beyond
    message = f"'{elements.path_of(found)}' {what}"
    subject = found.get("id") or str(found.tag)
    problem = errors.error("xml-too-large", subject, message)
    raise errors.ConfigurationError(message, [problem])


def _measuring(document: documents.Document) -> slices.Work[Measure]:
    """Measure a document as those will who read it.

    Raises: ConfigurationError as the parser does.
    """
    text = yield from document.writing()
    yield from xml.checking_bytes(text, LIMITS)
    measure = yield from texts.measuring(text)
    if not _fits(measure):
        xml.check_bytes(document.configuration_text())
    return measure


def _fits(measure: Measure) -> bool:
    """Tell whether so much is within the limits, however it is indented in cib.xml."""
    in_file = measure.size_bytes + 2 * measure.elements * _LONGEST_INDENT
    return (
        measure.size_bytes <= LIMITS.total_bytes
        and in_file <= xml.ORDINARY.total_bytes
        and measure.elements <= LIMITS.elements
        and measure.namespaces <= LIMITS.namespaces
    )
