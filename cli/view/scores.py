"""Score tables in the form people know from `crm_simulate -s`."""

from __future__ import annotations

from collections.abc import Iterator

from crm.model import score
from pengine import Decision


def lines(decision: Decision) -> Iterator[str]:
    """Yield the totals at the moment each thing was placed."""
    for line in decision.placement.table.lines:
        yield (
            f"pcmk__{line.placed}_assign: {line.resource} allocation score on"
            f" {line.node}: {score.text(line.total)}"
        )
