"""Nobody outside `messaging` knows more of it than the contract of the cluster layer says.

The contract is `crm.api.membership`, explained in docs/protocol/cluster-layer.md.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from crm.api import membership

TOP = Path(__file__).parents[2]
ROOMS = ("crm", "pengine", "lrmd", "cli")
PAGE = TOP / "docs/protocol/cluster-layer.md"

CALLS = {"Tell", "MessageArrived", "PeerConnected", "PeerLost", "ask", "tell"}
"""Calls and patterns whose first word is who is spoken with."""

FILES = {"hb_uuid", "hb_generation", "authkeys", "hostcache", "delhostcache"}
"""What the cluster layer keeps on disk is its own."""

HA_CF = {"crm/cib/disguise.py", "cli/tools/haresources2cib.py"}
"""The mode of haresources is Heartbeat's: its nodes stand in ha.cf."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((TOP / room).rglob("*.py")):
            yield path.relative_to(TOP).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def addressed(node: ast.AST) -> ast.expr | None:
    """Who is spoken with, in a call or a pattern."""
    match node:
        case ast.Call(ast.Name(name) | ast.Attribute(attr=name), [first, *_]) if name in CALLS:
            return first
        case ast.MatchClass(ast.Name(name), [ast.MatchValue(first), *_]) if name in CALLS:
            return first
    return None


def test_nobody_imports_the_room() -> None:
    found = [
        f"{name}: {alias}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [each.name for each in node.names]
        )
        if alias.split(".")[0] == "messaging"
    ]
    assert found == []


def test_the_cluster_layer_is_addressed_by_its_service_name() -> None:
    found = [
        f"{name}:{first.lineno}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(first := addressed(node), ast.Constant)
        if first.value == membership.SERVICE
    ]
    assert found == []


def test_its_files_are_its_own() -> None:
    found = [
        f"{name}:{node.lineno}: {node.attr}"
        for name, tree in modules()
        if name != "crm/plumbing/settings.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        if node.attr in FILES or (node.attr == "ha_cf" and name not in HA_CF)
        if not (isinstance(node.value, ast.Name) and node.value.id in ("cib", "crm"))
    ]
    assert found == []


def test_daemons_do_not_ask_what_only_people_may_see() -> None:
    """What a stack may lack (directives, counters, links) is in the description alone."""
    found = [
        f"{name}:{node.lineno}: {node.attr}"
        for name, tree in modules()
        if name.startswith(("crm/", "lrmd/", "pengine/"))
        if name not in ("crm/api/membership.py", "crm/gate/authorisation.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("AskCluster", "ClusterDescription", "NodeDescription")
    ]
    assert found == []


def words() -> list[type[msgspec.Struct]]:
    return [*membership.TO_HEARTBEAT.members, *membership.TO_CLIENT.members]


@pytest.mark.parametrize("word", words(), ids=lambda word: word.__name__)
def test_every_message_of_the_contract_is_explained(word: type[msgspec.Struct]) -> None:
    assert f"`{word.__name__}`" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [membership.ViewEvent, membership.ClientStatus])
def test_every_word_a_client_may_be_told_is_explained(kind: type[enum.Enum]) -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert [word.name for word in kind if word.name not in page] == []


def test_every_capability_is_explained() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert [word for word in membership.Capability if f"| `{word.value}` |" not in page] == []
