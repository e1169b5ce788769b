"""Who may register under which name: the whole matrix, from lines of ha.cf to the judgement."""

from __future__ import annotations

import pytest

from crm.plumbing.errors import Problem, Severity
from crm.plumbing.machine import Caller
from messaging import apiauth
from messaging.apiauth import Accounts, Rights, resolve
from messaging.cluster_settings import ApiRight
from messaging.ha_cf import values

USERS = {"root": 0, "hacluster": 90, "alice": 1000, "nobody": 65534}
GROUPS = {"root": 0, "haclient": 91, "staff": 50}
CALLERS = {
    "root": (0, 0),
    "hacluster": (90, 91),
    "alice": (1000, 1000),
    "alice in haclient": (1000, 91),
    "alice in staff": (1000, 50),
}
PID = 4711


def rights(*lines: str, daemons: dict[str, tuple[int, int]] | None = None) -> Rights:
    found, problems = judged(*lines, daemons=daemons)
    assert not [each for each in problems if each.severity is Severity.ERROR]
    return found


def judged(
    *lines: str, daemons: dict[str, tuple[int, int]] | None = None, one_user: int | None = None
) -> tuple[Rights, list[Problem]]:
    accounts = Accounts(
        USERS.get,
        GROUPS.get,
        own=(0, 0) if one_user is None else (one_user, one_user),
        has_one_user=one_user is not None,
    )
    stated: list[ApiRight] = [values.apiauth(line) for line in lines]
    bus_users = frozenset({0, 90})
    return resolve(stated, accounts, path="ha.cf", daemons=daemons or {}, bus_users=bus_users)


def admitted(found: Rights, client: str) -> set[str]:
    return {
        name
        for name, (uid, gid) in CALLERS.items()
        if not found.refusal(client, PID, Caller(uid, gid, PID))
    }


MATRIX: list[tuple[tuple[str, ...], str, set[str]]] = [
    # What holds without a line.
    ((), "cib", {"hacluster"}),
    ((), "crmd", {"hacluster"}),
    ((), "attrd", {"hacluster"}),
    ((), "ccm", {"hacluster"}),
    ((), "ipfail", {"hacluster"}),
    ((), "stonithd", {"root"}),
    ((), "stonith-ng", {"root"}),
    ((), "mgmtd", {"root"}),
    ((), "lha-snmpagent", {"root"}),
    ((), "pingd", {"root", "hacluster"}),
    ((), "ping", {"hacluster", "alice in haclient"}),
    ((), str(PID), {"root", "hacluster", "alice in haclient"}),
    ((), "mine", set()),
    ((), "default", set()),
    ((), "anon", {"root", "hacluster", "alice in haclient"}),
    # A line takes the place of what held without it.
    (("pingd uid=root",), "pingd", {"root"}),
    (("mine uid=alice",), "mine", {"alice", "alice in haclient", "alice in staff"}),
    (("mine gid=staff",), "mine", {"alice in staff"}),
    (("mine uid=root gid=staff",), "mine", {"root", "alice in staff"}),
    (("mine uid=root,hacluster",), "mine", {"root", "hacluster"}),
    (("mine uid=1000",), "mine", {"alice", "alice in haclient", "alice in staff"}),
    (("mine gid=91",), "mine", {"hacluster", "alice in haclient"}),
    (("mine uid=4242",), "mine", set()),
    # Names without a line.
    (("default uid=root",), "mine", {"root"}),
    (("default gid=haclient",), "mine", {"hacluster", "alice in haclient"}),
    (("default gid=haclient",), "crmd", {"hacluster"}),
    (("default uid=root", "mine uid=hacluster"), "mine", {"hacluster"}),
    # Casual clients call themselves by their pid; another's pid is a name like any.
    (("anon uid=hacluster",), str(PID), {"hacluster"}),
    (("default uid=root", "anon gid=staff"), str(PID), {"alice in staff"}),
    (("default uid=root",), str(PID + 1), {"root"}),
]


