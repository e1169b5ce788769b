"""Bundles in the picture: each replica where its container is, as what runs inside it.

Source: tools, "crm_mon".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from cli.view.status import STARTED, STOPPED, UNPROMOTED, ClusterView, Instance
from crm.model.configuration import Item

_ENGINES = ("docker", "podman", "rkt")


def engine_of(bundle: Item) -> Item:
    """Give the element that says how the containers of a bundle are run."""
    return next(iter(bundle.each(*_ENGINES)), Item("podman"))


def count_of(bundle: Item) -> int:
    """Say how many replicas a bundle has."""
    engine = engine_of(bundle)
    leaders = engine.get("promoted-max") or engine.get("masters")
    wanted = engine.get("replicas") or leaders
    return max(1, int(wanted)) if wanted.isdigit() else 1


def containers_of(bundle: Item) -> list[str]:
    """Name the containers of a bundle."""
    return [f"{bundle.id}-{engine_of(bundle).tag}-{n}" for n in range(count_of(bundle))]


def bundle_head(bundle: Item, notes: str) -> str:
    """Write the title of a bundle."""
    word = "Container bundle set" if count_of(bundle) > 1 else "Container bundle"
    flags = f" ({notes})" if notes else ""
    return f"  * {word}: {bundle.id} [{engine_of(bundle).get('image')}]{flags}:"


def bundle_lines(view: ClusterView, bundle: Item, notes: str, *, inactive: bool) -> Iterator[str]:
    """Write a line for each replica; without `inactive` only where the container runs."""
    inside = bundle.first("primitive")
    engine = engine_of(bundle)
    addresses = _addresses(bundle)
    suffix = f" ({notes})" if notes else ""
    for number, container in enumerate(containers_of(bundle)):
        active = view.active(container)
        if not active and not inactive:
            continue
        name, agent = container, f"ocf:heartbeat:{engine.tag}"
        shown = active[0] if active else None
        if inside is not None:
            name = f"{bundle.id}-{number}"
            parts = (inside.get("class"), inside.get("provider"), inside.get("type"))
            agent = ":".join(part for part in parts if part)
            copies = view.instances.get(inside.id, [])
            shown = next((each for each in copies if each.node == name), None)
        if addresses:
            name = f"{name} ({addresses[number]})"
        word = _word(shown, promotable=bool(engine.get("promoted-max") or engine.get("masters")))
        where = f" {active[0].node}" if active else ""
        yield f"    * {name}\t({agent}):\t {word}{where}{suffix}"


def _word(shown: Instance | None, *, promotable: bool) -> str:
    if shown is None:
        return STOPPED
    if shown.failed:
        return "FAILED"
    if promotable and shown.role == STARTED:
        return UNPROMOTED
    return shown.pending or shown.role


def _addresses(bundle: Item) -> list[str]:
    network = bundle.first("network")
    first = network.get("ip-range-start") if network is not None else ""
    try:
        start = ipaddress.ip_address(first)
    except ValueError:
        return []
    return [str(start + number) for number in range(count_of(bundle))]


def size_of(bundle: Item) -> int:
    """Count the single resources a bundle stands for."""
    inside = 2 if bundle.first("primitive") is not None else 0
    return count_of(bundle) * (1 + inside + bool(_addresses(bundle)))
