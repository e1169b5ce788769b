"""Giving an object another id, here and wherever it is named.

Source: crm-shell, section 2, "configure".
"""

from __future__ import annotations

import re

from cli.edits import NAMING, EditRefused, check_id, need
from crm.model.configuration import Item, own_ids
from crm.plumbing.errors import error


def rename(configuration: Item, old: str, new: str) -> None:
    """Give an object another id, here and wherever it is named.

    Raises: EditRefused if the old id does not exist or the new one is taken or unfit.
    """
    located = need(configuration, old)
    item = located.item
    check_id(Item(item.tag, {"id": new}))
    if new in own_ids(configuration):
        raise EditRefused(error("id-taken", new, f"there is a '{new}' already"))
    item.attributes["id"] = new
    for part in configuration.walk():
        if part.tag in ("resource_ref", "obj_ref", "role") and part.id == old:
            part.attributes["id"] = new
        for attribute in (*NAMING.get(part.tag, ()), "template", "id-ref"):
            if part.attributes.get(attribute) == old:
                part.attributes[attribute] = new
        if part.tag == "fencing-level" and old in part.get("devices").split(","):
            devices = [new if each == old else each for each in part.get("devices").split(",")]
            part.attributes["devices"] = ",".join(devices)
        if part.tag == "acl_permission":
            _rename_in_permission(part, old, new)


def _rename_in_permission(permission: Item, old: str, new: str) -> None:
    """Let rights to an object go on being rights to it."""
    if permission.get("reference") == old:
        permission.attributes["reference"] = new
    if xpath := permission.get("xpath"):
        named = rf"(@id\s*=\s*)(['\"]){re.escape(old)}\2"
        permission.attributes["xpath"] = re.sub(named, rf"\g<1>\g<2>{new}\g<2>", xpath)
