"""The text of a run of `crm_simulate`, section by section.

With tables of scores or utilization the classic tool leaves out all headings (`cli.view.plain`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from cli.view import extras, picture, scores, summary
from cli.view.plain import plain
from crm.model.cluster import Cluster
from pengine import Decision
from pengine.facts.facts import Facts
from pengine.simulate import Executed


class Modification(Protocol):
    """Something that was changed before the scheduler ran."""

    @property
    def text(self) -> str: ...  # noqa: D102 - the name says it


class Text:
    """Collects the text of a run; `is_plain` leaves headings out, `is_quiet` all but tables."""

    def __init__(self, *, is_plain: bool = False, is_quiet: bool = False) -> None:
        self.lines: list[str] = []
        self._is_plain = is_plain
        self._is_quiet = is_quiet

    def note(self, text: str) -> None:
        """Say something about the run."""
        if text and not self._is_quiet:
            self.lines.append(text)

    def status(
        self, cluster: Cluster, facts: Facts, *, revised: bool, attributes: bool, failures: bool
    ) -> None:
        """Show nodes and resources as they are."""
        if not revised:
            for text in (picture.notice(facts), picture.headline(facts)):
                self._spaced(text)
        more = [
            *(extras.attribute_lines(facts) if attributes else ()),
            *(extras.failure_lines(facts) if failures else ()),
        ]
        title = "Revised Cluster Status" if revised else "Current cluster status"
        shown = picture.settled(facts) if revised else facts
        self._section(title, (*picture.status(shown), *(["", *more] if more else ())))

    def modifications(self, found: Iterable[Modification]) -> None:
        """Say what was changed on paper."""
        self._section("Performing Requested Modifications", _bulleted(each.text for each in found))

    def tables(self, title: str, found: Iterable[scores.Row]) -> None:
        """Show tables; they are what a quiet run is for."""
        self.lines += [scores.text(row) for row in found]
        self._gap()

    def transition(self, decision: Decision) -> None:
        """Say what will be done."""
        self._section("Transition Summary", summary.transition(decision))

    def executed(self, actions: Iterable[Executed]) -> None:
        """Say what was carried out on paper."""
        self._section("Executing Cluster Transition", summary.executed(actions))

    def _section(self, title: str, lines: Iterable[str]) -> None:
        if self._is_quiet:
            return
        if self._is_plain:
            self.lines += plain(lines)
        else:
            self.lines += [f"{title}:", *lines]
        self._gap()

    def _spaced(self, text: str) -> None:
        if text and not self._is_quiet:
            self.lines.append(text)
            self._gap()

    def _gap(self) -> None:
        if not self._is_quiet:
            self.lines.append("")


def _bulleted(lines: Iterable[str]) -> Iterator[str]:
    yield from (f"  * {line}" for line in lines)
