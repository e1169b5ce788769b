"""Durable files, pid files, and the paths below a root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crm.plumbing import atomicfile, process
from crm.plumbing.settings import Paths


def test_a_durable_file_has_its_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "cib.xml"
    atomicfile.write_durably(path, b"old")
    atomicfile.write_durably(path, b"new", mode=0o644)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "cib.xml"
    path.mkdir()
    (path / "occupied").touch()
    with pytest.raises(OSError, match=r"cib\.xml"):
        atomicfile.write_durably(path, b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    link = tmp_path / "cib.xml"
    link.symlink_to(victim)
    atomicfile.write_durably(link, b"new")
    assert victim.read_bytes() == b"mine"
    assert not link.is_symlink()


def test_a_pid_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "run" / "heartbeat.pid"
    process.write_pid_file(path, 42)
    assert path.read_text() == "        42\n"
    assert process.read_pid_file(path) == 42


@pytest.mark.parametrize("text", ["", "none", "-3", "4 2"])
def test_a_pid_file_without_a_number_names_nobody(tmp_path: Path, text: str) -> None:
    path = tmp_path / "heartbeat.pid"
    assert process.read_pid_file(path) is None
    path.write_text(text)
    assert process.read_pid_file(path) is None


def test_a_zombie_does_not_count_as_running() -> None:
    assert process.is_running(os.getpid())
    assert not process.is_running(0)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not process.is_running(child)
    os.waitpid(child, 0)
    assert not process.is_running(child)


def test_everything_lies_below_the_root() -> None:
    paths = Paths(Path("/tmp/node1"))
    for name in (each for each in dir(Paths) if isinstance(getattr(Paths, each), property)):
        assert getattr(paths, name).is_relative_to("/tmp/node1"), name
    assert paths.below("/var/log/ha-log") == paths.ha_log
