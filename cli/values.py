"""Single values of objects: attributes in their sets, operations, and `configure set`.

Source: crm-shell, section 2, "configure" and "resource".
"""

from __future__ import annotations

from cli.edits import EditRefused, need
from cli.grammar import ids
from crm.model.configuration import Item, own_ids
from crm.plumbing.errors import error


def set_pair(
    item: Item, tag: str, name: str, value: str, *, taken: set[str], owner: str = ""
) -> None:
    """Set one attribute in a set of an object; the set is made when there is none."""
    for made in item.each(tag):
        for pair in made.each("nvpair"):
            if pair.get("name") == name:
                pair.attributes["value"] = value
                return
    made_set = next((made for made in item.each(tag) if not made.each("rule")), None)
    if made_set is None:
        made_set = Item(tag)
        item.children.append(made_set)
    made_set.children.append(Item("nvpair", {"name": name, "value": value}))
    shell = Item(item.tag, {"id": owner or item.id, "uname": item.get("uname")}, [made_set])
    ids.fill(shell, taken)


def unset_pair(item: Item, tag: str, name: str) -> bool:
    """Remove one attribute; its set stays, even empty. Tells whether it was there."""
    for made in item.each(tag):
        for pair in made.each("nvpair"):
            if pair.get("name") != name:
                continue
            made.children.remove(pair)
            return True
    return False


def drop_meta(item: Item, name: str) -> bool:
    """Remove a meta attribute, and its set if nothing is left in it. Tells whether it was there."""
    if not unset_pair(item, "meta_attributes", name):
        return False
    item.children = [
        each for each in item.children if each.tag != "meta_attributes" or each.children
    ]
    return True


def get_pair(item: Item, tag: str, name: str) -> str | None:
    """Read one attribute of an object."""
    for made in item.each(tag):
        for pair in made.each("nvpair"):
            if pair.get("name") == name:
                return pair.get("value")
    return None


def add_operation(configuration: Item, item: Item, operation: Item) -> None:
    """Add an operation to a primitive.

    Raises: EditRefused if the same operation exists.
    """
    operations = item.first("operations")
    for known in operations.children if operations is not None else []:
        if (known.get("name"), known.get("interval")) == (
            operation.get("name"),
            operation.get("interval"),
        ):
            text = f"'{item.id}' has a {operation.get('name')} every {operation.get('interval')}"
            raise EditRefused(error("operation-exists", item.id, f"{text} already"))
    if operations is None:
        operations = Item("operations")
        item.children.append(operations)
    taken = own_ids(configuration)
    # By the name of the resource, also where its operations have a name of their own.
    ids.fill(Item("operations", {"id": item.id}, [operation]), taken)
    operations.children.append(operation)


def set_value(configuration: Item, path: str, value: str) -> None:
    """Change an existing value: `ID.NAME`, `ID.OP.NAME` or `ID.OP.INTERVAL.NAME`.

    Raises: EditRefused if there is no such value.
    """
    name, *middle, attribute = path.split(".")
    refused = EditRefused(error("unknown-value", path, f"there is no value '{path}' to change"))
    if not attribute or not name or not path.count("."):
        raise refused
    item = need(configuration, name).item
    for part in _parts(item, middle):
        if attribute in part.attributes and attribute != "id" and (middle or part is item):
            part.attributes[attribute] = value
            return
        for pair in part.walk():
            if pair.tag == "nvpair" and pair.get("name") == attribute:
                pair.attributes["value"] = value
                return
    raise refused


def _parts(item: Item, middle: list[str]) -> list[Item]:
    if not middle:
        return [item, *(each for each in item.children if each.tag != "operations")]
    operations = item.first("operations")
    found = operations.children if operations is not None else []
    return [
        each
        for each in found
        if each.get("name") == middle[0] and (len(middle) == 1 or each.get("interval") == middle[1])
    ]
