"""The metadata of an agent as XML, made from its declarations (OCF resource agent API 1.0/1.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from lrmd.agentkit.parameters import Parameter

OCF_VERSION = "1.1"


@dataclass(frozen=True, slots=True)
class Action:
    """An action an agent offers and how long it advises to wait for it.

    Units: seconds.
    """

    name: str
    timeout_s: int
    interval_s: int | None = None
    depth: int | None = None


def document(
    *,
    name: str,
    version: str,
    short: str,
    long: str,
    parameters: Iterable[Parameter],
    actions: Iterable[Action],
) -> bytes:
    """Write the metadata document of an agent."""
    root = ElementTree.Element("resource-agent", name=name, version=version)
    ElementTree.SubElement(root, "version").text = OCF_VERSION
    _texts(root, short, long)
    listed = ElementTree.SubElement(root, "parameters")
    for parameter in parameters:
        _add_parameter(listed, parameter)
    offered = ElementTree.SubElement(root, "actions")
    for action in actions:
        _add_action(offered, action)
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=False)
    return b'<?xml version="1.0"?>\n' + written + b"\n"


def _texts(parent: ElementTree.Element, short: str, long: str) -> None:
    ElementTree.SubElement(parent, "longdesc", lang="en").text = long
    ElementTree.SubElement(parent, "shortdesc", lang="en").text = short


def _add_parameter(parent: ElementTree.Element, parameter: Parameter) -> None:
    element = ElementTree.SubElement(
        parent,
        "parameter",
        name=parameter.name,
        unique="1" if parameter.is_unique else "0",
        required="1" if parameter.is_required else "0",
    )
    _texts(element, parameter.short, parameter.long)
    content = ElementTree.SubElement(element, "content", type=parameter.kind.value)
    if parameter.default:
        content.set("default", parameter.default)


def _add_action(parent: ElementTree.Element, action: Action) -> None:
    element = ElementTree.SubElement(
        parent, "action", name=action.name, timeout=f"{action.timeout_s}s"
    )
    if action.interval_s is not None:
        element.set("interval", f"{action.interval_s}s")
    if action.depth is not None:
        element.set("depth", str(action.depth))
