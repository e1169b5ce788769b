"""The difference of two documents as crm_diff writes it, and its repetition.

Responsible for the order of its entries: all deletions first, then, in the order of the new
document, changed attributes, creations and moves. Not for patches between daemons: these say
what was done, in the order it was done (`patch`).

Elements are the same when their kind and id (or their number among equals) are; comments when
their text is.

Source: tools.md section 2, crm_diff.
"""

from __future__ import annotations

import copy
import hashlib

from lxml import etree

from crm.cib import document as documents
from crm.cib import edits, elements, patch
from crm.model.version import Version
from crm.plumbing import xml

_MARKER = "__crm_diff_marker__"
_FILTERED = frozenset({"cib-last-written", "update-origin", "update-client", "update-user"})
_WHO_AND_WHEN = (*sorted(_FILTERED), "crm-debug-origin")


def is_versioned(root: etree._Element) -> bool:
    """Tell whether a root element is a CIB that says its version."""
    return root.tag == "cib" and all(root.get(name) for name in documents.VERSION_ATTRIBUTES)


def digest(root: etree._Element) -> str:
    """Hash a document as the `digest` of a patch does: without who wrote it, and when."""
    bare = copy.deepcopy(root)
    for element in bare.iter(etree.Element):
        for name in _WHO_AND_WHEN:
            element.attrib.pop(name, "")
    return hashlib.md5(xml.serialise(bare), usedforsecurity=False).hexdigest()


def same(old: etree._Element, new: etree._Element) -> bool:
    """Tell whether nothing differs but the order of attributes."""
    return etree.tostring(old, method="c14n", with_tail=False) == etree.tostring(
        new, method="c14n", with_tail=False
    )


class _Writer:
    """Collects the entries of one difference."""

    def __init__(self, *, order_counts: bool, ignored: frozenset[str]) -> None:
        self.entries: list[etree._Element] = []
        self._order_counts = order_counts
        self._ignored = ignored

    def deletions(self, old: etree._Element, new: etree._Element) -> None:
        """Write what of the old document is gone."""
        present, wanted = elements.keyed(old), elements.keyed(new)
        kept = _kept(present, wanted)
        gone = 0
        for place, (key, child) in enumerate(present.items()):
            if key not in kept:
                entry = _entry("delete", elements.path_of(child))
                if not elements.is_element(child):
                    entry.set("position", str(place - gone))
                self.entries.append(entry)
                gone += 1
            elif elements.is_element(child):
                self.deletions(child, wanted[key])

    def changes(self, old: etree._Element, new: etree._Element) -> None:
        """Write what of the new document is changed, created or moved."""
        self._attributes(old, new)
        present, wanted = elements.keyed(old), elements.keyed(new)
        kept = _kept(present, wanted)
        order = list(kept)
        seen = 0
        for place, (key, child) in enumerate(wanted.items()):
            if key not in kept:
                entry = _entry("create", elements.path_of(new), place)
                entry.append(copy.deepcopy(child))
                self.entries.append(entry)
                order.insert(place, key)
                continue
            if elements.is_element(child):
                self.changes(present[key], child)
            # The first says what crm_diff says; the second what a reader needs who repeats
            # the entries in their order.
            if kept[key] != seen or order[place] != key:
                order.remove(key)
                order.insert(place, key)
                self.entries.append(_entry("move", elements.path_of(child), place))
            seen += 1

    def _attributes(self, old: etree._Element, new: etree._Element) -> None:
        places = {str(name): place for place, name in enumerate(old.attrib)}
        listing = etree.Element("change-list")
        for place, (name, value) in enumerate(new.attrib.items()):
            moved = self._order_counts and places.get(str(name)) != place
            if name not in self._ignored and (old.get(name) != value or moved):
                etree.SubElement(
                    listing, "change-attr", name=str(name), operation="set", value=str(value)
                )
        for name in old.attrib:
            if name not in new.attrib and name not in self._ignored:
                etree.SubElement(listing, "change-attr", name=str(name), operation="unset")
        if not len(listing):
            return
        entry = _entry("modify", elements.path_of(new))
        entry.append(listing)
        result = etree.SubElement(entry, "change-result")
        etree.SubElement(result, new.tag, elements.attributes_of(new))
        self.entries.append(entry)


def write(
    old: etree._Element, new: etree._Element, *, as_cib: bool = False, versions: bool = True
) -> etree._Element | None:
    """Write the difference of two CIBs as a v2 `<diff>`; None if there is none.

    `as_cib` follows the rules of the CIB: the order of attributes does not count, and the digest
    of the new document is added. Without `versions` the version counts for nothing.
    """
    ignored = frozenset() if versions else frozenset(documents.VERSION_ATTRIBUTES)
    writer = _Writer(order_counts=not as_cib and not same(old, new), ignored=ignored)
    writer.deletions(old, new)
    writer.changes(old, new)
    if not writer.entries:
        return None
    root = etree.Element("diff", format="2")
    if as_cib:
        root.set("digest", digest(new))
    if versions:
        pair = etree.SubElement(root, "version")
        etree.SubElement(pair, "source", _version(old))
        etree.SubElement(pair, "target", _version(new))
    root.extend(writer.entries)
    return root


def apply(old: etree._Element, difference: etree._Element) -> etree._Element:
    """Repeat a v2 difference on a CIB, which is left as it was; gives the new one.

    Raises: ConfigurationError if it is no difference; PatchDoesNotFit if it was not made from
    this document, or leads to another one than its digest says.
    """
    entries = patch.read(difference)
    document = documents.Document(copy.deepcopy(old))
    source, _target = patch.versions_of(entries)
    if source is not None and source != document.version:
        message = f"the patch is for version {_text(source)}, this is {_text(document.version)}"
        raise patch.PatchDoesNotFit(message)
    patch.perform(edits.Edit(document), entries)
    expected = entries.get("digest")
    if expected and expected != digest(document.root):
        raise patch.PatchDoesNotFit("the result is not what the digest of the patch says")
    return document.root


