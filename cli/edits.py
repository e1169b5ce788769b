"""Changes of a configuration: add, merge, delete, rename, and what references follow.

Pure functions on the `<configuration>` item; nothing is printed, read or written. A change that
cannot be made raises before anything is touched.

Source: crm-shell, section 2, "configure", and section 3, "Kinds of several objects".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from cli.grammar import ids
from cli.grammar.resources import CONTAINERS, RESOURCES
from cli.grammar.statements import keyword_of
from crm.model.configuration import MEMBER, Item, own_ids
from crm.model.names import is_xml_id
from crm.plumbing.errors import Problem, UsageError, error

SECTIONS = (
    "crm_config", "nodes", "resources", "constraints", "acls", "fencing-topology", "tags",
    "alerts", "rsc_defaults", "op_defaults",
)  # fmt: skip

SECTION_OF = {
    "cluster_property_set": "crm_config",
    "node": "nodes",
    "template": "resources",
    **dict.fromkeys(RESOURCES, "resources"),
    "rsc_location": "constraints",
    "rsc_colocation": "constraints",
    "rsc_order": "constraints",
    "rsc_ticket": "constraints",
    "acl_role": "acls",
    "acl_target": "acls",
    "acl_group": "acls",
    "acl_user": "acls",
    "tag": "tags",
    "alert": "alerts",
}

_NAMING = {
    "rsc_location": ("rsc",),
    "rsc_colocation": ("rsc", "with-rsc"),
    "rsc_order": ("first", "then"),
    "rsc_ticket": ("rsc",),
}
"""Attributes of constraints that name a resource."""


class EditRefused(UsageError):
    """A change that cannot be made; `problems` says why."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems[0].message)
        self.problems = problems


class Located(NamedTuple):
    """An object and where it stands."""

    item: Item
    parent: Item
    section: str

    @property
    def keyword(self) -> str:
        """The statement it is shown as."""
        return keyword_of(self.item, self.section)

    @property
    def name(self) -> str:
        """What a person calls it: the id, or the name of a node."""
        return self.item.get("uname") if self.item.tag == "node" else self.item.id


def section(configuration: Item, name: str) -> Item:
    """Find a section; an absent one is made, at the end."""
    found = configuration.first(name)
    if found is None:
        found = Item(name)
        configuration.children.append(found)
    return found


def objects(configuration: Item) -> Iterator[Located]:
    """Yield every object, members right after their container."""
    for part in configuration.children:
        if part.tag == "fencing-topology":
            if part.children:
                yield Located(part, configuration, part.tag)
            continue
        for item in part.children:
            yield from _with_members(Located(item, part, part.tag))


def _with_members(located: Located) -> Iterator[Located]:
    yield located
    if located.item.tag in (*CONTAINERS, "bundle"):
        for child in located.item.each(*RESOURCES):
            yield from _with_members(Located(child, located.item, located.section))


def find(configuration: Item, name: str) -> Located | None:
    """Find an object by its id, a node also by its name."""
    for located in objects(configuration):
        if located.item.id == name or located.name == name:
            return located
        if located.item.tag == "fencing-topology" and name in (
            "fencing_topology",
            located.item.tag,
        ):
            return located
    return None


def need(configuration: Item, name: str) -> Located:
    """Find an object, or refuse with the nearest name as a hint.

    Raises: EditRefused if there is none.
    """
    located = find(configuration, name)
    if located is None:
        raise EditRefused(unknown("object", name, [each.name for each in objects(configuration)]))
    return located


def need_resource(configuration: Item, name: str) -> Located:
    """Find a resource by its id.

    Raises: EditRefused if there is none.
    """
    known = [each for each in objects(configuration) if each.item.tag in RESOURCES]
    for located in known:
        if located.item.id == name:
            return located
    raise EditRefused(unknown("resource", name, [each.item.id for each in known]))


def need_node(configuration: Item, name: str) -> Item:
    """Find a node by its name or id.

    Raises: EditRefused if there is none.
    """
    known = section(configuration, "nodes").each("node")
    for node in known:
        if name in (node.get("uname"), node.id) or name.lower() == node.get("uname").lower():
            return node
    raise EditRefused(unknown("node", name, [node.get("uname") for node in known]))


def unknown(kind: str, name: str, known: list[str]) -> Problem:
    """Say that something does not exist, with the nearest name there is."""
    import difflib  # only a mistake pays for it

    near = difflib.get_close_matches(name, known, 1)
    hint = f"there is a {kind} '{near[0]}'" if near else ""
    return error(f"unknown-{kind}", name, f"{kind} '{name}' does not exist", hint)


# --- adding -------------------------------------------------------------------------------------


