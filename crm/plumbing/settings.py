"""Where things lie below the root of an installation.

Responsible for names of files only; nothing here reads or makes one. The names are those of
Heartbeat, so that an administrator finds everything where it always was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT_VARIABLE = "PACEKEEPER_ROOT"
"""Names the root of the installation where a command line does not."""

CLUSTER_USER = "hacluster"
"""Who the unprivileged daemons run as, where that user exists."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The files of one installation; `root` is `/` except in the lab and in tests."""

    root: Path

    @property
    def ha_cf(self) -> Path:
        """The settings of the cluster layer."""
        return self.root / "etc/ha.d/ha.cf"

    @property
    def authkeys(self) -> Path:
        """The shared secrets; must be readable by its owner only."""
        return self.root / "etc/ha.d/authkeys"

    @property
    def haresources(self) -> Path:
        """The classic resource list, read when the CRM is off."""
        return self.root / "etc/ha.d/haresources"

    @property
    def resource_d(self) -> Path:
        """Heartbeat's own resource scripts."""
        return self.root / "etc/ha.d/resource.d"

    @property
    def state_dir(self) -> Path:
        """What survives a reboot."""
        return self.root / "var/lib/heartbeat"

    @property
    def cib_dir(self) -> Path:
        """The folder of cib.xml, its digest and its numbered backups."""
        return self.root / "var/lib/heartbeat/crm"

    @property
    def cib_xml(self) -> Path:
        """The configuration."""
        return self.cib_dir / "cib.xml"

    @property
    def pengine_dir(self) -> Path:
        """The kept inputs of the scheduler."""
        return self.root / "var/lib/heartbeat/pengine"

    @property
    def hb_uuid(self) -> Path:
        """The identity of this node."""
        return self.root / "var/lib/heartbeat/hb_uuid"

    @property
    def hb_generation(self) -> Path:
        """How often heartbeat was started on this node."""
        return self.root / "var/lib/heartbeat/hb_generation"

    @property
    def run_dir(self) -> Path:
        """What lives as long as the daemons do."""
        return self.root / "run/heartbeat"

    @property
    def bus_dir(self) -> Path:
        """The sockets between our own daemons (mode 0700)."""
        return self.root / "run/heartbeat/bus"

    @property
    def gate_socket(self) -> Path:
        """The one socket for people and tools."""
        return self.root / "run/heartbeat/mgmtd"

    @property
    def agent_state_dir(self) -> Path:
        """Where resource agents keep their state files (HA_RSCTMP)."""
        return self.root / "run/resource-agents"

    @property
    def pid_file(self) -> Path:
        """The process id of heartbeat."""
        return self.root / "run/heartbeat.pid"

    @property
    def log_dir(self) -> Path:
        """The folder of the log files."""
        return self.root / "var/log"

    @property
    def ha_log(self) -> Path:
        """The log file when ha.cf names none."""
        return self.root / "var/log/ha-log"

    @property
    def blackbox_dir(self) -> Path:
        """Where a daemon that found a bug in itself leaves its last events."""
        return self.root / "var/log/pacekeeper"

    @property
    def ocf_root(self) -> Path:
        """The root of OCF agents (`resource.d/PROVIDER/TYPE` below it)."""
        return self.root / "usr/lib/ocf"

    def below(self, path: str) -> Path:
        """Place an absolute path of a settings file below the root."""
        return self.root / path.lstrip("/")
