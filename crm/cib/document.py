"""One CIB document in memory: an XML tree, and what finds things in it.

Responsible for the tree, its indexes (ids of the configuration, histories of the status), its
version and the digest of its configuration. It is changed through an `Edit` alone (`edits`).
Not responsible for what an operation means (`operations`), nor for what is valid (`schema`).

Cost: every edit is addressed through an index, so it does not grow with the document; the
digest is a hash of hashes per section, made of hashes per object, of which only those of edited
objects and their sections are made anew.

Source: docs/protocol/cib.md, "Document"; faults-and-security section 9.5.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from typing import cast

from lxml import etree

from crm.cib import elements, slices, texts, xpath
from crm.model.version import Version
from crm.plumbing import errors, xml

FEATURE_SET = "3.16.1"
"""The CRM feature set this CIB speaks: node states in the words true/false, online/offline.

Feature sets from 3.18 on write times instead, which older tools cannot read (decision 0020).
"""

SCHEMA = "pacemaker-3.9"
"""What a new document is validated with."""

SECTIONS = (
    "crm_config",
    "nodes",
    "resources",
    "constraints",
    "rsc_defaults",
    "op_defaults",
    "acls",
    "tags",
    "alerts",
    "fencing-topology",
)
"""The sections of the configuration; the first four are always there."""

REFERENCES = frozenset({"obj_ref", "resource_ref", "role", "role_ref"})
"""Elements whose `id` is that of something else."""

_LARGE_BLOCK_BYTES = 100_000

_STEP = 2_000
"""What hashing an object costs, in bytes that are parsed."""

_COPYING_TO_PARSING = 2
"""Copying an element, and writing it, costs so much less than parsing it."""

VERSION_ATTRIBUTES = ("admin_epoch", "epoch", "num_updates")

_EMPTY = (
    f'<cib crm_feature_set="{FEATURE_SET}" validate-with="{SCHEMA}" epoch="{{epoch}}"'
    ' num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes/><resources/>'
    "<constraints/></configuration><status/></cib>"
)


def tidy_up() -> None:
    """Let the allocator join the small blocks that just came back, while they are few.

    It does so when a large one comes back, and takes the longer the more they are.
    """
    bytearray(_LARGE_BLOCK_BYTES)


def select(root: etree._Element, expression: str) -> list[etree._Element]:
    """Evaluate an XPath as `Document.select` does, in any tree."""
    try:
        return xpath.evaluate(root, expression)
    except etree.XPathError:
        return []


def section_of(root: etree._Element, name: str) -> etree._Element | None:
    """Find a section by its name; `cib` or an unknown name is the root."""
    if name in ("configuration", "status"):
        return root.find(name)
    if name in SECTIONS:
        return root.find(f"configuration/{name}")
    return root


def empty(epoch: int = 0) -> etree._Element:
    """Make the CIB that says nothing."""
    return xml.parse(_EMPTY.format(epoch=epoch).encode())


class Document:
    """One CIB. Read it freely; change it through `Edit` only.

    `measure` is how large it is at most; None if nobody has measured it (`growth`).

    Raises: ConfigurationError from the constructor if the root is no CIB with a version.
    """

    def __init__(self, root: etree._Element) -> None:
        if root.tag != "cib":
            message = f"the root element is <{root.tag}>, not <cib>"
            raise unfit("not-a-cib", message, "give a whole CIB; cibadmin --empty prints one")
        self.root = root
        self.measure: texts.Measure | None = None
        self.configuration = self._part("configuration")
        self.status = self._part("status")
        self._ids: dict[str, etree._Element] = {}
        self._histories: dict[etree._Element, dict[str, etree._Element]] = {}
        self._digests: dict[etree._Element, bytes] = {}
        self._section_digests: dict[etree._Element, bytes] = {}
        self._has_all_sections: bool | None = None
        self._digest = ""
        self._texts = texts.Texts(root, (self.configuration, self.status))
        for section in SECTIONS[:4]:
            if self.configuration.find(section) is None:
                etree.SubElement(self.configuration, section)
        self.enter(self.configuration)
        self.version = self.read_version()

    @classmethod
    def parse(cls, data: bytes) -> Document:
        """Read a document from bytes, comments included.

        Raises: ConfigurationError if it is not well-formed, too large, or no CIB.
        """
        document = cls(xml.parse(data, keep_comments=True))
        document.measure = texts.Measure.of(data)
        return document

    def read_version(self) -> Version:
        """Read the version from the root's attributes; a missing number counts as 0.

        Raises: ConfigurationError if one is not a number.
        """
        numbers = []
        for name in VERSION_ATTRIBUTES:
            text = self.root.get(name, "0")
            if not (text.isascii() and text.isdigit() and len(text) < 16):
                message = f"{name} is '{text}', which is not a whole number"
                raise unfit("bad-version", message, "write 0, or leave the attribute out")
            numbers.append(int(text))
        return Version(*numbers)

    @property
    def schema(self) -> str:
        """The name of the schema the document says it follows."""
        return self.root.get("validate-with", "")

    @property
    def has_all_sections(self) -> bool:
        """Tell whether the sections are there that a document that is read is given anyway."""
        if self._has_all_sections is None:
            there = {section.tag for section in self.configuration.iterchildren(etree.Element)}
            self._has_all_sections = there.issuperset(SECTIONS[:4])
        return self._has_all_sections

    def section(self, name: str) -> etree._Element | None:
        """Find a section by its name; `cib` or an unknown name is the root."""
        if name == "status":
            return self.status
        if name == "configuration":
            return self.configuration
        if name in SECTIONS:
            return self.configuration.find(name)
        return self.root

    def by_id(self, identity: str) -> etree._Element | None:
        """Find the element of the configuration that has this id (not one that refers to it)."""
        return self._ids.get(identity)

    def node_state(self, *, uuid: str = "", name: str = "") -> etree._Element | None:
        """Find the state of a node by its id or its name."""
        for state in self.status.iterchildren("node_state"):
            if (uuid and state.get("id") == uuid) or (name and state.get("uname") == name):
                return state
        return None

    def history(self, uuid: str, resource: str) -> etree._Element | None:
        """Find the `lrm_resource` of a resource on the node with this id."""
        state = self.node_state(uuid=uuid)
        if state is None:
            return None
        known = self._histories.get(state)
        if known is None:
            known = self._histories[state] = {}
            for item in state.iter("lrm_resource"):
                known.setdefault(item.get("id", ""), item)
        return known.get(resource)

    def select(self, expression: str) -> list[etree._Element]:
        """Evaluate an XPath; attributes and text stand for their element.

        An expression that is malformed or does not select nodes selects nothing.

        Raises: TooMuchWork if it would take too long.
        """
        return select(self.root, expression)

    def in_configuration(self, element: etree._Element) -> bool:
        """Tell whether an element is the configuration or stands in it."""
        return any(step is self.configuration for step in elements.upwards(element))

    def text(self, *, pretty: bool = False) -> bytes:
        """Write the whole document."""
        return xml.serialise(self.root, pretty) if pretty else self._texts.of(self.root)

    def writing(self) -> slices.Work[bytes]:
        """Write the whole document step by step."""
        number = 0
        while (part := self.piece(number)) is not None:
            number += 1
            yield len(part) // _COPYING_TO_PARSING
        return self.text()

    def writing_pretty(self) -> slices.Work[bytes]:
        """Write the whole document step by step, indented."""
        if not self._texts.has_states:
            return self.text(pretty=True)
        before, _, after = self.configuration_text().rpartition(b"  <status/>\n")
        states = []
        for state in self.status:
            text = xml.serialise(state, pretty=True)
            states.append(b"    " + text.rstrip(b"\n").replace(b"\n", b"\n    ") + b"\n")
            yield len(text) // _COPYING_TO_PARSING
        opening = etree.tostring(etree.Element("status", elements.attributes_of(self.status)))[:-2]
        status = (b"  ", opening, b">\n", *states, b"  </status>\n")
        return b"".join((before, *status, after))

    def piece(self, number: int) -> bytes | None:
        """Write one of the pieces in which a document goes to another cib; None: no more."""
        return self._texts.piece(number)

    def packed_pieces(self, most_bytes: int) -> tuple[bytes, ...] | None:
        """Pack all pieces; None if so many bytes were not enough: then ask again, later."""
        return self._texts.packed_pieces(most_bytes)

    def text_of(self, element: etree._Element) -> bytes:
        """Write a part of the document (or an element of another tree)."""
        return self._texts.of(element)

    def configuration_text(self) -> bytes:
        """Write the document without its status, in the form that is kept on the disk.

        The configuration is written alone and indented as text: taking the status out of the
        tree for a moment would cost a walk through it. A comment is not to be indented.
        """
        opening = etree.tostring(etree.Element("cib", elements.attributes_of(self.root)))[:-2]
        inner = xml.serialise(self.configuration, pretty=True).rstrip(b"\n")
        if b"<!--" not in inner:
            inner = b"  " + inner.replace(b"\n", b"\n  ")
        return opening + b">\n" + inner + b"\n  <status/>\n</cib>\n"

    def digest(self) -> str:
        """Hash the configuration (and the schema it follows), each object by itself.

        What is hashed anew is an object that was edited, and the hashes of its section's objects.
        """
        if not self._digest:
            self._digest = self._hashed()
        return self._digest

    def hash_objects(self) -> Iterator[None]:
        """Hash object after object, for who has not the time to do it at once (`digest`)."""
        for section in self.configuration.iterchildren(etree.Element):
            for item in section:
                self._digest_of(item)
                yield

    def _hashed(self) -> str:
        total = hashlib.sha256(self.schema.encode())
        for section in self.configuration:
            if not elements.is_element(section):
                continue
            total.update(f"\0{section.tag}\0".encode())
            known = self._section_digests.get(section)
            if known is None:
                known = hashlib.sha256(b"".join(map(self._digest_of, section))).digest()
                self._section_digests[section] = known
            total.update(known)
        return total.hexdigest()[:32]

    def _digest_of(self, item: etree._Element) -> bytes:
        known = self._digests.get(item)
        if known is None:
            if elements.is_element(item):
                known = hashlib.sha256(
                    etree.tostring(item, method="c14n", with_tail=False)
                ).digest()
            else:
                known = hashlib.sha256(b"#" + (item.text or "").encode()).digest()
            self._digests[item] = known
        return known

    def copying(self) -> slices.Work[Document]:
        """Copy it step by step, with what is known of it; nobody may change it meanwhile."""
        # cast: the stubs do not know that a default namespace has no name.
        spaces = cast("dict[str, str]", self.root.nsmap)
        root = etree.Element(str(self.root.tag), elements.attributes_of(self.root), spaces)
        root.text = self.root.text
        for child in self.root:
            if child is not self.status:
                root.append(copy.deepcopy(child))
                continue
            status = etree.SubElement(root, str(child.tag), elements.attributes_of(child))
            status.text, status.tail = child.text, child.tail
            yield _STEP
            for state in child:
                status.append(copy.deepcopy(state))
                yield len(self.text_of(state)) // _COPYING_TO_PARSING
        made = Document(root)
        made.measure = self.measure
        yield len(self.text_of(self.configuration))
        yield from made._take_known(self)
        return made

    def _take_known(self, original: Document) -> slices.Work[None]:
        """Take over what is known of the document that this one is a copy of."""
        for name in SECTIONS[:4]:
            own = self.configuration.find(name)
            if own is not None and original.configuration.find(name) is None:
                self.leave(own)
                self.configuration.remove(own)  # a copy lacks what its original lacks
        parts = zip(original.configuration, self.configuration, strict=True)
        for its_section, section in parts:
            for its, item in zip(its_section, section, strict=True):
                if its in original._digests:
                    self._digests[item] = original._digests[its]
            if its_section in original._section_digests:
                self._section_digests[section] = original._section_digests[its_section]
            self._texts.take_known(section, original._texts, its_section)
            yield _STEP * len(section)
        for its, state in zip(original.status, self.status, strict=True):
            self._texts.take_known(state, original._texts, its)
        self._digest = original._digest

    def preparing(self) -> slices.Work[None]:
        """Work out step by step what will be asked for: texts, digests and the measure."""
        measure = texts.Measure.of(b"")
        number = 0
        while (text := self.piece(number)) is not None:
            measure += texts.Measure.of(text)
            number += 1
            yield len(text)
        self.measure = measure
        for _ in self.hash_objects():
            yield _STEP
        self.digest()

    def _part(self, tag: str) -> etree._Element:
        part = self.root.find(tag)
        if part is None:
            part = etree.SubElement(self.root, tag)
        return part

    def taken_apart(self) -> Iterator[None]:
        """Give the memory of a document back that nobody needs any more, node state by node state.

        Freeing a large tree at once takes longer than an event loop may stand still.
        """
        self._histories.clear()
        self._texts = texts.Texts(self.root, ())
        while len(self.status):
            self.status.remove(self.status[-1])
            tidy_up()
            yield

    # --- what Edit keeps in step -------------------------------------------------------------

    def enter(self, element: etree._Element) -> None:
        """Note an element that has just been put into the tree, with all below it."""
        if self.in_configuration(element):
            self._has_all_sections = None
            for item in element.iter(etree.Element):
                identity = item.get("id")
                if identity is not None and item.tag not in REFERENCES:
                    self._ids.setdefault(identity, item)
            return
        known = self._known_histories(element)
        if known is not None:
            for item in element.iter("lrm_resource"):
                known[item.get("id", "")] = item

    def leave(self, element: etree._Element) -> None:
        """Forget an element that is about to be taken out of the tree, with all below it."""
        if self.in_configuration(element):
            for item in element.iter(etree.Element):
                identity = item.get("id")
                if identity is not None and self._ids.get(identity) is item:
                    del self._ids[identity]
                self._digests.pop(item, None)
                self._section_digests.pop(item, None)
            self._digests.pop(element, None)
            self._has_all_sections = None
            return
        for state in element.iter("node_state"):
            self._histories.pop(state, None)
        known = self._known_histories(element)
        if known is not None:
            for item in element.iter("lrm_resource"):
                if known.get(item.get("id", "")) is item:
                    del known[item.get("id", "")]

    def _known_histories(self, element: etree._Element) -> dict[str, etree._Element] | None:
        """Give the index of the node state an element stands in, if it was ever needed."""
        for step in elements.upwards(element):
            if step in self._histories:
                return self._histories[step]
        return None

    def forget(self, element: etree._Element) -> None:
        """Note that an element no longer is what was hashed and written."""
        self._texts.forget(element)
        for step in elements.upwards(element):
            if step is self.status:
                return
            self._section_digests.pop(step, None)
            if self._digests.pop(step, None) is not None:
                section = step.getparent()
                assert section is not None, "what has a digest stands in a section"
                self._section_digests.pop(section, None)
                break
        self._digest = ""

    def reindex_id(self, element: etree._Element, old: str | None, new: str | None) -> None:
        """Note that an element has another id."""
        if not self.in_configuration(element):
            self._histories.clear()
            return
        if old is not None and self._ids.get(old) is element:
            del self._ids[old]
        if new is not None and element.tag not in REFERENCES:
            self._ids.setdefault(new, element)


def unfit(code: str, message: str, hint: str) -> errors.ConfigurationError:
    """Say what is wrong with a document, and what to do."""
    return errors.ConfigurationError(message, [errors.error(code, "cib", message, hint)])
