"""The step over version 1: access lists.

Users become targets, and the rights that stood at a user get a role; rights become permissions.
Version 1 could narrow a right in ways a permission has no attributes for: those become an XPath.

Source: docs/decisions/0031-dialects.md, "Steps".
"""

from __future__ import annotations

from lxml import etree

from crm.cib import upgrade_ids
from crm.cib.upgrade_pairs import take
from crm.plumbing.errors import Problem

_RIGHTS = ("read", "write", "deny")


def over_version_1(root: etree._Element) -> list[Problem]:
    """Bring the access lists of a document to version 2, in place."""
    modernise_access(root)
    return []


def modernise_access(root: etree._Element) -> None:
    """Make targets of users and permissions of rights, wherever they stand below `root`."""
    used = {role.get("id", "") for role in root.iter("acl_role")}
    for user in list(root.iter("acl_user")):
        user.tag = "acl_target"
        references = user.findall("role_ref")
        for reference in references:
            reference.tag = "role"
        rights = [child for child in user if child.tag in _RIGHTS]
        if rights and not references:
            _make_role_of(user, rights, used)
    for role in list(root.iter("acl_role")):
        for right in [child for child in role if child.tag in _RIGHTS]:
            _make_permission(right)


def _make_role_of(user: etree._Element, rights: list[etree._Element], used: set[str]) -> None:
    """Give the rights that stood at a user a role of their own."""
    identity = upgrade_ids.unused(f"auto-{user.get('id', '')}", used)
    used.add(identity)
    role = etree.Element("acl_role", id=identity)
    role.extend(rights)
    user.addprevious(role)
    etree.SubElement(user, "role", id=identity)


def _make_permission(right: etree._Element) -> None:
    right.set("kind", str(right.tag))
    right.tag = "acl_permission"
    reference, tag = take(right, "ref"), take(right, "tag")
    attribute = take(right, "attribute")
    path = take(right, "xpath")
    if path is None and reference is not None and (tag or attribute):
        path = f"//{tag or '*'}[@id='{reference}']"
    if path is not None:
        right.set("xpath", _narrowed(path, attribute))
    elif reference is not None:
        right.set("reference", reference)
    else:
        if tag is not None:
            right.set("object-type", tag)
        if attribute is not None:
            right.set("attribute", attribute)


def _narrowed(path: str, attribute: str | None) -> str:
    """Say that only elements with an attribute are meant; `|` binds weaker than a predicate."""
    if attribute is None:
        return path
    return f"({path})[@{attribute}]" if "|" in path else f"{path}[@{attribute}]"
