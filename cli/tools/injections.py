"""What `crm_simulate` is told to pretend, and the words that say it was done."""

from __future__ import annotations

from collections.abc import Mapping

import click
import msgspec
from msgspec.structs import replace

from crm.model import options
from crm.model.cluster import Cluster
from pengine import inject


class Modification(msgspec.Struct, frozen=True):
    """One thing that was changed: as a line of text, and as an element of the XML form."""

    text: str
    tag: str
    attributes: Mapping[str, str]


class Modified(msgspec.Struct):
    """A cluster on paper, what was changed about it, and what could not be."""

    cluster: Cluster
    modifications: list[Modification] = msgspec.field(default_factory=list)
    problems: list[str] = msgspec.field(default_factory=list)

    def say(self, text: str, tag: str, **attributes: str) -> None:
        """Remember one change."""
        self.modifications.append(Modification(text, tag, attributes))


class Injections(msgspec.Struct, frozen=True):
    """Everything to pretend before the scheduler runs, in the order in which it is done."""

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

    @property
    def is_told(self) -> bool:
        """Tell whether there is anything to say: quorum alone is pretended without a word."""
        return replace(self, quorum=None) != Injections()

    def apply(self, cluster: Cluster, now_s: int) -> Modified:
        """Change the cluster on paper."""
        done = Modified(cluster)
        self._change_options(done)
        for name in self.nodes_up:
            done.say(f"Bringing node {name} online", "modify_node", action="Online", node=name)
            done.cluster = inject.bring_up(done.cluster, name)
        for name in self.nodes_down:
            done.say(f"Taking node {name} offline", "modify_node", action="Offline", node=name)
            done.cluster = inject.take_down(done.cluster, name)
        for name in self.nodes_failed:
            done.say(f"Failing node {name}", "modify_node", action="Failing", node=name)
            done.cluster = inject.fail(done.cluster, name)
        self._change_tickets(done)
        for text in self.outcomes:
            done.say(f"Injecting {text} into the configuration", "inject_spec", spec=text)
            _pretend(done, text, now_s)
        return done

    def _change_options(self, done: Modified) -> None:
        if self.quorum is not None:
            done.cluster = replace(done.cluster, has_quorum=_truth(self.quorum))
            if self.is_told:
                done.say(f"Setting quorum: {self.quorum}", "", quorum=self.quorum)
        if self.watchdog is not None:
            word = str(_truth(self.watchdog)).lower()
            done.cluster = inject.set_option(done.cluster, "have-watchdog", word)
            done.say(f"Setting watchdog: {self.watchdog}", "", watchdog=self.watchdog)

    def _change_tickets(self, done: Modified) -> None:
        for name in self.granted:
            done.cluster = inject.change_ticket(done.cluster, name, granted=True)
            _say_ticket(done, f"Granting ticket {name}", "Granting", name)
        for name in self.revoked:
            done.cluster = inject.change_ticket(done.cluster, name, granted=False)
            _say_ticket(done, f"Revoking ticket {name}", "Revoking", name)
        for name in self.standby:
            done.cluster = inject.change_ticket(done.cluster, name, standby=True)
            _say_ticket(done, f"Making ticket {name} standby", "Standby", name)
        for name in self.activated:
            done.cluster = inject.change_ticket(done.cluster, name, standby=False)
            _say_ticket(done, f"Activating ticket {name}", "Activating", name)


def _say_ticket(done: Modified, text: str, action: str, name: str) -> None:
    done.say(text, "modify_ticket", action=action, ticket=name)


def _pretend(done: Modified, text: str, now_s: int) -> None:
    """Pretend that an operation ended."""
    try:
        outcome = inject.parse_outcome(text)
        done.cluster, counted = inject.inject(done.cluster, outcome, now_s)
    except ValueError as problem:
        done.problems.append(str(problem))
        return
    done.modifications += [counted_failure(line) for line in counted]


def counted_failure(line: str) -> Modification:
    """Turn the line about a counted failure into a modification."""
    name, _, rest = line.removeprefix("Injecting attribute ").partition("=")
    value, _, place = rest.partition(" into ")
    path, _, node = place.partition(" ")
    attributes = {"name": name, "value": value, "node_path": path, "cib_node": node.strip("'")}
    return Modification(line, "inject_attr", attributes)


def _truth(text: str) -> bool:
    try:
        return options.as_bool(text)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from problem
