"""How long hostile documents keep us busy, and how much memory they cost, until they are refused.

    ./run bench hostile [--only WORDS]

Each document of `tests/kit/hostile.py` is read in a process of its own: `parse` is the parser
with its limits, `judge` what crm_verify does with what is not refused (upgrade, grammar, all
semantic checks). Memory is what the process grew by at most, over what the document itself takes.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Mapping

from cli.tools import crm_verify
from crm.cib import schema
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError
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


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="only documents whose name has these words")
    only = parser.parse_args().only
    schema.check(xml.parse(hostile.cib()))  # compiles the grammar, once for all children
    _table("parse: to be refused", hostile.REFUSED, only, judge=False)
    _table("judge: within all limits", hostile.STRANGE, only, judge=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
