"""haresources mode: the configuration is what the file says, and follows it when it changes."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

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
    store.Store(paths.cib_dir).write(loaded.document.configuration_text(), loaded.warrant)


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


# --- files that differ ----------------------------------------------------------------------


_OURS = {"haresources-differs", "configuration-replaced", "not-remembered"}


def codes(loaded: store.Loaded) -> list[str]:
    """List what the mode itself says; whether there was a cib.xml is the store's matter."""
    return [problem.code for problem in loaded.problems if problem.code in _OURS]


def replicate(loaded: store.Loaded, *others: Paths) -> None:
    """Have the other nodes hold the document, as the cib sees to when they are members."""
    for paths in others:
        keep(paths, loaded)


def test_a_forgotten_file_does_not_bring_the_old_configuration_back(tmp_path: Path) -> None:
    first, second = (installation(tmp_path / name, "n1 10.0.0.5\n") for name in ("n1", "n2"))
    keep(first, start(first))
    keep(second, start(second))
    first.haresources.write_text("n1 10.0.0.6\n")
    changed = start(first)
    replicate(changed, first, second)

    again = start(second)

    assert not again.fresh
    assert b"10.0.0.6" in again.document.text()
    assert "haresources-differs" in codes(again)
    assert "haresources-differs" not in codes(start(first))


def test_a_forgotten_file_counts_once_it_is_changed(tmp_path: Path) -> None:
    first, second = (installation(tmp_path / name, "n1 10.0.0.5\n") for name in ("n1", "n2"))
    keep(first, start(first))
    keep(second, start(second))
    first.haresources.write_text("n1 10.0.0.6\n")
    replicate(start(first), first, second)
    second.haresources.write_text("n1 10.0.0.7\n")

    again = start(second)

    assert again.fresh
    assert b"10.0.0.7" in again.document.text()


def test_a_file_that_was_copied_later_is_no_change(tmp_path: Path) -> None:
    first, second = (installation(tmp_path / name, "n1 10.0.0.5\n") for name in ("n1", "n2"))
    keep(first, start(first))
    keep(second, start(second))
    first.haresources.write_text("n1 10.0.0.6\n")
    replicate(start(first), first, second)
    second.haresources.write_text("n1 10.0.0.6\n")

    again = start(second)

    assert not again.fresh
    assert codes(again) == []


def test_what_never_became_durable_is_made_again(tmp_path: Path) -> None:
    paths = installation(tmp_path, "n1 10.0.0.5\n")
    keep(paths, start(paths))
    paths.haresources.write_text("n1 10.0.0.6\n")
    start(paths)  # and the power fails before anything is written

    again = start(paths)

    assert again.fresh
    assert b"10.0.0.6" in again.document.text()


def test_a_changed_file_may_be_changed_back(tmp_path: Path) -> None:
    paths = installation(tmp_path, "n1 10.0.0.5\n")
    keep(paths, start(paths))
    for address in ("10.0.0.6", "10.0.0.5", "10.0.0.6"):
        paths.haresources.write_text(f"n1 {address}\n")
        again = start(paths)
        assert again.fresh
        assert address.encode() in again.document.text()
        keep(paths, again)


def test_that_the_configuration_is_made_anew_is_said_but_not_at_the_first_start(
    tmp_path: Path,
) -> None:
    paths = installation(tmp_path, "n1 10.0.0.5\n")
    first = start(paths)
    keep(paths, first)
    paths.haresources.write_text("n1 10.0.0.6\n")

    assert codes(first) == []
    assert codes(start(paths)) == ["configuration-replaced"]


def test_a_configuration_made_by_other_means_is_replaced_and_said_to_be(tmp_path: Path) -> None:
    """`crm no` on a cluster that was configured by hand."""
    paths = installation(tmp_path, "n1 10.0.0.5\n")
    loaded = store.Store(paths.cib_dir).load(rules.STANDARD)
    section = loaded.document.section("resources")
    assert section is not None
    section.append(etree.Element("primitive", {"id": "mine", "class": "lsb", "type": "x"}))
    keep(paths, loaded)

    assert "configuration-replaced" in codes(start(paths))


def test_a_damaged_note_counts_as_none(tmp_path: Path) -> None:
    paths = installation(tmp_path, "n1 10.0.0.5\n")
    keep(paths, start(paths))
    (paths.cib_dir / disguise.SEEN).write_bytes(b"\xff\x00 torn")

    assert not start(paths).fresh


def test_a_note_that_cannot_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    paths = installation(tmp_path, "n1 10.0.0.5\n")
    (paths.cib_dir / disguise.SEEN).mkdir()

    loaded = start(paths)

    assert loaded.fresh
    assert codes(loaded) == ["not-remembered"]
