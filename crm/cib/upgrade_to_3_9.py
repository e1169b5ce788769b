"""The step over version 3: promotable resources are clones, roles are spelled one way.

Version 3 accepts `<master>` still, later ones do not. A document that says it is written for 3.9
keeps its masters: they are read as well.

Source: docs/decisions/0031-dialects.md, "Steps".
"""

from __future__ import annotations

from lxml import etree

from crm.cib.upgrade_pairs import own_meta_set, pairs, role
from crm.plumbing import errors
from crm.plumbing.errors import Problem


def over_version_3(root: etree._Element) -> list[Problem]:
    """Make clones with promotable=true of all `<master>` elements, in place.

    Rules could write a role in any case.
    """
    problems: list[Problem] = []
    for rule in root.iter("rule"):
        if (word := rule.get("role")) is not None and word != word.capitalize():
            rule.set("role", role(word))
    for master in list(root.iter("master")):
        master.tag = "clone"
        target = own_meta_set(root, master)
        for pair in pairs(target):
            if pair.get("name") == "promotable":
                target.remove(pair)
        target.insert(0, etree.Element("nvpair", name="promotable", value="true"))
        problems.append(
            errors.warning(
                "element-renamed",
                master.get("id", ""),
                f"'{master.get('id')}' is a clone with promotable=true now",
                "nothing is to be done; write it so from now on",
            )
        )
    return problems
