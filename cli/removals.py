"""Deleting objects, and what references follow: constraints and tags that named them.

Pure functions on the `<configuration>` item; what was changed beside is given back as notes.

Source: crm-shell, section 2, "configure".
"""

from __future__ import annotations

from cli.edits import NAMING, find, name_instead, need, objects, section
from cli.grammar.resources import CONTAINERS, HOLDERS, RESOURCES
from cli.grammar.statements import keyword_of
from crm.model.configuration import Item


def delete(configuration: Item, name: str) -> list[str]:
    """Remove an object and what only makes sense with it; returns what else was changed.

    The members of a deleted group or clone stay. Constraints and tags that name a deleted
    resource lose it, or go when nothing is left of them.

    Raises: EditRefused if there is no such object.
    """
    located = need(configuration, name)
    item, parent = located.item, located.parent
    notes: list[str] = []
    if item.tag in CONTAINERS and parent.tag in CONTAINERS:
        # A clone without its group would be empty: the clone goes first.
        notes += delete(configuration, parent.id)
        parent = section(configuration, "resources")
    at = next(index for index, child in enumerate(parent.children) if child is item)
    if item.tag in HOLDERS:
        members = item.each(*RESOURCES)
        if members:
            notes += name_instead(configuration, item.id, members[0].id)
        del parent.children[at]
        section(configuration, "resources").children.extend(members)
    else:
        del parent.children[at]
    if item.tag in ("crm_config", "fencing-topology"):
        return notes
    if item.tag == "template":
        for each in [*objects(configuration)]:
            if each.item.get("template") == item.id and find(configuration, each.item.id):
                notes.append(f"hanging primitive:{each.item.id} deleted")
                notes += delete(configuration, each.item.id)
        notes += _forget_resource(configuration, item.id)
    if item.tag in RESOURCES:
        if parent.tag in CONTAINERS and not parent.each(*RESOURCES):
            notes.append(f"hanging {keyword_of(parent)}:{parent.id} deleted")
            notes += delete(configuration, parent.id)
        notes += _forget_resource(configuration, item.id)
    notes += _forget_tagged(configuration, item.id)
    return notes


def _forget_resource(configuration: Item, name: str) -> list[str]:
    notes: list[str] = []
    constraints = section(configuration, "constraints")
    for item in list(constraints.children):
        named = [item.get(each) for each in NAMING.get(item.tag, ())]
        gone = name in named
        changed = False
        for made in item.each("resource_set"):
            kept = [each for each in made.children if each.id != name]
            changed |= len(kept) != len(made.children)
            made.children = kept
        if changed:
            item.children = [
                each for each in item.children if each.tag != "resource_set" or each.children
            ]
            gone = not _is_meaningful(item)
            if not gone:
                _simplify(item)
        if gone:
            constraints.children.remove(item)
            notes.append(f"hanging {keyword_of(item)}:{item.id} deleted")
        elif changed:
            notes.append(f"constraint {keyword_of(item)}:{item.id} updated")
    return notes


def _is_meaningful(item: Item) -> bool:
    """Tell whether a constraint still says something, after sets lost members."""
    left = sum(len(made.children) for made in item.each("resource_set"))
    return left >= (1 if item.tag in ("rsc_location", "rsc_ticket") else 2)


def _simplify(item: Item) -> None:
    """Write what is left of sets in the simple form, as people would.

    That is one plain set of two, and an order between two sets of one.
    """
    names = {
        "rsc_colocation": ("rsc", "with-rsc", "role"),
        "rsc_order": ("first", "then", "action"),
    }
    sets = item.each("resource_set")
    if item.tag == "rsc_order" and [len(made.children) for made in sets] == [1, 1]:
        for prefix, made in zip(("first", "then"), sets, strict=True):
            item.attributes[prefix] = made.children[0].id
            if made.get("action"):
                item.attributes[f"{prefix}-action"] = made.get("action")
            item.children.remove(made)
        return
    if item.tag not in names or len(sets) != 1 or len(sets[0].children) != 2:
        return
    if {"sequential", "require-all"} & sets[0].attributes.keys():
        return
    first, second, qualifier = names[item.tag]
    for prefix, reference in zip((first, second), sets[0].children, strict=True):
        item.attributes[prefix] = reference.id
        if sets[0].get(qualifier):
            item.attributes[f"{prefix}-{qualifier}"] = sets[0].get(qualifier)
    item.children.remove(sets[0])


def _forget_tagged(configuration: Item, name: str) -> list[str]:
    notes: list[str] = []
    tags = configuration.first("tags")
    for tag in list(tags.children) if tags is not None else []:
        assert tags is not None
        kept = [each for each in tag.children if each.id != name]
        if len(kept) == len(tag.children):
            continue
        tag.children = kept
        if not kept:
            tags.children.remove(tag)
            notes.append(f"hanging tag:{tag.id} deleted")
    return notes
