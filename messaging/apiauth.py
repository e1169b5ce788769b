"""Who may register with heartbeat under which client name (`apiauth` in ha.cf).

Responsible for the rights by name, for those that hold when ha.cf says nothing, and for the
judgement of one registration by what the kernel says of the caller. Not for how the kernel is
asked (`crm.plumbing.ipc`), and not for tools and people: they come through mgmtd.

A client whose name is its process id is *casual* and falls under `anon`. A name without a line
falls under `default`, if that is given, and is refused otherwise.

Source: Heartbeat's apiauth directive; docs/ha.cf.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from crm.plumbing.errors import Problem, error, warning
from crm.plumbing.machine import Caller
from crm.plumbing.settings import CLUSTER_USER
from messaging.cluster_settings import ApiRight

CLUSTER_GROUP = "haclient"
CASUAL = "anon"
FALLBACK = "default"

BUILT_IN: tuple[ApiRight, ...] = (
    ApiRight("ipfail", users=(CLUSTER_USER,)),
    ApiRight("ccm", users=(CLUSTER_USER,)),
    ApiRight("ping", groups=(CLUSTER_GROUP,)),
    ApiRight("lha-snmpagent", users=("root",)),
    ApiRight(CASUAL, users=("root",), groups=(CLUSTER_GROUP,)),
    ApiRight("cib", users=(CLUSTER_USER,)),
    ApiRight("crmd", users=(CLUSTER_USER,)),
    ApiRight("attrd", users=(CLUSTER_USER,)),
    ApiRight("stonithd", users=("root",)),
    ApiRight("stonith-ng", users=("root",)),
    ApiRight("mgmtd", users=("root",)),
    ApiRight("pingd", users=("root", CLUSTER_USER)),
)
"""What holds for a name that no line of ha.cf speaks of."""


class Doorkeeper(Protocol):
    """Judges registrations."""

    def refusal(self, client: str, pid: int, caller: Caller | None) -> str:
        """Say why a caller may not register under a name; "" when it may."""
        ...


class Everybody:
    """Lets everybody in: for simulations, where there is no kernel to ask."""

    def refusal(self, client: str, pid: int, caller: Caller | None) -> str:
        """Refuse nobody."""
        return ""


EVERYBODY = Everybody()


@dataclass(frozen=True)
class Right:
    """Numbers of users and groups; either list is enough."""

    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def admits(self, uid: int, gid: int) -> bool:
        """Tell whether a user or a group is named."""
        return uid in self.uids or gid in self.gids


@dataclass(frozen=True)
class Rights:
    """The rights by client name, in numbers."""

    by_client: Mapping[str, Right]

    def refusal(self, client: str, pid: int, caller: Caller | None) -> str:
        """Say why a caller may not register under a name; "" when it may."""
        if caller is None:
            return "the kernel does not say who it is"
        if pid != caller.pid:
            return f"it says that its pid is {pid}"
        rule = CASUAL if client == str(pid) else client
        right = self.by_client.get(rule) or self.by_client.get(FALLBACK)
        if right is None:
            return f"apiauth names no client '{client}', and there is no default client auth"
        if right.admits(caller.uid, caller.gid):
            return ""
        name = rule if rule in self.by_client else FALLBACK
        return f"apiauth '{name}' names neither its user nor its group"


@dataclass(frozen=True)
class Accounts:
    """How names become numbers: look-ups, and who runs heartbeat.

    Where everything runs as one user (in a lab, or without a cluster user), the names of the
    users that the daemons would have elsewhere stand for that one as well.
    """

    uid_of: Callable[[str], int | None]
    gid_of: Callable[[str], int | None]
    own: tuple[int, int]
    has_one_user: bool

    def user(self, name: str) -> frozenset[int]:
        """The numbers a user's name stands for; empty when there is no such user."""
        return self._numbers(name, self.uid_of(name), self.own[0], CLUSTER_USER)

    def group(self, name: str) -> frozenset[int]:
        """The numbers a group's name stands for; empty when there is no such group."""
        return self._numbers(name, self.gid_of(name), self.own[1], CLUSTER_GROUP)

    def _numbers(self, name: str, found: int | None, own: int, cluster: str) -> frozenset[int]:
        if found is None and name.isascii() and name.isdigit():
            found = int(name)
        numbers = set() if found is None else {found}
        if (self.has_one_user and name in ("root", cluster)) or (name == cluster and not numbers):
            numbers.add(own)
        return frozenset(numbers)


def resolve(
    lines: Iterable[ApiRight],
    accounts: Accounts,
    *,
    path: str,
    daemons: Mapping[str, tuple[int, int]],
    bus_users: frozenset[int],
) -> tuple[Rights, list[Problem]]:
    """Turn names into numbers, and say which lines cannot be kept or would stop the cluster.

    `daemons` are our own clients with the uid and gid they run as: a line that keeps one of them
    out is refused. `bus_users` are the uids that reach the local bus at all.
    """
    problems: list[Problem] = []
    by_client = {each.client: _in_numbers(each, accounts)[0] for each in BUILT_IN}
    for line in lines:
        where = f"{path}:{line.line}"
        right, unknown = _in_numbers(line, accounts)
        by_client[line.client] = right
        problems += [
            error(
                "unknown-account",
                where,
                f"{where}: directive 'apiauth', client '{line.client}': there is no {what}",
                "write names or numbers of users and groups of this host",
            )
            for what in unknown
        ]
        ids = daemons.get(line.client)
        if not unknown and ids is not None and not right.admits(*ids):
            problems.append(_locked_out(where, line.client, ids))
        elif not unknown and not right.gids and not right.uids & bus_users:
            problems.append(_out_of_reach(where, line.client))
    return Rights(by_client), problems


def _in_numbers(line: ApiRight, accounts: Accounts) -> tuple[Right, list[str]]:
    users = {name: accounts.user(name) for name in line.users}
    groups = {name: accounts.group(name) for name in line.groups}
    unknown = [f"user '{name}'" for name, numbers in users.items() if not numbers]
    unknown += [f"group '{name}'" for name, numbers in groups.items() if not numbers]
    return Right(frozenset().union(*users.values()), frozenset().union(*groups.values())), unknown


def _locked_out(where: str, client: str, ids: tuple[int, int]) -> Problem:
    return error(
        "daemon-locked-out",
        where,
        f"{where}: directive 'apiauth' keeps out our own '{client}', which runs as uid {ids[0]}",
        f"add uid={ids[0]}, or remove the line",
    )


def _out_of_reach(where: str, client: str) -> Problem:
    return warning(
        "out-of-reach",
        where,
        f"{where}: directive 'apiauth': none of the users of client '{client}' reaches the bus",
        f"root and {CLUSTER_USER} do; other users' programs ask mgmtd",
    )
