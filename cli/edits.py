"""Changes of a configuration: finding objects, adding, merging and replacing them.

Pure functions on the `<configuration>` item; nothing is printed, read or written. A change that
cannot be made raises before anything is touched.

Source: crm-shell, section 2, "configure", and section 3, "Kinds of several objects".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cli.grammar import ids
from cli.grammar.resources import HOLDERS, RESOURCES
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

NAMING = {
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
    if located.item.tag in HOLDERS:
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
        check_id(item)
        name = "crm_config" if keyword == "property" else keyword
        _merge_options(section(configuration, name), item, own_ids(configuration))
        return
    if keyword == "fencing_topology":
        _replace_topology(configuration, item)
        return
    if item.tag == "node":
        _put_node(configuration, item)
        return
    check_id(item)
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
        name_instead(configuration, member.id, item.id)
    _put_members(item, members)
    ids.fill(item, taken - {id_ for member in members for id_ in own_ids(member)})
    section(configuration, SECTION_OF[item.tag]).children.append(item)


def _put_members(item: Item, members: list[Item]) -> None:
    """Put resources where their names stand in what is to hold them."""
    at = next((i for i, each in enumerate(item.children) if each.tag == MEMBER), 0)
    others = [each for each in item.children if each.tag != MEMBER]
    item.children = [*others[:at], *members, *others[at:]]


def _node_ids(configuration: Item) -> set[str]:
    """Collect the ids of nodes, which are names of their own kind."""
    nodes = configuration.first("nodes")
    return {node.id for node in nodes.children} if nodes is not None else set()


def name_instead(configuration: Item, old: str, new: str) -> list[str]:
    """Let simple constraints name another resource: a container speaks for its members."""
    notes: list[str] = []
    constraints = configuration.first("constraints")
    for item in constraints.children if constraints is not None else []:
        for attribute in NAMING.get(item.tag, ()):
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


def check_id(item: Item) -> None:
    """Make sure that an id can be one.

    Raises: EditRefused if not.
    """
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
        if located.parent.tag in HOLDERS:
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
            if holder is None:
                continue  # the check before a commit tells of it
            inner = next((each for each in holder.walk() if each.tag == part.tag), None)
            if inner is not None and inner.id:
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
            ids.fill(item, own_ids(configuration))
            _merge_into_node(node, item)
            return
    item.attributes.setdefault("id", item.get("uname"))
    ids.fill(item, own_ids(configuration))
    nodes.children.append(item)


def _merge_into_node(node: Item, item: Item) -> None:
    """Let a node that is given again have what it had, and what is new."""
    if item.get("description"):
        node.attributes["description"] = item.get("description")
    before = {tag: node.first(tag) for tag in ("instance_attributes", "utilization")}
    for made in item.children:
        known = before.get(made.tag)
        if known is None:
            node.children.append(made)
            continue
        for pair in made.each("nvpair"):
            same = (each for each in known.each("nvpair") if each.get("name") == pair.get("name"))
            present = next(same, None)
            if present is None:
                known.children.append(pair)
            elif "value" in pair.attributes:
                present.attributes["value"] = pair.get("value")


def _replace_topology(configuration: Item, item: Item) -> None:
    where = section(configuration, "fencing-topology")
    if where.children:
        text = "there is a fencing topology already"
        raise EditRefused(error("id-taken", "fencing_topology", text, "delete it first"))
    where.children = item.children
    taken = own_ids(configuration)
    ids.fill(where, taken)


# --- replacing ----------------------------------------------------------------------------------


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
    ids.keep(old, item)
    if item.tag in HOLDERS:
        wanted = [member.id for member in item.each(MEMBER)]
        released = old.each(*RESOURCES)
        for each in released:
            old.children.remove(each)
        section(configuration, "resources").children.extend(released)
        members = _take_members(configuration, item)
        assert [each.id for each in members] == wanted
        _put_members(item, members)
    if item.tag == "node":
        item.attributes = {"id": old.id} | item.attributes
    old.attributes, old.children = item.attributes, item.children
    old.comments = item.comments or old.comments
    taken = own_ids(configuration)
    ids.fill(old, taken)
