"""What a status shows on request: attributes of nodes, and how often resources failed there."""

from __future__ import annotations

import time
from collections.abc import Iterator

from lxml import etree

from pengine.facts.facts import Facts
from pengine.facts.failures import FailCount
from pengine.facts.nodes import NodeFacts

_INTERNAL = frozenset({"shutdown", "terminate", "standby"})
_BOOKKEEPING = ("#", "fail-count-", "last-failure-")


def shown_attributes(node: NodeFacts, *, classic: bool = False) -> list[tuple[str, str]]:
    """List the attributes of a node that say something to people, sorted by name.

    With `classic` also that a node was probed, which was told of before release 2.1.6.
    """
    return [
        (name, value)
        for name, value in sorted(node.attributes.items())
        if name not in _INTERNAL
        and (classic or name != "probe_complete")
        and not name.startswith(_BOOKKEEPING)
    ]


def attribute_lines(facts: Facts) -> Iterator[str]:
    """Yield the attributes of the nodes that are online, with a title if there are any."""
    has_title = False
    for node in facts.nodes:
        pairs = shown_attributes(node) if node.online else []
        if not pairs:
            continue
        if not has_title:
            yield "  * Node Attributes:"
            has_title = True
        yield f"    * Node: {node.name}:"
        yield from (f"      * {name:<32}\t: {value:<10}" for name, value in pairs)
    if has_title:
        yield ""


def descriptions(root: etree._Element) -> dict[str, str]:
    """Read what the configuration says of primitives, perhaps by their templates."""
    templates = {e.get("id", ""): e for e in root.iterfind("configuration/resources/template")}
    found = {}
    for primitive in root.iterfind("configuration/resources//primitive"):
        template = templates.get(primitive.get("template", ""))
        told = primitive.get("description", "")
        if not told and template is not None:
            told = template.get("description", "")
        if told:
            found[primitive.get("id", "")] = told
    return found


def counted(facts: Facts) -> dict[str, list[FailCount]]:
    """Sort the fail counts that are not zero by node."""
    found: dict[str, list[FailCount]] = {}
    for count in facts.fail_counts.values():
        if count.total > 0 and all(c.instance != count.instance for c in found.get(count.node, ())):
            found.setdefault(count.node, []).append(count)
    return {node.name: found[node.name] for node in facts.nodes if node.name in found}


def failure_lines(facts: Facts) -> Iterator[str]:
    """Yield how often resources failed on nodes."""
    thresholds = {i.id: i.meta.threshold for i in facts.instances()}
    names = {i.id: i.history_id for i in facts.instances()}
    yield "  * Migration Summary:"
    for node, found in counted(facts).items():
        yield f"    * Node: {node}:"
        for count in found:
            text = f"migration-threshold={int(thresholds[count.instance])}"
            text += f" fail-count={int(count.total)}"
            if count.last_failure_s:
                text += f" last-failure='{moment(count.last_failure_s)}'"
            yield f"      * {names[count.instance]}: {text}"
    yield ""


def moment(at_s: int) -> str:
    """Write a time as the C library does, in the zone of the reader."""
    return time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(at_s))
