"""A CIB with a user's rights beside it, in each style."""

from __future__ import annotations

from cli.view import access
from crm.cib import acl
from crm.plumbing import xml

CIB = b"""<cib><configuration><resources>
<primitive id="p"><nvpair id="a" value="1"/><nvpair id="b" value="&lt;"/></primitive>
</resources><constraints/></configuration></cib>"""

TEXT = """\
<!-- ACLs as evaluated for user u -->
vvv---[ READABLE ]---vvv
<cib>
  <configuration>
    <resources>
      
      vvv---[ WRITABLE ]---vvv
      <primitive id="p">
        
        vvv---[ ~DENIED~ ]---vvv
        <nvpair id="a" value="1"/>
        <nvpair id="b" value="&lt;"/>
      </primitive>
    </resources>
    <constraints/>
  </configuration>
</cib>
"""  # noqa: W293 - as recorded


def shown(style: str, xpath: str = "/cib") -> str:
    root = xml.parse(CIB)
    permissions = [
        acl.Permission("1", acl.Level.READ, "/cib"),
        acl.Permission("2", acl.Level.WRITE, "//primitive"),
        acl.Permission("3", acl.Level.DENY, "//nvpair[@id='a']"),
        acl.Permission("4", acl.Level.READ, "//nvpair[@id='b']"),
    ]
    found = root.xpath(xpath)
    return access.render(found, acl.Access(root, permissions), "u", style)


def test_text_marks_where_the_level_becomes_another() -> None:
    assert shown("text") == TEXT


def test_colours_stand_before_every_tag() -> None:
    assert "\x1b[34m<constraints/>\x1b[0m" in shown("color")
    assert '\x1b[31m<nvpair id="a" value="1"/>\x1b[0m' in shown("color")
    assert '\x1b[32m<nvpair id="b"' in shown("color")


def test_namespaces_are_declared_once_and_only_those_in_use() -> None:
    text = shown("namespace", "//constraints")
    assert text.splitlines()[1] == (
        "<pcmk-access-readable:constraints"
        ' xmlns:pcmk-access-readable="http://clusterlabs.org/ns/pacemaker/access/readable"/>'
    )
    assert '<pcmk-access-denied:nvpair id="a" value="1"/>' in shown("namespace")


def test_several_matches_stand_in_one_answer() -> None:
    lines = shown("text", "//nvpair").splitlines()
    assert lines[1] == "<xpath-query>"
    assert lines.count("  vvv---[ WRITABLE ]---vvv") == 1
