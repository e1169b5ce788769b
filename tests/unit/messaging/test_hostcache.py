"""The list of nodes on disk: written, read, and never believed by halves."""

from __future__ import annotations

from pathlib import Path

import pytest

from messaging import hostcache
from messaging.hostcache import CACHE, DELETED
from messaging.nodelist import NodeList

KEPT = NodeList(("a", "b", "d"), 3, ("c",))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    hostcache.write(tmp_path / "new", KEPT, {"a": "uuid-a"})

    assert hostcache.read(tmp_path / "new") == (KEPT, [])
    text = (tmp_path / "new" / CACHE).read_text()
    assert text == "# version 3\na uuid-a 100\nb - 100\nd - 100\n"
    assert (tmp_path / "new" / DELETED).read_text() == "# version 3\nc\n"


def test_weights_and_sites_that_were_set_are_kept(tmp_path: Path) -> None:
    described = NodeList(("a", "b"), 4, (), (("b", 0),), (("a", "berlin"), ("b", "#2")))
    hostcache.write(tmp_path, described, {})

    assert hostcache.read(tmp_path) == (described, [])
    assert "b - 0\n" in (tmp_path / CACHE).read_text()


def test_without_files_the_list_has_version_0(tmp_path: Path) -> None:
    assert hostcache.read(tmp_path) == (NodeList(()), [])


def test_a_write_that_stopped_in_the_middle_is_not_used(tmp_path: Path) -> None:
    hostcache.write(tmp_path, KEPT, {})
    (tmp_path / DELETED).write_text("# version 4\nc\nd\n")

    nodes, problems = hostcache.read(tmp_path)

    assert nodes == NodeList(())
    assert [problem.code for problem in problems] == ["hostcache-unusable"]


@pytest.mark.parametrize("text", ["# version 3\nNo/Name\n", "# version 3\na\n\x00\n"])
def test_what_is_no_list_of_nodes_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    hostcache.write(tmp_path, KEPT, {})
    (tmp_path / CACHE).write_text(text)

    nodes, problems = hostcache.read(tmp_path)

    assert nodes == NodeList(())
    assert problems[0].code == "bad-line" and str(tmp_path / CACHE) in problems[0].subject


def test_a_file_of_old_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / CACHE).write_text("Node1 0c4a 100\nnode2 77aa 100\n")

    nodes, problems = hostcache.read(tmp_path)

    assert problems == [] and nodes.names == ("node1", "node2") and nodes.version == 0
