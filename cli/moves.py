"""The constraints that `move`, `ban` and `hb_standby` make, and `clear` takes away again.

Their ids are the classic ones, so that every tool recognises them. Pure functions on items of the
configuration: the shell and `crm_resource` both use them, and each reports in its own words.

Source: crm-shell, section 2, "resource"; tools, "crm_resource".
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cli.tools import moments
from crm.model import score as scores
from crm.model.configuration import Item
from crm.model.readxml import dates

BAN, PREFER, HOLD = "cli-ban", "cli-prefer", "cli-hold"
_TAKER_S_SHARE = 2


def ban_id(resource: str, node: str) -> str:
    """Name the constraint that keeps a resource off a node."""
    return f"{BAN}-{resource}-on-{node}"


def ban(resource: str, node: str, *, role: str = "Started", until: str = "") -> Item:
    """Make the constraint that keeps a resource off a node, for ever or until a moment."""
    name = ban_id(resource, node)
    made = Item("rsc_location", {"id": name, "rsc": resource, "role": role})
    parts = (f"{name}-rule", f"{name}-expr", f"{name}-lifetime")
    return _about(made, node, "-INFINITY", until, parts)


def preference(resource: str, node: str, *, role: str = "Started", until: str = "") -> Item:
    """Make the constraint that draws a resource to a node, for ever or until a moment."""
    made = Item("rsc_location", {"id": f"{PREFER}-{resource}", "rsc": resource, "role": role})
    parts = tuple(f"{PREFER}-{part}-{resource}" for part in ("rule", "expr", "lifetime-end"))
    return _about(made, node, "INFINITY", until, parts)


def hold(resource: str, taker: str, giver: str, pull: int, *, taken: str, given: str) -> Item:
    """Make the constraint that keeps a resource at a node, against what draws it to another.

    `pull` is the score that draws it to the giver. It holds as long as the taker has the attribute
    `taken` and the giver has `given`: a transient attribute ends with this life of a node. The
    giver keeps a score of 1, so that the resource stays there when it had to help out.
    """
    name = f"{HOLD}-{resource}"
    made = Item("rsc_location", {"id": name, "rsc": resource, "role": "Started"})
    is_mandatory = pull >= scores.INFINITY  # it cannot be outweighed, only matched
    here = scores.INFINITY if is_mandatory else _TAKER_S_SHARE
    made.children.append(_while_defined(name, taker, taken, here))
    if pull > 0 and not is_mandatory:
        made.children.append(_while_defined(f"{name}-away", giver, given, 1 - pull))
    return made


def _while_defined(name: str, node: str, attribute: str, score: int) -> Item:
    rule = Item(
        "rule",
        {"id": f"{name}-rule", "score": scores.text(scores.limit(score)), "boolean-op": "and"},
    )
    about = {"attribute": "#uname", "operation": "eq", "value": node, "type": "string"}
    rule.children = [
        Item("expression", {"id": f"{name}-expr", **about}),
        Item(
            "expression",
            {"id": f"{name}-defined", "attribute": attribute, "operation": "defined"},
        ),
    ]
    return rule


def _about(made: Item, node: str, score: str, until: str, parts: tuple[str, ...]) -> Item:
    if not until:
        made.attributes |= {"node": node, "score": score}
        return made
    rule_id, node_id, date_id = parts
    about = {"attribute": "#uname", "operation": "eq", "value": node, "type": "string"}
    rule = Item("rule", {"id": rule_id, "score": score, "boolean-op": "and"})
    rule.children = [
        Item("expression", {"id": node_id, **about}),
        Item("date_expression", {"id": date_id, "operation": "lt", "end": until}),
    ]
    made.children.append(rule)
    return made


def overruled(constraints: Item, resource: str, node: str) -> list[Item]:
    """List what a move to a node puts an end to: the last move, and a ban from that node."""
    return [
        each
        for each in constraints.children
        if each.id in (f"{PREFER}-{resource}", ban_id(resource, node))
    ]


def left_over(
    constraints: Item, resource: str = "", node: str = "", *, wherever: bool = False
) -> Iterator[Item]:
    """Yield what `move` and `ban` made for a resource ("": for any), about a node ("": any).

    With `wherever` a move counts even if it was to another node.
    """
    for each in constraints.each("rsc_location"):
        about = resource or each.get("rsc")
        moves = (f"{PREFER}-{about}", f"{HOLD}-{about}")
        is_move = each.id in moves and (wherever or node in ("", node_of(each)))
        if is_move or each.id == ban_id(about, node or node_of(each)):
            yield each


def node_of(constraint: Item) -> str:
    """Name the node such a constraint is about."""
    for part in constraint.walk():
        if part.tag == "expression" and part.get("attribute") == "#uname":
            return part.get("value")
    return constraint.get("node")


def has_expired(constraint: Item, now: datetime) -> bool:
    """Tell whether such a constraint had a lifetime that is over."""
    for part in constraint.walk():
        if part.tag != "date_expression" or not part.get("end"):
            continue
        try:
            return dates.moment(part.get("end")) <= now
        except ValueError:
            return False
    return False


def end_of_lifetime(duration: str, now: datetime) -> str:
    """Say when a lifetime such as PT10M, which begins now, will be over.

    Raises: ValueError if it is no duration.
    """
    end = moments.add(now.astimezone(UTC), moments.duration(duration))
    return moments.calendar_text(end)
