"""The scaffold of daemons, in real processes: they answer, stop in order, and die with a bug."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm.plumbing.daemon import parse_options
from crm.plumbing.nursery import Nursery

CHILDREN = "tests.unit.crm.plumbing.daemon_children"


def end_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery.start(["crm.plumbing.daemon"])
    yield nursery
    nursery.close()
    assert end_of(nursery.pid) == 0


@pytest.fixture
def doubler(nursery: Nursery, tmp_path: Path) -> int:
    argv = ["--root", str(tmp_path), "--node", "Litsha21"]
    return nursery.spawn(f"{CHILDREN}:doubler", argv, name="doubler")


def ask(nursery: Nursery, root: Path, number: int) -> int:
    argv = ["--root", str(root), "--node", "litsha21", str(number)]
    return nursery.spawn(f"{CHILDREN}:asker", argv, name="asker")


def test_daemons_talk_and_stop_in_order(nursery: Nursery, doubler: int, tmp_path: Path) -> None:
    assert end_of(ask(nursery, tmp_path, 21)) == 42
    os.kill(doubler, signal.SIGTERM)
    assert end_of(doubler) == 0
    lines = (tmp_path / "var/log/ha-log").read_text().splitlines()
    shown = [line.partition("litsha21 ")[2] for line in lines]
    assert f"doubler: [{doubler}]: info: doubling 21" in shown
    assert shown[-1] == f"doubler: [{doubler}]: info: stopping in order"


def test_a_bug_ends_the_daemon_with_70_and_a_black_box(
    nursery: Nursery, doubler: int, tmp_path: Path
) -> None:
    waiting = ask(nursery, tmp_path, -1)
    assert end_of(doubler) == 70
    box = tmp_path / f"var/log/pacekeeper/blackbox-doubler-{doubler}.txt"
    text = box.read_text()
    assert "# ValueError: negative" in text
    assert "> MessageArrived('asker', Double(number=-1))" in text
    assert box.stat().st_mode & 0o777 == 0o600
    os.kill(waiting, signal.SIGTERM)
    assert end_of(waiting) == 0


def test_a_bug_in_a_thread_ends_the_daemon_as_well(nursery: Nursery, tmp_path: Path) -> None:
    pid = nursery.spawn(f"{CHILDREN}:stumbler", ["--root", str(tmp_path)], name="stumbler")
    assert end_of(pid) == 70
    box = tmp_path / f"var/log/pacekeeper/blackbox-stumbler-{pid}.txt"
    assert "# ValueError: stumbled" in box.read_text()


def test_a_second_daemon_of_the_same_name_says_so_and_ends(
    nursery: Nursery, doubler: int, tmp_path: Path
) -> None:
    assert end_of(ask(nursery, tmp_path, 1)) == 2
    second = nursery.spawn(f"{CHILDREN}:doubler", ["--root", str(tmp_path)], name="doubler")
    assert end_of(second) == 1
    assert "another 'doubler' runs already" in (tmp_path / "var/log/ha-log").read_text()
    assert end_of(ask(nursery, tmp_path, 2)) == 4
    os.kill(doubler, signal.SIGTERM)
    assert end_of(doubler) == 0


def test_options_are_read_and_the_rest_is_kept() -> None:
    options = parse_options(
        "pingd", ["-m", "100", "--root=/tmp/x", "--node", "LITSHA21", "-d", "5"]
    )
    assert options.root == Path("/tmp/x")
    assert options.node == "litsha21"
    assert options.extra == ["-m", "100", "-d", "5"]


def test_an_option_without_its_value_is_refused() -> None:
    with pytest.raises(SystemExit) as refusal:
        parse_options("cib", ["--root"])
    assert refusal.value.code == 64
