"""The process around the scheduler: answers `Schedule` on the bus and keeps the inputs.

Decides nothing. The machine is stateless but for the names of kept inputs; nothing may be lost
because whoever asks and gets no answer asks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from crm.api.scheduler import FROM_PENGINE, SERVICE, TO_PENGINE, Schedule
from crm.plumbing import daemon
from crm.plumbing.daemon import Conversation, Plan
from crm.plumbing.machine import Exit, MessageArrived, StopRequested, Tell
from pengine.archive import DEFAULT_CAP, SERIES, Kept, Series, Writer, next_number
from pengine.facts.facts import Facts
from pengine.pipeline import answer

_CAP_OPTIONS = {
    "pe-input": "pe-input-series-max",
    "pe-warn": "pe-warn-series-max",
    "pe-error": "pe-error-series-max",
}


class KeepInput(msgspec.Struct, frozen=True):
    """Write an input to the disk, some time soon."""

    kept: Kept


class Scheduling:
    """The machine: one answer for one request."""

    def __init__(self, series: Mapping[str, Series]) -> None:
        self._series = series

    def receive(self, event: Any, now: float) -> list[Any]:  # Any: the runner's wide contract
        """Answer a request; everything else is of no interest."""
        match event:
            case MessageArrived(peer, Schedule() as request):
                return self._schedule(peer, request)
            case StopRequested():
                return [Exit(0)]
            case _:
                return []

    def tick(self, now: float) -> list[Any]:  # Any: see above
        """Do nothing: there are no deadlines."""
        return []

    def next_deadline(self) -> float | None:
        """Ask for no tick."""
        return None

    def _schedule(self, peer: str, request: Schedule) -> list[Any]:  # Any: see above
        later: list[Kept] = []

        def keep(name: str, data: bytes, facts: Facts | None) -> str:
            path, kept = self._series[name].keep(data, _cap(name, facts))
            later.extend([kept] if kept is not None else [])
            return str(path) if path != Path() else ""

        reply = answer(request, keep)
        return [Tell(peer, reply), *(KeepInput(kept) for kept in later)]


def _cap(name: str, facts: Facts | None) -> int:
    text = dict(facts.settings.pairs).get(_CAP_OPTIONS[name], "") if facts is not None else ""
    try:
        return int(text) if text else DEFAULT_CAP
    except ValueError:
        return DEFAULT_CAP


def main(argv: list[str] | None = None) -> int:
    """Run the scheduler's process."""
    options = daemon.parse_options(SERVICE, argv)
    directory = options.root / "var/lib/heartbeat/pengine"
    machine = Scheduling(
        {name: Series(directory, name, next_number(directory, name)) for name in SERIES}
    )
    writer = Writer()

    def carry_out(effect: KeepInput) -> None:
        writer.write(effect.kept)

    plan = Plan(
        name=SERVICE,
        machine=machine,
        serves=Conversation(TO_PENGINE, FROM_PENGINE),
        carry_out=carry_out,
    )
    try:
        return daemon.run(plan, options)
    finally:
        writer.close()
