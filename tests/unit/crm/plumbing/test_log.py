"""The look of log lines, and which file gets which."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm.plumbing import log
from crm.plumbing.log import LogTargets
from crm.plumbing.machine import NOTICE, debug, error, info, notice, warn


@pytest.fixture(autouse=True)
def _no_handler_is_left() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [each for each in root.handlers if isinstance(each, log.HaHandler)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def texts(path: Path) -> list[str]:
    return [line.split(" litsha21 ")[1] for line in path.read_text().splitlines()]


def test_a_line_looks_as_heartbeats_did() -> None:
    os.environ["TZ"] = "UTC"
    line = log.line(1168948820.9, "litsha21", "heartbeat", 3057, logging.WARNING, "node a: is dead")
    assert line == "Jan 16 12:00:20 litsha21 heartbeat: [3057]: WARN: node a: is dead"


@pytest.mark.parametrize(
    ("level", "word"),
    [
        (logging.CRITICAL, "CRIT"),
        (logging.ERROR, "ERROR"),
        (logging.WARNING, "WARN"),
        (NOTICE, "notice"),
        (logging.INFO, "info"),
        (logging.DEBUG, "debug"),
    ],
)
def test_level_words_are_upper_case_from_warn_upwards(level: int, word: str) -> None:
    assert log.level_word(level) == word


def test_debug_lines_go_to_the_debug_file_only(tmp_path: Path) -> None:
    targets = LogTargets(str(tmp_path / "ha-log"), str(tmp_path / "ha-debug"), node="litsha21")
    handler = log.configure(targets, "crmd")
    log.note(debug("ccm", "quorum plugin: majority"))
    log.note(info("crmd", "hello"))
    logging.getLogger("crm.plumbing.ipc").warning("lost %s", "cib")
    handler.close()
    pid = os.getpid()
    later = [f"crmd: [{pid}]: info: hello", f"crmd: [{pid}]: WARN: lost cib"]
    assert texts(tmp_path / "ha-log") == later
    expected = [f"ccm: [{pid}]: debug: quorum plugin: majority", *later]
    assert texts(tmp_path / "ha-debug") == expected


def test_without_a_debug_file_debug_is_off_until_asked_for(tmp_path: Path) -> None:
    for level, count in ((0, 2), (1, 3)):
        path = tmp_path / str(level)
        handler = log.configure(LogTargets(str(path), node="litsha21", debug_level=level), "crmd")
        for note in (debug("crmd", "a"), notice("crmd", "b"), error("crmd", "c")):
            log.note(note)
        handler.close()
        assert len(texts(path)) == count


def test_a_rotated_file_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "ha-log"
    outlet = log._Outlet(LogTargets(str(path), node="litsha21"))
    outlet.write([(logging.INFO, "one", "one")])
    path.rename(tmp_path / "ha-log.1")
    outlet.write([(logging.INFO, "two", "two")])
    outlet.close()
    assert path.read_text() == "two\n"
    assert (tmp_path / "ha-log.1").read_text() == "one\n"


def test_what_is_queued_is_written_at_the_end_without_gathering_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "GATHERING_S", 60.0)
    monkeypatch.setattr(log, "BATCH_LINES", 2)
    path = tmp_path / "ha-log"
    handler = log.configure(LogTargets(str(path), node="litsha21"), "crmd")
    for number in range(20):
        log.note(info("crmd", f"line {number}"))
    handler.close()
    written = [text.rpartition(": ")[2] for text in texts(path)]
    assert written == [f"line {number}" for number in range(20)]


def test_a_line_break_in_a_text_cannot_forge_a_line(tmp_path: Path) -> None:
    handler = log.configure(LogTargets(str(tmp_path / "log"), node="litsha21"), "crmd")
    log.note(warn("crmd", "one\nJan 16 forged"))
    handler.close()
    assert len(texts(tmp_path / "log")) == 1


def test_targets_survive_the_way_through_the_environment(tmp_path: Path) -> None:
    targets = LogTargets("/var/log/a", "/var/log/b", "local7", 1, "litsha21")
    default = tmp_path / "ha-log"
    environment = log.environment_of(targets)
    assert log.targets_from_environment(environment, default, "litsha21") == targets
    assert log.targets_from_environment({}, default, "n") == LogTargets(str(default), node="n")


def test_facilities_are_those_of_syslog() -> None:
    assert log.is_facility("local0")
    assert log.is_facility("daemon")
    assert not log.is_facility("none")
