"""Fencing devices as the configuration describes them, and which nodes each can fence.

A device says its nodes by a list (`pcmk_host_list`, `hostlist`) or a map (`pcmk_host_map`); one
that says nothing would have to be asked, which takes its agent.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from crm.model.names import node_name
from crm.plumbing import xml

_SEPARATORS = re.compile(r"[\s,;]+")


class Reach(enum.Enum):
    """Whether a device can fence a node; UNKNOWN when only its agent could tell."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Device:
    """One configured device. `hosts` is None when the configuration names none."""

    id: str
    agent: str
    hosts: frozenset[str] | None = None
    reaches_all: bool = False

    def reach(self, node: str) -> Reach:
        """Tell whether this device can fence `node`."""
        if self.reaches_all:
            return Reach.YES
        if self.hosts is None:
            return Reach.UNKNOWN
        return Reach.YES if node_name(node) in self.hosts else Reach.NO


def read_devices(resources: bytes) -> tuple[Device, ...]:
    """Read all primitives of class stonith from a `<resources>` element (or more than that).

    Raises: ConfigurationError if the bytes are no XML.
    """
    root = xml.parse(resources)
    templates = {template.get("id", ""): template for template in root.iter("template")}
    devices = []
    for primitive in root.iter("primitive"):
        template = templates.get(primitive.get("template", ""))
        layers = [primitive] if template is None else [primitive, template]
        if not any(layer.get("class") == "stonith" for layer in layers):
            continue
        parameters: dict[str, str] = {}
        for layer in layers:
            for pair in layer.iterfind("instance_attributes/nvpair"):
                parameters.setdefault(pair.get("name", ""), pair.get("value", ""))
        agent = next((layer.get("type", "") for layer in layers if layer.get("type")), "")
        devices.append(_device(primitive.get("id", ""), agent, parameters))
    return tuple(devices)


def _device(identity: str, agent: str, parameters: dict[str, str]) -> Device:
    if parameters.get("pcmk_host_check") == "none":
        return Device(identity, agent, reaches_all=True)
    named = [
        *_words(parameters.get("pcmk_host_list", "")),
        *_words(parameters.get("hostlist", "")),
        *(entry.partition(":")[0] for entry in _words(parameters.get("pcmk_host_map", ""))),
    ]
    return Device(identity, agent, frozenset(map(node_name, named)) if named else None)


def _words(text: str) -> list[str]:
    return [word for word in _SEPARATORS.split(text) if word]


def devices_for(devices: Iterable[Device], node: str) -> list[Device]:
    """List the devices that can fence `node`, those that only might last."""
    by_reach: dict[Reach, list[Device]] = {reach: [] for reach in Reach}
    for device in devices:
        by_reach[device.reach(node)].append(device)
    return by_reach[Reach.YES] + by_reach[Reach.UNKNOWN]
