"""Single parameters of resources: whose a value is, in which set it stands, and setting it.

Responsible for the rules the classic tool and the shell have in common: a meta attribute of what
is in a clone belongs to the clone, a group leads its members, a value that stands in several sets
is not guessed. Pure functions on items of the configuration; what there is to say is given back.

Source: tools, "crm_resource"; crm-shell, section 2, "resource".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cli.edits import Located, need_resource
from cli.grammar.resources import RESOURCES
from crm.model.configuration import Item
from crm.plumbing.errors import UsageError

TAGS = {"instance": "instance_attributes", "meta": "meta_attributes", "utilization": "utilization"}
"""The kinds of parameters, and the sets they stand in."""

_CLONES = ("clone", "master")
_IN_NO_ID = str.maketrans(":#", "..")
"""Names may hold what ids may not."""


@dataclass(frozen=True)
class Wanted:
    """Which value is meant: kind and name, perhaps the ids of its set and of itself."""

    kind: str
    name: str
    set_id: str | None = None
    pair_id: str | None = None


@dataclass(frozen=True)
class Value:
    """A value as it stands in the configuration."""

    id: str
    value: str
    set_id: str


@dataclass(frozen=True)
class Owners:
    """The ids of the resources whose value is meant, and what there is to say about that."""

    ids: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """A value that is to be set, and where; `text` says so in the classic words."""

    owner: str
    owner_tag: str
    tag: str
    set_id: str
    pair_id: str
    name: str
    value: str
    text: str


class Ambiguous(UsageError):
    """Several values fit; `lines` list them. Name one by the id of its set, or its own."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__(lines[0])
        self.lines = lines


def owners_of(
    configuration: Item,
    identity: str,
    wanted: Wanted,
    *,
    verb: str,
    name: str = "",
    forced: bool = False,
) -> Owners:
    """Decide whose value is meant by a resource; `name` is what the user calls it.

    Only meta attributes go elsewhere: what is in a clone has those of the clone, unless it has one
    of its own; members of a group that have one of their own follow the group. With `forced` the
    resource itself is meant.

    Raises: EditRefused if there is no such resource.
    """  # fmt: skip
    located = need_resource(configuration, identity)
    if forced:
        return Owners((identity,))
    is_shared = wanted.kind == "meta" and located.parent.tag in _CLONES
    around = located.parent if is_shared else located.item
    remarks: list[str] = []
    found = list(_values(around, wanted, deep=True))
    if len(found) > 1:
        remarks += _matches(wanted.name, found)
    if wanted.kind != "meta":
        return Owners((identity,), tuple(remarks))
    if is_shared and not any(_values(located.item, wanted)):
        text = f"Performing {verb} of '{wanted.name}' on '{around.id}', the parent of"
        return Owners((around.id,), (*remarks, f"{text} '{name or identity}'"))
    return _downwards(located, wanted, verb, tuple(remarks))


def _downwards(located: Located, wanted: Wanted, verb: str, remarks: tuple[str, ...]) -> Owners:
    item = located.item
    members = item.each(*RESOURCES)
    own = [each.id for each in members if any(_values(each, wanted))]
    if item.tag in _CLONES and own:
        text = f"A value for '{wanted.name}' already exists in child '{own[0]}', performing"
        told = f"{text} {verb} on that instead of '{item.id}'"
        return Owners((own[0],), (*remarks, told))
    if item.tag == "group":
        return Owners((*own, item.id), remarks)
    return Owners((item.id,), remarks)


def value_of(owner: Item, wanted: Wanted) -> Value | None:
    """Find the value that is meant in the sets of a resource itself.

    Raises: Ambiguous if several are.
    """
    found = [each for each in _values(owner, wanted) if wanted.set_id in (None, each.set_id)]
    if len(found) > 1:
        raise Ambiguous(_matches(wanted.name, found))
    return found[0] if found else None


def _values(owner: Item, wanted: Wanted, *, deep: bool = False) -> Iterator[Value]:
    """Yield the values of a name in sets of a resource; with `deep` also of what it holds."""
    tag = TAGS[wanted.kind]
    sets = [each for each in owner.walk() if each.tag == tag] if deep else owner.each(tag)
    for made in sets:
        for pair in made.each("nvpair"):
            if pair.get("name") == wanted.name and wanted.pair_id in (None, pair.id):
                yield Value(pair.id, pair.get("value"), made.id)


def _matches(name: str, found: list[Value]) -> tuple[str, ...]:
    lines = [f"  Value: {each.value} \t(id={each.id})" for each in found]
    return (f"Multiple attributes match name={name}", *lines, "")


def setting(owner: Item, wanted: Wanted, value: str) -> Setting:
    """Say where a value is to stand: in place of the present one, else in a set that may be new.

    Raises: Ambiguous if several present ones fit.
    """
    present = value_of(owner, wanted)
    tag = TAGS[wanted.kind]
    set_id = wanted.set_id or (present.set_id if present else f"{owner.id}-{tag}")
    pair_id = f"{set_id}-{wanted.name.translate(_IN_NO_ID)}"
    if present is not None:
        pair_id = present.id
    elif wanted.pair_id is not None:
        pair_id = wanted.pair_id
    # The classic words for a new value whose id was given.
    shown_id = "(null)" if present is None and wanted.pair_id is not None else pair_id
    where = f" set={set_id}" if present is None or wanted.set_id is not None else ""
    text = f"Set '{owner.id}' option: id={shown_id}{where} name={wanted.name} value={value}"
    return Setting(owner.id, owner.tag, tag, set_id, pair_id, wanted.name, value, text)


def as_item(made: Setting) -> Item:
    """Write a setting as what it adds to the configuration."""
    pair = Item("nvpair", {"id": made.pair_id, "name": made.name, "value": made.value})
    holder = Item(made.tag, {"id": made.set_id}, [pair])
    return Item(made.owner_tag, {"id": made.owner}, [holder])


def apply(owner: Item, made: Setting) -> None:
    """Make a setting come true."""
    holder = next((each for each in owner.each(made.tag) if each.id == made.set_id), None)
    if holder is None:
        holder = Item(made.tag, {"id": made.set_id})
        owner.children.append(holder)
    for pair in holder.each("nvpair"):
        if pair.id == made.pair_id:
            pair.attributes["value"] = made.value
            return
    holder.children += as_item(made).children[0].children


def remove(owner: Item, wanted: Wanted) -> str:
    """Take a value away; its set stays, even empty. Gives what there is to say, "" if nothing is.

    Raises: Ambiguous if several fit.
    """
    present = value_of(owner, wanted)
    if present is None:
        return ""
    for holder in owner.each(TAGS[wanted.kind]):
        holder.children = [each for each in holder.children if each.id != present.id]
    return removal_text(owner.id, wanted, present)


def removal_text(owner: str, wanted: Wanted, present: Value) -> str:
    """Say in the classic words that a value was taken away."""
    return f"Deleted '{owner}' option: id={present.id} name={wanted.name}"
