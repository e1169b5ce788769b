"""Writes a CIB of today in the words of version 2: the contrary of an upgrade.

Only what can be said in both versions is taken back, so the document must mean what it meant.
"""

from __future__ import annotations

from lxml import etree

from tests.kit.choices import Choices

_TO_OPTIONS = {
    "resource-stickiness": ("default-resource-stickiness", "default_resource_stickiness"),
    "is-managed": ("is-managed-default", "is_managed_default"),
    "migration-threshold": ("default-migration-threshold", "default_migration_threshold"),
}
_ROLES = {"Promoted": ("Promoted", "Master", "master"), "Unpromoted": ("Slave", "slave")}


def age(root: etree._Element, choices: Choices) -> None:
    """Rewrite a document in place, as its author of version 2 could have written it."""
    root.set("validate-with", choices.pick(("pacemaker-2.10", "pacemaker-2.7", "pacemaker-2.0")))
    configuration = root.find("configuration")
    assert configuration is not None
    for node in configuration.iterfind("nodes/node"):
        if choices.chance(50):
            node.set("type", "normal")
    for rule in configuration.iter("rule"):
        if (role := rule.get("role")) in _ROLES:
            rule.set("role", choices.pick(_ROLES[str(role)]))
    shared = {element.get("id-ref") for element in configuration.iter("*")} - {None}
    for clone in list(configuration.iter("clone")):
        _make_master(clone, shared, choices)
    for primitive in configuration.iter("primitive"):
        _state_requirement_at_start(primitive, shared, choices)
        for operation in primitive.iterfind("operations/op"):
            _state_among_parameters(operation, choices)
    _state_defaults_as_options(configuration, choices)
    for pair in configuration.iterfind("crm_config/cluster_property_set/nvpair"):
        if choices.chance(50):
            pair.set("name", str(pair.get("name")).replace("-", "_"))


def _unshared_sets(
    owner: etree._Element, tag: str, shared: set[str | None]
) -> list[etree._Element]:
    return [
        pair_set
        for pair_set in owner.findall(tag)
        if pair_set.get("id") not in shared
        and pair_set.get("id-ref") is None
        and pair_set.get("score") is None
        and pair_set.find("rule") is None
    ]


def _taken(owner: etree._Element, name: str, shared: set[str | None]) -> str | None:
    """Take an option out of a resource if it is stated exactly once, and always holds."""
    everywhere = [
        pair for pair in owner.iterfind("meta_attributes/nvpair") if pair.get("name") == name
    ]
    sets = _unshared_sets(owner, "meta_attributes", shared)
    if len(everywhere) != 1 or everywhere[0].getparent() not in sets:
        return None
    if owner.find("meta_attributes[@id-ref]") is not None:
        return None
    [pair] = everywhere
    pair_set = pair.getparent()
    assert pair_set is not None
    pair_set.remove(pair)
    return str(pair.get("value"))


def _make_master(clone: etree._Element, shared: set[str | None], choices: Choices) -> None:
    wanted = choices.chance(70) and _says(clone, "promotable", "true")
    if wanted and _taken(clone, "promotable", shared) is not None:
        clone.tag = "master"


def _says(owner: etree._Element, name: str, value: str) -> bool:
    found = [p for p in owner.iterfind("meta_attributes/nvpair") if p.get("name") == name]
    return len(found) == 1 and found[0].get("value") == value


def _state_requirement_at_start(
    primitive: etree._Element, shared: set[str | None], choices: Choices
) -> None:
    starts = [op for op in primitive.iterfind("operations/op") if op.get("name") == "start"]
    if len(starts) != 1 or not choices.chance(70):
        return
    if (requires := _taken(primitive, "requires", shared)) is not None:
        starts[0].set("requires", requires)


def _state_among_parameters(operation: etree._Element, choices: Choices) -> None:
    if operation.find("*") is not None or operation.get("id") is None:
        return
    moving = [name for name in ("timeout", "on-fail") if operation.get(name) and choices.chance(40)]
    if not moving:
        return
    identity = f"{operation.get('id')}-aged"
    pair_set = etree.SubElement(operation, "instance_attributes", id=identity)
    for name in moving:
        value = str(operation.attrib.pop(name))
        etree.SubElement(pair_set, "nvpair", id=f"{identity}-{name}", name=name, value=value)


def _state_defaults_as_options(configuration: etree._Element, choices: Choices) -> None:
    options = configuration.find("crm_config/cluster_property_set")
    defaults = configuration.find("rsc_defaults")
    if options is None or defaults is None or len(defaults.findall("meta_attributes")) != 1:
        return
    for pair in defaults.findall("meta_attributes/nvpair"):
        names = _TO_OPTIONS.get(str(pair.get("name")))
        if names is not None and choices.chance(70):
            pair.set("name", choices.pick(names))
            options.append(pair)
