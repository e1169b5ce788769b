"""How long hostile documents keep us busy, and how much memory they cost, until they are refused.

    ./run bench hostile [--only WORDS] [--gate]

Each document of `tests/kit/hostile.py` is read in a process of its own: `parse` is the parser
with its limits, `judge` what crm_verify does with what is not refused (upgrade, grammar, all
semantic checks). Memory is what the process grew by at most, over what the document itself takes.

With `--gate` each document is sent to the gate of a running node instead (a lab of one node), to
be created there: the time until it is refused, then what memory `mgmtd` and `cib` have and ever
had, and what a write right behind it takes.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from cli.lab.evidence import await_answer
from cli.lab.plan import make_plan
from cli.lab.remote import Lab
from cli.tools import crm_verify
from crm.api import cib as api
from crm.api import gateclient
from crm.cib import schema
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError, LocalProtocolError
from tests.durability import faults
from tests.kit import hostile


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _measure(make: hostile.Maker, *, judge: bool) -> str:
    data = make()
    before = _peak_kib()
    began = time.perf_counter()
    try:
        if judge:
            problems = crm_verify.judge(data).problems
            ended = f"{len(problems)} findings"
        else:
            xml.parse(data)
            ended = "NOT REFUSED"
    except ConfigurationError as refusal:
        ended = refusal.problems[0].code
    took_ms = (time.perf_counter() - began) * 1000
    grown_mib = max(0, _peak_kib() - before) / 1024
    return f"{len(data) / 1e6:9.2f} {took_ms:9.1f} {grown_mib:9.1f}  {ended}"


def _in_a_process(make: hostile.Maker, *, judge: bool) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.write(writing, _measure(make, judge=judge).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return told or f"ended with status {status}"


def _table(title: str, made: Mapping[str, hostile.Maker], only: str, *, judge: bool) -> None:
    print(f"{title:34}        MB        ms       MiB")
    for name, make in made.items():
        if only in name:
            print(f"{name:34} {_in_a_process(make, judge=judge)}", flush=True)


def _change(session: gateclient.Session, step: api.XmlOperation) -> str:
    """Ask for a change; gives how it ended and how long that took."""
    began = time.perf_counter()
    try:
        reply = session.ask(api.SERVICE, api.Change(0, (step,), api.Origin("bench")), timeout_s=60)
        assert isinstance(reply, api.ChangeReply), f"unexpected answer {reply!r}"
        codes = ", ".join(finding.code for finding in reply.findings)
        ended = codes or reply.outcome.name
    except LocalProtocolError:
        ended = "not sent: longer than a frame"
    return f"{(time.perf_counter() - began) * 1000:9.1f}  {ended}"


def _memory(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith("Vm")}
    return f"{found['VmRSS:'] / 1024:6.0f} {found['VmHWM:'] / 1024:6.0f}"


def _at_the_gate(lab: Lab, only: str) -> None:
    pids = {name: pid for pid, name in faults.processes(lab, "node1").items()}
    print(f"{'at the gate':34}        MB   mgmtd MiB, most   cib MiB, most  write ms        ms")
    with gateclient.connect(lab.root("node1"), name="bench") as session:
        for number, (name, make) in enumerate(hostile.REFUSED.items()):
            if only not in name:
                continue
            data = make()
            ended = _change(session, api.XmlOperation(api.XmlTask.CREATE, data, "resources"))
            value = f'<nvpair id="h-v" name="pe-input-series-max" value="{4000 + number}"/>'
            text = f'<cluster_property_set id="h">{value}</cluster_property_set>'.encode()
            task = api.XmlTask.MODIFY
            step = api.XmlOperation(task, text, section="crm_config", may_create=True)
            write_ms = _change(session, step).split()[0]
            memory = f"{_memory(pids['mgmtd'])}   {_memory(pids['cib'])}"
            print(f"{name:34} {len(data) / 1e6:9.2f}   {memory} {write_ms:>9} {ended}", flush=True)


def _with_a_lab(only: str) -> None:
    with tempfile.TemporaryDirectory(prefix="pacekeeper-bench-") as directory:
        lab = Lab.up(make_plan(1, with_router=False), Path(directory) / "lab")
        try:
            lab.start()
            wanted = "Online: [ node1 ]"
            await_answer(lab, "node1", ["crm_mon", "-1"], lambda text: wanted in text, limit_s=60)
            _at_the_gate(lab, only)
        finally:
            lab.down()


def main() -> int:
    """Print both tables, or what happens at the gate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only documents whose name has these words")
    parser.add_argument("--gate", action="store_true", help="send them to a running node")
    options = parser.parse_args()
    only = options.only
    if options.gate:
        _with_a_lab(only)
        return 0
    schema.check(xml.parse(hostile.cib()))  # compiles the grammar, once for all children
    _table("parse: to be refused", hostile.REFUSED, only, judge=False)
    _table("judge: within all limits", hostile.STRANGE, only, judge=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
