"""What an agent says of itself, for a person to read.

Source: crm-shell, section 2, "ra".
"""

from __future__ import annotations

from typing import NamedTuple

from lxml import etree

from crm.plumbing import xml


def describe(metadata: bytes) -> str:
    """Write an agent's description, parameters and operations."""
    root = xml.parse(metadata)
    lines = [_text(root, "shortdesc") or root.get("name", ""), "", _text(root, "longdesc"), ""]
    lines.append("Parameters (*: required, []: default):")
    for parameter in root.iterfind("parameters/parameter"):
        content = parameter.find("content")
        kind = content.get("type", "string") if content is not None else "string"
        default = content.get("default") if content is not None else None
        star = "*" if parameter.get("required") in ("1", "true") else ""
        shown = f", [{default}]" if default else ""
        head = f"{parameter.get('name')}{star} ({kind}{shown}): {_text(parameter, 'shortdesc')}"
        lines += ["", head, *(f"    {each}" for each in _text(parameter, "longdesc").splitlines())]
    lines += ["", "Operations' defaults (advisory minimum):", ""]
    for action in root.iterfind("actions/action"):
        pairs = " ".join(
            f"{name!s}={value!s}" for name, value in sorted(action.attrib.items()) if name != "name"
        )
        lines.append(f"    {action.get('name'):<14}{pairs}".rstrip())
    return "\n".join(lines)


def required_of(metadata: bytes) -> dict[str, bool]:
    """List an agent's parameters, and whether each is required."""
    root = xml.parse(metadata)
    return {
        str(each.get("name")): each.get("required") in ("1", "true", "yes")
        for each in root.iterfind("parameters/parameter")
    }


def _text(element: etree._Element, tag: str) -> str:
    found = element.find(tag)
    return (found.text or "").strip() if found is not None else ""


class Advice(NamedTuple):
    """What an agent advises for one of its operations."""

    name: str
    timeout: str
    role: str


def advice_of(metadata: bytes) -> list[Advice]:
    """List the timeouts an agent advises, in the order in which it tells of its operations."""
    root = xml.parse(metadata)
    return [
        Advice(each.get("name", ""), each.get("timeout", ""), each.get("role", "").lower())
        for each in root.iterfind("actions/action")
        if each.get("timeout")
    ]
