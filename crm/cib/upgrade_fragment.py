"""Parts of a configuration in the dialect of Heartbeat 2, as old guides feed them to cibadmin.

`cibadmin -C -o resources -x web.xml` hands in a resource, not a CIB, and a resource does not say
which dialect it is written in. What it is made of does: a part that uses words only Heartbeat 2
had is converted as if it stood in a CIB of that time. Only whole objects can be: of a part that
shall be merged into another it is not known what its silence means.

Source: docs/decisions/0031-dialects.md.
"""

from __future__ import annotations

import copy
import re

from lxml import etree

from crm.cib import upgrade
from crm.cib.upgrade_pairs import children

_SECTION_OF = {
    "resources": "resources",
    "primitive": "resources",
    "group": "resources",
    "clone": "resources",
    "master_slave": "resources",
    "constraints": "constraints",
    "rsc_location": "constraints",
    "rsc_order": "constraints",
    "rsc_colocation": "constraints",
}
_OLD_ELEMENTS = (b"<attributes", b"<master_slave")
_OLD_WORDS = (
    b"from",
    b"to",
    b"prereq",
    b"disabled",
    b"notify",
    b"ordered",
    b"interleave",
    b"collocated",
)
_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?:<\?[^>]*+>\s*+)?<(?P<tag>[A-Za-z_]++)[\s/>]")
_MAY_BE_OLD = re.compile(
    rb"<attributes\b|<master_slave\b|\w_\w+\s*=|\b(" + b"|".join(_OLD_WORDS) + rb")\s*="
)


def may_be_old(text: bytes) -> bool:
    """Tell cheaply that a text is worth being parsed for old words; most are not.

    What is no object and no section of them is not, whatever stands in it, and what has none of
    the words is not searched: that takes long in a text that is no XML at all.
    """
    root = _ROOT.match(text)
    if root is not None and root["tag"].decode("ascii") not in _SECTION_OF:
        return False
    if not any(word in text for word in (*_OLD_ELEMENTS, b"_", *_OLD_WORDS)):
        return False
    return _MAY_BE_OLD.search(text) is not None


def is_old(given: etree._Element) -> bool:
    """Tell whether a resource, a constraint or a section of them is one of Heartbeat 2."""
    return given.tag in _SECTION_OF and upgrade.has_old_forms(given)


def convert(given: etree._Element) -> upgrade.Upgrade:
    """Bring such a part to today's dialect; the one passed in is left as it is."""
    tag = _SECTION_OF[str(given.tag)]
    root = etree.Element("cib", have_quorum="true")
    configuration = etree.SubElement(root, "configuration")
    holder = configuration if given.tag == tag else etree.SubElement(configuration, tag)
    holder.append(copy.deepcopy(given))
    result = upgrade.upgrade(root)
    section = result.root.find(f"configuration/{tag}")
    assert section is not None, "an upgraded document has all sections"
    part = section if given.tag == tag else children(section)[0]
    return upgrade.Upgrade(part, result.problems)
