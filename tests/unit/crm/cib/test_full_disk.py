"""Real files on a real file system that is full, and disks that say they failed."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crm.cib.disk import NOTHING, Journal, Persist
from crm.cib.keeper import Keeper
from crm.cib.store import Store
from crm.cib.warrants import Warrant
from crm.model.version import Version

SCENE = Path(__file__).with_name("scene_full_disk.py")
ROOT = Path(__file__).resolve().parents[4]


def test_a_full_disk_refuses_writes_keeps_everything_and_recovers(tmp_path: Path) -> None:
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *as_user, "--mount"]
    may = shutil.which("unshare") and not subprocess.run([*unshare, "true"], check=False).returncode
    if not may:
        pytest.skip("neither root nor user namespaces: no file system can be mounted")
    ran = subprocess.run(
        [*unshare, sys.executable, str(SCENE), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


class FailingStore(Store):
    """A store whose disk loses what it was given, and says so when it is asked to sync."""

    def write(self, data: bytes, warrant: Warrant, journal: Journal = NOTHING) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(self.directory / "cib.xml"))


def test_a_disk_that_cannot_sync_is_a_write_that_failed_with_its_reason(tmp_path: Path) -> None:
    ended = Keeper(FailingStore(tmp_path), print).carry_out(
        Persist(2, b"<cib/>", Version(), Warrant())
    )
    assert ended is not None
    assert not ended.ok
    assert ended.reason == f"Input/output error ({tmp_path}/cib.xml)"
