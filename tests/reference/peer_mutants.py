"""Compares our decisions on changed published cases with those of an installed `crm_simulate`.

    ./run peer-mutants [SEEDS=200] [FIRST=0] [ONLY=glob] [KEEP=folder]

Each seed takes a published case and changes one to three things in it (tests/kit/mutants.py).
The peer is older than the cases: options get the names it knows, and a level at which it already
differs from us on the unchanged case is not judged. What differs is made small, as in `peer.py`.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from lxml import etree

from tests.kit import mutants
from tests.kit.any_status import NOW_S
from tests.kit.choices import Seeded
from tests.reference.peer import PEER, ask_ours, ask_peer
from tests.reference.test_scheduler import CASES, cases, judge

LEVELS = ("L2", "L4", "L3", "L1r", "L1", "L5")
_OLD_NAMES = {
    "fencing-enabled": "stonith-enabled",
    "fencing-action": "stonith-action",
    "fencing-timeout": "stonith-timeout",
    "stop-removed-resources": "stop-orphan-resources",
    "cancel-removed-actions": "stop-orphan-actions",
}
_NAMED_COUNTS = (3, 0, 13)
"""The feature set from which on an older release counts failures by operation."""
_WORDS = {
    " (Not installed)": " (not installed)",
    "maintenance)": "unmanaged)",
    "'termination was requested'": "'fencing was requested'",
}
_LARGEST_BYTES = 200_000
_SHRINK_S = 90.0
_KEPT = ("cib", "configuration", "crm_config", "nodes", "resources", "constraints", "status")


def _numbers(version: str | None) -> tuple[int, ...]:
    return tuple(int(number) for number in (version or "0").split("."))


def older(document: bytes) -> bytes:
    """Say a CIB in the words of an older release, at a fixed time."""
    root = etree.fromstring(document)
    for pair in root.findall(".//crm_config//nvpair"):
        pair.set("name", _OLD_NAMES.get(pair.get("name", ""), pair.get("name", "")))
    place = root.find(".//crm_config/cluster_property_set")
    if place is not None and not root.findall(".//crm_config//nvpair[@name='concurrent-fencing']"):
        etree.SubElement(place, "nvpair", id="concurrent", name="concurrent-fencing", value="true")
    if _numbers(root.get("crm_feature_set")) < _NAMED_COUNTS:
        root.set("crm_feature_set", ".".join(map(str, _NAMED_COUNTS)))
    if root.get("execution-date") is None:
        root.set("execution-date", str(NOW_S))
    return etree.tostring(root)


def lacks_device(document: bytes) -> bool:
    """Tell whether nodes shall be fenced, and nothing can; releases show that differently."""
    root = etree.fromstring(document)
    wanted = [p.get("value", "") for p in root.findall(".//nvpair[@name='stonith-enabled']")]
    is_off = bool(wanted) and wanted[0].lower() in ("false", "off", "no", "0")
    return not is_off and not root.findall(".//primitive[@class='stonith']")


def newer_scores(text: str) -> str:
    """Say scores as the published cases do, those of bundles once."""
    lines = (
        line.replace("promotion score on none: 0", "promotion score (inactive): -INFINITY")
        for line in text.splitlines()
    )
    told: dict[str, None] = {}
    others = []
    for line in lines:
        if line.startswith("pcmk__bundle"):
            told[line] = None
        else:
            others.append(line)
    return "\n".join((*told, *others))


def newer_summary(text: str) -> str:
    """Say the summary of an older release as the published cases say it."""
    for old, new in _WORDS.items():
        text = text.replace(old, new)
    return text


def differences(compare: ModuleType, document: bytes) -> dict[str, str] | None:
    """Say at which levels the two differ, and how; None if the peer gives no answer."""
    theirs = ask_peer(document)
    if theirs is None:
        return None
    theirs["scores"] = newer_scores(theirs["scores"])
    theirs["summary"] = newer_summary(theirs["summary"])
    ours = ask_ours(document)
    ours["scores"] = newer_scores(ours["scores"])
    ours["summary"] = newer_summary(ours["summary"])
    found = compare.compare_texts(theirs, ours, LEVELS)
    return {
        level: str(found[level].get("why", "")) for level in LEVELS if not found[level].get("ok")
    }


def signature(document: bytes, level: str, why: str) -> str:
    """Name a kind of difference: its text with kinds instead of names, without numbers."""
    kinds = {
        "primitive": "P",
        "group": "G",
        "clone": "C",
        "bundle": "B",
        "node": "N",
        "master": "C",
    }
    names: dict[str, str] = {}
    for element in etree.fromstring(document).iter(*kinds, "node_state"):
        for key in ("id", "uname"):
            value = element.get(key)
            if value:
                names.setdefault(value, kinds.get(str(element.tag), "N"))
    if names:
        longest = sorted(names, key=len, reverse=True)
        pattern = "(?<![A-Za-z0-9])(" + "|".join(map(re.escape, longest)) + ")(?![A-Za-z0-9])"
        why = re.sub(pattern, lambda match: names[match[1]], why)
    why = re.sub(r"\([\w:]+\)", "()", why)
    return f"{level} {re.sub(r'-?[0-9]+', '#', why)[:90]}"


def shows(compare: ModuleType, document: bytes, level: str, kind: str) -> bool:
    """Tell whether a document still shows this kind of difference."""
    if lacks_device(document):
        return False
    found = differences(compare, document) or {}
    return level in found and signature(document, level, found[level]) == kind


def shrink(compare: ModuleType, document: bytes, level: str, kind: str, limit_s: float) -> bytes:
    """Make a document small while the same kind of difference shows, for so many seconds."""
    end = time.monotonic() + limit_s
    size = len(document) + 1
    while len(document) < size and time.monotonic() < end:
        size = len(document)
        tried = 0
        while time.monotonic() < end:
            candidate = without(document, tried)
            if candidate is None:
                break
            if shows(compare, candidate, level, kind):
                document = candidate
            else:
                tried += 1
    return document


def without(document: bytes, number: int) -> bytes | None:
    """Leave out the element that is so many-th in size, with all that names it; None if there
    are not so many."""
    root = etree.fromstring(document)
    found = [e for e in root.iter() if isinstance(e.tag, str) and e.tag not in _KEPT]
    found.sort(key=lambda element: -sum(1 for _ in element.iter()))
    if number >= len(found):
        return None
    mutants.leave_out(root, found[number])
    return etree.tostring(root)


def published(only: str) -> list[str]:
    """Name the published cases that are small enough and need no arguments."""
    return [
        name
        for name, given in cases().items()
        if not given
        and fnmatch.fnmatch(name, only)
        and (CASES / f"xml/{name}.xml").stat().st_size <= _LARGEST_BYTES
    ]


def unchanged(name: str) -> bytes:
    """Read a published case in the words of an older release."""
    return older((CASES / f"xml/{name}.xml").read_bytes())


def mutant(seed: int, names: Sequence[str]) -> tuple[str, bytes, list[str]]:
    """Make the mutant of a seed: the name of its case, its text, and what was changed."""
    choices = Seeded(seed)
    name = choices.pick(names)
    document, said = mutants.mutate(choices, unchanged(name))
    return name, document, said


class Example(NamedTuple):
    """The smallest mutant that shows a kind of difference."""

    seed: int
    level: str
    document: bytes
    said: str


def run(first: int, count: int, only: str, keep: Path | None) -> int:
    """Compare the mutants of many seeds; prints what agrees and how the rest differs."""
    compare = judge()
    names = published(only)

    @cache
    def known(name: str) -> frozenset[str]:
        """Name the levels at which the unchanged case differs already."""
        found = differences(compare, unchanged(name))
        return frozenset(LEVELS if found is None else found)

    agreeing: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    examples: dict[str, Example] = {}
    asked = 0
    for seed in range(first, first + count):
        name, document, said = mutant(seed, names)
        found = None if lacks_device(document) else differences(compare, document)
        if found is None:
            continue
        asked += 1
        if found:
            found = {level: why for level, why in found.items() if level not in known(name)}
        agreeing.update(level for level in LEVELS if level not in found)
        agreeing["all"] += not found
        if found:
            level = next(iter(found))
            kind = signature(document, level, found[level])
            differing[kind] += 1
            print(f"seed {seed} {name}: {'; '.join(said)}")
            print(f"    {level}: {found[level]}", flush=True)
            old = examples.get(kind)
            if old is None or len(document) < len(old.document):
                examples[kind] = Example(seed, level, document, f"{name}: {'; '.join(said)}")
    print(f"{asked} answered of {count}: {dict(agreeing)} agree")
    for kind, times in differing.most_common():
        print(f"{times:5} {kind}   (seed {examples[kind].seed})")
    if keep is not None:
        keep_small(compare, examples, keep)
    return 0


def keep_small(compare: ModuleType, examples: Mapping[str, Example], folder: Path) -> None:
    """Shrink each example, the small ones first, and write it with what was changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, found in sorted(examples.items(), key=lambda item: len(item[1].document)):
        small = shrink(compare, found.document, found.level, kind, _SHRINK_S)
        root = etree.fromstring(small)
        root.insert(0, etree.Comment(f" {kind} / {found.said} ".replace("--", "- -")))
        etree.indent(root)
        path = folder / f"{found.level}-seed{found.seed}.xml"
        path.write_bytes(etree.tostring(root))
        print(f"kept {path}: {kind}", flush=True)


def main() -> int:
    """Run the comparison as `./run peer-mutants` asks for it."""
    setting = {n: os.environ.get(f"PACEKEEPER_{n}", "") for n in ("SEEDS", "FIRST", "ONLY", "KEEP")}
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=int(setting["SEEDS"] or 200))
    parser.add_argument("--first", type=int, default=int(setting["FIRST"] or 0))
    parser.add_argument("--only", default=setting["ONLY"] or "*")
    parser.add_argument("--keep", default=setting["KEEP"])
    given = parser.parse_args()
    if shutil.which(PEER) is None or not CASES.is_dir():
        print(f"nothing to compare with: no {PEER}, or no judge in {CASES}")
        return 0
    return run(given.first, given.seeds, given.only, Path(given.keep) if given.keep else None)


if __name__ == "__main__":
    sys.exit(main())
