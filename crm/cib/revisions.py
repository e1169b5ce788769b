"""The history of the configuration: who made which version out of which, when, why, and back.

Responsible for the entries (`Revision`), for how many are kept, for their form in the journal,
for fitting a journal to the configuration it was found beside, and for going back with it: to an
earlier version, or by exactly one change. Not responsible for files (`store`), nor for when
anything is written (`disk`).

Each entry holds the patch that leads *back*. The present configuration is always whole, so any
version is reached from it, and dropping the oldest entries costs nothing else. The patch also
says what the change left behind, so that undoing it can tell whether somebody has changed it
since.

What is not known is said: an entry with `is_known` false stands for a version whose making was
not recorded (a file edited by hand, a journal that was lost), and a way back ends there.

Source: decision 0024; docs/protocol/cib.md, "History".
"""

from __future__ import annotations

import copy
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from lxml import etree

from crm.api.cib import Origin, Revision
from crm.cib import compare, edits, elements, lines, patch, summary
from crm.cib import document as documents
from crm.cib.disk import Journal
from crm.model.version import Version
from crm.plumbing import errors, xml

MAX_REVISIONS = 1_000
MAX_BYTES = 8 * 1024 * 1024
"""Of the journal, with patches packed."""

MAX_AGE_S = 365 * 24 * 3600.0
"""Older entries go when a newer one comes."""

EDITED = "cib.xml was edited by hand while the cib did not run"

MAX_USELESS = 100
"""So many dropped entries may still stand in the journal before it is written anew."""

MAX_TOLD_BYTES = 1024 * 1024
"""What is told to a node that joins, at most; older entries stay where they are."""

TOLD_ENTRY_BYTES = 500
"""What an entry takes beside its patch, about."""

_STATUS = "/cib/status/"

MAX_OBJECTS = 1_000
MAX_REASON = 500
MAX_PATCH_BYTES = 64 * 1024 * 1024

_PACKING = 6
_SMALL_BYTES = 4096
_SMALL_WINDOW_BITS = 12
"""The binary logarithm of the above."""

_SMALL_MEMORY = 4
"""Zlib's own measure of what it may use, from 1 to 9."""

_NAME = re.compile(r"(?:(?P<admin>\d{1,15})\.)?(?P<epoch>\d{1,15})\Z", re.ASCII)


class UnknownRevision(errors.UsageError):
    """A revision is named that is not known here; `problems` says which are."""

    def __init__(self, message: str, hint: str = "", *, subject: str = "") -> None:
        super().__init__(message)
        self.problems = (errors.error("unknown-revision", subject, message, hint),)


class UndoConflict(errors.CrmError):
    """A change cannot be taken back as things are; `problems` says what stands in the way."""

    def __init__(self, message: str, problems: Sequence[errors.Problem]) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


# --- making entries ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trace:
    """What an edit left for the history: a line for people, what it touched, and the way back."""

    summary: str
    objects: tuple[str, ...]
    backward: bytes


def trace_of(edit: edits.Edit) -> Trace:
    """Take down what a change did, while its edit is still at hand."""
    told = [each for each in edit.changes if not each.path.startswith(_STATUS)]
    objects = summary.objects_of(told)[:MAX_OBJECTS]
    text = summary.summary_of(told, edit.document)
    return Trace(text, objects, pack(write_backward(edit.reversals)))


def entry_of(
    trace: Trace, before: Version, after: Version, *, digest: str, origin: Origin, at: float
) -> Revision:
    """Write the entry of a change. Units: `at` in seconds since 1970."""
    return Revision(
        before,
        after,
        digest,
        at,
        origin.node,
        origin.user,
        origin.client,
        origin.reason[:MAX_REASON],
        trace.summary,
        trace.objects,
        trace.backward,
    )


def of_takeover(
    old: documents.Document, new: documents.Document, *, giver: str, at: float
) -> Revision:
    """Write the entry for a copy that was taken over: all that differs, as one step.

    What happened in between is known to the giver one by one; here it is known as a whole. `old`
    is used up: its configuration becomes the new one.
    """
    edit = edits.Edit(old)
    before = old.version
    compare.become(edit, old.configuration, new.configuration)
    if old.schema != new.schema:
        edit.set(old.root, "validate-with", new.schema)
    reason = f"took over the copy of {giver}, which may know the changes one by one"
    origin = Origin("cib", giver, reason=reason)
    digest = new.digest()
    return entry_of(trace_of(edit), before, new.version, digest=digest, origin=origin, at=at)


