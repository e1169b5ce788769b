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
    for found in decision.placement.table.promotions:
        where = f"on {found.node}" if found.node else "(inactive)"
        yield f"{found.resource} promotion score {where}: {score.text(found.total)}"