@pytest.mark.parametrize(
    ("lines", "client", "expected"), MATRIX, ids=[f"{row[1]}: {row[0]}" for row in MATRIX]
)
def test_exactly_the_named_users_and_groups_may_register(
    lines: tuple[str, ...], client: str, expected: set[str]
) -> None:
    assert admitted(rights(*lines), client) == expected


def test_a_caller_with_another_pid_than_it_says_is_refused() -> None:
    assert rights().refusal("crmd", 1, Caller(90, 91, PID)) == "it says that its pid is 1"


def test_a_caller_the_kernel_does_not_name_is_refused() -> None:
    assert rights().refusal("crmd", PID, None) == "the kernel does not say who it is"


def test_a_name_without_a_line_is_refused_in_the_classic_words() -> None:
    reason = rights().refusal("mine", PID, Caller(0, 0, PID))

    assert "no default client auth" in reason and "'mine'" in reason


def test_a_refusal_names_the_line_that_would_have_to_change() -> None:
    found = rights("default uid=root")

    assert "'default'" in found.refusal("mine", PID, Caller(90, 91, PID))
    assert "'crmd'" in found.refusal("crmd", PID, Caller(0, 0, PID))
    assert "'anon'" in found.refusal(str(PID), PID, Caller(1000, 1000, PID))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("mine uid=bob", "user 'bob'"),
        ("mine gid=wheel", "group 'wheel'"),
        ("mine uid=root gid=wheel,staff", "group 'wheel'"),
    ],
)
def test_an_unknown_account_is_an_error(line: str, what: str) -> None:
    _, problems = judged(line)

    assert [problem.code for problem in problems] == ["unknown-account"]
    assert what in problems[0].message and problems[0].hint


def test_a_line_that_keeps_our_own_daemon_out_is_refused() -> None:
    daemons = {"crmd": (90, 91), "mgmtd": (0, 0)}

    assert judged("crmd uid=hacluster", "mgmtd uid=root", daemons=daemons)[1] == []
    assert judged("crmd gid=haclient", daemons=daemons)[1] == []
    _, problems = judged("crmd uid=root", daemons=daemons)
    assert [problem.code for problem in problems] == ["daemon-locked-out"]
    assert problems[0].hint == "add uid=90, or remove the line"


def test_users_who_cannot_reach_the_bus_are_told_of() -> None:
    _, problems = judged("mine uid=alice")
    assert [problem.code for problem in problems] == ["out-of-reach"]
    assert judged("mine uid=alice,root")[1] == []


@pytest.mark.parametrize("client", ["cib", "crmd", "attrd", "stonithd", "mgmtd", "pingd"])
def test_where_everything_runs_as_one_user_the_classic_names_stand_for_it(client: str) -> None:
    lines = ["crmd uid=hacluster", "mgmtd uid=root", "cib gid=haclient"]
    found, problems = judged(*lines, one_user=1000, daemons={client: (1000, 1000)})

    assert problems == []
    assert found.refusal(client, PID, Caller(1000, 1000, PID)) == ""
    assert found.refusal(client, PID, Caller(65534, 65534, PID))


def test_without_a_cluster_user_its_name_stands_for_who_runs_heartbeat() -> None:
    accounts = Accounts({"root": 0}.get, {"root": 0}.get, own=(0, 0), has_one_user=False)
    found, problems = resolve(
        [values.apiauth("ipfail uid=hacluster gid=haclient")],
        accounts,
        path="ha.cf",
        daemons={"crmd": (0, 0)},
        bus_users=frozenset({0}),
    )

    assert problems == []
    assert found.refusal("ipfail", PID, Caller(0, 0, PID)) == ""
    assert found.refusal("crmd", PID, Caller(0, 0, PID)) == ""


def test_in_a_simulation_everybody_is_let_in() -> None:
    assert apiauth.EVERYBODY.refusal("mine", 1, None) == ""