def add(configuration: Item, item: Item, keyword: str) -> None:
    """Put a parsed object into the configuration, by the rules of its kind.

    Raises: EditRefused if the id is taken or unfit, or something named does not exist.
    """
    if keyword in ("property", "rsc_defaults", "op_defaults"):
        _check_id(item)
        name = "crm_config" if keyword == "property" else keyword
        _merge_options(section(configuration, name), item, own_ids(configuration))
        return
    if keyword == "fencing_topology":
        _replace_topology(configuration, item)
        return
    if item.tag == "node":
        _put_node(configuration, item)
        return
    _check_id(item)
    taken = own_ids(configuration) - _node_ids(configuration)
    existing = next((each for each in objects(configuration) if each.item.id == item.id), None)
    if item.id in taken:
        kind = existing.keyword if existing is not None else "part of another object"
        raise EditRefused(
            error(
                "id-taken",
                item.id,
                f"cannot create {keyword} '{item.id}': there is a {kind} of that id already",
            )
        )
    _resolve_references(configuration, item)
    _check_template(configuration, item)
    members = _take_members(configuration, item)
    for member in members:
        _name_instead(configuration, member.id, item.id)
    item.children = [child for child in item.children if child.tag != MEMBER] + members
    ids.fill(item, taken - {id_ for member in members for id_ in own_ids(member)})
    section(configuration, SECTION_OF[item.tag]).children.append(item)


def _node_ids(configuration: Item) -> set[str]:
    """Collect the ids of nodes, which are names of their own kind."""
    nodes = configuration.first("nodes")
    return {node.id for node in nodes.children} if nodes is not None else set()


def _name_instead(configuration: Item, old: str, new: str) -> list[str]:
    """Let simple constraints name another resource: a container speaks for its members."""
    notes: list[str] = []
    constraints = configuration.first("constraints")
    for item in constraints.children if constraints is not None else []:
        for attribute in _NAMING.get(item.tag, ()):
            if item.get(attribute) == old:
                item.attributes[attribute] = new
                notes.append(f"modified {keyword_of(item)}:{item.id} from {old} to {new}")
        for part in item.each("resource_set"):
            _name_instead_in_set(part, old, new)
    return notes


def _name_instead_in_set(made: Item, old: str, new: str) -> None:
    named = [each.id for each in made.children]
    if old not in named:
        return
    if new in named:  # a set names each resource once
        made.children = [each for each in made.children if each.id != old]
        return
    made.children[named.index(old)].attributes["id"] = new


def _check_id(item: Item) -> None:
    if not is_xml_id(item.id):
        raise EditRefused(
            error(
                "invalid-id",
                item.id,
                f"'{item.id}' cannot be an id",
                "ids are letters, digits, '_', '-' and '.', and do not begin with a digit",
            )
        )


def _check_template(configuration: Item, item: Item) -> None:
    name = item.get("template")
    if not name:
        return
    templates = [each.item.id for each in objects(configuration) if each.item.tag == "template"]
    if name not in templates:
        raise EditRefused(unknown("template", name, templates))


def _take_members(configuration: Item, item: Item) -> list[Item]:
    """Take the members of a container out of where they are; check all before moving any."""
    found: list[Located] = []
    for member in item.each(MEMBER):
        located = need_resource(configuration, member.id)
        if located.parent.tag in CONTAINERS:
            raise EditRefused(
                error(
                    "member-taken",
                    member.id,
                    f"'{member.id}' is in the {located.parent.tag} '{located.parent.id}' already",
                )
            )
        if item.tag == "group" and located.item.tag != "primitive":
            raise EditRefused(
                error(
                    "not-a-primitive",
                    member.id,
                    f"'{member.id}' is a {located.item.tag}; a group has primitives only",
                )
            )
        found.append(located)
    for located in found:
        located.parent.children.remove(located.item)
    return [located.item for located in found]


def _resolve_references(configuration: Item, item: Item) -> None:
    """Let `$id-ref=OBJECT` mean the set of the same kind inside that object."""
    for part in item.walk():
        target = part.attributes.get("id-ref")
        if target is None:
            continue
        holder: Item | None = None
        for other in (*configuration.walk(), *item.walk()):
            if other.id == target and other.tag == part.tag:
                break
            if other.id == target and holder is None:
                holder = other
        else:
            inner = next((each for each in holder.walk() if each.tag == part.tag), None) \
                if holder else None  # fmt: skip
            if inner is None or not inner.id:
                raise EditRefused(
                    error("unknown-reference", target, f"there is no {part.tag} '{target}'")
                )
            part.attributes["id-ref"] = inner.id


def _merge_options(where: Item, item: Item, taken: set[str]) -> None:
    existing = next((each for each in where.children if each.id == item.id), None)
    if existing is None:
        ids.fill(item, taken)
        where.children.append(item)
        return
    pairs = {pair.get("name"): pair for pair in existing.each("nvpair")}
    for pair in item.each("nvpair"):
        known = pairs.get(pair.get("name"))
        if known is not None:
            known.attributes["value"] = pair.get("value")
        else:
            existing.children.append(pair)
    if item.each("rule"):
        existing.children = [each for each in existing.children if each.tag != "rule"]
        existing.children += item.each("rule")
    ids.fill(existing, taken)


