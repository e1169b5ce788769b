"""Our own scheduler cases: a folder each with `cib.xml` and `expected.txt`.

The expected text is a sentence of why, then summary, scores and graph. `BLESS=1` writes it; the
difference is read line by line like code.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.view import picture, scores, summary
from crm.model.readxml import cluster as reading
from crm.plumbing import xml
from pengine import schedule
from pengine.simulate import simulate

HERE = Path(__file__).parent
NAMES = sorted(path.parent.name for path in HERE.glob("*/cib.xml"))


def account(document: bytes) -> str:
    """Write down all that was decided about a document."""
    cluster, problems = reading.read(xml.parse(document))
    decision = schedule(cluster, datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
    by_id = {a.id: a for s in decision.graph.synapses for a in s.actions}
    lines = [decision.sentence, ""]
    lines += [f"problem: {problem.message}" for problem in (*problems, *decision.problems)]
    lines += ["summary:", *summary.transition(decision), "", "scores:"]
    lines += [f"  {line}" for line in scores.lines(decision)]
    lines += ["", "graph:"]
    for synapse in decision.graph.synapses:
        action = synapse.actions[0]
        lines.append(f"  {action.key} {action.node}".rstrip())
        lines += [f"      after {by_id[n].key} {by_id[n].node}".rstrip() for n in synapse.inputs]
    result = simulate(cluster, decision.graph)
    again = schedule(result.cluster, datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
    lines += ["", "afterwards:", *picture.status(again.facts)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_decision_is_the_one_written_down(name: str) -> None:
    found = account((HERE / name / "cib.xml").read_bytes())
    path = HERE / name / "expected.txt"
    if os.environ.get("BLESS"):
        path.write_text(found)
    assert found == path.read_text()
