"""Which primitives a node may not stop when it lets go of everything else."""

from datetime import UTC, datetime

import pytest

from crm.controller.unmanaged import unmanaged
from tests.kit.controller import cib_with

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _set(tag: str, name: str, value: str) -> str:
    pair = f'<nvpair id="pair-{name}" name="{name}" value="{value}"/>'
    return f'<{tag} id="set-{name}">{pair}</{tag}>'


def _primitive(name: str, inner: str = "") -> str:
    return (
        f'<primitive id="{name}" class="ocf" provider="pacekeeper" type="Dummy">{inner}</primitive>'
    )


UNMANAGED = _set("meta_attributes", "is-managed", "false")
RESTING = _set("meta_attributes", "maintenance", "true")


@pytest.mark.parametrize("kept", [UNMANAGED, RESTING])
def test_a_primitive_may_be_left_alone_by_itself(kept: str) -> None:
    document = cib_with(_primitive("a", kept) + _primitive("b"))
    assert unmanaged(document, "node1", NOW) == {"a"}


@pytest.mark.parametrize("kept", [UNMANAGED, RESTING])
def test_a_group_and_a_clone_count_for_what_is_in_them(kept: str) -> None:
    group = f'<group id="g">{kept}{_primitive("a")}{_primitive("b")}</group>'
    clone = f'<clone id="c">{kept}{_primitive("d")}</clone>'
    document = cib_with(group + clone + _primitive("e"))
    assert unmanaged(document, "node1", NOW) == {"a", "b", "d"}


def test_the_nearest_word_counts() -> None:
    managed = _set("meta_attributes", "is-managed", "true")
    group = f'<group id="g">{UNMANAGED}{_primitive("a", managed)}{_primitive("b")}</group>'
    assert unmanaged(cib_with(group), "node1", NOW) == {"b"}


def test_the_defaults_count_for_who_says_nothing() -> None:
    managed = _set("meta_attributes", "is_managed", "true")
    document = cib_with(_primitive("a", managed) + _primitive("b"), defaults=UNMANAGED)
    assert unmanaged(document, "node1", NOW) == {"b"}


def test_maintenance_of_the_cluster_keeps_everything() -> None:
    options = _set("cluster_property_set", "maintenance-mode", "true")
    document = cib_with(_primitive("a") + _primitive("b"), options=options)
    assert unmanaged(document, "node1", NOW) == {"a", "b"}


def test_maintenance_of_a_node_keeps_everything_there_alone() -> None:
    resting = _set("instance_attributes", "maintenance", "on")
    nodes = f'<node id="1" uname="node1">{resting}</node><node id="2" uname="node2"/>'
    document = cib_with(_primitive("a"), nodes=nodes)
    assert unmanaged(document, "node1", NOW) == {"a"}
    assert unmanaged(document, "node2", NOW) == set()


@pytest.mark.parametrize("document", [b"", b"<cib/>", b"no xml", b"<cib><configuration/></cib>"])
def test_what_cannot_be_read_keeps_nothing(document: bytes) -> None:
    assert unmanaged(document, "node1", NOW) == set()
