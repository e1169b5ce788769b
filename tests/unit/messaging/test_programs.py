"""What heartbeat starts: our own daemons, and what the respawn lines name."""

from __future__ import annotations

import pytest

from crm.plumbing.errors import Problem, Severity
from messaging import programs
from messaging.ha_cf import reading as ha_cf
from messaging.programs import Program

BASE = "keepalive 1\ndeadtime 10\nbcast eth1\nnode n1\ncrm yes\nlogfacility daemon\n"
PLACE = ("--root", "/", "--node", "n1")


def of_lines(*lines: str, files: tuple[str, ...] = ()) -> tuple[list[Program], list[Problem]]:
    settings, problems = ha_cf.read(BASE + "\n".join(lines) + "\n", node="n1")
    assert settings is not None, problems
    return programs.from_respawn_lines(
        settings,
        PLACE,
        path="ha.cf",
        is_executable=files.__contains__,
        is_user=("root", "nobody").__contains__,
    )


def test_our_daemons_start_in_this_order_and_the_node_cannot_do_without() -> None:
    own = programs.own_daemons(PLACE)
    names = [program.plan.name for program in own]
    assert names == ["cib", "stonithd", "lrmd", "attrd", "pengine", "crmd", "mgmtd"]
    assert all(program.plan.is_vital and program.argv == PLACE for program in own)


def test_only_what_touches_the_system_runs_as_heartbeat_itself() -> None:
    own = {program.plan.name: program.user for program in programs.own_daemons(PLACE)}
    assert sorted(name for name, user in own.items() if not user) == ["lrmd", "mgmtd", "stonithd"]


def test_a_program_that_is_installed_is_run_as_written() -> None:
    (program,), problems = of_lines(
        'respawn nobody /opt/watch -a "two words"', files=("/opt/watch",)
    )
    assert problems == []
    assert (program.argv, program.entry) == (("/opt/watch", "-a", "two words"), "")
    assert (program.user, program.plan.is_failfast, program.plan.is_vital) == (
        "nobody",
        False,
        False,
    )


def test_pingd_of_the_tutorial_is_ours_when_its_path_does_not_exist() -> None:
    line = "respawn hacluster /usr/lib/heartbeat/pingd -m 100 -d 5s -a pingd"
    (program,), problems = of_lines(line)
    assert problems == []
    assert program.entry == "messaging.pingd:main"
    assert program.argv == (*PLACE, "-m", "100", "-d", "5s", "-a", "pingd")
    assert program.user == "hacluster"


def test_a_pingd_that_is_installed_goes_before_ours() -> None:
    path = "/usr/lib/heartbeat/pingd"
    (program,), _ = of_lines(f"respawn root {path} -m 1", files=(path,))
    assert program.entry == ""


def test_two_lines_of_one_program_have_two_names() -> None:
    line = "respawn root /opt/watch"
    found, _ = of_lines(line, line, files=("/opt/watch",))
    assert len({program.plan.name for program in found}) == 2


@pytest.mark.parametrize(
    ("line", "code", "severity"),
    [
        ("respawn root /usr/lib/heartbeat/mgmtd -v", "started-anyway", Severity.WARNING),
        ("respawn root /usr/lib/heartbeat/ccm", "started-anyway", Severity.WARNING),
        ("respawn hacluster /usr/lib/heartbeat/ipfail", "not-needed", Severity.WARNING),
        ("respawn stranger /opt/watch", "unknown-user", Severity.ERROR),
        ("respawn root /opt/gone", "no-program", Severity.ERROR),
        ('respawn root /opt/watch "half a quote', "bad-value", Severity.ERROR),
    ],
)
def test_a_line_that_starts_nothing_says_why(line: str, code: str, severity: Severity) -> None:
    found, (problem,) = of_lines(line, files=("/opt/watch",))
    assert found == []
    assert (problem.code, problem.severity) == (code, severity)
    assert problem.message.startswith("ha.cf:7:"), "the line is named"
