"""The store on a file system that is full; run by test_full_disk.py in a mount namespace."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from crm.cib import document as documents
from crm.cib import edits, rules
from crm.cib.disk import KeepPromise, Persist
from crm.cib.keeper import Keeper
from crm.cib.store import Store
from crm.cib.warrants import Warrant
from crm.model.version import Reign
from crm.plumbing import xml
from tests.kit.cib import create

REIGN = Warrant(0, Reign(3, "n1"))
ROOM_BYTES = 24 * 1024
"""Enough for the small files of a write, not for the configuration."""

RETRIES = 250
"""More than there are backups."""


def configuration(resources: int, epoch: int) -> bytes:
    document = documents.Document(documents.empty(epoch))
    parent = document.section("resources")
    assert parent is not None
    for number in range(resources):
        edit = edits.Edit(document)
        edit.insert(parent, xml.parse(create(f"d{number}").xml))
    return document.configuration_text()


def fill(directory: Path, name: str, *, room: int) -> Path:
    filler = directory / name
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    os.truncate(filler, filler.stat().st_size - room)
    return filler


def main(directory: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(directory)]
    subprocess.run(mount, check=True)
    store = Store(directory)
    for epoch in (1, 2, 3):
        store.write(configuration(1, epoch), REIGN)
    backups = {path: path.read_bytes() for path in directory.glob("cib-*.raw")}
    filler = fill(directory, "filler", room=ROOM_BYTES)
    keeper = Keeper(store, print)
    version = documents.Document(documents.empty()).version
    for _ in range(RETRIES):
        order = Persist(2, configuration(400, 4), version, REIGN)
        ended = keeper.carry_out(order)
        assert ended is not None and not ended.ok, ended
        assert "No space left on device" in ended.reason, ended
        assert str(directory) in ended.reason, ended
    assert b'epoch="3"' in (directory / "cib.xml").read_bytes()
    for path, data in backups.items():
        assert path.read_bytes() == data, f"{path} was used up"
    loaded = Store(directory).load(rules.STANDARD)
    assert loaded.document.version.epoch == 3, loaded
    assert loaded.promised == REIGN.written, loaded
    more = fill(directory, "more", room=0)
    promise = keeper.carry_out(KeepPromise(1, Reign(9, "n2")))
    assert promise is not None and not promise.ok, promise
    assert Store(directory).load(rules.STANDARD).promised == REIGN.written
    more.unlink()
    filler.unlink()
    ended = keeper.carry_out(Persist(4, configuration(400, 4), version, REIGN))
    assert ended is not None and ended.ok, ended
    assert Store(directory).load(rules.STANDARD).document.version.epoch == 4
    left = [path.name for path in directory.iterdir() if path.name.startswith(".cib.xml.")]
    assert left == [], f"left behind: {left}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
