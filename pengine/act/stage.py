"""Runs the passes that find actions; their order is the order in which actions come up."""

from __future__ import annotations

from pengine.act.actions import Actions
from pengine.act.builder import Builder
from pengine.act.changes import add_changes, add_deletions_of_removed
from pengine.act.fencing import (
    add_fencings,
    add_fencings_of_given_up,
    add_fencings_of_silent_nodes,
    add_resets,
)
from pengine.act.housekeeping import (
    add_clearings,
    add_clearings_of_removed,
    add_load_marks,
    add_lock_removals,
    add_shutdowns,
)
from pengine.act.monitors import add_monitors_left
from pengine.act.probes import add_probes
from pengine.act.sequence import (
    expect_departures,
    expect_unfencings,
    expect_what_is_remembered,
)
from pengine.act.steps import (
    add_failure_stops,
    add_steps,
)
from pengine.act.unfencing import add_unfencings
from pengine.facts.facts import Facts
from pengine.place.placement import Placement


def act(facts: Facts, placement: Placement) -> Actions:
    """Find all that might have to be done."""
    builder = Builder(facts, placement)
    add_fencings(builder)
    expect_what_is_remembered(builder)
    add_clearings(builder)
    add_lock_removals(builder)
    expect_unfencings(builder)
    add_load_marks(builder)
    add_deletions_of_removed(builder)
    add_changes(builder)
    add_probes(builder)
    add_clearings_of_removed(builder)
    add_failure_stops(builder)
    add_steps(builder)
    add_monitors_left(builder)
    add_unfencings(builder)
    add_fencings_of_given_up(builder)
    expect_departures(builder)
    add_shutdowns(builder)
    add_fencings_of_silent_nodes(builder)
    add_resets(builder)
    return builder.finish()
