"""A CIB with the rights of a user written beside it, as `cibadmin --show-access` prints it.

Responsible for the three renderings; what the rights are is `crm.cib.acl`'s affair.

Source: tools.md section 2; recorded output of cibadmin 2.1.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from crm.cib import elements
from crm.cib.acl import Access, Level

STYLES = ("text", "color", "namespace")

_NAMES = {Level.WRITE: "writable", Level.READ: "readable", Level.DENY: "denied"}
_MARKS = {Level.WRITE: "WRITABLE", Level.READ: "READABLE", Level.DENY: "~DENIED~"}
_COLOURS = {Level.WRITE: "\x1b[32m", Level.READ: "\x1b[34m", Level.DENY: "\x1b[31m"}
_PLAIN = "\x1b[0m"
_PREFIX = "pcmk-access-"
_PLACE = "http://clusterlabs.org/ns/pacemaker/access/"


def render(found: Sequence[etree._Element], access: Access, user: str, style: str) -> str:
    """Write elements with what a user may do with them."""
    lines = [f"<!-- ACLs as evaluated for user {user} -->"]
    writer = _Writer(access, style)
    if len(found) == 1:
        lines += writer.lines(found[0], "", None)
    else:
        lines.append("<xpath-query>")
        for element in found:
            lines += writer.lines(element, "  ", None)
        lines.append("</xpath-query>")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes elements in one style."""

    access: Access
    style: str

    def lines(self, element: etree._Element, indent: str, above: Level | None) -> Iterator[str]:
        """Write an element whose parent has the level `above` (None: it is the outermost)."""
        if not elements.is_element(element):
            yield indent + etree.tostring(element, encoding="unicode", with_tail=False)
            return
        level = self.access.of(element).level
        is_news = level is not above
        if is_news and self.style == "text":
            yield from self._mark(indent, level)
        colour, plain = (_COLOURS[level], _PLAIN) if self.style == "color" else ("", "")
        prefix = f"{_PREFIX}{_NAMES[level]}:" if is_news and self.style == "namespace" else ""
        opening = _opening(element, prefix)
        if prefix and above is None:
            opening += self._declarations(element)
        text = (element.text or "").strip()
        if not len(element) and not text:
            yield f"{indent}{colour}{opening}/>{plain}"
            return
        yield f"{indent}{colour}{opening}>"
        if text:
            yield f"{indent}  {_escaped(text)}"
        for child in element:
            yield from self.lines(child, indent + "  ", level)
        yield f"{indent}{colour}</{prefix}{element.tag}>{plain}"

    def _declarations(self, outermost: etree._Element) -> str:
        used = {self.access.of(element).level for element in outermost.iter(etree.Element)}
        names = [name for level, name in _NAMES.items() if level in used]
        return "".join(f' xmlns:{_PREFIX}{name}="{_PLACE}{name}"' for name in names)

    @staticmethod
    def _mark(indent: str, level: Level) -> Iterator[str]:
        if indent:
            yield indent
        yield f"{indent}vvv---[ {_MARKS[level]} ]---vvv"


def _opening(element: etree._Element, prefix: str) -> str:
    """Write the opening tag of an element, without its end."""
    bare = etree.Element("x", elements.attributes_of(element))
    return f"<{prefix}{element.tag}" + etree.tostring(bare, encoding="unicode")[2:-2]


def _escaped(text: str) -> str:
    holder = etree.Element("x")
    holder.text = text
    return etree.tostring(holder, encoding="unicode")[3:-4]
