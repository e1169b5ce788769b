"""haresources mode: the CIB that a haresources file stands for.

Responsible for noticing that the file of this node says something else than it did, and for putting
what it says now into the document. Not responsible for the conversion (`haresources`).

The conversion's result has a digest, which stands in the document as the cluster option
`haresources-digest`: nodes whose ha.cf differ in their media only agree on it. Beside cib.xml,
`haresources.seen` keeps the digest of this node's file and the version its conversion went into
force with. So two cases can be told apart when file and document disagree at a start:

* the file was changed on this node: the document is made anew;
* another node's file was changed, and this node's was forgotten: the document stays, and the
  administrator is told. Otherwise the configuration would change with whoever starts last.

A version that is not reached means that what this node had made never became durable, or lost
against a cluster that was running: then it is made again.

Source: decision 6 of the design; docs/protocol/cib.md, "haresources mode".
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lxml import etree

from crm.cib import document as documents
from crm.cib import haresources, store
from crm.model.version import Version
from crm.plumbing import atomicfile, errors, xml
from crm.plumbing.errors import Problem
from crm.plumbing.settings import Paths

OPTION = "haresources-digest"
SET = "haresources"
SEEN = "haresources.seen"
_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Seen:
    """What this node's file said last, and the version of the document it was put into."""

    digest: str
    version: Version


def put_on(loaded: store.Loaded, paths: Paths) -> store.Loaded:
    """Make the document say what haresources says, if the file of this node has changed.

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
    in_force, version = _digest_in(loaded.document), loaded.document.version
    seen = _read_seen(paths.cib_dir / SEEN)
    if in_force == digest:
        if seen is None or seen.digest != digest:
            problems += _keep_seen(paths.cib_dir / SEEN, _Seen(digest, version))
        return replace(loaded, problems=problems)
    if in_force and seen is not None and seen.digest == digest and _reaches(version, seen.version):
        return replace(loaded, problems=[*problems, _forgotten(paths.haresources)])
    if loaded.document.select("configuration/resources/*"):
        problems.append(_made_anew(paths.haresources))
    made = _dressed(conversion.root, loaded.document, digest)
    problems += _keep_seen(paths.cib_dir / SEEN, _Seen(digest, made.version))
    return replace(loaded, document=made, fresh=True, problems=problems)


def _dressed(root: etree._Element, before: documents.Document, digest: str) -> documents.Document:
    """Make the conversion the next version of the document before."""
    for name in documents.VERSION_ATTRIBUTES:
        root.set(name, before.root.get(name, "0"))
    made = documents.Document(root)
    known = before.section("nodes")
    fresh = made.section("nodes")
    if known is not None and len(known) and fresh is not None:
        made.configuration.replace(fresh, copy.deepcopy(known))
    _remember(made, digest)
    store.with_next_epoch(root, made.version)
    return documents.Document(root)


def _reaches(version: Version, other: Version) -> bool:
    return (version.admin_epoch, version.epoch) >= (other.admin_epoch, other.epoch)


def _digest_in(document: documents.Document) -> str:
    pair = document.by_id(f"{SET}-{OPTION}")
    return "" if pair is None else pair.get("value", "")


def _remember(document: documents.Document, digest: str) -> None:
    section = document.section("crm_config")
    assert section is not None, "a document always has this section"
    holder = etree.SubElement(section, "cluster_property_set", id=SET)
    etree.SubElement(holder, "nvpair", id=f"{SET}-{OPTION}", name=OPTION, value=digest)


# --- what is told ---------------------------------------------------------------------------


def _forgotten(path: Path) -> Problem:
    return errors.warning(
        "haresources-differs",
        str(path),
        "the configuration was made from another haresources file than this node has; it stays "
        "as it is",
        "copy the file to all nodes; one that is changed counts when its node starts",
    )


def _made_anew(path: Path) -> Problem:
    return errors.warning(
        "configuration-replaced",
        str(path),
        "the file has changed, and the configuration is made anew from it; what was changed in it "
        "by other means is gone",
        "the one before is kept beside cib.xml (cib-N.raw); with 'crm yes' in ha.cf the "
        "configuration stays and the file is not read",
    )


# --- what this node has seen ----------------------------------------------------------------


def _read_seen(path: Path) -> _Seen | None:
    """Read what this node's file said last; whatever cannot be read was never seen."""
    try:
        words = atomicfile.read(path, _MAX_BYTES)[0].decode("ascii").split()
        digest, admin_epoch, epoch = words
        return _Seen(digest, Version(int(admin_epoch), int(epoch)))
    except (OSError, ValueError):
        return None


def _keep_seen(path: Path, seen: _Seen) -> Iterator[Problem]:
    version = seen.version
    line = f"{seen.digest} {version.admin_epoch} {version.epoch}\n"
    try:
        atomicfile.write_durably(path, line.encode("ascii"))
    except OSError as problem:
        yield errors.warning(
            "not-remembered",
            str(path),
            f"what haresources says cannot be noted: {problem.strerror}",
            "a file that differs on another node may replace the configuration at its next start",
        )
