"""What every agent of ours promises, whatever it does."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from crm.model.outcomes import ExitCode
from crm.plumbing import xml
from lrmd import agents_built_in
from lrmd.agentkit import agent
from lrmd.agentkit.agent import Agent
from lrmd.agents.dummy import Dummy
from lrmd.agents.ipaddr import IPaddr, IPaddr2
from lrmd.agents.webpage import Webpage
from tests.kit.lrmd import act

INSTALLED = Path(agents_built_in.__file__).parent / "agents/installed"
KINDS = sorted(set(agents_built_in.BUILT_IN.values()), key=lambda kind: kind.name)
REQUIRED_ACTIONS = {"start", "stop", "monitor", "validate-all", "meta-data"}

WRONG: list[tuple[type[Agent], dict[str, str]]] = [
    (IPaddr, {}),
    (IPaddr, {"ip": "10.0.0.300"}),
    (IPaddr, {"ip": "10.0.0.3", "cidr_netmask": "33"}),
    (IPaddr, {"ip": "10.0.0.3", "netmask": "255.0.255.0"}),
    (IPaddr, {"ip": "10.0.0.3", "nic": "eth0:web"}),
    (IPaddr, {"ip": "10.0.0.3", "lvs_support": "true"}),
    (IPaddr, {"ip": "10.0.0.3", "ARP_REPEAT": "often"}),
    (IPaddr2, {"ip": "10.0.0.3", "mac": "auto"}),
    (IPaddr2, {"ip": "10.0.0.3", "broadcast": "fe80::1"}),
    (IPaddr2, {"ip": "10.0.0.3", "arp_mac": "ff:ff"}),
    (Webpage, {"port": "0"}),
    (Webpage, {"port": "eighty"}),
    (Webpage, {"ip": "here"}),
    (Dummy, {"op_sleep": "-1"}),
]


def every_file(folder: Path) -> Mapping[str, tuple[float, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_metadata_is_well_formed_and_complete(kind: type[Agent], tmp_path: Path) -> None:
    said = act(kind, "meta-data", tmp_path)
    assert said.code == 0
    root = xml.parse(said.out.encode())
    assert root.get("name") == kind.name
    assert {action.get("name") for action in root.iter("action")} >= REQUIRED_ACTIONS
    names = [parameter.get("name") for parameter in root.iter("parameter")]
    assert names == [parameter.name for parameter in kind.parameters]
    for parameter in root.iter("parameter"):
        assert parameter.find("content") is not None
        for text in ("shortdesc", "longdesc"):
            element = parameter.find(text)
            assert element is not None and element.text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_unknown_action_is_refused_with_usage(kind: type[Agent], tmp_path: Path) -> None:
    said = act(kind, "dance", tmp_path, {"ip": "10.0.0.3"})
    assert said.code == ExitCode.UNIMPLEMENTED
    assert "dance" in said.reason
    assert "usage:" in said.errors


@pytest.mark.parametrize(("kind", "parameters"), WRONG)
def test_wrong_parameters_are_refused_with_a_reason_that_names_them(
    kind: type[Agent], parameters: dict[str, str], tmp_path: Path
) -> None:
    for action in ("validate-all", "start", "monitor"):
        said = act(kind, action, tmp_path, parameters)
        assert said.code == ExitCode.NOT_CONFIGURED, action
        name = list(parameters)[-1] if parameters else "ip"
        value = parameters.get(name, "required")
        assert value in said.reason or name in said.reason
    assert act(kind, "stop", tmp_path, parameters).code == 0


@pytest.mark.parametrize("kind", [Dummy, Webpage], ids=lambda kind: kind.name)
def test_actions_are_idempotent_and_monitor_changes_nothing(
    kind: type[Agent], tmp_path: Path, free_port: int
) -> None:
    parameters = {"port": str(free_port), "ip": "127.0.0.1"}

    def codes(*actions: str) -> list[int]:
        return [act(kind, action, tmp_path, parameters).code for action in actions]

    try:
        assert codes("monitor", "stop", "monitor") == [7, 0, 7]
        assert codes("start", "start", "monitor") == [0, 0, 0]
        before = every_file(tmp_path)
        assert codes("monitor", "status", "validate-all") == [0, 0, 0]
        assert every_file(tmp_path) == before
    finally:
        assert codes("stop", "stop", "monitor") == [0, 0, 7]


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("heartbeat", "IPaddr"),
        ("heartbeat", "IPaddr2"),
        ("pacekeeper", "Dummy"),
        ("pacekeeper", "webpage"),
    ],
)
def test_each_agent_also_runs_from_a_shell(provider: str, name: str, tmp_path: Path) -> None:
    program = INSTALLED / provider / name
    assert os.access(program, os.X_OK)
    kind = agents_built_in.BUILT_IN[provider, name]
    environment = {"PATH": os.environ["PATH"], "HA_RSCTMP": str(tmp_path)}
    said = subprocess.run([program, "meta-data"], env=environment, capture_output=True, check=True)
    assert said.stdout == agent.describe(kind)
    said = subprocess.run([program], env=environment, capture_output=True, check=False)
    assert said.returncode == ExitCode.INVALID_PARAMETER
    assert b"usage:" in said.stdout


def test_a_dummy_fails_to_start_where_it_is_told_to(tmp_path: Path) -> None:
    said = act(Dummy, "start", tmp_path, {"fail_start_on": "litsha23 Litsha21"})
    assert said.code == ExitCode.ERROR
    assert "litsha21" in said.reason


def test_a_page_names_its_node_and_a_taken_port_is_a_reason(tmp_path: Path, free_port: int) -> None:
    parameters = {"port": str(free_port), "ip": "127.0.0.1", "text": "a < b"}
    other = tmp_path / "other"
    try:
        assert act(Webpage, "start", tmp_path, parameters).code == 0
        page = fetch(free_port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"X-Pacekeeper-Node: litsha21\r\n" in page
        assert b"This is node litsha21" in page
        assert b"a &lt; b" in page
        assert fetch(free_port, b"HEAD / HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n")
        assert b" 405 " in fetch(free_port, b"PUT / HTTP/1.0\r\n\r\n")
        refused = act(Webpage, "start", other, parameters)
        assert refused.code == ExitCode.ERROR
        assert str(free_port) in refused.reason
        assert act(Webpage, "monitor", other, parameters).code == 7
    finally:
        act(Webpage, "stop", tmp_path, parameters)


def fetch(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(4096):
            answer += data
    return answer
