"""Reads `<bundle>`: the engine that runs its containers, their network and their storage."""

from __future__ import annotations

from lxml import etree

from crm.model import options
from crm.model.readxml.reader import Reader, children
from crm.model.readxml.sets import read_sets
from crm.model.resources import Bundle, Network, PortMapping, Primitive, StorageMapping

ENGINES = ("docker", "podman")


def read_bundle(reader: Reader, element: etree._Element, child: Primitive | None) -> Bundle | None:
    """Read a bundle; None, with a complaint, if nothing could be run."""
    key = element.get("id", "")
    engine = next(iter(children(element, *ENGINES)), None)
    if engine is None:
        reader.complain(
            "no-container-engine",
            key,
            f"bundle '{key}' names no engine for its containers",
            f"one of {' or '.join(ENGINES)} is needed",
        )
        return None
    network = _read_network(reader, next(iter(children(element, "network")), None))
    has_child = next(iter(children(element, "primitive")), None) is not None
    if has_child and not (network.first_address or network.control_port):
        reader.complain(
            "unreachable-bundle",
            key,
            f"nobody could reach the primitive in bundle '{key}'",
            "its network needs ip-range-start or control-port",
        )
        return None
    if has_child and child is None:
        return None  # What is wrong with the primitive has been said.
    leaders = _count(reader, engine, "promoted-max", _count(reader, engine, "masters", 0))
    return Bundle(
        id=key,
        engine=str(engine.tag),
        image=engine.get("image", ""),
        replicas=max(1, _count(reader, engine, "replicas", max(1, leaders))),
        replicas_per_host=max(1, _count(reader, engine, "replicas-per-host", 1)),
        promoted_max=max(0, leaders),
        host_network=engine.get("network", ""),
        options=engine.get("options", ""),
        run_command=engine.get("run-command", ""),
        network=network,
        storage=_read_storage(reader, key, next(iter(children(element, "storage")), None)),
        child=child,
        meta=read_sets(reader, element, "meta_attributes"),
    )


def _count(reader: Reader, element: etree._Element, name: str, default: int) -> int:
    text = element.get(name)
    return default if not text else int(reader.value(text, name, options.as_score, default))


def _read_network(reader: Reader, element: etree._Element | None) -> Network:
    if element is None:
        return Network()
    adds_hosts = element.get("add-host")
    return Network(
        first_address=element.get("ip-range-start", ""),
        control_port=element.get("control-port", ""),
        interface=element.get("host-interface", ""),
        netmask=element.get("host-netmask", ""),
        adds_hosts=reader.value(adds_hosts, "add-host", options.as_bool, True)
        if adds_hosts
        else True,
        ports=tuple(_read_port(port) for port in children(element, "port-mapping")),
    )


def _read_port(element: etree._Element) -> PortMapping:
    whole = element.get("range", "")
    host = whole or element.get("port", "")
    inside = whole or element.get("internal-port", host)
    return PortMapping(element.get("id", ""), host, inside)


def _read_storage(
    reader: Reader, bundle: str, element: etree._Element | None
) -> tuple[StorageMapping, ...]:
    found = []
    for mapping in children(element, "storage-mapping"):
        key = mapping.get("id", "")
        root = mapping.get("source-dir-root", "")
        source, target = root or mapping.get("source-dir", ""), mapping.get("target-dir", "")
        if not source or not target:
            reader.complain(
                "bad-storage-mapping",
                bundle,
                f"storage mapping '{key}' of bundle '{bundle}' lacks its source or its target",
            )
            continue
        found.append(
            StorageMapping(key, source, target, mapping.get("options", ""), is_root=bool(root))
        )
    return tuple(found)