def not_recorded(before: Version, document: documents.Document, reason: str = "") -> Revision:
    """Write the entry for a version of which nobody noted how it came about."""
    return Revision(
        before,
        document.version,
        document.digest(),
        reason=reason,
        is_known=False,
        is_offline=reason == EDITED,
    )


def write_backward(reversals: Sequence[edits.Reversal]) -> bytes:
    """Write the way back as a v2 diff whose changes also say what they expect to find."""
    root = etree.Element("diff", format="2")
    for step in reversed(reversals):
        entry = etree.SubElement(root, "change", operation=step.operation, path=step.path)
        if step.position is not None:
            entry.set("position", str(step.position))
        if step.operation in ("create", "delete"):
            entry.append(copy.deepcopy(step.element))
            for name, value in zip(("follows", "precedes"), step.neighbours, strict=True):
                if value:
                    entry.set(name, value)
        elif step.operation == "modify":
            _write_attribute(etree.SubElement(entry, "change-list"), step)
    return xml.serialise(root)


def _write_attribute(listing: etree._Element, step: edits.Reversal) -> None:
    attribute = etree.SubElement(listing, "change-attr", name=step.name)
    attribute.set("operation", "unset" if step.value is None else "set")
    if step.value is not None:
        attribute.set("value", step.value)
    if step.expected is not None:
        attribute.set("expected", step.expected)


def pack(data: bytes) -> bytes:
    """Make a patch small.

    Most are some hundred bytes. With the usual window zlib clears a quarter of a MiB before it
    reads the first of them, which takes ten times as long as all the rest.
    """
    if len(data) > _SMALL_BYTES:
        return zlib.compress(data, _PACKING)
    packer = zlib.compressobj(_PACKING, zlib.DEFLATED, _SMALL_WINDOW_BITS, _SMALL_MEMORY)
    return packer.compress(data) + packer.flush()


def unpack(packed: bytes) -> etree._Element:
    """Read a packed patch.

    Raises: ConfigurationError if it is damaged.
    """
    reader = zlib.decompressobj()
    try:
        data = reader.decompress(packed, MAX_PATCH_BYTES)
    except zlib.error as problem:
        raise errors.ConfigurationError(f"a patch of the history is damaged: {problem}") from None
    if not reader.eof:
        raise errors.ConfigurationError("a patch of the history is damaged: it is cut off")
    return patch.read(data)


# --- keeping them -----------------------------------------------------------------------------


class History:
    """The revisions this node knows, the oldest first, and what of them is not written yet."""

    def __init__(self, entries: Iterable[Revision] = (), *, whole: bool = False) -> None:
        self._lines: list[tuple[Revision, bytes]] = [(e, encode(e)) for e in entries]
        self._bytes = sum(len(line) for _, line in self._lines)
        self._unwritten = 0
        self._whole = whole
        self._useless = 0

    @property
    def is_to_be_written_anew(self) -> bool:
        """Tell whether more has to be done to the journal than to add to it."""
        return self._whole

    @property
    def entries(self) -> tuple[Revision, ...]:
        """The revisions, the oldest first."""
        return tuple(entry for entry, _ in self._lines)

    @property
    def last(self) -> Revision | None:
        """The newest revision; None if nothing is known."""
        return self._lines[-1][0] if self._lines else None

    def append(self, entry: Revision) -> None:
        """Add the newest revision; the oldest ones go when there are too many or too old."""
        line = encode(entry)
        self._lines.append((entry, line))
        self._bytes += len(line)
        self._unwritten += 1
        gone = 0
        while len(self._lines) - gone > 1 and self._is_surplus(gone, entry.at):
            self._bytes -= len(self._lines[gone][1])
            gone += 1
        del self._lines[:gone]
        self._useless += gone
        self._whole = self._whole or self._useless > MAX_USELESS
        self._unwritten = min(self._unwritten, len(self._lines))

    def _is_surplus(self, place: int, now: float) -> bool:
        oldest = self._lines[place][0]
        too_old = bool(oldest.at) and now - oldest.at > MAX_AGE_S
        return len(self._lines) - place > MAX_REVISIONS or self._bytes > MAX_BYTES or too_old

    def take(self) -> Journal:
        """Hand over what has to be written with the next version; it counts as written then."""
        count = len(self._lines) if self._whole else self._unwritten
        journal = Journal(tuple(line for _, line in self._lines[-count:] if count), self._whole)
        if self._whole:
            self._useless = 0
        self._unwritten = 0
        self._whole = False
        return journal


