"""XML in and out: the only parser and the only writer of this project.

Responsible for refusing what could hurt before a tree exists or right after: document types,
entities, foreign encodings, too many bytes, elements, levels or attributes. Not responsible for
what the elements mean.

How the limits are kept cheap: libxml2 itself stops entity expansion, network access and more
than 256 levels. The number of start tags is known before parsing from a count of two byte
sequences (which is why only UTF-8 is read: in another encoding the bytes would look different),
that of attributes and namespaces likewise; a document type is looked for behind the prolog.
Attributes and levels are checked by compiled XPath on the finished tree, the length of values only
if the bytes can hold a long one.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, cast

from lxml import etree

from crm.plumbing.errors import ConfigurationError, error

Element = etree._Element
"""An element, for who hands one on and has no business inside."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may measure before it is refused."""

    total_bytes: int = 64 * 1024 * 1024
    depth: int = 64
    elements: int = 200_000
    attributes: int = 64
    namespaces: int = 16
    attribute_chars: int = 65_536


ORDINARY = Limits()

BITE_BYTES = 100_000
"""So much is handed to the parser at once where it is not to hold up others."""

_CHECKS_TO_PARSING = 4
"""Looking through bytes costs so much less than parsing them."""

_MANY = 256
"""So many parts of a tree are checked one by one, at most."""

_LONGEST_WORD = len(b"xmlns")

_NOTHING_COUNTED: tuple[int, ...] = (0, 0, 0)

_SPACES = re.compile(rb"\s*")
_SMALLER = "give it in parts: one section or object at a time"
_AS_UTF8 = "write it as UTF-8: iconv -f ENCODING -t UTF-8"
_DECLARATION = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)""")


def parse(data: bytes, limits: Limits = ORDINARY, *, keep_comments: bool = False) -> etree._Element:
    """Parse one UTF-8 document within limits; comments (unless kept) and PIs are left out.

    Raises: ConfigurationError with one problem: `xml-syntax`, `xml-too-large`, `xml-doctype`,
    `xml-encoding` or `xml-empty`; the message gives line and column where they are known.
    """
    check_bytes(data, limits)
    try:
        root = etree.fromstring(data, _parser(keep_comments=keep_comments))
    except etree.XMLSyntaxError as problem:
        raise _not_xml(problem) from problem
    _check_type(root)
    if not _is_surely_within(data, limits):
        may_be_long = _may_hold_long_values(data, limits.attribute_chars)
        _refuse_beyond(first_beyond(root, limits, may_be_long=may_be_long))
    return root


def parsing(
    data: bytes, limits: Limits = ORDINARY, *, keep_comments: bool = False, bite: int = BITE_BYTES
) -> Generator[int, None, etree._Element]:
    """Parse as `parse` does, step by step: each gives what it cost, in bytes that are parsed.

    Raises: ConfigurationError as `parse` does.
    """
    yield from checking_bytes(data, limits, bite=bite)
    may_be_long = _may_hold_long_values(data, limits.attribute_chars)
    parser = _parser(keep_comments=keep_comments)
    try:
        for part in bites(data, bite):
            parser.feed(part)
            _check_fed(parser)
            yield len(part)
        root = parser.close()
    except etree.XMLSyntaxError as problem:
        raise _not_xml(problem) from problem
    _check_type(root)
    if _is_surely_within(data, limits):
        return root
    is_wide = len(root) > _MANY
    parts = [(root, False)] if is_wide else list(_parts(root))
    for part_of_tree, is_alone in parts:
        _refuse_beyond(
            first_beyond(part_of_tree, limits, may_be_long=may_be_long, only_itself=is_alone)
        )
        yield len(data) // len(parts)
    return root


def checking_bytes(
    data: bytes, limits: Limits = ORDINARY, *, bite: int = BITE_BYTES
) -> Generator[int, None, None]:
    """Refuse what `check_bytes` refuses, step by step, in the same words."""
    _check_size(data, limits)
    counted = _NOTHING_COUNTED
    is_utf8 = True
    for part in bites(data, bite):
        is_utf8 = is_utf8 and _is_utf8(part)
        counted = tuple(map(sum, zip(counted, _count(part), strict=True)))
        yield len(part) // _CHECKS_TO_PARSING
    if not is_utf8:
        _check_encoding(data)  # says where
    _check_declared(data)
    _check_prolog(data)
    _check_counts(counted, limits, may_quote_singly=b"'" in data)


def bites(data: bytes, most: int = BITE_BYTES) -> Iterator[bytes]:
    """Cut a text behind tags where that can be, so that nothing is cut apart that is counted."""
    place = 0
    while place < len(data):
        end = data.find(b">", place + most - 1, place + 2 * most) + 1
        if not end:
            end = _between(data, min(place + most, len(data)), place + 1)
        yield data[place:end]
        place = end


def _between(data: bytes, place: int, least: int) -> int:
    """Find a place close before another that cuts no character and, if that can be, no word.

    Words are what is counted.
    """
    if place == len(data):
        return place
    near = range(place, max(least, place - _LONGEST_WORD), -1)
    wholes = [each for each in near if data[each] & 0xC0 != 0x80]
    between_words = (each for each in wholes if data[each - 1] not in b"<=xmln")
    return next(between_words, wholes[0] if wholes else place)


def _parts(root: etree._Element) -> Iterator[tuple[etree._Element, bool]]:
    """List what makes up a tree: elements each by itself (True), and wholes."""
    yield root, True
    for child in root.iterchildren(etree.Element):
        if len(child) > _MANY:  # asking for each costs more than it takes to look at them all
            yield child, False
            continue
        yield child, True
        for grandchild in child.iterchildren(etree.Element):
            yield grandchild, False


def _parser(*, keep_comments: bool) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=not keep_comments,
        remove_pis=True,
        remove_blank_text=True,
    )


def _check_fed(parser: etree.XMLParser) -> None:
    """Refuse what a parser found fatal without raising: what follows would be a new document to it.

    It is that way with an entity that nobody declared.
    """
    for found in parser.feed_error_log.filter_from_fatals():
        raise _not_well_formed(found.line, found.column, found.message)


def _not_xml(problem: etree.XMLSyntaxError) -> ConfigurationError:
    line, column = problem.position
    # libxml2's own text ends with the position in words; ours names it once.
    text = (problem.msg or "not XML").split(", line ")[0].strip()
    return _not_well_formed(line, column, text)


def _not_well_formed(line: int, column: int, text: str) -> ConfigurationError:
    where = f"line {line}, column {column}"
    hint = "correct it there, or just before: xmllint --noout FILE shows the line"
    return _refused("xml-syntax", where, f"{where}: {text}", hint)


def is_well_formed(data: bytes) -> bool:
    """Tell whether bytes that we wrote ourselves are whole; much quicker than `parse`."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        return False
    return True


