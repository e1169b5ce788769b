"""Hostile documents through the gate of a running node: refused, and the daemons do not notice.

How long each takes is printed by `./run bench hostile --gate`; here it is only asserted what
happens to the documents and to the daemons.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.lab.evidence import await_answer
from cli.lab.plan import make_plan
from cli.lab.remote import Lab
from crm.api import cib as api
from crm.api import gate, gateclient
from crm.plumbing.errors import LocalProtocolError
from tests.durability import faults
from tests.kit import gate_frames, hostile

pytestmark = pytest.mark.system

_NODE = "node1"
_DAEMONS = ("heartbeat", "cib", "crmd", "attrd", "mgmtd")
_MOST_GROWN_KIB = 600 * 1024
"""A frame is at most 32 MiB, stands several times in a daemon while it is handed on, and the tree
that is made of it before it is refused takes some times as much."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab.up(make_plan(1, with_router=False), tmp_path_factory.mktemp("hostile") / "lab")
    try:
        made.start()
        await_answer(
            made, _NODE, ["crm_mon", "-1"], lambda text: "Online: [ node1 ]" in text, limit_s=30.0
        )
        yield made
    finally:
        made.down()


def _daemons(lab: Lab) -> dict[int, str]:
    """Name the processes of the node by their pids."""
    running = faults.processes(lab, _NODE)
    return {pid: name for pid, name in running.items() if name in _DAEMONS}


def _peak_kib(pid: int) -> int:
    """Read how much memory a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


def _write(session: gateclient.Session, value: int) -> api.Outcome:
    pair = f'<nvpair id="h-v" name="pe-input-series-max" value="{4000 + value}"/>'
    text = f'<cluster_property_set id="h">{pair}</cluster_property_set>'
    step = api.XmlOperation(
        api.XmlTask.MODIFY, text.encode(), section="crm_config", may_create=True
    )
    return _ask(session, step).outcome


def _ask(session: gateclient.Session, step: api.XmlOperation) -> api.ChangeReply:
    reply = session.ask(api.SERVICE, api.Change(0, (step,), api.Origin("test")), timeout_s=60)
    assert isinstance(reply, api.ChangeReply)
    return reply


def _is_told_to_be_too_large(root: Path, size: int) -> bool:
    """Announce a frame that is too large, and begin to send it, as no client of ours would."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(str(root / gate.SOCKET))
        gate_frames.send(stream, gate.Greeting(protocol=gate.PROTOCOL, name="hostile"))
        assert isinstance(gate_frames.read(stream), gate.Greeting)
        stream.sendall(struct.pack("!I", size) + b"x" * 1000)
        refusal = gate_frames.read(stream)
        return isinstance(refusal, gate.Refusal) and "exceeds" in refusal.message


def test_every_hostile_document_is_refused_and_the_daemons_are_unharmed(lab: Lab) -> None:
    before = _daemons(lab)
    assert sorted(before.values()) == sorted(_DAEMONS)
    grown_from = {pid: _peak_kib(pid) for pid in before}
    with gateclient.connect(lab.root(_NODE), name="test") as session:
        for number, (name, make) in enumerate(hostile.REFUSED.items()):
            data = make()
            for task in (api.XmlTask.CREATE, api.XmlTask.REPLACE):
                step = api.XmlOperation(task, data, section="resources")
                try:
                    reply = _ask(session, step)
                except LocalProtocolError:
                    assert len(data) > gate.MAX_FRAME_BYTES - 1000, name
                    assert _is_told_to_be_too_large(lab.root(_NODE), len(data)), name
                    continue
                wanted = {api.Outcome.INVALID_XML} if data else {api.Outcome.NO_DATA}
                assert {reply.outcome} == wanted, name
                assert reply.findings, name
                assert reply.findings[0].message, name
                assert reply.findings[0].hint, name
            assert _write(session, number) is api.Outcome.OK, f"after {name}"
    assert _daemons(lab) == before
    grown = {before[pid]: _peak_kib(pid) - grown_from[pid] for pid in before}
    assert all(kib < _MOST_GROWN_KIB for kib in grown.values()), grown


@pytest.mark.parametrize("xpath", ["//*[" * 4_000, "//*[//*[//*]]", "//*//*//*", "\x01", "/" * 900])
def test_no_xpath_harms_the_daemons(lab: Lab, xpath: str) -> None:
    before = _daemons(lab)
    with gateclient.connect(lab.root(_NODE), name="test") as session:
        try:
            reply = session.ask(api.SERVICE, api.Query(0, xpath=xpath))
            assert isinstance(reply, api.QueryReply)
            assert reply.outcome is not api.Outcome.NOT_READY
        except gateclient.Denied as refusal:
            assert "U+0001" in str(refusal)
        assert _write(session, 500) is api.Outcome.OK
    assert _daemons(lab) == before


@pytest.mark.parametrize(
    "name", ["bomb of entities", "external entity", "300000 attributes", "depth of 10000", "UTF-16"]
)
def test_cibadmin_says_what_is_wrong_with_a_hostile_file(
    lab: Lab, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "hostile.xml"
    path.write_bytes(hostile.REFUSED[name]())
    done = lab.run(_NODE, "cibadmin", "--replace", "--xml-file", str(path))
    assert done.returncode not in (0, None)
    assert 0 < len(done.stderr) < 2_000
    assert "Traceback" not in done.stderr
    assert lab.run(_NODE, "cibadmin", "--query", "--scope", "resources").returncode == 0
