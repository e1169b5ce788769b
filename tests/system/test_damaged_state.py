"""A node whose cib.xml, or the folder it lies in, is damaged: it is told, nothing good is lost."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.lab.evidence import LogView, await_answer, log_of
from cli.lab.plan import make_plan
from cli.lab.remote import Lab
from tests.durability.faults import state_directory

pytestmark = pytest.mark.system

_ALIEN = (
    b'<cib admin_epoch="0" epoch="99" num_updates="3" validate-with="pacemaker-3.9">'
    b'<configuration><crm_config/><nodes><node id="4711" uname="other"/></nodes><resources>'
    b'<primitive id="alien" class="ocf" provider="pacekeeper" type="Dummy"/></resources>'
    b"<constraints/></configuration><status/></cib>\n"
)
_ONLINE_LIMIT_S = 60.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three nodes with a resource in their configuration, for all tests of this module."""
    plan = make_plan(3, keepalive_ms=250, deadtime_ms=2000, with_router=False)
    lab = Lab.up(plan, tmp_path_factory.mktemp("damaged") / "lab")
    try:
        lab.start()
        _await_all(lab)
        for name in ("old", "kept"):
            done = lab.run("node1", "crm", "configure", "primitive", name, "ocf:pacekeeper:Dummy")
            assert done.returncode == 0, done.stderr
        yield lab
    finally:
        lab.down()


def _await_all(lab: Lab) -> None:
    for node in ("node1", "node2", "node3"):
        await_answer(
            lab,
            node,
            ["crm_mon", "-1"],
            lambda text: "Online: [ node1 node2 node3 ]" in text,
            limit_s=_ONLINE_LIMIT_S,
        )


def _configuration(lab: Lab, node: str) -> str:
    done = lab.run(node, "cibadmin", "-Q", "-o", "configuration")
    assert done.returncode == 0, done.stderr
    return done.stdout


def _restart_damaged(lab: Lab, damage: Callable[[Path], None]) -> LogView:
    """Damage what node3 finds when it starts again, and wait until it is back."""
    before = _configuration(lab, "node1")
    lab.stop("node3")
    folder = state_directory(lab, "node3")
    for path in folder.glob("cib.xml.*-*"):
        _remove(path)
    damage(folder)
    news = _NewsOf(log_of(lab, "node3"))
    lab.start("node3")
    _await_all(lab)
    assert _configuration(lab, "node3") == before, "node3 has what the others had"
    assert _configuration(lab, "node1") == before, "and the others still have it"
    return news


def _remove(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()


class _NewsOf(LogView):
    """What a log says from now on."""

    def __init__(self, log: LogView) -> None:
        self._log = log
        self._since = log.mark()

    def lines_since(self, mark: int = 0) -> list[str]:
        """The lines since this was made."""
        return self._log.lines_since(max(mark, self._since))


def _complaints(news: LogView) -> list[str]:
    return [
        line
        for line in news.lines_since(0)
        if " cib: " in line and ("ERROR" in line or "WARN" in line)
    ]


def _rewritten(path: Path, data: bytes) -> None:
    """Put a file in the place of another; its backups are other names of the old one."""
    path.unlink()
    path.write_bytes(data)


def _empty(folder: Path) -> None:
    _rewritten(folder / "cib.xml", b"")


def _truncated(folder: Path) -> None:
    _rewritten(folder / "cib.xml", (folder / "cib.xml").read_bytes()[:300])


def _with_a_flipped_bit(folder: Path) -> None:
    data = bytearray((folder / "cib.xml").read_bytes())
    data[data.index(b'"kept"') + 1] ^= 4
    _rewritten(folder / "cib.xml", bytes(data))


def _foreign_xml(folder: Path) -> None:
    _rewritten(folder / "cib.xml", b"<html><body>404</body></html>")


def _of_another_cluster(folder: Path) -> None:
    signed = _ALIEN + b'<!-- pacekeeper reign="900" dc="other" '
    digest = hashlib.sha256(signed).hexdigest().encode()
    _rewritten(folder / "cib.xml", signed + b'digest="' + digest + b'" -->\n')


def _a_pipe(folder: Path) -> None:
    (folder / "cib.xml").unlink()
    os.mkfifo(folder / "cib.xml")


def _a_directory(folder: Path) -> None:
    (folder / "cib.xml").unlink()
    (folder / "cib.xml").mkdir()


def _of_somebody_else(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(folder / "cib.xml", 4711, 4711)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_empty, "the document is empty"),
        (_truncated, "line "),
        (_with_a_flipped_bit, "it does not match its digest"),
        (_foreign_xml, "the root element is <html>"),
        (_of_another_cluster, "it comes from elsewhere"),
        (_a_pipe, "it is not a plain file"),
        (_a_directory, "it is not a plain file"),
        (_of_somebody_else, "it belongs to user 4711"),
    ],
    ids=lambda value: getattr(value, "__name__", "")[1:],
)
def test_a_damaged_cib_is_archived_with_one_line_and_the_cluster_keeps_its_own(
    lab: Lab, damage: Callable[[Path], None], said: str
) -> None:
    news = _restart_damaged(lab, damage)
    told = [line for line in _complaints(news) if "cib.xml" in line]
    assert len(told) == 1, told
    folder = state_directory(lab, "node3")
    for part in (f"{folder}/cib.xml", said, "it was set aside as cib.xml.corrupt-1", " is used"):
        assert part in told[0], told[0]
    assert (folder / "cib.xml.corrupt-1").exists()