def since(
    entries: Sequence[Revision], version: tuple[int, int], digest: str
) -> tuple[Revision, ...]:
    """Give the entries from the one that made this configuration on, itself included.

    All that are known if there is none; never more than `MAX_TOLD_BYTES`, the newest then.
    """
    first = 0
    for place in range(len(entries) - 1, -1, -1):
        if _pair(entries[place].after) == version and entries[place].digest == digest:
            first = place
            break
    told = entries[first:]
    size_bytes = 0
    for place in range(len(told) - 1, -1, -1):
        size_bytes += len(told[place].backward) + TOLD_ENTRY_BYTES
        if size_bytes > MAX_TOLD_BYTES:
            return tuple(told[place + 1 :])
    return tuple(told)


def has(entries: Iterable[Revision], version: tuple[int, int], digest: str) -> bool:
    """Tell whether a configuration was led on to what these entries lead to."""
    return any(
        (_pair(entry.after) == version and entry.digest == digest)
        or (_pair(entry.before) == version and entry.digest_before == digest)
        for entry in entries
    )


def joined(
    history: History, own: documents.Document, told: Sequence[Revision], new: documents.Document
) -> History | None:
    """Make the history of a copy that is taken over: ours as far as it is common, then theirs.

    None if what was told does not lead to `new`, or does not go on from anything we know. Who
    knows nothing takes all that was told.
    """
    if not told or not _same(told[-1].after, new.version) or told[-1].digest != new.digest():
        return None
    entries = history.entries
    known = {(_pair(entry.after), entry.digest): place for place, entry in enumerate(entries)}
    known[_pair(own.version), own.digest()] = len(entries) - 1
    for place in range(len(told) - 1, -1, -1):
        common = known.get((_pair(told[place].after), told[place].digest))
        if common is not None:
            kept = entries[: common + 1]
            return _continued(history, kept, told[place + 1 :])
    if any(entry.is_known for entry in entries):
        return None
    return _continued(history, (), told)


def _continued(history: History, kept: Sequence[Revision], more: Sequence[Revision]) -> History:
    """Go on from `kept`, the beginning of a history; its journal stays if that is all of it."""
    result = history if len(kept) == len(history.entries) else History(kept, whole=True)
    for entry in more:
        result.append(entry)
    return result


def encode(entry: Revision) -> bytes:
    """Write an entry as a line of the journal, with a checksum before it."""
    return lines.seal(msgspec.json.encode(entry))


def decode(data: bytes) -> tuple[list[Revision], int]:
    """Read a journal; lines that are torn or damaged are left out and counted.

    A line stands twice where a write was interrupted after its history and before its cib.xml.
    """
    entries: list[Revision] = []
    bad = 0
    for line in dict.fromkeys(data.split(b"\n")):
        if not line:
            continue
        body = lines.unseal(line)
        try:
            if body is None:
                raise ValueError("not what was written")
            entries.append(msgspec.json.decode(body, type=Revision))
        except (ValueError, msgspec.DecodeError):
            bad += 1
    return entries, bad


def restore(
    data: bytes, document: documents.Document, *, edited: bool = False
) -> tuple[History, list[errors.Problem]]:
    """Fit a journal to the configuration that was found beside it.

    Entries whose version never became durable are dropped; a version that has no entry gets one
    that says so, or that it was `edited` by hand.
    """
    entries, bad = decode(data)
    problems = []
    if bad:
        message = f"{bad} damaged entries in the history of the configuration are left out"
        problems.append(errors.warning("history-damaged", "cib.revisions", message))
    digest = document.digest()
    version = document.version
    known = [i for i, e in enumerate(entries) if _same(e.after, version) and e.digest == digest]
    kept = entries[: known[-1] + 1] if known else _earlier(entries, version)
    history = History(kept, whole=bool(bad) or len(kept) < len(entries))
    if kept and not known:
        history.append(not_recorded(kept[-1].after, document, EDITED if edited else ""))
    return history, problems


def _earlier(entries: list[Revision], version: Version) -> list[Revision]:
    return [e for e in entries if _pair(e.after) < _pair(version)]


def _pair(version: Version) -> tuple[int, int]:
    return version.admin_epoch, version.epoch