def text_lines(difference: etree._Element, old: etree._Element, new: etree._Element) -> list[str]:
    """Say a difference in lines, one an object: `--` is gone, `++` is new, `+` is changed."""
    lines = [f"Diff: --- {_numbers(old)} 2", f"Diff: +++ {_numbers(new)} (null)"]
    for entry in difference.iterchildren("change"):
        path = entry.get("path", "")
        match entry.get("operation"):
            case "delete":
                lines.append(f"-- {path}")
            case "create":
                made = xml.serialise(entry[0], pretty=True).decode().rstrip("\n").split("\n")
                head = f"++ {path}:  "
                lines += [head + made[0], *("++ " + " " * (len(head) - 3) + s for s in made[1:])]
            case "modify":
                lines += _attribute_lines(entry, path)
            case _:
                lines.append(f"+~ {path} moved to offset {entry.get('position', '')}")
    return lines


def _attribute_lines(entry: etree._Element, path: str) -> list[str]:
    set_now: list[str] = []
    unset: list[str] = []
    for attribute in entry.iterfind("change-list/change-attr"):
        name = attribute.get("name", "")
        if attribute.get("operation") == "unset":
            unset.append(f"@{name}")
        else:
            set_now.append(f"@{name}={attribute.get('value', '')}")
    lines = [f"+  {path}:  {', '.join(set_now)}"] if set_now else []
    return [*lines, f"-- {path}:  {', '.join(unset)}"] if unset else lines


# --- the first format ---------------------------------------------------------------------------


def write_first_format(old: etree._Element, new: etree._Element) -> etree._Element | None:
    """Write the difference of two trees that are no CIBs; None if there is none.

    This format knows neither the order of things nor the text in them.
    """
    if same(old, new):
        return None
    root = etree.Element("diff", crm_feature_set=documents.FEATURE_SET, format="1")
    root.set("digest", digest(new))
    differs = old.tag != new.tag
    for tag, left, right, marker in (
        ("diff-removed", old, new, "removed:top"),
        ("diff-added", new, old, "added:top"),
    ):
        part = etree.SubElement(root, tag)
        rest = _subtract(left, right, marker)
        if rest is not None:
            part.append(rest)
            differs = True
        etree.SubElement(part, "cib", elements.attributes_of(new) if marker[0] == "a" else {})
    return root if differs else None


def _subtract(
    left: etree._Element, right: etree._Element | None, marker: str
) -> etree._Element | None:
    """Keep of `left` what `right` does not have; None if that is nothing."""
    if right is None:
        whole = copy.deepcopy(left)
        whole.set(_MARKER, marker)
        return whole
    attributes = {
        name: value
        for name, value in elements.attributes_of(left).items()
        if name not in _FILTERED and right.get(name) != value
    }
    others = elements.keyed(right)
    children = [
        rest
        for key, child in elements.keyed(left).items()
        if elements.is_element(child)
        and (rest := _subtract(child, others.get(key), marker)) is not None
    ]
    if not attributes and not children:
        return None
    identity = left.get("id")
    named = {"id": identity} if identity else {}
    result = etree.Element(left.tag, {**named, **attributes})
    result.extend(children)
    return result


# --- small things -------------------------------------------------------------------------------


def _entry(operation: str, path: str, position: int | None = None) -> etree._Element:
    entry = etree.Element("change", operation=operation, path=path)
    if position is not None:
        entry.set("position", str(position))
    return entry


def _kept(
    present: dict[elements.Key, etree._Element], wanted: dict[elements.Key, etree._Element]
) -> dict[elements.Key, int]:
    """Number what both have, in the old order. A comment cannot be moved: it must stand as it did.

    That is, the same elements and as many comments since the last of them stand before it.
    """
    common = [key for key, child in present.items() if elements.is_element(child)]
    ranks = {key: rank for rank, key in enumerate(key for key in common if key in wanted)}
    places = _places(present, wanted, ranks), _places(wanted, present, ranks)
    both = [
        key
        for key, child in present.items()
        if key in wanted and (elements.is_element(child) or places[0][key] == places[1][key])
    ]
    return {key: number for number, key in enumerate(both)}


def _places(
    children: dict[elements.Key, etree._Element],
    others: dict[elements.Key, etree._Element],
    ranks: dict[elements.Key, int],
) -> dict[elements.Key, tuple[int, int, int]]:
    """Say where comments stand: after how many common elements, which, and how many comments.

    The highest rank and the number together tell which: in the old order they are one another.
    """
    result: dict[elements.Key, tuple[int, int, int]] = {}
    elements = beyond = comments = 0
    for key in children:
        if key not in others:
            continue
        if key in ranks:
            elements, beyond, comments = elements + 1, max(beyond, ranks[key] + 1), 0
            continue
        result[key] = (elements, beyond, comments)
        comments += 1
    return result


def _version(root: etree._Element) -> dict[str, str]:
    return {name: root.get(name, "0") for name in documents.VERSION_ATTRIBUTES}


def _numbers(root: etree._Element) -> str:
    return ".".join(root.get(name, "0") for name in documents.VERSION_ATTRIBUTES)


def _text(version: Version) -> str:
    return f"{version.admin_epoch}.{version.epoch}.{version.updates}"