def serialise(element: etree._Element, pretty: bool = False) -> bytes:
    """Write an element (without what follows it) as UTF-8, with a line end when `pretty`."""
    return etree.tostring(element, encoding="utf-8", pretty_print=pretty, with_tail=False)


_TEXT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_VALUE_ESCAPES = str.maketrans({"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def escaped(text: str) -> str:
    """Write text as it stands between tags.

    The standard library has the same, behind imports of half the network.
    """
    return text.translate(_TEXT_ESCAPES)


def quoted(text: str) -> str:
    """Write text as the value of an attribute, with the quotes."""
    value = escaped(text).translate(_VALUE_ESCAPES)
    if '"' not in value:
        return f'"{value}"'
    if "'" not in value:
        return f"'{value}'"
    return '"' + value.replace('"', "&quot;") + '"'


def check_bytes(data: bytes, limits: Limits = ORDINARY) -> None:
    """Refuse what can be refused without building a tree; the work is linear in the bytes.

    Raises: ConfigurationError as `parse` does.
    """
    _check_size(data, limits)
    _check_encoding(data)
    _check_prolog(data)
    _check_counts(_count(data), limits, may_quote_singly=b"'" in data)


def _check_size(data: bytes, limits: Limits) -> None:
    if len(data) > limits.total_bytes:
        raise _refused(
            "xml-too-large",
            "document",
            f"the document has {len(data)} bytes, at most {limits.total_bytes} are read",
            _SMALLER,
        )
    if not data.strip():
        raise _refused("xml-empty", "document", "the document is empty", "give a whole CIB or part")


def _check_prolog(data: bytes) -> None:
    if data.startswith(b"<!DOCTYPE", _end_of_prolog(data)):
        raise _refused("xml-doctype", "document", "a DOCTYPE is not allowed", "remove it")


def _count(data: bytes) -> tuple[int, ...]:
    """Count what is limited: elements, attributes as almost all are written, namespaces."""
    return data.count(b"<") - data.count(b"</"), data.count(b'="'), data.count(b"xmlns")


def _check_counts(counted: tuple[int, ...], limits: Limits, *, may_quote_singly: bool) -> None:
    elements, attributes, namespaces = counted
    if elements > limits.elements:
        raise _refused(
            "xml-too-large",
            "document",
            f"the document has {elements} elements, at most {limits.elements} are read",
            _SMALLER,
        )
    # In values between double quotes, as almost all are, the two bytes counted cannot stand.
    if attributes > limits.attributes * elements and not may_quote_singly:
        raise _refused(
            "xml-too-large",
            "document",
            f"an element has more than {limits.attributes} attributes",
            "no CIB needs that: look what wrote it",
        )
    if namespaces > limits.namespaces:
        raise _refused(
            "xml-too-large",
            "document",
            f"the document declares more than {limits.namespaces} namespaces",
            "declare none: a CIB has no namespaces",
        )


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _check_encoding(data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        where = f"line {line}"
        raise _refused(
            "xml-encoding", where, f"{where}: byte {problem.start} is not UTF-8", _AS_UTF8
        ) from problem
    _check_declared(data)


def _check_declared(data: bytes) -> None:
    declared = _DECLARATION.match(data)
    if declared is None or data.isascii():
        return
    name = declared.group(1).decode()
    if name.lower() not in {"utf-8", "utf8"}:
        message = f"the document declares the encoding '{name}', but is written in UTF-8"
        raise _refused("xml-encoding", "document", message, "declare UTF-8, or leave it out")


def _end_of_prolog(data: bytes) -> int:
    """Find where the root or a document type begins: behind declaration, comments and PIs."""
    place = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while True:
        if (spaces := _SPACES.match(data, place)) is not None:
            place = spaces.end()
        if data.startswith(b"<?", place):
            end, size = data.find(b"?>", place + 2), 2
        elif data.startswith(b"<!--", place):
            end, size = data.find(b"-->", place + 4), 3
        else:
            return place
        if end < 0:
            return place
        place = end + size


def _may_hold_long_values(data: bytes, most: int) -> bool:
    """Tell whether a value of more than so many characters can be in a document.

    Such a value keeps its quotes that far apart. Where all quotes are of the usual kind, it is
    enough to hop through the bytes from quote to quote, as far as a value may reach.
    """
    if b"'" in data:
        return True
    place = 0
    while place + most < len(data):
        quote = data.rfind(b'"', place, place + most + 1)
        if quote < 0:
            return True
        place = quote + 1
    return False


def _is_surely_within(data: bytes, limits: Limits) -> bool:
    """Tell whether bytes are too few to be beyond a limit of the tree, wherever they stand.

    Every level has a tag of its own and every attribute an equals sign. Most documents are a few
    hundred bytes of a change, and to look for what is beyond takes longer than to parse them.
    """
    return (
        len(data) <= limits.attribute_chars
        and data.count(b"<") <= limits.depth
        and data.count(b"=") <= limits.attributes
    )


def _check_type(root: etree._Element) -> None:
    # Any: the stubs do not say that a document may have no DTD.
    document: Any = root.getroottree().docinfo
    if document.doctype or document.internalDTD is not None:
        raise _refused("xml-doctype", "document", "a DOCTYPE is not allowed", "remove it")


def _refuse_beyond(beyond: tuple[etree._Element, str] | None) -> None:
    if beyond is not None:
        found, what = beyond
        where = f"line {found.sourceline}"
        message = f"{where}: <{found.tag}> {what}"
        raise _refused("xml-too-large", where, message, "no CIB needs that: look what wrote it")


def first_beyond(
    element: etree._Element,
    limits: Limits = ORDINARY,
    *,
    may_be_long: bool = True,
    only_itself: bool = False,
) -> tuple[etree._Element, str] | None:
    """Find the first element from this one downwards that is beyond a limit, and say which.

    Its level counts from the root of its tree. `may_be_long` False: values are known to be short.
    """
    checks: list[tuple[str, str]] = []
    own = "self::*" if only_itself else "descendant-or-self::*"
    if not only_itself:
        levels = limits.depth - sum(1 for _ in element.iterancestors())
        deep = "/".join(["self::*", *("*" * levels)])
        checks.append((f"({deep})[1]", f"stands more than {limits.depth} levels deep"))
    checks.append(
        (
            f"({own}[@*[{limits.attributes + 1}]])[1]",
            f"has more than {limits.attributes} attributes",
        )
    )
    if may_be_long:
        checks.append(
            (
                f"({own}[@*[string-length() > {limits.attribute_chars}]])[1]",
                f"has an attribute of more than {limits.attribute_chars} characters",
            )
        )
    for xpath, what in checks:
        # cast: an XPath that selects elements gives a list of them.
        found = cast("list[etree._Element]", element.xpath(xpath))
        if found:
            return found[0], what
    return None


def _refused(code: str, subject: str, message: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError(message, [error(code, subject, message, hint)])