def _same(one: Version, other: Version) -> bool:
    return _pair(one) == _pair(other)


# --- going back -------------------------------------------------------------------------------


def find(entries: Sequence[Revision], name: str, current: Version) -> int:
    """Find a revision by what people call it: `0.13`, or `13` in the present admin_epoch.

    Raises: UnknownRevision.
    """
    wanted = parse_name(name, current)
    for place in range(len(entries) - 1, -1, -1):
        if _pair(entries[place].after) == wanted:
            return place
    raise _unknown(f"{wanted[0]}.{wanted[1]}", entries)


def parse_name(name: str, current: Version) -> tuple[int, int]:
    """Read the name of a revision.

    Raises: UnknownRevision if it is none.
    """
    found = _NAME.match(name)
    if found is None:
        message = f"'{name}' is not the name of a revision"
        hint = "a revision is admin_epoch.epoch, as 'crm configure log' shows them"
        raise UnknownRevision(message, hint, subject=name)
    admin = current.admin_epoch if found["admin"] is None else int(found["admin"])
    return admin, int(found["epoch"])


def _unknown(name: str, entries: Sequence[Revision]) -> UnknownRevision:
    if not entries:
        hint = "no change has been recorded here yet"
    else:
        oldest, newest = entries[0].before, entries[-1].name
        hint = f"{oldest.admin_epoch}.{oldest.epoch} to {newest} are kept: crm configure log"
    return UnknownRevision(f"revision {name} is not known on this node", hint, subject=name)


def at(root: etree._Element, entries: Sequence[Revision], name: str) -> etree._Element:
    """Give the CIB as it was at a revision; `root`, the present one, is left as it is.

    Raises: UnknownRevision if the way back is not known; ConfigurationError if it is damaged.
    """
    document = documents.Document(copy.deepcopy(root))
    wanted = parse_name(name, document.version)
    for entry in reversed(entries):
        if _pair(document.version) == wanted:
            break
        if not _same(entry.after, document.version) or not entry.is_known:
            lost = f"{document.version.admin_epoch}.{document.version.epoch}"
            message = f"how revision {lost} was made is not recorded here, nothing before it is"
            hint = "another node may know more: ask there"
            raise UnknownRevision(message, hint, subject=name)
        _step_back(document, entry)
    if _pair(document.version) != wanted:
        raise _unknown(f"{wanted[0]}.{wanted[1]}", entries)
    return document.root


def _step_back(document: documents.Document, entry: Revision) -> None:
    edit = edits.Edit(document)
    try:
        patch.perform(edit, unpack(entry.backward))
    except patch.PatchDoesNotFit as problem:
        message = f"the way back from revision {entry.name} does not fit: {problem}"
        raise errors.ConfigurationError(message) from problem
    values = (entry.before.admin_epoch, entry.before.epoch, entry.before.updates)
    for name, value in zip(documents.VERSION_ATTRIBUTES, values, strict=True):
        document.root.set(name, str(value))
    document.version = entry.before


def undo(root: etree._Element, entries: Sequence[Revision], place: int) -> bytes:
    """Write the patch that takes exactly one change back; `root` is left as it is.

    Raises: UnknownRevision if the change is not recorded; UndoConflict if what it left behind
    has been changed since; ConfigurationError if the entry is damaged.
    """
    entry = entries[place]
    if not entry.is_known:
        message = f"how revision {entry.name} was made is not recorded here"
        raise UnknownRevision(message, "another node may know it", subject=entry.name)
    edit = edits.Edit(documents.Document(copy.deepcopy(root)))
    problems: dict[str, errors.Problem] = {}
    for step in unpack(entry.backward).iterchildren("change"):
        try:
            obstacle = _obstacle(edit.document, step)
            if not obstacle:
                _take_back(edit, step)
        except patch.PatchDoesNotFit as problem:
            obstacle = str(problem)
        if obstacle:
            subject = _subject(step)
            problems.setdefault(subject, _conflict(subject, obstacle, entries[place + 1 :]))
    if problems:
        message = f"revision {entry.name} cannot be taken back"
        raise UndoConflict(message, tuple(problems.values()))
    if not edit.changes:
        message = f"revision {entry.name} changed nothing but the version"
        raise UndoConflict(message, (errors.error("nothing-to-undo", entry.name, message),))
    return _fitting_anywhere(edit.changes)