def _put_node(configuration: Item, item: Item) -> None:
    nodes = section(configuration, "nodes")
    for node in nodes.each("node"):
        if node.get("uname") == item.get("uname") or (item.id and node.id == item.id):
            item.attributes = node.attributes | item.attributes
            node.attributes, node.children = item.attributes, item.children
            ids.fill(node, own_ids(configuration))
            return
    item.attributes.setdefault("id", item.get("uname"))
    ids.fill(item, own_ids(configuration))
    nodes.children.append(item)


def _replace_topology(configuration: Item, item: Item) -> None:
    where = section(configuration, "fencing-topology")
    if where.children:
        text = "there is a fencing topology already"
        raise EditRefused(error("id-taken", "fencing_topology", text, "delete it first"))
    where.children = item.children
    taken = own_ids(configuration)
    ids.fill(where, taken)


# --- deleting -----------------------------------------------------------------------------------


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
    if item.tag in CONTAINERS:
        members = item.each(*RESOURCES)
        if members:
            notes += _name_instead(configuration, item.id, members[0].id)
        del parent.children[at]
        section(configuration, "resources").children.extend(members)
    else:
        del parent.children[at]
    if item.tag in ("crm_config", "fencing-topology"):
        return notes
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
        named = [item.get(each) for each in _NAMING.get(item.tag, ())]
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


# --- renaming -----------------------------------------------------------------------------------


def rename(configuration: Item, old: str, new: str) -> None:
    """Give an object another id, here and wherever it is named.

    Raises: EditRefused if the old id does not exist or the new one is taken or unfit.
    """
    located = need(configuration, old)
    item = located.item
    _check_id(Item(item.tag, {"id": new}))
    if new in own_ids(configuration):
        raise EditRefused(error("id-taken", new, f"there is a '{new}' already"))
    item.attributes["id"] = new
    for part in configuration.walk():
        if part.tag in ("resource_ref", "obj_ref", "role") and part.id == old:
            part.attributes["id"] = new
        for attribute in (*_NAMING.get(part.tag, ()), "template", "id-ref"):
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


# --- attributes of resources and nodes ----------------------------------------------------------


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
    operations.children.append(operation)
    ids.fill(item, own_ids(configuration))


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


def change_group(configuration: Item, words: list[str]) -> None:
    """Change a group: `ID add RSC [after|before RSC]` or `ID remove RSC`.

    Raises: EditRefused if a name does not fit.
    """
    name, verb, member, *rest = words
    group = need_resource(configuration, name).item
    if group.tag != "group":
        raise EditRefused(error("not-a-group", name, f"'{name}' is a {group.tag}, not a group"))
    if verb == "remove":
        inside = next((each for each in group.each(*RESOURCES) if each.id == member), None)
        if inside is None:
            raise EditRefused(error("not-a-member", member, f"'{member}' is not in '{name}'"))
        if len(group.each(*RESOURCES)) == 1:
            text = f"'{member}' is the last member of '{name}'"
            raise EditRefused(error("last-member", member, text, "delete the group instead"))
        group.children.remove(inside)
        section(configuration, "resources").children.append(inside)
        return
    if verb != "add" or len(rest) not in (0, 2) or (rest and rest[0] not in ("after", "before")):
        text = "expected: ID add RSC [after|before RSC], or ID remove RSC"
        raise EditRefused(error("wrong-arguments", name, text))
    at = len(group.children)
    if rest:
        ids_of = [each.id for each in group.children]
        if rest[1] not in ids_of:
            raise EditRefused(error("not-a-member", rest[1], f"'{rest[1]}' is not in '{name}'"))
        at = ids_of.index(rest[1]) + (rest[0] == "after")
    moved = _take_members(configuration, Item("group", {}, [Item(MEMBER, {"id": member})]))
    group.children[at:at] = moved


def put_in_place(configuration: Item, existing: Located, item: Item) -> None:
    """Replace an object by a new form of it, where it stands; members are rearranged.

    Raises: EditRefused if the kinds differ or a member does not exist.
    """
    if existing.item.tag != item.tag:
        text = f"'{item.id}' is a {existing.keyword} and cannot become a {keyword_of(item)}"
        raise EditRefused(error("other-kind", item.id, text))
    _resolve_references(configuration, item)
    _check_template(configuration, item)
    old = existing.item
    if item.tag in CONTAINERS:
        wanted = [member.id for member in item.each(MEMBER)]
        released = old.each(*RESOURCES)
        for each in released:
            old.children.remove(each)
        section(configuration, "resources").children.extend(released)
        members = _take_members(configuration, item)
        assert [each.id for each in members] == wanted
        item.children = [each for each in item.children if each.tag != MEMBER] + members
    old.attributes, old.children = item.attributes, item.children
    old.comments = item.comments or old.comments
    taken = own_ids(configuration)
    ids.fill(old, taken)
