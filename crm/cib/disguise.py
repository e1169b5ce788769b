"""haresources mode: the CIB that a haresources file stands for.

Responsible for noticing that the file says something else than it did, and for putting what it
says now into the document. Not responsible for the conversion (`haresources`).

What is compared is a digest of the conversion's result, kept as the cluster option
`haresources-digest`: nodes whose ha.cf differ in their media only agree on it.

Source: decision 6 of the design; docs/protocol/cib.md, "haresources mode".
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import replace

from lxml import etree

from crm.cib import document as documents
from crm.cib import haresources, store
from crm.plumbing import xml
from crm.plumbing.errors import Problem
from crm.plumbing.settings import Paths

OPTION = "haresources-digest"
SET = "haresources"


def put_on(loaded: store.Loaded, paths: Paths) -> store.Loaded:
    """Make the document say what haresources says, if that has changed.

    Nodes and status stay; everything else of the configuration is replaced, as changing the
    file is in this mode the way to change the configuration.

    Raises: ConfigurationError if haresources or ha.cf cannot be read.
    """
    conversion = haresources.convert_files(
        paths.haresources,
        paths.ha_cf,
        resource_d=paths.resource_d,
        init_d=paths.root / "etc/init.d",
    )
    digest = hashlib.sha256(xml.serialise(conversion.root)).hexdigest()[:32]
    problems: list[Problem] = [*loaded.problems, *conversion.problems]
    if _digest_in(loaded.document) == digest:
        return replace(loaded, problems=problems)
    root = conversion.root
    for name in documents.VERSION_ATTRIBUTES:
        root.set(name, loaded.document.root.get(name, "0"))
    made = documents.Document(root)
    known = loaded.document.section("nodes")
    fresh = made.section("nodes")
    if known is not None and len(known) and fresh is not None:
        made.configuration.replace(fresh, copy.deepcopy(known))
    _remember(made, digest)
    store.with_next_epoch(root, made.version)
    return replace(loaded, document=documents.Document(root), fresh=True, problems=problems)


def _digest_in(document: documents.Document) -> str:
    pair = document.by_id(f"{SET}-{OPTION}")
    return "" if pair is None else pair.get("value", "")


def _remember(document: documents.Document, digest: str) -> None:
    section = document.section("crm_config")
    assert section is not None, "a document always has this section"
    holder = etree.SubElement(section, "cluster_property_set", id=SET)
    etree.SubElement(holder, "nvpair", id=f"{SET}-{OPTION}", name=OPTION, value=digest)
