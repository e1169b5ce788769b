"""Documents made to hurt whoever reads them: bombs, floods, towers, foreign alphabets.

`refused` ones break a limit or a rule of XML and must never become a tree that is looked at;
`strange` ones keep to all limits, and must be judged in bounded time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Maker = Callable[[], bytes]

_HEAD = '<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0">'
_SECTIONS = ("crm_config", "nodes", "resources", "constraints")


def cib(resources: str = "", constraints: str = "", nodes: str = "") -> bytes:
    """Write a CIB around the content of its sections."""
    content = {"resources": resources, "constraints": constraints, "nodes": nodes}
    sections = "".join(f"<{tag}>{content.get(tag, '')}</{tag}>" for tag in _SECTIONS)
    return f"{_HEAD}<configuration>{sections}</configuration><status/></cib>".encode()


def _primitive(identity: str) -> str:
    return f'<primitive id="{identity}" class="ocf" provider="heartbeat" type="Dummy"/>'


def _entities() -> bytes:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    return f'<!DOCTYPE cib [<!ENTITY e0 "ha">{levels}]><cib>&e11;</cib>'.encode()


def _quadratic() -> bytes:
    text = "x" * 100_000
    return f'<!DOCTYPE cib [<!ENTITY e "{text}">]><cib>{"&e;" * 100_000}</cib>'.encode()


def _declarations() -> bytes:
    many = "".join(f'<!ENTITY e{n} "x">' for n in range(500_000))
    return f"<!DOCTYPE cib [{many}]><cib/>".encode()


def _attributes(count: int) -> bytes:
    return b"<cib " + b" ".join(b'a%d="1"' % n for n in range(count)) + b"/>"


def _spaces(count: int) -> bytes:
    return b"<cib " + b" ".join(b'xmlns:n%d="u%d"' % (n, n) for n in range(count)) + b"/>"


def _inherited_spaces(count: int) -> bytes:
    names = b" ".join(b'xmlns:n%d="u%d"' % (n, n) for n in range(count))
    inside = b"".join(b"<n%d:a/>" % (n % count) for n in range(100_000))
    return b"<cib " + names + b">" + inside + b"</cib>"


REFUSED: Mapping[str, Maker] = {
    "nothing": lambda: b"",
    "spaces": lambda: b" " * 30_000_000,
    "spaces before a document type": lambda: b" " * 30_000_000 + b"<!DOCTYPE cib><cib/>",
    "bomb of entities": _entities,
    "quadratic bomb": _quadratic,
    "many declarations": _declarations,
    "external entity": lambda: (
        b'<!DOCTYPE cib [<!ENTITY x SYSTEM "file:///etc/passwd">]><cib a="&x;">&x;</cib>'
    ),
    "external document type": lambda: b'<!DOCTYPE cib SYSTEM "http://127.0.0.1:1/x.dtd"><cib/>',
    "document type behind comments": lambda: b"<!--a--> <?b c?>\n<!--d--><!DOCTYPE cib><cib/>",
    "unknown entity": lambda: b"<cib>&secret;</cib>",
    "3 million elements": lambda: b"<cib>" + b"<a/>" * 3_000_000 + b"</cib>",
    "3 million comments": lambda: b"<cib>" + b"<!---->" * 3_000_000 + b"</cib>",
    "3 million instructions": lambda: b"<cib>" + b"<?a?>" * 3_000_000 + b"</cib>",
    "300000 attributes": lambda: _attributes(300_000),
    "a million attributes": lambda: _attributes(1_000_000),
    "one attribute 300000 times": lambda: b"<cib " + b'a="1" ' * 300_000 + b"/>",
    "300000 namespaces": lambda: _spaces(300_000),
    "namespaces looked up": lambda: _inherited_spaces(10_000),
    "depth of 10000": lambda: b"<a>" * 10_000 + b"</a>" * 10_000,
    "depth of 200": lambda: b"<a>" * 200 + b"</a>" * 200,
    "never closed": lambda: b"<a>" * 190_000,
    "100 MB of text": lambda: b"<cib>" + b"x" * 100_000_000 + b"</cib>",
    "30 MB of text": lambda: b"<cib>" + b"x" * 30_000_000 + b"</cib>",
    "20 MB of a value": lambda: b'<cib a="' + b"x" * 20_000_000 + b'"/>',
    "100 kB of a value": lambda: b'<cib a="' + b"x" * 100_000 + b'"/>',
    "a name of 1 MB": lambda: b"<" + b"x" * 1_000_000 + b"/>",
    "a comment of 20 MB": lambda: b"<cib><!--" + b"x" * 20_000_000 + b"--></cib>",
    "many values of 60 kB": lambda: (
        b"<cib>" + b"".join(b'<a b="%s"/>' % (b"x" * 60_000) for _ in range(1200)) + b"</cib>"
    ),
    "UTF-16": lambda: "<cib/>".encode("utf-16"),
    "UTF-16 without a mark": lambda: "<cib/>".encode("utf-16-le"),
    "UTF-32": lambda: "<cib/>".encode("utf-32"),
    "UTF-7 declared": lambda: '<?xml version="1.0" encoding="UTF-7"?><cib a="ä"/>'.encode(),
    "Latin 1": lambda: '<cib a="ä"/>'.encode("latin-1"),
    "Latin 1 declared, UTF-8 written": lambda: (
        '<?xml version="1.0" encoding="ISO-8859-1"?><cib a="ä"/>'.encode()
    ),
    "a zero byte": lambda: b"<cib>\x00</cib>",
    "a zero byte by number": lambda: b"<cib a='&#0;'/>",
    "a control character": lambda: b"<cib a='\x01'/>",
    "a control character by number": lambda: b"<cib a='&#x1;'/>",
    "half a surrogate": lambda: b"<cib a='\xed\xa0\x80'/>",
    "an overlong slash": lambda: b"<cib a='\xc0\xaf'/>",
    "two roots": lambda: b"<cib/><cib/>",
}

ONLY_BY_THE_PARSER = frozenset(
    {
        "unknown entity",
        "depth of 10000",
        "depth of 200",
        "never closed",
        "30 MB of text",
        "20 MB of a value",
        "100 kB of a value",
        "a name of 1 MB",
        "a comment of 20 MB",
        "UTF-16 without a mark",
        "a zero byte",
        "a zero byte by number",
        "a control character",
        "a control character by number",
        "two roots",
    }
)
"""Refused ones that look harmless until they are parsed: libxml2 stops at them, or the tree is
small. All others never become a tree."""

STRANGE: Mapping[str, Maker] = {
    "gigantic ids": lambda: cib(
        "".join(_primitive("a" * 60_000 + str(n)) for n in range(20)),
        "".join(f'<rsc_order id="o{n}" first="{"a" * 59_999}b{n}" then="x"/>' for n in range(20)),
    ),
    "names that lead nowhere": lambda: cib(
        "".join(_primitive(f"resource-{n}") for n in range(30_000)),
        "".join(f'<rsc_order id="o{n}" first="rsc-{n}" then="rsc{n}"/>' for n in range(30_000)),
    ),
    "one id 60000 times": lambda: cib(_primitive("a") * 60_000),
    "nothing that is known": lambda: cib("<frobs/>" * 150_000),
    "attributes that are unknown": lambda: cib(
        "".join(f"<primitive {' '.join(f'a{n}=' + chr(34) * 2 for n in range(60))}/>" * 5000)
    ),
    "orders in a great circle": lambda: cib(
        "".join(_primitive(f"r{n}") for n in range(10_000)),
        "".join(
            f'<rsc_order id="o{n}" first="r{n}" then="r{(n + 1) % 10_000}"/>' for n in range(10_000)
        ),
    ),
    "orders of all after all": lambda: cib(
        "".join(_primitive(f"r{n}") for n in range(8000)),
        '<rsc_order id="o">'
        + "".join(
            f'<resource_set id="s{half}" sequential="false">'
            + "".join(f'<resource_ref id="r{n}"/>' for n in range(half, 8000, 2))
            + "</resource_set>"
            for half in (0, 1)
        )
        + "</rsc_order>",
    ),
    "colocations that contradict": lambda: cib(
        "".join(_primitive(f"r{n}") for n in range(10_000)),
        "".join(
            f'<rsc_colocation id="c{n}" rsc="r{n}" with-rsc="r{n + 1}" score="INFINITY"/>'
            f'<rsc_colocation id="d{n}" rsc="r{n}" with-rsc="r0" score="-INFINITY"/>'
            for n in range(9_999)
        ),
    ),
    "nodes nobody knows": lambda: cib(
        _primitive("a"),
        "".join(
            f'<rsc_location id="l{n}" rsc="a" node="nodf-{n}-x" score="1"/>' for n in range(30_000)
        ),
        "".join(f'<node id="{n}" uname="node-{n}-x"/>' for n in range(30_000)),
    ),
    "60 levels of rules": lambda: cib(
        _primitive("a"),
        '<rsc_location id="l" rsc="a">'
        + "".join(f'<rule id="r{n}" score="1">' for n in range(50))
        + '<expression id="e" attribute="x" operation="defined"/>'
        + "</rule>" * 50
        + "</rsc_location>",
    ),
    "a pattern that explodes": lambda: cib(
        _primitive("a" * 40 + "b"),
        '<rsc_location id="l" rsc-pattern="(a+)+$" node="n" score="1"/>',
    ),
}
