"""Compares decisions with those of another `crm_simulate` on made-up CIBs, and shrinks differences.

    ./run peer [SEEDS=200] [FIRST=0] [KINDS=group,order] [ALWAYS=fencing] [KEEP=folder]

Each seed is a CIB (tests/kit/any_cib.py). The texts of both programs are judged by the program
that judges the published cases, at the levels L2 (actions), L4 (scores), L3c (order) and L1r
(summary and revised status). What differs is made as small as it can be while the same level
differs, and kept in a folder, one CIB for each kind of difference.

The peer is a black box, and older or newer than the published cases: where they and the peer
disagree, the cases are right.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from lxml import etree

from cli.tools import crm_simulate, simulating
from cli.view import scores
from crm.model.readxml import cluster as reading
from crm.model.writexml import graph as graph_writing
from crm.plumbing import xml
from pengine import schedule
from tests.kit import any_cib
from tests.kit.any_status import NOW_S
from tests.reference.test_scheduler import CASES, judge

PEER = "/usr/sbin/crm_simulate"
LEVELS = ("L2", "L4", "L3c", "L1r")
NOT_FOR_THE_PEER = frozenset({"times"})
"""Kinds of things that older releases do not know."""

_LIMIT_S = 20
_KEPT_ELEMENTS = frozenset(
    ("cib", "configuration", "crm_config", "nodes", "resources", "constraints", "status")
)
_KEPT_IDS = frozenset({"cib-bootstrap-options", "o-stonith-enabled", "fence"})
"""Without fencing, or a device for it, releases differ in everything."""

Texts = dict[str, str]


def ask_peer(document: bytes, program: str = PEER) -> Texts | None:
    """Let the peer decide; None if it refuses the CIB or does not end."""
    with tempfile.TemporaryDirectory() as folder:
        source, graph = Path(folder, "cib.xml"), Path(folder, "graph.xml")
        source.write_bytes(document)
        environment = {"PATH": "/usr/sbin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        texts = []
        for words in (["-S"], ["-sSQ", "-G", str(graph)]):
            command = [program, "-x", str(source), *words]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, env=environment, timeout=_LIMIT_S
                )
            except subprocess.TimeoutExpired:
                return None
            if done.returncode != 0:
                return None
            texts.append(done.stdout)
        return {"summary": texts[0], "scores": texts[1], "graph.xml": graph.read_text()}


def ask_ours(document: bytes) -> Texts:
    """Decide ourselves."""
    cluster, _ = reading.read(xml.parse(document))
    now = datetime.fromtimestamp(NOW_S, UTC)
    decision = schedule(cluster, now)
    wishes = simulating.Wishes(simulate=True)
    return {
        "summary": "\n".join(crm_simulate.report(cluster, decision, now, wishes)),
        "scores": "\n".join(scores.lines(decision)),
        "graph.xml": xml.serialise(graph_writing.write(decision.graph)).decode(),
    }


def differences(compare: ModuleType, document: bytes) -> dict[str, str] | None:
    """Say at which levels the two differ, and how; None if the peer gives no answer."""
    theirs = ask_peer(document)
    if theirs is None:
        return None
    found = compare.compare_texts(theirs, ask_ours(document), LEVELS)
    return {
        level: str(found[level].get("why", "")) for level in LEVELS if not found[level].get("ok")
    }


def signature(level: str, why: str) -> str:
    """Name a kind of difference: its text without names and numbers."""
    words = re.sub(r"\b(node|guest|remote)\d+", "N", why)
    words = re.sub(r"\b[gcb]+r\d+(-\w+)?(:\d+)?", "C", words)
    words = re.sub(r"\br\d+(:\d+)?", "R", words)
    return f"{level} {re.sub(r'-?[0-9]+', '#', words)[:100]}"


def smaller(document: bytes) -> Iterator[bytes]:
    """Yield the document with one element or one setting less, large elements first."""
    root = etree.fromstring(document)
    found = [e for e in root.iter() if e.tag not in _KEPT_ELEMENTS and e.get("id") not in _KEPT_IDS]
    for element in sorted(found, key=lambda e: -sum(1 for _ in e.iter())):
        parent = element.getparent()
        if parent is None:
            continue
        place = parent.index(element)
        parent.remove(element)
        yield etree.tostring(root)
        parent.insert(place, element)
    for element in found:
        for name in ("kind", "role", "on-fail", "first-action", "then-action", "rsc-role"):
            value = element.get(name)
            if value is not None:
                del element.attrib[name]
                yield etree.tostring(root)
                element.set(name, value)


def shrink(compare: ModuleType, document: bytes, level: str, kind: str) -> bytes:
    """Make a document as small as it can be while the same kind of difference shows."""
    while True:
        for candidate in smaller(document):
            found = differences(compare, candidate)
            if found and level in found and signature(level, found[level]) == kind:
                document = candidate
                break
        else:
            return document


def run(first: int, count: int, kinds: list[str], always: list[str], keep: Path | None) -> int:
    """Compare the CIBs of many seeds; prints what agrees and how the rest differs."""
    compare = judge()
    agreeing: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    examples: dict[str, tuple[int, str, bytes]] = {}
    asked = 0
    for seed in range(first, first + count):
        document = any_cib.from_seed(seed, kinds, always)
        found = differences(compare, document)
        if found is None:
            continue
        asked += 1
        agreeing.update(level for level in LEVELS if level not in found)
        agreeing["all"] += not found
        if found:
            level = next(iter(found))
            kind = signature(level, found[level])
            differing[kind] += 1
            known = examples.get(kind)
            if known is None or len(document) < len(known[2]):
                examples[kind] = (seed, level, document)
    print(f"{asked} answered of {count}: {dict(agreeing)} agree")
    for kind, times in differing.most_common(40):
        print(f"{times:5} {kind}   (seed {examples[kind][0]})")
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for kind, _ in differing.most_common(12):
            seed, level, document = examples[kind]
            root = etree.fromstring(shrink(compare, document, level, kind))
            etree.indent(root)
            path = keep / f"{level}-seed{seed}.xml"
            path.write_bytes(etree.tostring(root))
            print(f"kept {path}: {kind}")
    return 0


def main() -> int:
    """Run the comparison as `./run peer` asks for it."""
    setting = {
        name: os.environ.get(f"PACEKEEPER_{name}", "")
        for name in ("SEEDS", "FIRST", "KINDS", "ALWAYS", "KEEP")
    }
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=int(setting["SEEDS"] or 200))
    parser.add_argument("--first", type=int, default=int(setting["FIRST"] or 0))
    parser.add_argument("--kinds", default=setting["KINDS"])
    parser.add_argument("--always", default=setting["ALWAYS"])
    parser.add_argument("--keep", default=setting["KEEP"])
    given = parser.parse_args()
    if shutil.which(PEER) is None or not CASES.is_dir():
        print(f"nothing to compare with: no {PEER}, or no judge in {CASES}")
        return 0
    all_kinds = [kind for kind in any_cib.KINDS if kind not in NOT_FOR_THE_PEER]
    kinds = given.kinds.split(",") if given.kinds else all_kinds
    always = given.always.split(",") if given.always else []
    return run(given.first, given.seeds, kinds, always, Path(given.keep) if given.keep else None)


if __name__ == "__main__":
    sys.exit(main())
