"""Published scheduler cases: agreement with them, case by case and level by level, only grows.

`agreeing.txt` lists what agrees; `BLESS=1` adds what has come to agree since. Levels are those of
the judge beside the cases (`compare.py`): decisions, actions, order, scores, text.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace

from cli.tools import crm_simulate, sources
from cli.view import dot, scores
from crm.model.cluster import Cluster
from crm.model.readxml import cluster as reading
from crm.model.readxml import dates
from crm.model.writexml import graph as graph_writing
from crm.plumbing import xml
from pengine import Decision, schedule

CASES = Path(__file__).parents[3] / "shared/scheduler-cases"
AGREEING = Path(__file__).with_name("agreeing.txt")
LEVELS = ("L1", "L1r", "L2", "L3", "L3c", "L4", "L5", "L6", "L7")
SLICES = 8

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not CASES.is_dir(), reason=f"no published cases in {CASES}"),
]


def judge() -> ModuleType:
    """Load the comparing program as a module."""
    spec = importlib.util.spec_from_file_location("compare", CASES / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases() -> dict[str, list[str]]:
    """Read the names and arguments of all cases."""
    found = json.loads((CASES / "cases.json").read_text())
    return {case["name"]: case["args"] for case in found}


def listed() -> dict[str, set[str]]:
    """Read what is known to agree."""
    lines = AGREEING.read_text().splitlines() if AGREEING.exists() else []
    return {words[0]: set(words[1:]) for line in lines if (words := line.split())}


def produce(
    name: str,
    arguments: list[str],
    decide: Callable[[Cluster, datetime], Decision] = schedule,
) -> dict[str, str]:
    """Make the texts a case is judged by."""
    data = (CASES / f"xml/{name}.xml").read_bytes()
    document = xml.parse(data)
    cluster, _ = reading.read(document)
    now, date = datetime(2026, 1, 1, tzinfo=UTC), ""
    if "-t" in arguments:
        date = arguments[arguments.index("-t") + 1]
        now = dates.moment(date)
        cluster = replace(cluster, execution_s=None)
    decision = decide(cluster, now)
    wishes = crm_simulate.Wishes(simulate=True, date=date)
    graph = xml.serialise(graph_writing.write(decision.graph))
    return {
        "summary": "\n".join(
            (sources.remark(document), *crm_simulate.report(cluster, decision, now, wishes))
        ),
        "scores": "\n".join(scores.lines(decision)),
        "graph.xml": graph.decode(),
        "dot": "\n".join(dot.lines(decision)),
    }


def expected(name: str) -> dict[str, str]:
    """Read the published texts of a case."""
    kinds = {"summary": "summary", "scores": "scores", "graph.xml": "exp", "dot": "dot"}
    return {
        kind: (CASES / folder / f"{name}.{folder}").read_text() for kind, folder in kinds.items()
    }


def agreement(compare: ModuleType, name: str, arguments: list[str]) -> dict[str, Any]:
    """Judge one case on all levels."""
    result: dict[str, Any] = compare.compare_texts(expected(name), produce(name, arguments), LEVELS)
    return result


def slices() -> Iterator[list[str]]:
    names = sorted(listed())
    for index in range(SLICES):
        yield names[index::SLICES]


@pytest.mark.parametrize("names", list(slices()), ids=[f"slice{i}" for i in range(SLICES)])
def test_agreement_with_published_cases_does_not_shrink(names: list[str]) -> None:
    compare, arguments, known = judge(), cases(), listed()
    lost = []
    for name in names:
        result = agreement(compare, name, arguments[name])
        lost += [
            f"{name} {level}: {result[level]['why']}"
            for level in sorted(known[name])
            if not result[level]["ok"]
        ]
    assert not lost, "\n".join(lost)


def test_every_published_case_gives_a_decision() -> None:
    for name, arguments in cases().items():
        assert produce(name, arguments)["graph.xml"], name


@pytest.mark.skipif(not os.environ.get("BLESS"), reason="only with BLESS=1")
def test_bless_what_agrees() -> None:
    compare, known = judge(), listed()
    for name, arguments in cases().items():
        result = agreement(compare, name, arguments)
        agreeing = {level for level in LEVELS if result.get(level, {}).get("ok")}
        known[name] = known.get(name, set()) | agreeing
    lines = [
        f"{name} {' '.join(sorted(levels))}" for name, levels in sorted(known.items()) if levels
    ]
    AGREEING.write_text("\n".join(lines) + "\n")
