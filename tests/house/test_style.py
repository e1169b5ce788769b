"""What a machine can judge of the house style: imports, banned names and calls, docstrings."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PACKAGES = ("crm", "pengine", "lrmd", "messaging", "cli")

PURE = (
    "crm/model",
    "crm/api",
    "crm/plumbing/machine.py",
    "crm/plumbing/durations.py",
    "crm/plumbing/errors.py",
    "crm/plumbing/codec.py",
    "crm/cib/replica.py",
    "crm/cib/operations.py",
    "crm/cib/document.py",
    "crm/cib/patch.py",
    "crm/controller",
    "crm/attrd",
    "crm/fencing",
    "lrmd/operations.py",
    "lrmd/resources.py",
    "lrmd/results.py",
    "messaging/apiauth.py",
    "messaging/auth.py",
    "messaging/ccm.py",
    "messaging/clients.py",
    "messaging/core.py",
    "messaging/delivery.py",
    "messaging/events.py",
    "messaging/frame.py",
    "messaging/links.py",
    "messaging/nodelist.py",
    "messaging/outrun.py",
    "messaging/pacing.py",
    "messaging/pings.py",
    "messaging/pulse.py",
    "messaging/quorum.py",
    "messaging/rotation.py",
    "messaging/verdict.py",
    "pengine",
)
"""Machines, the words of the domain, and the scheduler (house style section 4, rule 6)."""

SHELLS = ("daemon.py", "archive.py", "gateclient.py")
"""Files inside the folders above that are no cores."""

IMPURE = {
    "asyncio",
    "multiprocessing",
    "random",
    "select",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
    "zmq",
}

BANNED_NAMES = {"utils", "helpers", "common", "misc", "manager", "base"}

CATCH_ALL = ("crm/plumbing/runner.py", "cli/main.py", "cli/tools", "lrmd")
"""Where `except Exception` may stand: the runner, the running of agents, the tools' main."""

LXML_ROOMS = (
    "crm/plumbing/xml.py",
    "crm/model/readxml",
    "crm/model/writexml",
    "crm/cib",
    "cli/view",
    "lrmd/agentkit/metadata.py",
)


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (TOP / package).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(TOP))


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def lies_in(path: Path, rooms: tuple[str, ...]) -> bool:
    return any(name(path) == room or name(path).startswith(room + "/") for room in rooms)


def test_cores_read_no_clock_and_open_nothing() -> None:
    found = []
    for path in sources():
        if not lies_in(path, PURE) or path.name in SHELLS:
            continue
        found += [f"{name(path)}: {m}" for m in imported(path) if m.split(".")[0] in IMPURE]
        for node in ast.walk(tree(path)):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id in ("open", "print", "input"):
                found.append(f"{name(path)}:{called.lineno}: {called.id}()")
    # A type of randomness may be named where it is injected.
    found = [each for each in found if not each.endswith(": random")]
    assert found == []


def test_lxml_stays_in_its_rooms() -> None:
    found = [
        name(path)
        for path in sources()
        if not lies_in(path, LXML_ROOMS) and any(m.split(".")[0] == "lxml" for m in imported(path))
    ]
    assert found == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    found = [name(path) for path in sources() if BANNED_NAMES & set(path.with_suffix("").parts)]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    assert [name(path) for path in sources() if not ast.get_docstring(tree(path))] == []


def test_exceptions_are_caught_by_name() -> None:
    found = []
    for path in sources():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            bare = node.type is None
            broad = isinstance(node.type, ast.Name) and node.type.id in (
                "Exception",
                "BaseException",
            )
            # Cleaning up and raising it again swallows nothing.
            raises = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if bare or (broad and not raises and not lies_in(path, CATCH_ALL)):
                found.append(f"{name(path)}:{node.lineno}")
    assert found == []


def test_nothing_is_run_by_a_shell_or_outside_its_place() -> None:
    found = []
    for path in sources():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call):
                continue
            if any(keyword.arg == "shell" for keyword in node.keywords):
                found.append(f"{name(path)}:{node.lineno}: shell=")
            called = ast.unparse(node.func)
            if called in ("os.system", "os.popen"):
                found.append(f"{name(path)}:{node.lineno}: {called}")
    assert found == []


def test_no_global_statement() -> None:
    found = [
        f"{name(path)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Global)
    ]
    assert found == []


def test_unit_tests_patch_nothing_and_sleep_never() -> None:
    found = []
    for path in sorted((TOP / "tests").rglob("test_*.py")):
        if "system" in path.parts or "agents" in path.parts:
            continue
        found += [f"{name(path)}: {m}" for m in imported(path) if m.startswith("unittest.mock")]
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            first = node.args[0] if node.args else None
            is_turn = isinstance(first, ast.Constant) and first.value == 0
            if node.func.attr == "sleep" and not is_turn:
                found.append(f"{name(path)}:{node.lineno}: sleep")
    assert found == []


def test_no_todo_without_an_issue() -> None:
    found = [
        f"{name(path)}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "TODO" in line or "FIXME" in line or "XXX" in line
    ]
    assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_has_a_door_that_says_what_lives_there(package: str) -> None:
    folders = {path.parent for path in (TOP / package).rglob("*.py")}
    missing = [name(each) for each in folders if not (each / "__init__.py").exists()]
    assert sorted(missing) == []
