"""A changed ha.cf of a running heartbeat: what is taken over, and what waits."""

from __future__ import annotations

import pytest

from messaging.cluster_settings import ClusterSettings
from messaging.ha_cf import changes, reading

OLD = (
    "deadtime 10\ninitdead 20\nbcast eth1\nnode n1 n2\ncrm yes\nlogfile /var/log/ha-log\nenv A=1\n"
)


def settings(text: str) -> ClusterSettings:
    accepted, problems = reading.read(text, node="n1")
    assert accepted is not None, problems
    return accepted


def test_the_same_file_changes_nothing() -> None:
    old = settings(OLD)

    assert changes.between(old, settings(OLD + "# a remark\n")) == changes.Change(old)


def test_what_only_this_node_watches_is_taken_over_at_once() -> None:
    change = changes.between(settings(OLD), settings(OLD + "warntime 3\ndeadping 7\ndebug 1\n"))

    assert (change.taken, change.later) == (("warntime", "deadping", "debug"), ())
    assert change.settings.timing.warntime_s == 3.0
    assert change.settings.timing.deadping_s == 7.0
    assert change.settings.log.debug == 1
    assert change.settings.parameters["warntime"] == "3"


def test_a_debug_line_that_is_taken_away_is_taken_over_as_well() -> None:
    change = changes.between(settings(OLD + "debug 2\n"), settings(OLD))

    assert (change.taken, change.later) == (("debug",), ())
    assert change.settings.log.debug == 0
    assert change.settings.parameters["debug"] == "0"


@pytest.mark.parametrize(("stated", "by", "level"), [(1, 2, 3), (0, -1, 0), (254, 5, 255)])
def test_a_level_raised_by_hand_is_counted_from_that_of_the_file(
    stated: int, by: int, level: int
) -> None:
    raised = changes.with_debug(settings(OLD + f"debug {stated}\n"), by)

    assert (raised.log.debug, raised.parameters["debug"]) == (level, str(level))


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("deadtime 10", "deadtime 15", ("deadtime",)),
        ("bcast eth1", "bcast eth2", ("media lines",)),
        ("node n1 n2", "node n1 n2 n3", ("node",)),
        ("env A=1", "env A=2", ("env",)),
        ("env A=1", "cluster other\nenv A=1", ("cluster",)),
        ("ha-log", "other-log", ("logfile",)),
        ("env A=1", "env A=1\nrespawn root /bin/true", ("respawn",)),
        ("env A=1", "env A=1\nping 10.0.0.1", ("ping",)),
    ],
)
def test_what_others_count_on_waits_for_the_next_start(
    before: str, after: str, names: tuple[str, ...]
) -> None:
    old = settings(OLD + "warntime 5\ndeadping 10\n")
    new = settings(OLD.replace(before, after) + "warntime 5\ndeadping 10\n")

    assert changes.between(old, new) == changes.Change(old, later=names)
