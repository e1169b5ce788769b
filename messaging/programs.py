"""Which programs heartbeat runs: our own daemons, and those of the respawn lines.

Responsible for turning settings into things that can be started. Not for starting them
(`daemon`), nor for when (`children`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from crm.plumbing.errors import Problem, error, warning
from crm.plumbing.settings import CLUSTER_USER
from messaging.children import ChildPlan
from messaging.cluster_settings import ClusterSettings, RespawnLine
from messaging.pulse import MAX_UNANSWERED, MAX_UNANSWERED_IN_WORK


@dataclass(frozen=True)
class Program:
    """What to start: an entry point of ours, or a program with its arguments."""

    plan: ChildPlan
    argv: tuple[str, ...]
    entry: str = ""
    user: str = ""


OWN_DAEMONS: tuple[tuple[str, str, str], ...] = (
    ("cib", "crm.cib.daemon:main", CLUSTER_USER),
    ("stonithd", "crm.fencing.daemon:main", ""),
    ("lrmd", "lrmd.daemon:main", ""),
    ("attrd", "crm.attrd.daemon:main", CLUSTER_USER),
    ("pengine", "pengine.daemon:main", CLUSTER_USER),
    ("crmd", "crm.controller.daemon:main", CLUSTER_USER),
    ("mgmtd", "crm.gate.daemon:main", ""),
)
"""Name, entry point and user ("": that of heartbeat itself), in the order of their start."""

WORKING_ON_THEIR_LOOP = frozenset(("pengine",))
"""Daemons that do seconds of work in one turn of their event loop."""

LIBRARY = "/usr/lib/heartbeat"
STAND_INS: Mapping[str, str] = {"pingd": "messaging.pingd:main"}
"""Programs of respawn lines that we bring ourselves."""

BUILT_IN = frozenset(name for name, _, _ in OWN_DAEMONS) | {"ccm", "mgmtd", "stonith-ng", "tengine"}
NOT_NEEDED: Mapping[str, str] = {
    "ipfail": "its work is done by a location rule on pingd",
    "dopd": "its work is done by fencing constraints",
    "hbagent": "there is no SNMP agent",
}


def own_daemons(place: tuple[str, ...]) -> list[Program]:
    """Our daemons with the arguments that say where and who they are."""
    return [Program(_plan_of(name), place, entry, user) for name, entry, user in OWN_DAEMONS]


def _plan_of(name: str) -> ChildPlan:
    patience = MAX_UNANSWERED_IN_WORK if name in WORKING_ON_THEIR_LOOP else MAX_UNANSWERED
    title = f"{LIBRARY}/{name}"
    return ChildPlan(name, title, is_vital=True, is_on_bus=True, patience=patience)


def from_respawn_lines(
    settings: ClusterSettings,
    place: tuple[str, ...],
    *,
    path: str,
    is_executable: Callable[[str], bool],
    is_user: Callable[[str], bool],
) -> tuple[list[Program], list[Problem]]:
    """The programs of respawn and failfast lines; each line ends as a program or a problem."""
    programs: list[Program] = []
    problems: list[Problem] = []
    for line in settings.respawns:
        program, problem = _from_line(
            line,
            f"{path}:{line.line}",
            f"{len(programs) + 1}",
            place,
            is_executable=is_executable,
            is_user=is_user,
        )
        if program is not None:
            programs.append(program)
        if problem is not None:
            problems.append(problem)
    return programs, problems


def _from_line(
    line: RespawnLine,
    where: str,
    number: str,
    place: tuple[str, ...],
    *,
    is_executable: Callable[[str], bool],
    is_user: Callable[[str], bool],
) -> tuple[Program | None, Problem | None]:
    try:
        words = shlex.split(line.command)
    except ValueError as problem:
        return None, error("bad-value", where, f"{where}: respawn line: {problem}")
    if line.user != CLUSTER_USER and not is_user(line.user):
        return None, error(
            "unknown-user",
            where,
            f"{where}: respawn line: there is no user '{line.user}'",
            "the line is: respawn USER /full/path/of/program ARGUMENTS",
        )
    base = PurePosixPath(words[0]).name
    plan = ChildPlan(f"{base}-{number}", line.command, is_failfast=line.failfast)
    if is_executable(words[0]):
        return Program(plan, tuple(words), user=line.user), None
    if base in STAND_INS:
        argv = (*place, *words[1:])
        return Program(replace(plan, is_on_bus=True), argv, STAND_INS[base], line.user), None
    if base in BUILT_IN:
        return None, warning("started-anyway", where, f"{where}: '{base}' is started by itself")
    if base in NOT_NEEDED:
        return None, warning(
            "not-needed", where, f"{where}: '{base}' is not started: {NOT_NEEDED[base]}"
        )
    return None, error(
        "no-program",
        where,
        f"{where}: respawn line: '{words[0]}' is not an executable file",
        "give the full path of a program",
    )


def is_executable_file(path: str) -> bool:
    """Tell whether a path can be executed by this user."""
    return os.path.isfile(path) and os.access(path, os.X_OK)  # noqa: PTH113
