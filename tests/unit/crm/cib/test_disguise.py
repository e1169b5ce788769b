"""haresources mode: the configuration is what the file says, and follows it when it changes."""

from __future__ import annotations

from pathlib import Path

from crm.api import cib as api
from crm.cib import disguise, operations, rules, store
from crm.plumbing.settings import Paths
from tests.kit.cib import LENIENT


def installation(root: Path, haresources: str) -> Paths:
    folder = root / "etc/ha.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ha.cf").write_text("node n1 n2\nauto_failback on\nbcast eth0\n")
    (folder / "haresources").write_text(haresources)
    paths = Paths(root)
    paths.cib_dir.mkdir(parents=True, exist_ok=True)
    return paths


def start(paths: Paths) -> store.Loaded:
    return disguise.put_on(store.Store(paths.cib_dir).load(rules.STANDARD), paths)


def keep(paths: Paths, loaded: store.Loaded) -> None:
    store.Store(paths.cib_dir).write(loaded.document.configuration_text(), loaded.written)


def test_the_file_becomes_a_valid_configuration(tmp_path: Path) -> None:
    loaded = start(installation(tmp_path, "n1 10.0.0.5\n"))
    assert loaded.fresh
    assert len(loaded.document.select("//primitive")) == 1
    assert [p for p in rules.validate(loaded.document.root) if p.severity.value == "error"] == []


def test_an_unchanged_file_changes_nothing(tmp_path: Path) -> None:
    paths = installation(tmp_path, "n1 10.0.0.5\n")
    keep(paths, start(paths))
    again = start(paths)
    assert not again.fresh
    assert again.document.version.epoch == 1


def test_a_remark_or_another_medium_is_no_change(tmp_path: Path) -> None:
    paths = installation(tmp_path, "n1 10.0.0.5\n")
    keep(paths, start(paths))
    paths.ha_cf.write_text(paths.ha_cf.read_text().replace("bcast eth0", "ucast eth0 10.0.0.9"))
    paths.haresources.write_text("# the address of the shop\nn1 10.0.0.5\n")
    assert not start(paths).fresh


def test_a_changed_file_replaces_the_configuration_but_not_the_nodes(tmp_path: Path) -> None:
    paths = installation(tmp_path, "n1 10.0.0.5\n")
    loaded = start(paths)
    nodes = api.DescribeNodes((("uuid-1", "n1"), ("uuid-2", "n2")))
    operations.carry_out(loaded.document, [nodes], LENIENT)
    keep(paths, loaded)
    paths.haresources.write_text("n1 10.0.0.6 10.0.0.7\n")
    again = start(paths)
    assert again.fresh
    assert again.document.version.epoch == loaded.document.version.epoch + 1
    assert [n.get("id") for n in again.document.select("//node")] == ["uuid-1", "uuid-2"]
    assert b"10.0.0.6" in again.document.text()
