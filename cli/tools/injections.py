"""What `crm_simulate` is told to pretend, and the lines that say it was done."""

from __future__ import annotations

from dataclasses import dataclass, replace

import click

from crm.model import options
from crm.model.cluster import Cluster
from pengine import inject


@dataclass(frozen=True, slots=True)
class Injections:
    """Everything to pretend before the scheduler runs, in the order of the command line."""

    nodes_up: tuple[str, ...] = ()
    nodes_down: tuple[str, ...] = ()
    nodes_failed: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()
    standby: tuple[str, ...] = ()
    activated: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    quorum: str | None = None
    watchdog: str | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is to be pretended."""
        return self == Injections()

    def apply(self, cluster: Cluster, now_s: int) -> tuple[Cluster, list[str]]:
        """Change the cluster; gives it and a line for each change."""
        lines = []
        if self.quorum is not None:
            cluster = replace(cluster, has_quorum=_truth(self.quorum))
        if self.watchdog is not None:
            lines.append(f"Setting watchdog: {self.watchdog}")
            word = str(_truth(self.watchdog)).lower()
            cluster = inject.set_option(cluster, "have-watchdog", word)
        for name in self.nodes_up:
            lines.append(f"Bringing node {name} online")
            cluster = inject.bring_up(cluster, name)
        for name in self.nodes_down:
            lines.append(f"Taking node {name} offline")
            cluster = inject.take_down(cluster, name)
        for name in self.nodes_failed:
            lines.append(f"Failing node {name}")
            cluster = inject.fail(cluster, name)
        cluster = self._change_tickets(cluster, lines)
        for text in self.outcomes:
            lines.append(f"Injecting {text} into the configuration")
            try:
                outcome = inject.parse_outcome(text)
                cluster, more = inject.inject(cluster, outcome, now_s)
            except ValueError as problem:
                click.echo(str(problem), err=True)
                continue
            lines += more
        return cluster, lines

    def _change_tickets(self, cluster: Cluster, lines: list[str]) -> Cluster:
        for name in self.granted:
            lines.append(f"Granting ticket {name}")
            cluster = inject.change_ticket(cluster, name, granted=True)
        for name in self.revoked:
            lines.append(f"Revoking ticket {name}")
            cluster = inject.change_ticket(cluster, name, granted=False)
        for name in self.standby:
            lines.append(f"Making ticket {name} standby")
            cluster = inject.change_ticket(cluster, name, standby=True)
        for name in self.activated:
            lines.append(f"Activating ticket {name}")
            cluster = inject.change_ticket(cluster, name, standby=False)
        return cluster


def _truth(text: str) -> bool:
    try:
        return options.as_bool(text)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from problem