def _fitting_anywhere(changes: Iterable[edits.Change]) -> bytes:
    """Write a patch without versions: it fits wherever what it touches is as it was left."""
    written = patch.read(patch.write(changes, Version(), Version()))
    written.remove(written[0])
    return xml.serialise(written)


def back_to(root: etree._Element, entries: Sequence[Revision], name: str) -> bytes:
    """Write the patch that makes everything as it was at a revision; `root` is left as it is.

    Which nodes there are is not taken back: who joined since then stays, who was deleted stays
    away. What the configuration says of them is taken back.

    Raises: UnknownRevision if the way back is not known; UndoConflict if nothing differs;
    ConfigurationError if an entry is damaged.
    """
    wanted = documents.Document(at(root, entries, name))
    edit = edits.Edit(documents.Document(copy.deepcopy(root)))
    _keep_nodes(edit.document.configuration, wanted.configuration)
    compare.become(edit, edit.document.configuration, wanted.configuration)
    if edit.document.schema != wanted.schema:
        edit.set(edit.document.root, "validate-with", wanted.schema)
    if not edit.changes:
        message = f"the configuration is as it was at revision {name}"
        raise UndoConflict(message, (errors.error("nothing-to-undo", name, message),))
    return _fitting_anywhere(edit.changes)


def _keep_nodes(present: etree._Element, wanted: etree._Element) -> None:
    """Put the nodes of today into a configuration, each as that one describes it."""
    old, new = present.find("nodes"), wanted.find("nodes")
    if old is None or new is None:
        return
    described = {node.get("id"): node for node in new.iterfind("node")}
    new[:] = [copy.deepcopy(described.get(node.get("id"), node)) for node in old]


def _obstacle(document: documents.Document, step: etree._Element) -> str:
    """Say what keeps a step from being taken back ("" = nothing)."""
    path = step.get("path", "")
    match step.get("operation"):
        case "delete":
            is_comment = path.endswith("/comment")
            present = _comment(document, step) if is_comment else patch.find(document, path)
            return "" if _alike(present, step[0]) else "it was changed since"
        case "modify":
            element = patch.find(document, path)
            for attribute in step.iterfind("change-list/change-attr"):
                name = attribute.get("name", "")
                if element.get(name) != attribute.get("expected"):
                    return f"{name} was changed since"
        case "create":
            for item in step[0].iter(etree.Element):
                identity = item.get("id", "")
                if item.tag not in documents.REFERENCES and document.by_id(identity) is not None:
                    return f"there is an object '{identity}' again"
    return ""


def _comment(document: documents.Document, step: etree._Element) -> etree._Element:
    parent = patch.find(document, step.get("path", "").removesuffix("/comment"))
    place = int(step.get("position", "0"))
    if place >= len(parent):
        raise patch.PatchDoesNotFit("a comment is not there any more")
    return parent[place]


def _alike(one: etree._Element, other: etree._Element) -> bool:
    if not elements.is_element(one) or not elements.is_element(other):
        # Canonical XML of a lone comment ends the process: libxml2 does not expect it.
        return one.tag is other.tag and one.text == other.text
    return _canonical(one) == _canonical(other)


def _canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", with_tail=False)


def _take_back(edit: edits.Edit, step: etree._Element) -> None:
    """Take one step back; what is restored goes beside the neighbours it had."""
    if step.get("operation") == "create":
        parent = patch.find(edit.document, step.get("path", ""))
        ids = [child.get("id") for child in parent]
        for name, offset in (("follows", 1), ("precedes", 0)):
            if step.get(name) in ids:
                step.set("position", str(ids.index(step.get(name)) + offset))
                break
    patch.repeat(edit, step)


def _subject(step: etree._Element) -> str:
    found = step[0] if len(step) and elements.is_element(step[0]) else None
    return summary.object_at(step.get("path", ""), found) or "cib"


def _conflict(subject: str, obstacle: str, later: Sequence[Revision]) -> errors.Problem:
    culprits = [e for e in later if subject in e.objects or not e.is_known]
    by = ", ".join(f"{e.name} ({e.summary or 'not recorded'})" for e in culprits[-3:])
    message = f"'{subject}': {obstacle}" + (f" (touched by {by})" if by else "")
    if culprits:
        hint = f"undo {culprits[-1].name} first, or make the change by hand"
    else:
        hint = "make the change by hand"
    return errors.error("undo-conflict", subject, message, hint)
