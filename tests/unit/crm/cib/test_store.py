"""The CIB on the disk: the newest whole copy is found, and nothing good is thrown away."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import shutil
from pathlib import Path

import pytest

from crm.api.cib import Revision
from crm.cib import backups, copies, folder, revisions, rules, store, trailer
from crm.cib import document as documents
from crm.cib.warrants import Warrant
from crm.model.version import Reign, Version
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError
from tests.kit.cib import LENIENT
from tests.kit.frail_disk import FOLDER, FrailDisk

NINE = Warrant(0, Reign(9, "n1"))


def text(epoch: int, resource: str = "") -> bytes:
    root = documents.empty(epoch)
    if resource:
        parent = root.find("configuration/resources")
        assert parent is not None
        parent.append(
            root.makeelement(
                "primitive",
                {"id": resource, "class": "ocf", "provider": "pacekeeper", "type": "Dummy"},
            )
        )
    return documents.Document(root).configuration_text()


def codes(loaded: store.Loaded) -> list[str]:
    return [problem.code for problem in loaded.problems]


def test_an_empty_folder_starts_with_the_empty_cib(tmp_path: Path) -> None:
    loaded = store.Store(tmp_path).load(rules.STANDARD)
    assert loaded.fresh
    assert codes(loaded) == ["cib-missing"]
    assert loaded.document.version.epoch == 0


def test_what_was_written_is_read_with_its_reign(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    files.write(text(5, "a"), NINE)
    loaded = files.load(rules.STANDARD)
    assert loaded.document.by_id("a") is not None
    assert loaded.warrant == NINE
    assert not loaded.fresh
    assert codes(loaded) == []


@pytest.mark.parametrize("comment", [b"", b"<!-- a > b\n  < c -->"])
def test_the_signature_is_the_one_of_the_classic_tools(tmp_path: Path, comment: bytes) -> None:
    data = text(5, "a>  <b\n>").replace(b"<resources>", b"<resources>" + comment)
    signature = store.Store(tmp_path).write(data, NINE)
    assert signature == trailer.classic_digest(xml.parse(data, keep_comments=True))
    assert (tmp_path / "cib.xml.sig").read_text() == signature + "\n"


def test_a_missing_folder_is_made_and_one_that_others_may_write_is_closed(tmp_path: Path) -> None:
    files = store.Store(tmp_path / "a" / "crm")
    assert folder.prepare(files.directory) == []
    assert files.load(rules.STANDARD).fresh
    files.directory.chmod(0o777)
    (told,) = folder.prepare(files.directory)
    assert told.code == "folder-open"
    assert files.directory.stat().st_mode & 0o777 == 0o755
    assert folder.prepare(files.directory) == []


def test_the_promise_survives(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    files.keep_promise(Reign(12, "n3"))
    assert files.load(rules.STANDARD).promised == Reign(12, "n3")


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "garbage", "foreign"])
def test_a_broken_file_gives_way_to_the_newest_backup_and_is_kept(
    tmp_path: Path, damage: str
) -> None:
    files = store.Store(tmp_path)
    for epoch in (1, 2, 3):
        files.write(text(epoch, f"r{epoch}"), NINE)
    path = tmp_path / "cib.xml"
    data = path.read_bytes()
    broken = {
        "empty": b"",
        "cut": data[: len(data) // 2],
        "flipped": data.replace(b'id="r3"', b'id="r4"'),
        "garbage": os.urandom(100),
        "foreign": b"<nagios/>",
    }[damage]
    path.write_bytes(broken)
    loaded = files.load(rules.STANDARD)
    assert loaded.document.by_id("r2") is not None
    assert loaded.fresh
    (told,) = loaded.problems
    assert told.message.startswith(f"{path}: "), "one line says where"
    assert told.message.endswith(
        "it was set aside as cib.xml.corrupt-1, and cib-1.raw (version 0.2.0) is used"
    )
    assert (tmp_path / "cib.xml.corrupt-1").read_bytes() == broken


@pytest.mark.parametrize("size", range(0, 400, 7))
def test_a_file_cut_anywhere_never_loads_as_something_else(tmp_path: Path, size: int) -> None:
    files = store.Store(tmp_path)
    files.write(text(1, "a"), NINE)
    path = tmp_path / "cib.xml"
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    loaded = files.load(LENIENT)
    if whole[:size].rstrip().endswith(b"</cib>"):
        assert loaded.document.by_id("a") is not None
    else:
        assert loaded.document.by_id("a") is None
        assert (tmp_path / "cib.xml.corrupt-1").exists()


def test_a_file_put_there_by_hand_is_believed(tmp_path: Path) -> None:
    (tmp_path / "cib.xml").write_bytes(text(7, "a"))
    loaded = store.Store(tmp_path).load(rules.STANDARD)
    assert loaded.document.by_id("a") is not None
    assert loaded.warrant == Warrant()


def test_an_edited_file_needs_its_signature_removed(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    files.write(text(5, "a"), NINE)
    path = tmp_path / "cib.xml"
    path.write_bytes(path.read_bytes().replace(b'id="a"', b'id="b"'))
    (tmp_path / "cib.xml.sig").unlink()
    loaded = files.load(rules.STANDARD)
    assert loaded.document.by_id("b") is not None
    assert loaded.warrant == NINE, "that is what it goes on from"


def old_file(epoch: int, name: str) -> bytes:
    """What a release before decision 0028 has written."""
    data = text(epoch, name) + b'<!-- pacekeeper reign="9" dc="n1" '
    return data + f'digest="{hashlib.sha256(data).hexdigest()}" -->\n'.encode()


def test_a_file_of_an_earlier_release_counts_as_acknowledged_and_decided(tmp_path: Path) -> None:
    (tmp_path / "cib.xml").write_bytes(old_file(5, "a"))
    loaded = store.Store(tmp_path).load(rules.STANDARD)
    assert not loaded.edited
    assert loaded.warrant == Warrant(0, NINE.written, (0, 5))


def test_of_a_file_of_an_earlier_release_what_was_edited_offline_was_not_acknowledged(
    tmp_path: Path,
) -> None:
    (tmp_path / "cib.xml").write_bytes(old_file(7, "a"))
    _tell_of(tmp_path, (4, 5, 6, 7), offline_from=6)
    loaded = store.Store(tmp_path).load(rules.STANDARD)
    assert loaded.warrant == Warrant(0, NINE.written, (0, 5))


@pytest.mark.parametrize(("told", "settled"), [((), 0), ((4, 5), 5), ((4, 5, 6), 6)])
@pytest.mark.parametrize("epoch", [6, 60])
def test_of_a_file_of_an_earlier_release_an_edit_by_hand_was_not_acknowledged(
    tmp_path: Path, told: tuple[int, ...], settled: int, epoch: int
) -> None:
    data = old_file(6, "a").replace(b'id="a"', b'id="b"')
    (tmp_path / "cib.xml").write_bytes(data.replace(b'epoch="6"', f'epoch="{epoch}"'.encode()))
    _tell_of(tmp_path, told, offline_from=9)
    loaded = store.Store(tmp_path).load(rules.STANDARD)
    assert loaded.edited
    assert loaded.warrant == Warrant(0, NINE.written, (0, settled))


def _tell_of(folder: Path, epochs: tuple[int, ...], *, offline_from: int) -> None:
    """Write a history of these epochs."""
    entries = [
        Revision(Version(0, before), Version(0, after), is_offline=after >= offline_from)
        for before, after in itertools.pairwise(epochs)
    ]
    (folder / copies.REVISIONS).write_bytes(b"".join(map(revisions.encode, entries)))


WORDS = Warrant(2, Reign(30, "n1"), (2, 14))


def _with_words(folder: Path, old: bytes, new: bytes) -> Path:
    """Write a file, and change something in what it says of itself."""
    files = store.Store(folder)
    files.keep_promise(WORDS.written)
    data = text(14, "a").replace(b'admin_epoch="0"', b'admin_epoch="2"')
    files.write(data, WORDS)
    path = folder / "cib.xml"
    whole = path.read_bytes()
    assert whole.count(old) == 1
    path.write_bytes(whole.replace(old, new))
    return path


FLIPPED = [
    (b'decided="2"', b'decided="3"'),
    (b'settled="2.14"', b'settled="2.94"'),
    (b'settled="2.14"', b'settled="6.14"'),
    (b'reign="30"', b'reign="10"'),
    (b'dc="n1"', b'dc="n3"'),
]


@pytest.mark.parametrize(("old", "new"), FLIPPED)
def test_damaged_words_at_the_end_of_a_file_are_worth_nothing(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    _with_words(tmp_path, old, new)
    loaded = store.Store(tmp_path).load(rules.STANDARD)
    assert loaded.warrant == Warrant()
    assert codes(loaded) == ["cib-damaged"]
    assert not loaded.edited
    assert loaded.fresh, "it is to be written anew"
    assert loaded.document.by_id("a") is not None


@pytest.mark.parametrize(("old", "new"), FLIPPED)
def test_damaged_words_at_the_end_of_an_edited_file_count_as_none(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    path = _with_words(tmp_path, old, new)
    path.write_bytes(path.read_bytes().replace(b'id="a"', b'id="b"'))
    (tmp_path / "cib.xml.sig").unlink()
    loaded = store.Store(tmp_path).load(rules.STANDARD)
    assert loaded.warrant == Warrant(2)
    assert codes(loaded) == ["cib-edited"]


def test_a_damaged_digest_leaves_the_words_before_it_believed(tmp_path: Path) -> None:
    path = _with_words(tmp_path, b' digest="', b' digest="')
    whole = path.read_bytes()
    place = whole.index(b'digest="') + 8
    path.write_bytes(whole[:place] + (b"1" if whole[place] != 49 else b"2") + whole[place + 1 :])
    loaded = store.Store(tmp_path).load(rules.STANDARD)
    assert loaded.warrant == WORDS
    assert not loaded.edited


def test_a_file_that_counts_by_the_date_is_still_ours(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    long = Warrant(999_999_999_999_999, NINE.written, (999_999_999_999_999, 202611290217000))
    files.write(text(202611290217000, "a"), long)
    loaded = files.load(rules.STANDARD)
    assert loaded.warrant == long
    assert not loaded.edited


def test_what_a_file_says_of_itself_is_covered_by_its_digest() -> None:
    disk = FrailDisk()
    store.Store(FOLDER, kernel=disk).write(text(5, "a"), NINE)
    store.Store(FOLDER, kernel=disk).write(text(6, "a"), NINE)
    disk.put("cib.xml", disk.files()["cib.xml"].replace(b'reign="9"', b'reign="8"'))
    disk.remove("cib.xml.sig")
    loaded = store.Store(FOLDER, kernel=disk).load(rules.STANDARD)
    assert loaded.edited
    found = loaded.warrant.written, loaded.document.version.epoch
    assert found == (Reign(), 7), "an edit counts"


@pytest.mark.parametrize("left", [b"", b"\n", b"\xff" * 33], ids=["empty", "blank", "no text"])
def test_damage_is_no_edit_where_a_power_cut_spoilt_the_signature(
    tmp_path: Path, left: bytes
) -> None:
    files = store.Store(tmp_path)
    files.write(text(5, "a"), NINE)
    files.write(text(6, "a"), NINE)
    path = tmp_path / "cib.xml"
    path.write_bytes(path.read_bytes().replace(b'id="a"', b'id="c"'))
    (tmp_path / "cib.xml.sig").write_bytes(left)
    loaded = files.load(rules.STANDARD)
    assert not loaded.edited
    assert loaded.document.by_id("c") is None
    assert loaded.document.version.epoch == 5, "the backup is used"
    assert codes(loaded) == ["cib-digest"]


def test_a_foreign_file_with_a_classic_signature_is_checked_against_it(tmp_path: Path) -> None:
    data = text(5, "a")
    (tmp_path / "cib.xml").write_bytes(data)
    (tmp_path / "cib.xml.sig").write_text(trailer.classic_digest(xml.parse(data)))
    assert store.Store(tmp_path).load(rules.STANDARD).document.by_id("a") is not None
    (tmp_path / "cib.xml.sig").write_text("0" * 32)
    with pytest.raises(ConfigurationError, match="does not match its digest") as refusal:
        store.Store(tmp_path).load(rules.STANDARD)
    assert "remove cib.xml.sig" in refusal.value.problems[0].hint
    assert (tmp_path / "cib.xml").read_bytes() == data, "nothing else may be used instead of it"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_copy_of_somebody_else_is_not_thrown_away_for_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "cib.xml"
    path.write_bytes(text(5, "a"))
    os.chown(path, 4711, 4711)
    files = store.Store(tmp_path)
    with pytest.raises(ConfigurationError, match="belongs to user 4711"):
        files.load(rules.STANDARD)
    assert path.read_bytes() == text(5, "a")
    os.chown(path, 0, 0)
    assert files.load(rules.STANDARD).document.by_id("a") is not None


def test_a_copy_of_another_cluster_loses_its_reign_and_is_told_of(tmp_path: Path) -> None:
    elsewhere = store.Store(tmp_path / "elsewhere")
    elsewhere.directory.mkdir()
    elsewhere.write(text(99, "alien"), Warrant(0, Reign(900, "other")))
    files = store.Store(tmp_path)
    files.keep_promise(NINE.written)
    files.write(text(5, "a"), NINE)
    files.write(text(6, "b"), NINE)
    shutil.copy(elsewhere.directory / "cib.xml", tmp_path / "cib.xml")
    loaded = files.load(rules.STANDARD)
    assert loaded.document.by_id("a") is not None, "the newest of our own"
    assert loaded.warrant == NINE
    assert (tmp_path / "cib.xml.corrupt-1").exists()
    assert any("comes from elsewhere" in problem.message for problem in loaded.problems)


def test_a_lone_copy_of_another_cluster_is_used_but_beats_nobody(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    files.keep_promise(NINE.written)
    files.write(text(99, "alien"), Warrant(0, Reign(900, "other")))
    loaded = files.load(rules.STANDARD)
    assert loaded.document.by_id("alien") is not None
    assert loaded.warrant == Warrant()
    assert codes(loaded) == ["cib-from-elsewhere"]


def test_without_a_promise_every_reign_is_believed(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    files.write(text(5, "a"), NINE)
    assert files.load(rules.STANDARD).warrant == NINE


@pytest.mark.parametrize("name", ["cib.xml", "cib.xml.sig", "cib.reign", "cib.revisions"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(tmp_path: Path, name: str) -> None:
    files = store.Store(tmp_path)
    files.keep_promise(NINE.written)
    files.write(text(5, "a"), NINE)
    files.write(text(6, "b"), NINE)
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    assert files.load(rules.STANDARD).document.by_id("a") is not None or name != "cib.xml"
    assert files.read_journal() == b""


def test_an_older_file_gives_way_to_a_newer_backup(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    files.write(text(5, "new"), NINE)
    files.write(text(6, "newest"), NINE)
    (tmp_path / "cib.xml").write_bytes(text(2, "old"))
    (tmp_path / "cib.xml.sig").unlink()
    loaded = files.load(rules.STANDARD)
    assert loaded.document.by_id("new") is not None
    assert (tmp_path / "cib.xml.older-1").exists()


def test_an_invalid_only_copy_is_not_thrown_away_for_an_empty_one(tmp_path: Path) -> None:
    data = text(5, "a").replace(
        b"<constraints/>",
        b'<constraints><rsc_location id="l" rsc="x" node="n" score="1"/></constraints>',
    )
    (tmp_path / "cib.xml").write_bytes(data)
    with pytest.raises(ConfigurationError) as refusal:
        store.Store(tmp_path).load(rules.STANDARD)
    assert [p.code for p in refusal.value.problems] == ["cib-invalid"]
    assert (tmp_path / "cib.xml").read_bytes() == data


def test_a_link_instead_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(text(5, "a"))
    (tmp_path / "cib.xml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError):
        store.Store(tmp_path).load(rules.STANDARD)


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    files.write(text(5, "a"), NINE)
    before = (tmp_path / "cib.xml").read_bytes()
    with pytest.raises(ConfigurationError):
        files.write(b"<cib", NINE)
    assert store.Store(tmp_path).load(rules.STANDARD).document.by_id("a") is not None
    assert (tmp_path / "cib.xml").read_bytes() == before


@pytest.mark.parametrize(
    ("call", "times"), [("write", 1), ("create", 1), ("create", 2)], ids=["bytes", "file", "files"]
)
def test_a_signature_that_finds_no_room_neither_undoes_the_write_nor_looks_removed(
    call: str, times: int
) -> None:
    disk = FrailDisk()
    files = store.Store(FOLDER, kernel=disk)
    files.write(text(5, "a"), NINE)
    disk.fail(call, errno.ENOSPC, after=2, times=times)  # the counter and cib.xml find room
    files.write(text(6, "b"), NINE)
    assert files.load(rules.STANDARD).document.version.epoch == 6

    disk.put("cib.xml", disk.files()["cib.xml"].replace(b'id="b"', b'id="c"'))
    loaded = store.Store(FOLDER, kernel=disk).load(rules.STANDARD)
    assert not loaded.edited, "nobody has removed the signature: this is damage"
    assert loaded.document.version.epoch == 5, "the backup is used"
    assert disk.files()["cib-0.raw.sig"], "the backup has its own"


def test_a_signature_that_finds_no_room_says_nothing_rather_than_something_old() -> None:
    disk = FrailDisk()
    files = store.Store(FOLDER, kernel=disk)
    files.write(text(5, "a"), NINE)
    disk.fail("write", errno.ENOSPC, after=2)
    files.write(text(6, "b"), NINE)
    assert disk.files()["cib.xml.sig"] == b""


def test_backups_are_numbered_round_and_round(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    (tmp_path / "cib.last").write_text(f"{backups.MAX_BACKUPS - 1}\n")
    for epoch in range(1, 4):
        files.write(text(epoch), NINE)
    assert (tmp_path / f"cib-{backups.MAX_BACKUPS - 1}.raw").exists()
    assert (tmp_path / "cib-0.raw").exists()
    assert (tmp_path / "cib.last").read_text() == "1\n"


def test_an_old_dialect_is_upgraded_and_counted(tmp_path: Path) -> None:
    (tmp_path / "cib.xml").write_text(
        '<cib admin_epoch="0" epoch="4" num_updates="9"><configuration><crm_config>'
        '<cluster_property_set id="d"><attributes><nvpair id="d-q" name="no_quorum_policy"'
        ' value="stop"/></attributes></cluster_property_set></crm_config><nodes/><resources/>'
        "<constraints/></configuration><status/></cib>"
    )
    loaded = store.Store(tmp_path).load(rules.STANDARD)
    assert loaded.document.schema == "pacemaker-3.9"
    assert loaded.document.version.epoch == 5
    assert loaded.fresh


def test_what_lost_is_archived_under_a_name_of_its_own(tmp_path: Path) -> None:
    files = store.Store(tmp_path)
    one = files.archive(text(1, "a"), "version 0.1.0 lost -- badly")
    other = files.archive(text(2, "b"), "again")
    assert one != other
    assert xml.parse(one.read_bytes()).tag == "cib"


def test_a_file_that_may_not_be_linked_is_copied_for_its_backup() -> None:
    disk = FrailDisk()
    disk.put("cib.xml", b"<cib/>")
    disk.fail("link", errno.EPERM)
    backups.second_name(FOLDER / "cib.xml", FOLDER / "cib-0.raw", kernel=disk)
    assert disk.files() == {"cib-0.raw": b"<cib/>", "cib.xml": b"<cib/>"}


def test_what_was_set_aside_is_never_written_over(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / "cib.xml").write_bytes(b"<cib %d" % number)
        store.Store(tmp_path).load(rules.STANDARD)

    kept = {path.read_bytes() for path in tmp_path.glob("cib.xml.corrupt-*")}
    assert kept == {b"<cib %d" % number for number in range(25)}