def test_an_older_cib_gives_way_to_its_newer_backup(lab: Lab) -> None:
    def damage(folder: Path) -> None:
        newest = (folder / "cib.xml").read_bytes()
        backups = [path.read_bytes() for path in sorted(folder.glob("cib-*.raw"))]
        older = next(b for b in backups if b"pacekeeper reign" in b and b'"kept"' not in b)
        # Its backups are what the last write left; one holds the newest version.
        (folder / "cib-99.raw").write_bytes(newest)
        (folder / "cib.last").write_text("0\n")
        _rewritten(folder / "cib.xml", older)

    news = _restart_damaged(lab, damage)
    (told,) = [line for line in _complaints(news) if "cib.xml" in line]
    assert "is older than its backup: it was set aside as cib.xml.older-1" in told


def test_a_missing_folder_is_made_and_filled_by_the_others(lab: Lab) -> None:
    news = _restart_damaged(lab, shutil.rmtree)
    (told,) = [line for line in _complaints(news) if "cib.xml" in line]
    assert "begins with an empty configuration, until it hears of another one" in told


def test_a_folder_open_to_everybody_is_closed_and_told_of(lab: Lab) -> None:
    news = _restart_damaged(lab, lambda folder: folder.chmod(0o777))
    assert any("could be written by others (mode 0777)" in line for line in _complaints(news))
    assert state_directory(lab, "node3").stat().st_mode & 0o022 == 0


def test_a_file_in_the_place_of_the_folder_stops_the_node_and_nothing_else(lab: Lab) -> None:
    lab.stop("node3")
    folder = state_directory(lab, "node3")
    kept = folder.with_name("crm.kept")
    folder.rename(kept)
    folder.write_text("not a folder\n")
    console = LogView(lab.root("node3") / "var/log/console")
    mark = console.mark()
    try:
        lab.start("node3")
        console.await_line(str(folder), "it is no folder", since=mark, limit_s=20)
        assert "kept" in _configuration(lab, "node1")
    finally:
        folder.unlink()
        kept.rename(folder)
        lab.start("node3")
    _await_all(lab)


def test_a_node_whose_folder_is_read_only_is_named_and_leaves_and_the_others_go_on(
    lab: Lab,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root mounts")
    lab.stop("node3")
    lab.crash("node3")
    folder = state_directory(lab, "node3")
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
    try:
        lab.start("node3")
        _await_all(lab)
        told = _change_until_it_left(lab)
        for done in told:
            assert "node3: Read-only file system" in done.stderr, done.stderr
        assert lab.run("node2", "crm", "configure", "tag", "without3", "kept").returncode == 0
    finally:
        lab.crash("node3")
        subprocess.run(["umount", str(folder)], check=True)
    lab.start("node3")
    _await_all(lab)
    assert "without3" in _configuration(lab, "node3")


def _change_until_it_left(lab: Lab) -> list[subprocess.CompletedProcess[str]]:
    """Change something again and again until node3 is gone; gives the changes that failed."""
    failed = []
    until = time.monotonic() + _ONLINE_LIMIT_S
    while lab.run("node1", "crm_node", "-p").stdout.split() != ["node1", "node2"]:
        assert time.monotonic() < until, "node3 stayed although its disk may not be written"
        done = lab.run("node1", "crm", "configure", "tag", f"t{len(failed)}", "kept")
        if done.returncode:
            failed.append(done)
    assert failed, "nobody was told of the disk"
    return failed
