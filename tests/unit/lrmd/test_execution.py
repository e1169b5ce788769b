from __future__ import annotations

import errno
from pathlib import Path

import pytest

from crm.api.lrm import ResourceAgent
from crm.model.outcomes import OperationStatus
from lrmd import execution
from lrmd.catalog import Location
from lrmd.commands import Command, RunEnded
from lrmd.operations import AgentEnded, StartAgent
from lrmd.surroundings import Surroundings


def start(agent: ResourceAgent, operation: str = "monitor", **more: object) -> StartAgent:
    fields: dict[str, object] = {
        "run": 1,
        "resource": "web:0",
        "agent": agent,
        "operation": operation,
        "parameters": {},
        "meta": {},
        "interval_ms": 0,
        "timeout_ms": 20_000,
    }
    return StartAgent(**(fields | more))  # type: ignore[arg-type]  # named by the caller


@pytest.fixture
def here(tmp_path: Path) -> Surroundings:
    for folder, name in (("etc/init.d", "httpd"), ("etc/ha.d/resource.d", "floatip")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_text("#!/bin/sh\n")
        (tmp_path / folder / name).chmod(0o755)
    return Surroundings(tmp_path, "litsha21")


def planned(asked: StartAgent, here: Surroundings) -> Command:
    answer = execution.plan(asked, here)
    assert not isinstance(answer, AgentEnded)
    return answer[1]


def judged(agent: ResourceAgent, operation: str, ended: RunEnded) -> AgentEnded:
    standard = "ocf" if agent.agent_class == "ocf" else agent.agent_class
    location = Location(standard, Path("/etc/init.d/httpd"))
    return execution.verdict(start(agent, operation), location, ended)


OCF = ResourceAgent("ocf", "IPaddr2", "heartbeat")
LSB = ResourceAgent("lsb", "httpd")
SCRIPT = ResourceAgent("heartbeat", "floatip")
UNIT = ResourceAgent("systemd", "nginx")


def test_an_ocf_agent_finds_everything_in_its_environment(here: Surroundings) -> None:
    command = planned(
        start(
            OCF,
            "start",
            parameters={"ip": "10.0.0.1", "OCF_CHECK_LEVEL": "10"},
            meta={"timeout": "20s", "clone-max": "2", "CRM_meta_notify": "true"},
            interval_ms=5000,
        ),
        here,
    )
    assert (command.argv, command.built_in) == (("start",), "heartbeat/IPaddr2")
    expected = {
        "OCF_ROOT": "/usr/lib/ocf",
        "OCF_RESOURCE_INSTANCE": "web:0",
        "OCF_RESOURCE_TYPE": "IPaddr2",
        "OCF_RESOURCE_PROVIDER": "heartbeat",
        "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RESKEY_ip": "10.0.0.1",
        "OCF_RESKEY_CRM_meta_timeout": "20000",
        "OCF_RESKEY_CRM_meta_interval": "5000",
        "OCF_RESKEY_CRM_meta_name": "start",
        "OCF_RESKEY_CRM_meta_clone_max": "2",
        "OCF_RESKEY_CRM_meta_notify": "true",
        "OCF_RESKEY_CRM_meta_on_node": "litsha21",
        "OCF_CHECK_LEVEL": "10",
        "HA_CURHOST": "litsha21",
        "HA_RSCTMP": str(here.root / "run/resource-agents"),
    }
    assert {name: command.environment.get(name) for name in expected} == expected


def test_nothing_of_our_own_environment_reaches_an_agent(
    here: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACEKEEPER_SECRET", "x")
    assert "PACEKEEPER_SECRET" not in planned(start(OCF), here).environment


def test_an_init_script_is_asked_for_its_status(here: Surroundings) -> None:
    command = planned(start(LSB), here)
    assert command.argv == (str(here.root / "etc/init.d/httpd"), "status")


def test_a_resource_script_gets_its_arguments_before_the_action(here: Surroundings) -> None:
    command = planned(start(SCRIPT, "stop", parameters={"10": "z", "2": "b", "1": "a"}), here)
    assert command.argv[1:] == ("a", "b", "z", "stop")


def test_an_action_a_class_does_not_have_is_refused(here: Surroundings) -> None:
    answer = execution.plan(start(LSB, "promote"), here)
    assert isinstance(answer, AgentEnded)
    assert (answer.rc, answer.status) == (3, OperationStatus.NOT_SUPPORTED)
    assert "promote" in answer.exit_reason


def test_an_agent_this_node_lacks_is_not_installed(here: Surroundings) -> None:
    answer = execution.plan(start(ResourceAgent("ocf", "db", "mine")), here)
    assert isinstance(answer, AgentEnded)
    assert (answer.rc, answer.status) == (5, OperationStatus.NOT_INSTALLED)
    assert "resource.d/mine/db" in answer.exit_reason


def test_an_unsafe_agent_is_refused_for_lack_of_rights(here: Surroundings) -> None:
    (here.root / "etc/init.d/httpd").chmod(0o777)
    answer = execution.plan(start(LSB, "start"), here)
    assert isinstance(answer, AgentEnded)
    assert (answer.rc, answer.status) == (4, OperationStatus.ERROR)


def test_a_fencing_device_never_runs_here(here: Surroundings) -> None:
    device = ResourceAgent("stonith", "fence_virsh")
    codes = {}
    for operation in ("monitor", "start", "stop"):
        answer = execution.plan(start(device, operation), here)
        assert isinstance(answer, AgentEnded)
        codes[operation] = answer.rc
    assert codes == {"monitor": 7, "start": 3, "stop": 0}


@pytest.mark.parametrize(
    ("operation", "code", "rc"),
    [
        ("monitor", 0, 0),
        ("monitor", 1, 7),
        ("monitor", 2, 7),
        ("monitor", 3, 7),
        ("monitor", 4, 1),
        ("monitor", 150, 5),
        ("monitor", 77, 1),
        ("start", 0, 0),
        ("start", 5, 5),
        ("start", 6, 6),
        ("start", 200, 1),
        ("stop", 0, 0),
        ("stop", 7, 0),
        ("stop", 1, 1),
    ],
)
def test_lsb_codes_become_ocf_codes(operation: str, code: int, rc: int) -> None:
    assert judged(LSB, operation, RunEnded(1, exit_code=code)).rc == rc


@pytest.mark.parametrize(
    ("text", "code", "rc"),
    [
        (b"INFO:  Running OK\n", 3, 0),
        (b"httpd (pid 1) is running...\n", 1, 0),
        (b"is Not Running\n", 0, 7),
        (b"INFO:  Resource is stopped\n", 0, 7),
        (b"", 0, 7),
    ],
)
def test_a_resource_script_is_judged_by_its_text(text: bytes, code: int, rc: int) -> None:
    assert judged(SCRIPT, "monitor", RunEnded(1, exit_code=code, output=text)).rc == rc


@pytest.mark.parametrize(
    ("text", "rc"),
    [(b"active\n", 0), (b"inactive\n", 7), (b"failed\n", 7), (b"activating\n", 1), (b"", 7)],
)
def test_a_unit_is_judged_by_its_state(text: bytes, rc: int) -> None:
    assert judged(UNIT, "monitor", RunEnded(1, exit_code=3, output=text)).rc == rc


def test_ocf_codes_and_broken_text_pass_through() -> None:
    answer = judged(OCF, "monitor", RunEnded(1, exit_code=190, output=b"\xff\xfe"))
    assert (answer.rc, answer.status, answer.output) == (190, OperationStatus.DONE, "\ufffd\ufffd")


@pytest.mark.parametrize(
    ("ended", "rc", "status", "word"),
    [
        (RunEnded(1, signal=11), 1, OperationStatus.ERROR, "SIGSEGV"),
        (RunEnded(1, failure=errno.ENOENT), 5, OperationStatus.NOT_INSTALLED, "interpreter"),
        (RunEnded(1, failure=errno.EACCES), 4, OperationStatus.ERROR, "permission"),
        (RunEnded(1, failure=errno.EAGAIN), 1, OperationStatus.ERROR, "temporarily"),
        (RunEnded(1, failure=errno.EPIPE), 1, OperationStatus.ERROR, "died"),
    ],
)
def test_an_end_without_an_exit_code_has_a_reason(
    ended: RunEnded, rc: int, status: OperationStatus, word: str
) -> None:
    answer = judged(LSB, "start", ended)
    assert (answer.rc, answer.status) == (rc, status)
    assert word in answer.exit_reason
